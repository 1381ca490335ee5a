package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"effnet/imageprep"
)

// memorySet is images of one size in one slice.
type memorySet struct {
	pix     []byte // [len(labels),h,w,c]
	labels  []byte
	h, w, c int
	classes []string
}

func (s *memorySet) Len() int          { return len(s.labels) }
func (s *memorySet) Label(i int) int32 { return int32(s.labels[i]) }
func (s *memorySet) Classes() []string { return s.classes }

func (s *memorySet) Image(i int) (imageprep.Image, error) {
	n := s.h * s.w * s.c
	return imageprep.Image{Pix: s.pix[i*n : (i+1)*n : (i+1)*n], H: s.h, W: s.w, C: s.c}, nil
}

// checkLabels reports the first label without a class.
func (s *memorySet) checkLabels(where string) error {
	for i, l := range s.labels {
		if int(l) >= len(s.classes) {
			return fmt.Errorf("dataset: %s: label of image %d is %d, there are %d classes", where, i, l, len(s.classes))
		}
	}
	return nil
}

// InMemory reports whether the images of s lie decoded in memory, so that
// looking at all of them costs little.
func InMemory(s Set) bool {
	if sub, ok := s.(*subset); ok {
		s = sub.of
	}
	_, ok := s.(*memorySet)
	return ok
}

// HeldBytes is the size of the images of s that lie decoded in memory.
func HeldBytes(s Set) int64 {
	if sub, ok := s.(*subset); ok {
		s = sub.of
	}
	if m, ok := s.(*memorySet); ok {
		return int64(len(m.pix))
	}
	return 0
}

// checksum identifies the content of a training and a test part.
func checksum(train, test *memorySet) string {
	h := sha256.New()
	for _, s := range []*memorySet{train, test} {
		fmt.Fprintf(h, "%d %d %d %d %d\n", len(s.labels), s.h, s.w, s.c, len(s.classes))
		h.Write(s.labels)
		h.Write(s.pix)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
