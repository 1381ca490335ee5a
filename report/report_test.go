package report

import (
	"os"
	"testing"
)

func TestLook(t *testing.T) {
	dir := os.Getenv("LOOK")
	if dir == "" {
		t.Skip()
	}
	if _, err := Write(dir, fixture(t, dir, nil)); err != nil {
		t.Fatal(err)
	}
}
