package dataset

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"effnet/autoaugment"
	"effnet/imageprep"

	"github.com/google/go-cmp/cmp"
)

// everything is all kinds of augmentation at once.
var everything = Augment{Flip: true, PadCrop: 2, Auto: "rand-m9-n2-mstd0.5-inc1", Erasing: 0.5, Mixup: 0.4}

// TestAugment holds that every flip and every shift comes up, equally often,
// and that shifted pixels are those of the image.
func TestAugment(t *testing.T) {
	im := imageprep.Image{Pix: make([]byte, 49), H: 7, W: 7, C: 1}
	for i := range im.Pix {
		im.Pix[i] = byte(i + 1)
	}
	set := &memorySet{pix: im.Pix, labels: []byte{0}, h: 7, w: 7, c: 1, classes: []string{"a"}}
	p := &Pipeline{Set: set, Resolution: 7, Channels: 1, Augment: Augment{Flip: true, PadCrop: 2}}
	wants := make(map[string]int)
	for y := -2; y <= 2; y++ {
		for x := -2; x <= 2; x++ {
			for _, flip := range []bool{false, true} {
				wants[fmt.Sprint(floats(imageprep.CropPadded(nil, im, y, x, 7, 7, flip)))] = 0
			}
		}
	}
	const epochs = 5000
	for epoch := range epochs {
		got := fmt.Sprint(fill(t, p, 0, epoch))
		if _, ok := wants[got]; !ok {
			t.Fatalf("epoch %d: %s is no shift of the image", epoch, got)
		}
		wants[got]++
	}
	for image, n := range wants {
		// Five standard deviations of a binomial with mean 100.
		if n < 50 || n > 150 {
			t.Errorf("%s comes up %d times in %d, want about %d", image, n, epochs, epochs/len(wants))
		}
	}
	q := &Pipeline{Set: set, Resolution: 7, Channels: 1, Augment: Augment{MinArea: 0.3}}
	distinct := make(map[string]bool)
	for epoch := range 200 {
		distinct[fmt.Sprint(fill(t, q, 0, epoch))] = true
	}
	if len(distinct) < 20 {
		t.Errorf("%d distinct crops by area in 200", len(distinct))
	}
}

// TestMirroredInTurns holds that an image is mirrored in every other epoch, and half
// of them in the first.
func TestMirroredInTurns(t *testing.T) {
	const images = 4000
	set := &memorySet{pix: bytes.Repeat([]byte{1, 2}, images), labels: make([]byte, images), h: 1, w: 2, c: 1, classes: []string{"a"}}
	p := &Pipeline{Set: set, Resolution: 2, Channels: 1, Seed: 5, Augment: Augment{Flip: true}, Squash: true}
	count := 0
	for i := range images {
		var mirrored [4]bool
		for epoch := range mirrored {
			x := fill(t, p, i, epoch)
			mirrored[epoch] = x[0] > x[1]
		}
		if m := mirrored; m[0] == m[1] || m[0] != m[2] || m[1] != m[3] {
			t.Fatalf("image %d is mirrored in epochs 0 to 3: %v", i, m)
		}
		if mirrored[0] {
			count++
		}
	}
	if count < 1842 || count > 2158 { // five standard deviations
		t.Errorf("%d of %d images are mirrored in the first epoch", count, images)
	}
}

// TestBox holds the area and the aspect of random boxes.
func TestBox(t *testing.T) {
	a := Augment{MinArea: 0.25}
	r := newRNG(1)
	for _, size := range [][2]int{{100, 100}, {60, 200}, {10, 300}, {1, 1}, {300, 7}} {
		H, W := size[0], size[1]
		for range 300 {
			y, x, h, w := a.box(H, W, &r)
			if y < 0 || x < 0 || h < 1 || w < 1 || y+h > H || x+w > W {
				t.Fatalf("%dx%d: box %d,%d %dx%d lies outside", H, W, y, x, h, w)
			}
			if area := float64(h*w) / float64(H*W); H == W && H > 1 && (area < 0.24 || float64(w)/float64(h) > 1.37 || float64(w)/float64(h) < 0.72) {
				t.Fatalf("%dx%d: box of %dx%d, area %g", H, W, h, w, area)
			}
		}
	}
}

