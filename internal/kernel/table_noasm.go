//go:build !amd64 || purego

package kernel

func assembly() []Row { return nil }
