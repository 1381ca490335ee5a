package dataset

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// The synthetic set draws, in each image, one shape filled with stripes on a
// noisy ground with distracting spots. A class is a shape, the direction of
// the stripes and their width; place, size, contrast, phase and sign are
// random. Integer arithmetic throughout: the same pixels on every machine.

var (
	synthShapes     = []string{"disc", "square", "triangle", "ring", "cross"}
	synthDirections = []string{"upright", "level", "rising", "falling"}
	synthWidths     = []string{"fine", "narrow", "medium", "wide", "broad"}
)

// synthMaxClasses is the number of combinations.
var synthMaxClasses = len(synthShapes) * len(synthDirections) * len(synthWidths)

// synthetic is what the text after "synthetic:" chooses.
type synthetic struct {
	classes, size, channels, train, test, seed int
}

// setting is one number of a spec, from lo to hi.
type setting struct {
	name   string
	at     *int
	lo, hi int
}

func specErrorf(spec, format string, args ...any) error {
	return &SpecError{spec, fmt.Sprintf(format, args...)}
}

func parseSynthetic(spec string) (synthetic, error) {
	s := synthetic{classes: 10, size: 28, channels: 1, train: 2000, test: 500, seed: 1}
	fields := []setting{
		{"classes", &s.classes, 2, synthMaxClasses},
		{"size", &s.size, 8, 1024},
		{"channels", &s.channels, 1, 3},
		{"train", &s.train, 1, 1 << 24},
		{"test", &s.test, 1, 1 << 24},
		{"seed", &s.seed, 0, 1<<31 - 1},
	}
	_, text, _ := strings.Cut(spec, ":")
	seen := make(map[string]bool)
	for item := range strings.SplitSeq(text, ",") {
		if item == "" && text == "" {
			break
		}
		name, value, _ := strings.Cut(item, "=")
		i := slices.IndexFunc(fields, func(f setting) bool { return f.name == name })
		if i < 0 {
			return s, specErrorf(spec, "unknown setting %q; there are classes, size, channels, train, test and seed", name)
		}
		f := fields[i]
		v, err := strconv.Atoi(value)
		if err != nil || v < f.lo || v > f.hi {
			return s, specErrorf(spec, "%s is %q, want a number from %d to %d", name, value, f.lo, f.hi)
		}
		if seen[name] {
			return s, specErrorf(spec, "%s is given twice", name)
		}
		seen[name] = true
		*f.at = v
	}
	if s.channels == 2 {
		return s, specErrorf(spec, "2 channels, want 1 or 3")
	}
	if n := int64(s.train+s.test) * int64(s.size*s.size*s.channels); n > 1<<30 {
		return s, specErrorf(spec, "%d bytes of pixels, limit is %d", n, 1<<30)
	}
	return s, nil
}

func openSynthetic(ctx context.Context, spec string) (*Data, error) {
	s, err := parseSynthetic(spec)
	if err != nil {
		return nil, err
	}
	var classes []string
	for k := range s.classes {
		shape, direction, width := s.class(k)
		classes = append(classes, strings.Join([]string{synthWidths[width], synthDirections[direction], synthShapes[shape]}, " "))
	}
	train, err := s.draw(ctx, 0, s.train, classes)
	if err != nil {
		return nil, err
	}
	test, err := s.draw(ctx, 1, s.test, classes)
	if err != nil {
		return nil, err
	}
	return &Data{
		Name: "synthetic", Train: train, Test: test,
		Classes: classes, Channels: s.channels, Checksum: checksum(train, test),
	}, nil
}

// class splits a class into its shape, direction and width.
func (s *synthetic) class(k int) (shape, direction, width int) {
	shape, k = k%len(synthShapes), k/len(synthShapes)
	direction, k = k%len(synthDirections), k/len(synthDirections)
	return shape, direction, k
}

// draw makes n images; part 0 is for training, 1 for the test.
func (s *synthetic) draw(ctx context.Context, part, n int, classes []string) (*memorySet, error) {
	size := s.size * s.size * s.channels
	set := &memorySet{
		pix: make([]byte, n*size), labels: make([]byte, n),
		h: s.size, w: s.size, c: s.channels, classes: classes,
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				set.labels[i] = byte(i % s.classes)
				s.image(set.pix[i*size:(i+1)*size], i%s.classes, newRNG(forSynthetic, uint64(s.seed), uint64(part), uint64(i)))
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return set, nil
}

// unit is half the side of an image: coordinates run from -unit to unit.
const unit = 1024

// image draws one image of class k into pix [size,size,channels].
func (s *synthetic) image(pix []byte, k int, r rng) {
	between := func(lo, hi int) int { return lo + r.IntN(hi-lo+1) }
	shape, direction, width := s.class(k)
	radius := between(600, 850)
	cx, cy := between(-150, 150), between(-150, 150)
	period := (400 + 120*width) * between(94, 106) / 100
	phase := between(0, period-1)
	ground := between(70, 185)
	lift := between(40, 80)  // of the shape's mean above the ground
	swing := between(30, 60) // of its stripes
	if r.IntN(4) == 0 {
		lift = -lift
	}
	slopeX, slopeY := between(-30, 30), between(-30, 30)
	var spots [3]struct{ x, y, radius, lift int }
	for i := range spots {
		p := &spots[i]
		p.x, p.y, p.radius, p.lift = between(-unit, unit), between(-unit, unit), between(60, 180), between(-40, 40)
	}
	var tint [3]int // of the shape, by channel
	for c := range s.channels {
		tint[c] = 256
		if s.channels > 1 {
			tint[c] = between(128, 384)
		}
	}
	for y := range s.size {
		py := (2*y+1)*unit/s.size - unit
		for x := range s.size {
			px := (2*x+1)*unit/s.size - unit
			base := ground + (slopeX*px+slopeY*py)/unit
			for _, p := range spots {
				if dx, dy := px-p.x, py-p.y; dx*dx+dy*dy < p.radius*p.radius {
					base += p.lift
				}
			}
			mark := 0
			if dx, dy := px-cx, py-cy; inside(shape, dx, dy, radius) {
				mark = lift + swing*wave(along(direction, dx, dy)+phase, period)/unit
			}
			for c := range s.channels {
				noise := int(r.next()%29+r.next()%29) - 28
				pix[0] = byte(min(max(base+mark*tint[c]/256+noise, 0), 255))
				pix = pix[1:]
			}
		}
	}
}

// inside tells whether (x, y) lies in a shape about the origin.
func inside(shape, x, y, r int) bool {
	ax, ay := max(x, -x), max(y, -y)
	switch d := x*x + y*y; synthShapes[shape] {
	case "disc":
		return d < r*r
	case "square":
		return max(ax, ay) < r*7/8
	case "triangle": // point up
		return ay < r && 2*ax < y+r
	case "ring":
		return d < r*r && d > r*r/4
	default: // cross
		return min(ax, ay) < r/3 && max(ax, ay) < r
	}
}

// along is the coordinate across stripes of a direction.
func along(direction, x, y int) int {
	switch synthDirections[direction] {
	case "upright":
		return x
	case "level":
		return y
	case "rising":
		return (x + y) * 181 / 256 // by the root of 2
	default: // falling
		return (x - y) * 181 / 256
	}
}

// wave is a triangle wave between -unit and unit.
func wave(x, period int) int {
	x = (x%period + period) % period
	return max(2*x-period, period-2*x)*2*unit/period - unit
}