// TestPolicyOrder puts the steps together by hand: crop and flip, the policy at
// the source's size, resize, normalise.
func TestPolicyOrder(t *testing.T) {
	set := openTest(t, "synthetic:train=20,test=1,channels=3,size=30").Train
	for _, auto := range []string{"v0", "rand-m9-n3-p1-mstd0.5"} {
		p := &Pipeline{Set: set, Resolution: 20, Channels: 3, Seed: 4, Augment: Augment{Flip: true, MinArea: 0.3, Auto: auto}, Mean: []float32{0.5, 0.25, 0}, Std: []float32{1, 1, 1}}
		policy, err := autoaugment.Parse(auto)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[autoaugment.Kind]bool)
		for epoch := range 200 {
			im, err := set.Image(7)
			if err != nil {
				t.Fatal(err)
			}
			im = p.Augment.apply(nil, im, newRNG(forAugment, 4, uint64(epoch), 7), p.Augment.mirrored(4, epoch, 7))
			r := newRNG(forPolicy, 4, uint64(epoch), 7)
			for _, op := range policy.Draw(nil, &r) {
				seen[op.Kind] = true
				im = applyOp(nil, im, op, [3]byte{128, 64, 0})
			}
			want := floats(imageprep.Resize(nil, im, 20, 20, imageprep.Bilinear))
			for i := range want {
				want[i] -= p.Mean[i%3]
			}
			if d := cmp.Diff(want, fill(t, p, 7, epoch)); d != "" {
				t.Fatalf("%s, epoch %d: %s", auto, epoch, d)
			}
		}
		if auto != "v0" && len(seen) != 15 {
			t.Errorf("%s: operations %v in 200 epochs, want all 15", auto, seen)
		}
	}
}

func TestFillOf(t *testing.T) {
	for _, c := range []struct {
		mean []float32
		want [3]byte
	}{
		{nil, [3]byte{128, 128, 128}},
		{[]float32{0.286}, [3]byte{73, 128, 128}},
		{[]float32{0.485, 0.456, 0.406}, [3]byte{124, 116, 104}},
		{[]float32{-1, 0.5, 2}, [3]byte{0, 128, 255}},
	} {
		if got := fillOf(c.mean); got != c.want {
			t.Errorf("mean %v: %v, want %v", c.mean, got, c.want)
		}
	}
}

