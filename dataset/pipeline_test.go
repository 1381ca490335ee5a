package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"effnet/imageprep"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func openTest(t testing.TB, spec string) *Data {
	t.Helper()
	d, err := Open(context.Background(), spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fill is Fill of one image.
func fill(t testing.TB, p *Pipeline, i, epoch int) []float32 {
	t.Helper()
	x, l := make([]float32, p.Resolution*p.Resolution*p.Channels), make([]int32, 1)
	if err := p.Fill(x, l, []int{i}, epoch); err != nil {
		t.Fatal(err)
	}
	if l[0] != p.Set.Label(i) {
		t.Fatalf("label is %d, want %d", l[0], p.Set.Label(i))
	}
	return x
}

func floats(im imageprep.Image) []float32 {
	x := make([]float32, len(im.Pix))
	for i, v := range im.Pix {
		x[i] = float32(v) / 255
	}
	return x
}

// TestPipelineSteps puts the steps together by hand.
func TestPipelineSteps(t *testing.T) {
	set := openTest(t, "synthetic:train=20,test=1,channels=3,size=30").Train
	im, err := set.Image(4)
	if err != nil {
		t.Fatal(err)
	}
	grey := imageprep.Convert(nil, im, 1)
	big := imageprep.Resize(nil, im, 50, 50, imageprep.Bicubic)
	for _, c := range []struct {
		name string
		p    *Pipeline
		want []float32
	}{
		{"as it is", &Pipeline{Resolution: 30, Channels: 3}, floats(im)},
		{"grey", &Pipeline{Resolution: 30, Channels: 1}, floats(grey)},
		{"resized", &Pipeline{Resolution: 50, Channels: 3, Filter: imageprep.Bicubic}, floats(big)},
		{"cropped", &Pipeline{Resolution: 40, Channels: 3, Filter: imageprep.Bicubic, Crop: 0.8}, floats(imageprep.Crop(nil, big, 5, 5, 40, 40))},
		{"small", &Pipeline{Resolution: 17, Channels: 1}, floats(imageprep.Resize(nil, grey, 17, 17, imageprep.Bilinear))},
	} {
		c.p.Set = set
		if d := cmp.Diff(c.want, fill(t, c.p, 4, 0)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	p := &Pipeline{Set: set, Resolution: 30, Channels: 3, Mean: []float32{0.5, 0.4, 0.3}, Std: []float32{0.25, 0.5, 1}}
	for i, v := range fill(t, p, 4, 0) {
		want := (float64(im.Pix[i])/255 - []float64{0.5, 0.4, 0.3}[i%3]) / []float64{0.25, 0.5, 1}[i%3]
		if math.Abs(float64(v)-want) > 1e-6 {
			t.Fatalf("normalised value %d is %g, want %g", i, v, want)
		}
	}
}

// TestPipelineAspect holds the two ways to make an oblong image square.
func TestPipelineAspect(t *testing.T) {
	im := imageprep.Image{Pix: count(20 * 10), H: 10, W: 20, C: 1}
	set := &memorySet{pix: im.Pix, labels: []byte{0}, h: 10, w: 20, c: 1, classes: []string{"a"}}
	crop := fill(t, &Pipeline{Set: set, Resolution: 10, Channels: 1}, 0, 0)
	if d := cmp.Diff(floats(imageprep.Crop(nil, im, 0, 5, 10, 10)), crop); d != "" {
		t.Error("centre: ", d)
	}
	squash := fill(t, &Pipeline{Set: set, Resolution: 10, Channels: 1, Squash: true}, 0, 0)
	if d := cmp.Diff(floats(imageprep.Resize(nil, im, 10, 10, imageprep.Bilinear)), squash); d != "" {
		t.Error("squash: ", d)
	}
}

// epochDigest reads an epoch through a loader.
func epochDigest(t *testing.T, p *Pipeline, opt LoaderOptions) string {
	t.Helper()
	l, err := p.Load(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := sha256.New()
	for i := opt.Start; ; i++ {
		b, err := l.Next()
		if err == io.EOF {
			if i != l.Len() {
				t.Errorf("ended after batch %d of %d", i, l.Len())
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.Index != i || b.N != len(b.Labels) || b.N != len(b.IDs) || len(b.X) != b.N*p.size() {
			t.Fatalf("batch %d: index %d, %d images, %d labels, %d ids, %d floats", i, b.Index, b.N, len(b.Labels), len(b.IDs), len(b.X))
		}
		for j, id := range b.IDs {
			if b.Labels[j] != p.Set.Label(id) {
				t.Fatalf("batch %d: label %d of image %d is wrong", i, j, id)
			}
		}
		binary.Write(h, binary.LittleEndian, b.X)
		binary.Write(h, binary.LittleEndian, b.Labels)
		fmt.Fprintln(h, b.IDs, b.Others, b.Share)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// TestLoaderIsDeterministic holds that batches depend on the seed and the
// epoch, not on goroutines.
func TestLoaderIsDeterministic(t *testing.T) {
	d := openTest(t, "synthetic:train=103,test=1")
	p := &Pipeline{Set: d.Train, Resolution: 20, Channels: 1, Augment: everything, Seed: 5}
	opt := LoaderOptions{Batch: 10, Epoch: 2, Shuffle: true, Seed: 9}
	want := epochDigest(t, p, opt)
	for _, c := range []struct{ workers, ahead int }{{1, 1}, {2, 1}, {3, 7}, {16, 100}} {
		o := opt
		o.Workers, o.Ahead = c.workers, c.ahead
		if got := epochDigest(t, p, o); got != want {
			t.Errorf("%d workers, %d ahead: batches differ", c.workers, c.ahead)
		}
	}
	for name, change := range map[string]func(o *LoaderOptions){
		"epoch":        func(o *LoaderOptions) { o.Epoch++ },
		"seed":         func(o *LoaderOptions) { o.Seed++ },
		"not shuffled": func(o *LoaderOptions) { o.Shuffle = false },
		"drop last":    func(o *LoaderOptions) { o.DropLast = true },
	} {
		o := opt
		change(&o)
		if epochDigest(t, p, o) == want {
			t.Errorf("%s: batches are the same", name)
		}
	}
}

// TestLoaderResumes holds that an epoch entered half way goes on as it would
// have.
func TestLoaderResumes(t *testing.T) {
	d := openTest(t, "synthetic:train=55,test=1")
	p := &Pipeline{Set: d.Train, Resolution: 28, Channels: 1, Augment: everything, Seed: 5}
	var batches []string
	read := func(start int) []string {
		l, err := p.Load(context.Background(), LoaderOptions{Batch: 10, Shuffle: true, Start: start, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var out []string
		for {
			b, err := l.Next()
			if err == io.EOF {
				return out
			}
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(b.Index, b.IDs, b.Labels, b.Others, b.Share, b.X))
		}
	}
	batches = read(0)
	if len(batches) != 6 {
		t.Fatalf("%d batches, want 6", len(batches))
	}
	for start := 1; start <= 6; start++ {
		if d := cmp.Diff(batches[start:], read(start)); d != "" && start < 6 {
			t.Errorf("from batch %d: %s", start, d)
		}
	}
}

func TestLoaderStops(t *testing.T) {
	d := openTest(t, "synthetic:train=500,test=1")
	p := &Pipeline{Set: d.Train, Resolution: 28, Channels: 1}
	before := goleak.IgnoreCurrent()
	for read := range 5 {
		for _, cancel := range []bool{false, true} {
			ctx, stop := context.WithCancel(context.Background())
			l, err := p.Load(ctx, LoaderOptions{Batch: 10, Workers: 3})
			if err != nil {
				t.Fatal(err)
			}
			for range read {
				if _, err := l.Next(); err != nil {
					t.Fatal(err)
				}
			}
			if cancel {
				stop()
				if _, err := l.Next(); !errors.Is(err, context.Canceled) {
					t.Errorf("after cancelling: %v", err)
				}
			}
			l.Close()
			l.Close()
			if _, err := l.Next(); err == nil {
				t.Error("Next after Close: no error")
			}
			stop()
		}
	}
	goleak.VerifyNone(t, before)
}

// failingSet fails at one image.
type failingSet struct {
	Set
	at int
}

func (s failingSet) Image(i int) (imageprep.Image, error) {
	if i == s.at {
		return imageprep.Image{}, errors.New("image 33 is broken")
	}
	return s.Set.Image(i)
}

func TestLoaderReportsErrors(t *testing.T) {
	d := openTest(t, "synthetic:train=100,test=1")
	p := &Pipeline{Set: failingSet{d.Train, 33}, Resolution: 28, Channels: 1}
	before := goleak.IgnoreCurrent()
	l, err := p.Load(context.Background(), LoaderOptions{Batch: 10, Workers: 4})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := l.Next(); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
	for range 2 {
		if _, err := l.Next(); err == nil || err.Error() != "image 33 is broken" {
			t.Errorf("error is %v", err)
		}
	}
	goleak.VerifyNone(t, before)
}

// TestLoaderMemory holds that a slow reader does not make the loader run ahead.
func TestLoaderMemory(t *testing.T) {
	d := openTest(t, "synthetic:train=1000,test=1")
	p := &Pipeline{Set: d.Train, Resolution: 28, Channels: 1}
	l, err := p.Load(context.Background(), LoaderOptions{Batch: 10, Workers: 2, Ahead: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	storage := make(map[*float32]bool)
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		storage[&b.X[0]] = true
	}
	if len(storage) > 4 {
		t.Errorf("%d buffers for 3 batches ahead", len(storage))
	}
}

func TestPipelineErrors(t *testing.T) {
	set := openTest(t, "synthetic:train=10,test=1").Train
	for _, c := range []struct {
		p    *Pipeline
		want string
	}{
		{&Pipeline{Resolution: 28, Channels: 1}, "without a set"},
		{&Pipeline{Set: set, Channels: 1}, "resolution is 0"},
		{&Pipeline{Set: set, Resolution: 28}, "0 channels, want 1 or 3"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 3, Mean: []float32{1}}, "1 means"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Std: []float32{0}}, "standard deviation is 0"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Crop: 1.5}, "crop is 1.5"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Crop: math.NaN()}, "crop is NaN"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Filter: 9}, "no such filter"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Augment: Augment{PadCrop: -1}}, "padding is -1"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Augment: Augment{MinArea: 2}}, "smallest crop is 2"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Augment: Augment{MinArea: 0.5, PadCrop: 1}}, "choose one"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Augment: Augment{Auto: "rand-x1"}}, `there is no part "x1"`},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Augment: Augment{Erasing: 1.5}}, "probability of erasing is 1.5"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Augment: Augment{Erasing: math.NaN()}}, "probability of erasing is NaN"},
		{&Pipeline{Set: set, Resolution: 28, Channels: 1, Augment: Augment{Mixup: -1}}, "alpha of mixup is -1"},
	} {
		if _, err := c.p.Load(context.Background(), LoaderOptions{Batch: 1}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want %q in it", err, c.want)
		}
	}
	p := &Pipeline{Set: set, Resolution: 28, Channels: 1}
	for _, o := range []LoaderOptions{{}, {Batch: 5, Start: 3}, {Batch: 5, Start: -1}} {
		if _, err := p.Load(context.Background(), o); err == nil {
			t.Errorf("options %+v: no error", o)
		}
	}
}

