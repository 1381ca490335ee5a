package imageprep

import "math"

// tfTable holds values of the cubic kernel with a = -0.75 at distances of
// i/1024 (even entries) and 1 + i/1024 (odd ones), computed in float64 as
// TensorFlow does. The conversions keep compilers from fusing steps.
var tfTable = func() [2 * (tfSteps + 1)]float32 {
	const a = -0.75
	var t [2 * (tfSteps + 1)]float32
	for i := range tfSteps + 1 {
		x := float64(i) / tfSteps
		t[2*i] = float32(float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1)
		x++
		t[2*i+1] = float32(float64(float64(float64(float64(float64(a*x)-5*a)*x)+8*a)*x) - 4*a)
	}
	return t
}()

const tfSteps = 1 << 10

// tfTap is four source positions of an output pixel and their weights.
type tfTap struct {
	at [4]int
	w  [4]float32
}

// tfTaps are those of every output pixel of an axis: pixel i lies at i*in/out,
// positions outside repeat the edge, nothing is widened when shrinking.
func tfTaps(in, out int) []tfTap {
	scale := float32(in) / float32(out)
	taps := make([]tfTap, out)
	for i := range taps {
		loc := float32(float32(i) * scale)
		base := int(loc)
		step := int(math.RoundToEven(float64(float32(loc-float32(base)) * tfSteps)))
		t := &taps[i]
		for k := range t.at {
			t.at[k] = min(max(base-1+k, 0), in-1)
		}
		t.w = [4]float32{tfTable[2*step+1], tfTable[2*step], tfTable[2*(tfSteps-step)], tfTable[2*(tfSteps-step)+1]}
	}
	return taps
}

func (t *tfTap) sum(v [4]float32) float32 {
	s := float32(v[0] * t.w[0])
	for k := 1; k < 4; k++ {
		s += float32(v[k] * t.w[k])
	}
	return s
}

// resizeTF is TensorFlow's resize_bicubic without half-pixel centres, columns
// first, its floats rounded (half to even) and clipped to 8 bits.
func resizeTF(out, src Image) {
	rows, columns := tfTaps(src.H, out.H), tfTaps(src.W, out.W)
	line := make([]float32, src.W*src.C)
	for y := range rows {
		t := &rows[y]
		var from [4][]byte
		for k, at := range t.at {
			from[k] = src.Pix[at*len(line):][:len(line)]
		}
		for i := range line {
			line[i] = t.sum([4]float32{float32(from[0][i]), float32(from[1][i]), float32(from[2][i]), float32(from[3][i])})
		}
		dst := out.Pix[y*out.W*out.C:]
		for x := range columns {
			t := &columns[x]
			for c := range src.C {
				v := t.sum([4]float32{line[t.at[0]*src.C+c], line[t.at[1]*src.C+c], line[t.at[2]*src.C+c], line[t.at[3]*src.C+c]})
				dst[x*src.C+c] = byte(min(max(math.RoundToEven(float64(v)), 0), 255))
			}
		}
	}
}

// tfCentre is the square that TensorFlow's evaluation cuts out before it
// resizes: crop of the short side.
func tfCentre(h, w int, crop float64) (side, y, x int) {
	side = max(int(float32(crop)*float32(min(h, w))), 1)
	return side, (h - side + 1) / 2, (w - side + 1) / 2
}
