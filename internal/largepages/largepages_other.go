//go:build !linux

package largepages

// Expect does nothing.
func Expect([]float32) {}

// Move does nothing.
func Move([]float32) {}
