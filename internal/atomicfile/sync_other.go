//go:build !unix

package atomicfile

// syncDir does nothing: a folder cannot be opened and synced here.
func syncDir(string) error { return nil }
