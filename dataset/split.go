package dataset

import (
	"fmt"
	"math"
	"slices"

	"effnet/imageprep"
)

// Split cuts a set in two by seed, stratified: part gets fraction of every
// class (rounded to the nearest image), rest the others, both in the order of
// s.
func Split(s Set, fraction float64, seed uint64) (rest, part Set) {
	if !(fraction >= 0 && fraction <= 1) {
		panic(fmt.Sprintf("dataset: Split: fraction %g outside [0,1]", fraction))
	}
	return cut(s, forSplit, seed, func(of []int) []int {
		n := make([]int, len(of))
		for c, k := range of {
			n[c] = int(math.Round(fraction * float64(k)))
		}
		return n
	})
}

// Subset returns n images of s, chosen by seed, every class in proportion and
// in the order of s; s itself when n >= s.Len().
func Subset(s Set, n int, seed uint64) Set {
	if n >= s.Len() {
		return s
	}
	if n < 0 {
		panic(fmt.Sprintf("dataset: Subset: %d images", n))
	}
	_, part := cut(s, forSubset, seed, func(of []int) []int { return share(of, n) })
	return part
}

// share divides n among classes of the given sizes in proportion; what
// rounding down leaves goes to the largest remainders, earlier classes first.
func share(of []int, n int) []int {
	total := 0
	for _, k := range of {
		total += k
	}
	out, byRemainder := make([]int, len(of)), make([]int, len(of))
	left := n
	for c, k := range of {
		out[c] = k * n / total
		left -= out[c]
		byRemainder[c] = c
	}
	slices.SortStableFunc(byRemainder, func(a, b int) int { return of[b]*n%total - of[a]*n%total })
	for _, c := range byRemainder[:left] {
		out[c]++
	}
	return out
}

// cut chooses count(sizes of the classes)[c] images of every class c.
func cut(s Set, purpose, seed uint64, count func(of []int) []int) (rest, part Set) {
	byClass := make([][]int, len(s.Classes()))
	for i := range s.Len() {
		c := s.Label(i)
		byClass[c] = append(byClass[c], i)
	}
	of := make([]int, len(byClass))
	for c := range byClass {
		of[c] = len(byClass[c])
	}
	var in, out []int
	for c, n := range count(of) {
		r := newRNG(purpose, seed, uint64(c))
		r.shuffle(byClass[c])
		in = append(in, byClass[c][:n]...)
		out = append(out, byClass[c][n:]...)
	}
	return pick(s, out), pick(s, in)
}

// pick is the set of the images idx of s, which it sorts.
func pick(s Set, idx []int) Set {
	slices.Sort(idx)
	if sub, ok := s.(*subset); ok {
		for i, j := range idx {
			idx[i] = sub.idx[j]
		}
		s = sub.of
	}
	return &subset{s, idx}
}

// subset is some images of another set.
type subset struct {
	of  Set
	idx []int
}

func (s *subset) Len() int                             { return len(s.idx) }
func (s *subset) Label(i int) int32                    { return s.of.Label(s.idx[i]) }
func (s *subset) Image(i int) (imageprep.Image, error) { return s.of.Image(s.idx[i]) }
func (s *subset) Classes() []string                    { return s.of.Classes() }

// Order is the permutation of 0..n-1 in which an epoch visits n images. It
// depends only on the arguments.
func Order(n int, seed uint64, epoch int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	r := newRNG(forOrder, seed, uint64(epoch))
	r.shuffle(p)
	return p
}
