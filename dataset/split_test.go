package dataset

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// tinySet is a set of 1x1 images that hold their own index.
func tinySet(labels []byte, classes int) *memorySet {
	return &memorySet{pix: count(len(labels)), labels: labels, h: 1, w: 1, c: 1, classes: make([]string, classes)}
}

// members lists the images of a set by the pixel they hold.
func members(t interface{ Fatal(...any) }, s Set) []int {
	var ids []int
	for i := range s.Len() {
		im, err := s.Image(i)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, int(im.Pix[0]))
	}
	return ids
}

func perClass(s Set) []int {
	n := make([]int, len(s.Classes()))
	for i := range s.Len() {
		n[s.Label(i)]++
	}
	return n
}

func TestSplitProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.IntRange(1, 6).Draw(t, "classes")
		labels := rapid.SliceOfN(rapid.ByteRange(0, byte(classes-1)), 1, 200).Draw(t, "labels")
		s := tinySet(labels, classes)
		fraction := rapid.Float64Range(0, 1).Draw(t, "fraction")
		seed := rapid.Uint64().Draw(t, "seed")
		rest, part := Split(s, fraction, seed)
		a, b := members(t, rest), members(t, part)
		if !slices.IsSorted(a) || !slices.IsSorted(b) {
			t.Fatal("not in the order of the set")
		}
		all := append(slices.Clone(a), b...)
		slices.Sort(all)
		want := make([]int, len(labels))
		for i := range want {
			want[i] = i
		}
		if d := cmp.Diff(want, all); d != "" {
			t.Fatal("parts do not make the whole: ", d)
		}
		of := perClass(s)
		for c, n := range perClass(part) {
			if d := float64(n) - fraction*float64(of[c]); d > 0.5 || d < -0.5 {
				t.Fatalf("class %d: %d of %d, fraction is %g", c, n, of[c], fraction)
			}
		}
		for i := range part.Len() {
			if part.Label(i) != int32(labels[b[i]]) {
				t.Fatal("label and image disagree")
			}
		}
		_, again := Split(s, fraction, seed)
		if d := cmp.Diff(b, members(t, again)); d != "" {
			t.Fatal("not deterministic: ", d)
		}
	})
}

func TestSubsetProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.IntRange(1, 6).Draw(t, "classes")
		labels := rapid.SliceOfN(rapid.ByteRange(0, byte(classes-1)), 1, 200).Draw(t, "labels")
		s := tinySet(labels, classes)
		n := rapid.IntRange(0, len(labels)+3).Draw(t, "n")
		sub := Subset(s, n, 1)
		if sub.Len() != min(n, len(labels)) {
			t.Fatalf("%d images, want %d of %d", sub.Len(), n, len(labels))
		}
		of := perClass(s)
		for c, k := range perClass(sub) {
			if d := float64(k) - float64(of[c]*sub.Len())/float64(len(labels)); d >= 1 || d <= -1 {
				t.Fatalf("class %d: %d of %d images, %d of %d in all", c, k, of[c], sub.Len(), len(labels))
			}
		}
		// A subset of a subset names the right images.
		if n := sub.Len(); n > 1 {
			in := members(t, sub)
			for _, id := range members(t, Subset(sub, n/2, 2)) {
				if !slices.Contains(in, id) {
					t.Fatalf("image %d is not in the larger subset", id)
				}
			}
		}
	})
}

func TestSeedsMatter(t *testing.T) {
	s := tinySet(make([]byte, 100), 1)
	_, a := Split(s, 0.3, 1)
	_, b := Split(s, 0.3, 2)
	if cmp.Equal(members(t, a), members(t, b)) {
		t.Error("two seeds, one split")
	}
	if cmp.Equal(members(t, a), members(t, Subset(s, 30, 1))) {
		t.Error("Subset repeats the choice of Split")
	}
}

func TestOrder(t *testing.T) {
	// What a seed means must not change between versions.
	if d := cmp.Diff([]int{5, 3, 9, 1, 4, 6, 0, 7, 8, 2}, Order(10, 1, 0)); d != "" {
		t.Error(d)
	}
	for _, n := range []int{0, 1, 2, 1000} {
		p := Order(n, 7, 3)
		if d := cmp.Diff(p, Order(n, 7, 3)); d != "" {
			t.Error(d)
		}
		slices.Sort(p)
		for i, v := range p {
			if i != v {
				t.Fatalf("Order(%d): not a permutation", n)
			}
		}
	}
	a := Order(1000, 7, 3)
	for _, b := range [][]int{Order(1000, 7, 4), Order(1000, 8, 3), Order(1000, 3, 7)} {
		same := 0
		for i := range a {
			if a[i] == b[i] {
				same++
			}
		}
		if same > 20 {
			t.Errorf("%d of 1000 places agree between two orders", same)
		}
	}
}

// TestRNGIsUniform looks at where shuffling puts the first of five.
func TestRNGIsUniform(t *testing.T) {
	const n = 20000
	var places [5]int
	for seed := range uint64(n) {
		places[slices.Index(Order(5, seed, 0), 0)]++
	}
	for i, k := range places {
		// Five standard deviations of a binomial.
		if k < n/5-283 || k > n/5+283 {
			t.Errorf("first of five comes to place %d in %d of %d orders", i, k, n)
		}
	}
}
