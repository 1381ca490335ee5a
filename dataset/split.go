package dataset

// Split cuts a set in two, deterministically by seed and stratified: part gets
// fraction of every class (rounded to the nearest), rest the others, both in
// the order of s.
func Split(s Set, fraction float64, seed uint64) (rest, part Set) { return s, s }

// Subset returns n images of s, chosen by seed, every class in proportion and
// in the order of s; s itself when n >= s.Len().
func Subset(s Set, n int, seed uint64) Set { return s }

// Order is the permutation of 0..n-1 that epoch visits; it depends only on
// the arguments.
func Order(n int, seed uint64, epoch int) []int { return nil }
