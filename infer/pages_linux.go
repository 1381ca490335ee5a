package infer

import "golang.org/x/sys/unix"

// useLargePages moves b into large pages. It is a wish: what the system makes
// of it changes nothing but time.
func useLargePages(b []byte) {
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // in the background, for kernels before 6.1
	_ = unix.Madvise(b, unix.MADV_COLLAPSE)
}
