//go:build !(amd64 || arm64) || purego

package kernel

const pureGo = true // no assembly in this build

func assembly() []Row { return nil }
