package atomicfile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"effnet/internal/atomicfile"
)

// names lists a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var ns []string
	for _, e := range es {
		ns = append(ns, e.Name())
	}
	return strings.Join(ns, " ")
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	for _, want := range []string{"one", strings.Repeat("long ", 100_000), ""} {
		if err := atomicfile.WriteBytes(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != want {
			t.Errorf("content is %d bytes, want %d", len(got), len(want))
		}
	}
	if got := names(t, dir); got != "a.txt" {
		t.Errorf("folder holds %q, want only a.txt", got)
	}
	// The mode is that of a file made the plain way, whatever the umask.
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a, _ := os.Stat(path)
	b, _ := os.Stat(plain)
	if a.Mode() != b.Mode() {
		t.Errorf("mode is %v, want %v", a.Mode(), b.Mode())
	}
}

func TestWriteRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := atomicfile.WriteBytes("x", []byte("y")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, "x"); got != "y" {
		t.Errorf("content is %q", got)
	}
}

func TestErrorLeavesOldContent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := atomicfile.WriteBytes(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	err := atomicfile.Write(path, func(w io.Writer) error {
		io.WriteString(w, strings.Repeat("new", 100_000))
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("error is %v, want the one of fill", err)
	}
	if got := content(t, path); got != "old" {
		t.Errorf("content is %q, want the old one", got)
	}
	if got := names(t, dir); got != "a" {
		t.Errorf("folder holds %q, want only a", got)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	if err := atomicfile.WriteBytes(dir, nil); err == nil {
		t.Error("writing over a folder gave no error")
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, "no", "such"), nil); err == nil {
		t.Error("writing into a missing folder gave no error")
	}
	if got := names(t, dir); got != "" {
		t.Errorf("folder holds %q, want nothing", got)
	}
}

func TestSymlinkAndDevice(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := atomicfile.WriteBytes(real, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Skip(err)
	}
	if err := atomicfile.WriteBytes(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, real); got != "new" {
		t.Errorf("file behind the link is %q, want new", got)
	}
	if info, _ := os.Lstat(link); info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced by a file")
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Skip("no null device")
	}
	if err := atomicfile.WriteBytes(os.DevNull, []byte("x")); err != nil {
		t.Error(err)
	}
	if info, _ := os.Stat(os.DevNull); info.Mode().IsRegular() {
		t.Error("the null device was replaced by a file")
	}
}

func TestSHA256(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := atomicfile.WriteBytes(path, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got, err := atomicfile.SHA256(path); got != want || err != nil {
		t.Errorf("SHA256 of abc is %s, %v, want %s", got, err, want)
	}
	if _, err := atomicfile.SHA256(path + "x"); err == nil {
		t.Error("no error without a file")
	}
}
