package infer

import "golang.org/x/sys/unix"

// adviseLargePages asks for large pages under b, whole ones. It is a wish: what
// the system makes of it changes nothing but time.
func adviseLargePages(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
