//go:build !linux

// Package largepages does nothing on this system.
package largepages

// Expect does nothing.
func Expect([]float32) {}

// Move does nothing.
func Move([]float32) {}
