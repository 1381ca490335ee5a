package imageprep

import (
	"fmt"
	"math"
	"sync"
)

// Filter is an interpolation kernel. Both are widened by the scale when
// shrinking (antialiased).
type Filter uint8

const (
	Bilinear Filter = iota + 1 // triangle, support 1
	Bicubic                    // cubic convolution with a = -0.5, support 2
)

func (f Filter) String() string {
	switch f {
	case Bilinear:
		return "bilinear"
	case Bicubic:
		return "bicubic"
	}
	return fmt.Sprintf("filter(%d)", uint8(f))
}

// precision is the number of fraction bits of a coefficient: 32 less 8 of a
// pixel less 2 for the overshoot of a cubic and the sign.
const (
	precision = 32 - 8 - 2
	oneHalf   = 1 << (precision - 1)
)

// Resize returns src resized to h x w: two passes in fixed point, each rounded
// and clipped to 8 bits, as Image.resize of Pillow 13 does it. The horizontal
// pass comes first unless the height shrinks by more than twice what the width
// does (older Pillows never swap).
func Resize(dst []byte, src Image, h, w int, f Filter) Image {
	if src.H <= 0 || src.W <= 0 || h <= 0 || w <= 0 {
		panic(fmt.Sprintf("imageprep: Resize: %dx%d to %dx%d", src.H, src.W, h, w))
	}
	out := reuse(dst, h, w, src.C)
	horizontal, vertical := w != src.W, h != src.H
	switch {
	case !horizontal && !vertical:
		copy(out.Pix, src.Pix)
	case !vertical:
		resizeRows(out.Pix, src, w, axisOf(src.W, w, f))
	case !horizontal:
		resizeColumns(out, src, axisOf(src.H, h, f))
	case src.H > h && src.H-h > 2*(src.W-w):
		buf := scratch.Get().(*[]byte)
		mid := reuse(*buf, h, src.W, src.C)
		resizeColumns(mid, src, axisOf(src.H, h, f))
		resizeRows(out.Pix, mid, w, axisOf(src.W, w, f))
		*buf = mid.Pix
		scratch.Put(buf)
	default:
		buf := scratch.Get().(*[]byte)
		mid := reuse(*buf, src.H, w, src.C)
		resizeRows(mid.Pix, src, w, axisOf(src.W, w, f))
		resizeColumns(out, mid, axisOf(src.H, h, f))
		*buf = mid.Pix
		scratch.Put(buf)
	}
	return out
}

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// clip8 rounds a fixed-point sum, which started at oneHalf, to a pixel.
func clip8(v int32) byte { return byte(min(max(v>>precision, 0), 255)) }

// resizeRows resizes every row of src [H,W,C] to w pixels.
func resizeRows(dst []byte, src Image, w int, a *axis) {
	rowIn, rowOut := src.W*src.C, w*src.C
	for y := range src.H {
		in, out := src.Pix[y*rowIn:(y+1)*rowIn], dst[y*rowOut:(y+1)*rowOut]
		switch {
		case src.C == 3:
			a.row3(out, in)
		case a.width == 2:
			a.row1x2(out, in)
		default:
			a.row1(out, in)
		}
	}
}

// row1x2 resizes one grey row where no pixel has more than two taps.
func (a *axis) row1x2(out, in []byte) {
	first, k := a.first[:len(out)], a.k[:2*len(out)]
	for x := range out {
		p := in[first[x]:]
		s := oneHalf + k[2*x]*int32(p[0])
		if len(p) > 1 {
			s += k[2*x+1] * int32(p[1])
		}
		out[x] = clip8(s)
	}
}

// row1 resizes one grey row.
func (a *axis) row1(out, in []byte) {
	for x := range out {
		k := a.taps(x)
		p := in[a.first[x]:]
		p = p[:len(k)]
		s := int32(oneHalf)
		for i, v := range p {
			s += k[i] * int32(v)
		}
		out[x] = clip8(s)
	}
}

// row3 resizes one colour row.
func (a *axis) row3(out, in []byte) {
	for x := 0; 3*x < len(out); x++ {
		p := in[3*a.first[x]:]
		s0, s1, s2 := int32(oneHalf), int32(oneHalf), int32(oneHalf)
		for _, k := range a.taps(x) {
			s0 += k * int32(p[0])
			s1 += k * int32(p[1])
			s2 += k * int32(p[2])
			p = p[3:]
		}
		q := out[3*x : 3*x+3 : 3*x+3]
		q[0], q[1], q[2] = clip8(s0), clip8(s1), clip8(s2)
	}
}

