package largepages

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Expect is for memory that has just been made: what is first touched after
// it, is laid into large pages at once.
func Expect(x []float32) {
	if b := whole(x); len(b) > 0 {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	}
}

// Move moves what is there already. Systems without the call for that do it
// in the background.
func Move(x []float32) {
	if b := whole(x); len(b) > 0 {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
		_ = unix.Madvise(b, unix.MADV_COLLAPSE)
	}
}

// whole is the large pages that lie in x.
func whole(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
	skip := -uintptr(unsafe.Pointer(&b[0])) % Size
	if uintptr(len(b)) < skip+Size {
		return nil
	}
	b = b[skip:]
	return b[:len(b)/Size*Size]
}
