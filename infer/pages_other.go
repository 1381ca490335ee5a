//go:build !linux

package infer

func adviseLargePages([]byte) {}
