package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestCommitted holds that the assembly in the tree is what this program writes.
func TestCommitted(t *testing.T) {
	want := files()
	for name, text := range want {
		old, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(old, text) {
			t.Errorf("%s differs from what asmgen writes; run go generate ./internal/kernel", name)
		}
	}
	found, err := filepath.Glob("../*.s")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if want[filepath.Base(f)] == nil {
			t.Errorf("%s is not written by asmgen", f)
		}
	}
}
