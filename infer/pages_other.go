//go:build !linux

package infer

func useLargePages([]byte) {}
