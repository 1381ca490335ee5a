// Package largepages asks the system to hold memory in large pages, which a
// processor finds with fewer look-ups. What the system makes of it changes
// nothing but time. Only Linux is asked.
package largepages

// Size is that of a large page, bytes: of amd64, and of arm64 with small pages
// of 4 KiB.
const Size = 2 << 20