// resizeColumns resizes every column of src to out.H pixels; both have the
// same width and channels.
func resizeColumns(out, src Image, a *axis) {
	row := src.W * src.C
	var sum []int32
	for y := range out.H {
		to := out.Pix[y*row : (y+1)*row]
		from := src.Pix[int(a.first[y])*row:]
		k := a.taps(y)
		switch len(k) {
		case 1:
			column1(to, from[:row], k[0])
		case 2:
			column2(to, from[:row], from[row:2*row], k[0], k[1])
		default:
			if sum == nil {
				sum = make([]int32, row)
			}
			columnN(to, from, sum, k)
		}
	}
}

func column1(to, a []byte, k int32) {
	for x, v := range a[:len(to)] {
		to[x] = clip8(oneHalf + k*int32(v))
	}
}

func column2(to, a, b []byte, ka, kb int32) {
	a, b = a[:len(to)], b[:len(to)]
	for x := range to {
		to[x] = clip8(oneHalf + ka*int32(a[x]) + kb*int32(b[x]))
	}
}

// columnN sums len(k) rows; sum holds one row.
func columnN(to, from []byte, sum []int32, k []int32) {
	row := len(to)
	for x := range sum {
		sum[x] = oneHalf
	}
	for i, c := range k {
		for x, v := range from[i*row : i*row+row : i*row+row] {
			sum[x] += c * int32(v)
		}
	}
	for x, s := range sum[:len(to)] {
		to[x] = clip8(s)
	}
}

// axis is how one side is resized: output pixel x is the sum of
// k[x*width+i] * input[first[x]+i] for i below n[x], in fixed point.
type axis struct {
	width int // largest n
	first []int32
	n     []int32
	k     []int32 // [out,width]
}

func (a *axis) taps(x int) []int32 { return a.k[x*a.width : x*a.width+int(a.n[x])] }

type axisKey struct {
	in, out int
	f       Filter
}

// axes caches the axis of every pair of sizes met; a folder of photographs of
// many sizes must not make it grow for ever.
var axes = struct {
	sync.RWMutex
	m map[axisKey]*axis
}{m: make(map[axisKey]*axis)}

const maxAxes = 512

func axisOf(in, out int, f Filter) *axis {
	key := axisKey{in, out, f}
	axes.RLock()
	a := axes.m[key]
	axes.RUnlock()
	if a != nil {
		return a
	}
	a = newAxis(in, out, f)
	axes.Lock()
	if len(axes.m) >= maxAxes {
		clear(axes.m)
	}
	axes.m[key] = a
	axes.Unlock()
	return a
}

// newAxis computes coefficients in float64 in Pillow's order of operations,
// then rounds them. The explicit conversions keep compilers from fusing a
// product into a sum, which would round differently on some machines.
func newAxis(in, out int, f Filter) *axis {
	scale := float64(in) / float64(out)
	filterScale := max(scale, 1)
	support := f.support() * filterScale
	inv := 1 / filterScale
	weights := make([]float64, int(math.Ceil(support))*2+1)

	a := &axis{first: make([]int32, out), n: make([]int32, out)}
	rows := make([][]int32, out)
	for x := range out {
		center := float64((float64(x) + 0.5) * scale)
		lo := max(int(center-support+0.5), 0)
		hi := min(int(center+support+0.5), in)
		w := weights[:hi-lo]
		sum := 0.0
		for i := range w {
			w[i] = f.at(float64((float64(i+lo) - center + 0.5) * inv))
			sum += w[i]
		}
		k := make([]int32, len(w))
		for i := range w {
			v := w[i]
			if sum != 0 {
				v /= sum
			}
			k[i] = int32(float64(v*(1<<precision)) + math.Copysign(0.5, v))
		}
		// Taps of zero at either end change nothing.
		for len(k) > 1 && k[len(k)-1] == 0 {
			k = k[:len(k)-1]
		}
		for len(k) > 1 && k[0] == 0 {
			k, lo = k[1:], lo+1
		}
		rows[x], a.first[x], a.n[x] = k, int32(lo), int32(len(k))
		a.width = max(a.width, len(k))
	}
	a.k = make([]int32, out*a.width)
	for x, k := range rows {
		copy(a.k[x*a.width:], k)
	}
	return a
}

func (f Filter) support() float64 {
	switch f {
	case Bilinear:
		return 1
	case Bicubic:
		return 2
	}
	panic("imageprep: no such filter: " + f.String())
}

// at is the kernel's value at distance x.
func (f Filter) at(x float64) float64 {
	x = math.Abs(x)
	if f == Bilinear {
		return max(1-x, 0)
	}
	const a = -0.5
	switch {
	case x < 1:
		return float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1
	case x < 2:
		return float64(float64(float64(float64(float64(float64(x-5)*x)+8)*x)-4) * a)
	}
	return 0
}
