package imageprep

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
)

// Filter is an interpolation kernel. Pillow's are widened by the scale when
// shrinking (antialiased).
type Filter uint8

const (
	Bilinear  Filter = iota + 1 // triangle, support 1
	Bicubic                     // cubic convolution with a = -0.5, support 2
	TFBicubic                   // of TensorFlow 1: a = -0.75, not widened, corners aligned
)

func (f Filter) String() string {
	switch f {
	case Bilinear:
		return "bilinear"
	case Bicubic:
		return "bicubic"
	case TFBicubic:
		return "tf_bicubic"
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
// does (older Pillows never swap). TFBicubic is TensorFlow's.
func Resize(dst []byte, src Image, h, w int, f Filter) Image {
	if src.H <= 0 || src.W <= 0 || h <= 0 || w <= 0 {
		panic(fmt.Sprintf("imageprep: Resize: %dx%d to %dx%d", src.H, src.W, h, w))
	}
	out := reuse(dst, h, w, src.C)
	if f == TFBicubic {
		resizeTF(out, src)
		return out
	}
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
	row := a.row1
	switch {
	case src.C == 3:
		row = a.row3
	case a.width == 2:
		row = a.row1x2
	case a.width == 4:
		row = a.row1x4
	}
	y := 0
	if src.C == 3 {
		buf := rowPairs.Get().(*[]uint64)
		if cap(*buf) < rowIn {
			*buf = make([]uint64, rowIn)
		}
		for ; y+2 <= src.H; y += 2 {
			zip((*buf)[:rowIn], src.Pix[y*rowIn:(y+1)*rowIn], src.Pix[(y+1)*rowIn:(y+2)*rowIn])
			a.rows3(dst[y*rowOut:(y+1)*rowOut], dst[(y+1)*rowOut:(y+2)*rowOut], (*buf)[:rowIn])
		}
		rowPairs.Put(buf)
	}
	for ; y < src.H; y++ {
		row(dst[y*rowOut:(y+1)*rowOut], src.Pix[y*rowIn:(y+1)*rowIn])
	}
}

// rowPairs holds rows of pairs of samples.
var rowPairs = sync.Pool{New: func() any { return new([]uint64) }}

// zip puts the samples of two rows into the halves of words.
func zip(to []uint64, a, b []byte) {
	b = b[:len(a)]
	for i, v := range a[:len(to)] {
		to[i] = uint64(v) | uint64(b[i])<<32
	}
}

// rows3 resizes two colour rows, zipped, to a and b.
func (x *axis) rows3(a, b []byte, in []uint64) {
	const start = (oneHalf + bias) * pair
	k := x.k
	for i, first := range x.first {
		s0, s1, s2 := uint64(start), uint64(start), uint64(start)
		c := k[:x.width]
		p := in[3*first:][:3*len(c)]
		for _, c := range c {
			c := uint64(int64(c))
			s0 += p[0] * c
			s1 += p[1] * c
			s2 += p[2] * c
			p = p[3:]
		}
		v := clipPair(s0>>precision) | clipPair(s1>>precision)<<8 | clipPair(s2>>precision)<<16
		q, r := a[3*i:3*i+3:3*i+3], b[3*i:3*i+3:3*i+3]
		q[0], q[1], q[2] = byte(v), byte(v>>8), byte(v>>16)
		r[0], r[1], r[2] = byte(v>>32), byte(v>>40), byte(v>>48)
		k = k[len(c):]
	}
}

// row1x2 is row1 for windows of 2.
func (a *axis) row1x2(out, in []byte) {
	k := a.k
	for x, first := range a.first[:len(out)] {
		p, c := in[first:first+2:first+2], k[:2:2]
		out[x] = clip8(oneHalf + c[0]*int32(p[0]) + c[1]*int32(p[1]))
		k = k[2:]
	}
}

// row1x4 is row1 for windows of 4.
func (a *axis) row1x4(out, in []byte) {
	k := a.k
	for x, first := range a.first[:len(out)] {
		p, c := in[first:first+4:first+4], k[:4:4]
		out[x] = clip8(oneHalf + c[0]*int32(p[0]) + c[1]*int32(p[1]) + c[2]*int32(p[2]) + c[3]*int32(p[3]))
		k = k[4:]
	}
}

// row1 resizes one grey row.
func (a *axis) row1(out, in []byte) {
	k := a.k
	for x, first := range a.first[:len(out)] {
		s := int32(oneHalf)
		c := k[:a.width]
		for i, v := range in[first:][:len(c)] {
			s += c[i] * int32(v)
		}
		out[x] = clip8(s)
		k = k[len(c):]
	}
}

// row3 resizes one colour row.
func (a *axis) row3(out, in []byte) {
	k := a.k
	for x, first := range a.first {
		s0, s1, s2 := int32(oneHalf), int32(oneHalf), int32(oneHalf)
		c := k[:a.width]
		p := in[3*first:][:3*len(c)]
		for _, c := range c {
			s0 += c * int32(p[0])
			s1 += c * int32(p[1])
			s2 += c * int32(p[2])
			p = p[3:]
		}
		q := out[3*x : 3*x+3 : 3*x+3]
		q[0], q[1], q[2] = clip8(s0), clip8(s1), clip8(s2)
		k = k[len(c):]
	}
}

// resizeColumns resizes every column of src to out.H pixels; both have the
// same width and channels.
func resizeColumns(out, src Image, a *axis) {
	row := src.W * src.C
	for y := range out.H {
		a.column(out.Pix[y*row:(y+1)*row], src.Pix[int(a.first[y])*row:], a.k[y*a.width:(y+1)*a.width])
	}
}

// Pairs of pixels are summed in the halves of a 64-bit word. A product of a
// coefficient and a pixel is below 2^31, and bias keeps a sum of both signs
// positive, so that the halves do not disturb each other.
const (
	pair     = 1 | 1<<32
	pairMask = 0xff * pair
	bias     = 256 << precision // taken off again after the shift
)

// column writes the weighted sum of len(k) rows of len(to) bytes to to.
func (a *axis) column(to, from []byte, k []int32) {
	row := len(to)
	x := 0
	for ; x+8 <= row; x += 8 {
		// Pixels 0 and 4, 1 and 5, 2 and 6, 3 and 7.
		s0 := uint64((oneHalf + bias) * pair)
		s1, s2, s3 := s0, s0, s0
		at := x
		for _, c := range k {
			v, c := binary.LittleEndian.Uint64(from[at:at+8:at+8]), uint64(int64(c))
			s0 += v & pairMask * c
			s1 += v >> 8 & pairMask * c
			s2 += v >> 16 & pairMask * c
			s3 += v >> 24 & pairMask * c
			at += row
		}
		binary.LittleEndian.PutUint64(to[x:x+8:x+8], clipPair(s0>>precision)|clipPair(s1>>precision)<<8|clipPair(s2>>precision)<<16|clipPair(s3>>precision)<<24)
	}
	for ; x < row; x++ {
		s := int32(oneHalf)
		for i, c := range k {
			s += c * int32(from[i*row+x])
		}
		to[x] = clip8(s)
	}
}

// clipPair takes the bias of 256 off both halves, of 10 bits, and clips them to
// pixels.
func clipPair(v uint64) uint64 {
	v &= 0x3ff * pair
	d := v - 256*pair
	if d&^pairMask == 0 {
		return d // the usual case; a borrow would have set high bits
	}
	const flag = 0x8000 * pair
	d = v | flag - 256*pair
	d &= d >> 15 & pair * 0x3ff                   // below 0: 0
	return (d | (d>>8|d>>9)&pair*0xff) & pairMask // above 255: 255
}

// axis is how one side is resized: output pixel x is the sum of
// k[x*width+i] * input[first[x]+i], in fixed point. Every window has the same
// width and lies inside the input.
type axis struct {
	width int
	first []int32 // [out]
	k     []int32 // [out,width]
}

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

	// The window of a pixel, without the taps of zero at either end, which
	// change nothing.
	type window struct {
		first int
		k     []int32
	}
	a := &axis{first: make([]int32, out)}
	windows := make([]window, out)
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
		for i, v := range w {
			if sum != 0 {
				v /= sum
			}
			k[i] = int32(float64(v*(1<<precision)) + math.Copysign(0.5, v))
		}
		for len(k) > 1 && k[len(k)-1] == 0 {
			k = k[:len(k)-1]
		}
		for len(k) > 1 && k[0] == 0 {
			k, lo = k[1:], lo+1
		}
		windows[x] = window{lo, k}
		a.width = max(a.width, len(k))
	}
	a.k = make([]int32, out*a.width)
	for x, w := range windows {
		first := min(w.first, in-a.width)
		a.first[x] = int32(first)
		copy(a.k[x*a.width+w.first-first:], w.k)
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