func TestStats(t *testing.T) {
	set := &memorySet{pix: []byte{0, 0, 51, 255, 102, 51}, labels: []byte{0, 0}, h: 1, w: 1, c: 3, classes: []string{"a"}}
	mean, std, err := Stats(context.Background(), set, 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	for c, want := range []struct{ mean, std float64 }{{0.5, 0.5}, {0.2, 0.2}, {0.2, 0}} {
		if math.Abs(mean[c]-want.mean) > 1e-12 || math.Abs(std[c]-want.std) > 1e-12 {
			t.Errorf("channel %d: %g, %g, want %g, %g", c, mean[c], std[c], want.mean, want.std)
		}
	}
	if mean, _, _ := Stats(context.Background(), set, 3, 1); mean[0] != 0 {
		t.Errorf("first image alone: mean %g", mean[0])
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Stats(ctx, set, 3, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, _, err := Stats(context.Background(), tinySet(nil, 1), 1, 0); err == nil {
		t.Error("statistics of an empty set: no error")
	}
}

// TestSynthetic holds the content of the default set, its balance, and that a
// simple rule does better than chance but not well.
func TestSynthetic(t *testing.T) {
	d := openTest(t, "synthetic")
	const want = "sha256:f4583ef5a466c3925b7ab1df93c603acb7a8e56e282ab47d0fc855b4ee7983e3"
	if d.Checksum != want {
		t.Errorf("content is %s, want %s", d.Checksum, want)
	}
	if d.Train.Len() != 2000 || d.Test.Len() != 500 || len(d.Classes) != 10 {
		t.Errorf("%d, %d images of %d classes", d.Train.Len(), d.Test.Len(), len(d.Classes))
	}
	for c, n := range perClass(d.Train) {
		if n != 200 {
			t.Errorf("class %d has %d images", c, n)
		}
	}
	// Nearest class mean.
	var means [10][784]float64
	for i := range d.Train.Len() {
		im, _ := d.Train.Image(i)
		for j, v := range im.Pix {
			means[d.Train.Label(i)][j] += float64(v) / 200
		}
	}
	right := 0
	for i := range d.Test.Len() {
		im, _ := d.Test.Image(i)
		best, at := math.Inf(1), 0
		for c := range means {
			s := 0.0
			for j, v := range im.Pix {
				s += (float64(v) - means[c][j]) * (float64(v) - means[c][j])
			}
			if s < best {
				best, at = s, c
			}
		}
		if int32(at) == d.Test.Label(i) {
			right++
		}
	}
	if right > 250 {
		t.Errorf("nearest class mean is right on %d of 500: too easy", right)
	}
	seen := make(map[string]bool)
	for _, name := range openTest(t, "synthetic:classes=100,train=100,test=100").Classes {
		if seen[name] {
			t.Errorf("two classes are called %s", name)
		}
		seen[name] = true
	}
}

func TestLoaderBound(t *testing.T) {
	for _, c := range []struct{ ahead, size, want int }{
		{3, 1 << 20, 3}, {3, maxLoaded / 4, 3}, {3, maxLoaded/4 + 1, 2}, {3, maxLoaded / 2, 1}, {3, maxLoaded, 1}, {1, 2 * maxLoaded, 1},
	} {
		if got := within(c.ahead, c.size); got != c.want {
			t.Errorf("%d batches of %d bytes: %d ahead, want %d", c.ahead, c.size, got, c.want)
		}
	}
}