// TestErasing holds how often boxes are erased, their areas and aspects, that
// they are full of noise, and that nothing else changes.
func TestErasing(t *testing.T) {
	const side, channels, prob, n = 40, 3, 0.3, 2000
	set := &memorySet{pix: make([]byte, side*side*channels), labels: []byte{0}, h: side, w: side, c: channels, classes: []string{"a"}}
	p := &Pipeline{Set: set, Resolution: side, Channels: channels, Augment: Augment{Erasing: prob}}
	erased, values, sum, squares := 0, 0, 0.0, 0.0
	for epoch := range n {
		x := fill(t, p, 0, epoch)
		top, left, bottom, right := side, side, 0, 0
		for i, v := range x {
			if v == 0 {
				continue
			}
			y, x := i/channels/side, i/channels%side
			top, left, bottom, right = min(top, y), min(left, x), max(bottom, y+1), max(right, x+1)
			values++
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		if top == side {
			continue
		}
		erased++
		h, w := bottom-top, right-left
		for y := top; y < bottom; y++ {
			if slices.Contains(x[(y*side+left)*channels:(y*side+right)*channels], 0) {
				t.Fatalf("epoch %d: row %d of the box has holes", epoch, y)
			}
		}
		if area := float64(h*w) / (side * side); area < 0.015 || area > 0.345 {
			t.Errorf("epoch %d: box of %dx%d, a share of %.3f", epoch, h, w, area)
		}
		if aspect := float64(h) / float64(w); aspect < 0.23 || aspect > 4.3 {
			t.Errorf("epoch %d: box of %dx%d", epoch, h, w)
		}
	}
	if math.Abs(float64(erased)-prob*n) > 5*math.Sqrt(prob*n) {
		t.Errorf("%d of %d erased, want about %v", erased, n, prob*n)
	}
	mean, variance := sum/float64(values), squares/float64(values)
	if math.Abs(mean) > 0.01 || math.Abs(variance-1) > 0.01 {
		t.Errorf("noise of mean %v and variance %v", mean, variance)
	}
}

// TestErasingSmall: in an image of a few pixels there may be no room for a box.
func TestErasingSmall(t *testing.T) {
	for side := 1; side < 6; side++ {
		set := &memorySet{pix: make([]byte, side*side), labels: []byte{0}, h: side, w: side, c: 1, classes: []string{"a"}}
		p := &Pipeline{Set: set, Resolution: side, Channels: 1, Augment: Augment{Erasing: 1}}
		for epoch := range 100 {
			if x := fill(t, p, 0, epoch); side == 1 && x[0] != 0 {
				t.Fatal("the only pixel was erased")
			}
		}
	}
}

// TestMixup compares mixed batches with the images they are made of.
func TestMixup(t *testing.T) {
	set := openTest(t, "synthetic:train=50,test=1").Train
	plain := &Pipeline{Set: set, Resolution: 28, Channels: 1, Augment: Augment{Flip: true}, Seed: 3}
	mixed := &Pipeline{Set: set, Resolution: 28, Channels: 1, Augment: Augment{Flip: true, Mixup: 0.5}, Seed: 3}
	shares := make(map[float64]bool)
	for _, n := range []int{1, 2, 7, 8} {
		for index := range 4 {
			var a, b Batch
			for _, batch := range []*Batch{&a, &b} {
				batch.Index = index
				for i := range n {
					batch.IDs = append(batch.IDs, (i*13+index)%50)
				}
			}
			if err := plain.FillBatch(&a, 1); err != nil {
				t.Fatal(err)
			}
			if err := mixed.FillBatch(&b, 1); err != nil {
				t.Fatal(err)
			}
			if a.Others != nil || !slices.Equal(a.Labels, b.Labels) {
				t.Fatalf("labels %v and %v, others %v", a.Labels, b.Labels, a.Others)
			}
			if !(b.Share >= 0 && b.Share <= 1) {
				t.Fatalf("the share is %v", b.Share)
			}
			shares[b.Share] = true
			size := 28 * 28
			for i := range n {
				j := n - 1 - i
				if b.Others[i] != a.Labels[j] {
					t.Errorf("%d images: image %d is mixed with label %d, want %d", n, i, b.Others[i], a.Labels[j])
				}
				for k := range size {
					want := b.Share*float64(a.X[i*size+k]) + (1-b.Share)*float64(a.X[j*size+k])
					if got := float64(b.X[i*size+k]); math.Abs(got-want) > 1e-6 {
						t.Fatalf("%d images: value %d of image %d is %v, want %v", n, k, i, got, want)
					}
				}
			}
		}
	}
	if len(shares) != 4 { // they depend on the batch's index
		t.Errorf("%d different shares, want 4", len(shares))
	}
}

// TestBeta holds mean and variance of the distribution.
func TestBeta(t *testing.T) {
	for _, a := range []float64{0.01, 0.2, 1, 5, 100} {
		r := newRNG(2)
		const n = 40000
		sum, squares := 0.0, 0.0
		for range n {
			v := r.beta(a)
			if !(v >= 0 && v <= 1) {
				t.Fatalf("Beta(%g, %[1]g): %v", a, v)
			}
			sum += v
			squares += (v - 0.5) * (v - 0.5)
		}
		variance := 1 / (4 * (2*a + 1))
		if d := sum/n - 0.5; math.Abs(d) > 5*math.Sqrt(variance/n) {
			t.Errorf("Beta(%g, %[1]g): mean %v", a, sum/n)
		}
		if got := squares / n; math.Abs(got/variance-1) > 0.04 {
			t.Errorf("Beta(%g, %[1]g): variance %v, want %v", a, got, variance)
		}
	}
}

// TestAugmentIndependence: switching one thing on leaves what the others do.
func TestAugmentIndependence(t *testing.T) {
	set := openTest(t, "synthetic:train=20,test=1,channels=3,size=30").Train
	a := &Pipeline{Set: set, Resolution: 30, Channels: 3, Augment: Augment{Flip: true, PadCrop: 3, Auto: "v0"}}
	b := &Pipeline{Set: set, Resolution: 30, Channels: 3, Augment: Augment{Flip: true, PadCrop: 3, Auto: "v0", Erasing: 1}}
	for i := range 20 {
		x, y, same := fill(t, a, i, 0), fill(t, b, i, 0), 0
		for k := range x {
			if x[k] == y[k] {
				same++
			}
		}
		if same < len(x)*6/10 || same == len(x) {
			t.Errorf("image %d: %d of %d values are those without erasing", i, same, len(x))
		}
	}
}

// TestPipelineDoesNotAllocate once its buffers have grown.
func TestPipelineDoesNotAllocate(t *testing.T) {
	for _, auto := range []string{"v0", "rand-m9-n2-mstd0.5"} {
		p := &Pipeline{Set: openTest(t, "synthetic:train=20,test=1,channels=3").Train, Resolution: 24, Channels: 3, Augment: everything}
		p.Augment.Auto = auto
		b := Batch{IDs: []int{1, 2, 3, 4, 5, 6, 7, 8}}
		epoch := 0
		run := func() {
			if err := p.FillBatch(&b, epoch); err != nil {
				t.Fatal(err)
			}
			epoch++
		}
		for range 20 {
			run()
		}
		if n := testing.AllocsPerRun(50, run); n > 0 {
			t.Errorf("%s: %v allocations a batch", auto, n)
		}
	}
}

// TestMixedLoader: the loader's batches carry what was mixed.
func TestMixedLoader(t *testing.T) {
	p := &Pipeline{Set: openTest(t, "synthetic:train=30,test=1").Train, Resolution: 28, Channels: 1, Augment: Augment{Mixup: 1}}
	l, err := p.Load(context.Background(), LoaderOptions{Batch: 10, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(b.Labels)
		slices.Reverse(want)
		if !slices.Equal(b.Others, want) || b.Share == 0 {
			t.Errorf("batch %d: labels %v are mixed with %v, share %v", b.Index, b.Labels, b.Others, b.Share)
		}
	}
}
