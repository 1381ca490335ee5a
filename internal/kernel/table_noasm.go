//go:build !amd64 || purego

package kernel

const pureGo = true // no assembly in this build

func assembly() []Row { return nil }
