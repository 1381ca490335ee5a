package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A rowKernel is a kernel over rows as tests and benchmarks see it: matrices
// of which the first may be an output, coefficients and sums per channel.
type rowKernel struct {
	name            string
	data, coef, sum int
	writes          bool // data[0] is an output, and may be data[1]
	reads           bool // data[0] is an input too
	flat            bool // no channels
	run             func(impl *Impl, data, coef, sum [][]float32)
	// ref is the exact value of an output element and its contribution to the
	// sums, and bounds of their errors before summation.
	ref func(x, k []float64) (out, outTol float64, sum, sumTol [2]float64)
}

const eps = 0x1p-24

// actUnits is the stated error of an activation at z in units in the last place.
func actUnits(z float64) float64 { return 3 + 1.25*max(0, -z) }

// linear is a*x + b in float64 and a bound of the error in float32.
func linear(a, x, b float64) (z, tol float64) {
	return a*x + b, 2 * eps * (math.Abs(a*x) + math.Abs(b))
}

func actRef(act Act, z float64) float64 {
	switch act {
	case ReLU:
		return max(z, 0)
	case ReLU6:
		return min(max(z, 0), 6)
	case Swish:
		return z / (1 + math.Exp(-z))
	case Sigmoid:
		return 1 / (1 + math.Exp(-z))
	case HardSwish:
		return z * min(max(z+3, 0), 6) / 6
	case HardSigmoid:
		return min(max(z+3, 0), 6) / 6
	}
	return z
}

func actGradRef(act Act, z float64) float64 {
	s := 1 / (1 + math.Exp(-z))
	switch act {
	case ReLU:
		return map[bool]float64{true: 1}[z > 0]
	case ReLU6:
		return map[bool]float64{true: 1}[z > 0 && z < 6]
	case Swish:
		return s * (1 + z*(1-s))
	case Sigmoid:
		return s * (1 - s)
	case HardSwish:
		if z > -3 && z < 3 {
			return z/3 + 0.5
		}
		return map[bool]float64{true: 1}[z > 0]
	case HardSigmoid:
		return map[bool]float64{true: 1. / 6}[z > -3 && z < 3]
	}
	return 1
}

var actNames = []string{"identity", "relu", "relu6", "swish", "sigmoid", "hardswish", "hardsigmoid"}

func rowKernels() []rowKernel {
	// both is memory for the output of SwishSlope that a test does not look at.
	var both []float32
	other := func(n int) []float32 {
		both = slices.Grow(both[:0], n)[:n]
		return both
	}
	ks := []rowKernel{
		{
			name: "moments", data: 1, coef: 1, sum: 2,
			run: func(impl *Impl, d, k, s [][]float32) { impl.Moments(d[0], k[0], s[0], s[1]) },
			ref: func(x, k []float64) (_, _ float64, sum, tol [2]float64) {
				d := x[0] - k[0]
				return 0, 0, [2]float64{d, d * d}, [2]float64{eps * math.Abs(d), 3 * eps * d * d}
			},
		},
		{
			name: "affine2", data: 3, coef: 3, writes: true,
			run: func(impl *Impl, d, k, s [][]float32) { impl.Affine2(d[0], d[1], d[2], k[0], k[1], k[2]) },
			ref: func(x, k []float64) (out, tol float64, _, _ [2]float64) {
				return k[0]*x[1] + k[1]*x[2] + k[2], 3 * eps * (math.Abs(k[0]*x[1]) + math.Abs(k[1]*x[2]) + math.Abs(k[2])), [2]float64{}, [2]float64{}
			},
		},
		{
			name: "swishslope", data: 2, coef: 2, writes: true,
			run: func(impl *Impl, d, k, s [][]float32) {
				impl.SwishSlope(d[0], other(len(d[0])), d[1], k[0], k[1])
			},
			ref: func(x, k []float64) (out, tol float64, _, _ [2]float64) {
				z, dz := linear(k[0], x[1], k[1])
				out = actRef(Swish, z)
				return out, 1.5*dz + 2*actUnits(z)*eps*math.Abs(out) + 0x1p-119, [2]float64{}, [2]float64{}
			},
		},
		{
			name: "swishslope-slope", data: 2, coef: 2, writes: true,
			run: func(impl *Impl, d, k, s [][]float32) {
				impl.SwishSlope(other(len(d[0])), d[0], d[1], k[0], k[1])
			},
			ref: func(x, k []float64) (out, tol float64, _, _ [2]float64) {
				z, dz := linear(k[0], x[1], k[1])
				return actGradRef(Swish, z), 0.5*dz + 0x1p-19, [2]float64{}, [2]float64{}
			},
		},
		{
			name: "slopebackward", data: 4, coef: 1, sum: 2, writes: true,
			run: func(impl *Impl, d, k, s [][]float32) {
				impl.SlopeBackward(d[0], d[1], d[2], d[3], k[0], s[0], s[1])
			},
			ref: func(x, k []float64) (out, tol float64, sum, sumTol [2]float64) {
				out, tol = x[1]*x[2], eps*math.Abs(x[1]*x[2])
				d := x[3] - k[0]
				return out, tol, [2]float64{out, out * d}, [2]float64{tol, tol*math.Abs(d) + 2*eps*math.Abs(out*d)}
			},
		},
		{
			name: "gatedbackward", data: 3, coef: 3, sum: 2, writes: true, reads: true,
			run: func(impl *Impl, d, k, s [][]float32) {
				impl.GatedBackward(d[0], d[1], d[2], k[0], k[1], k[2], s[0], s[1])
			},
			ref: func(x, k []float64) (out, tol float64, sum, sumTol [2]float64) {
				dz, dzTol := linear(k[0], x[0], k[1])
				out = dz * x[1]
				tol = dzTol*math.Abs(x[1]) + 2*eps*math.Abs(out)
				d := x[2] - k[2]
				return out, tol, [2]float64{out, out * d}, [2]float64{tol, tol*math.Abs(d) + 2*eps*math.Abs(out*d)}
			},
		},
		{
			name: "sumrows", data: 1, sum: 1,
			run: func(impl *Impl, d, k, s [][]float32) { impl.SumRows(d[0], s[0]) },
			ref: func(x, k []float64) (_, _ float64, sum, _ [2]float64) { return 0, 0, [2]float64{x[0]}, [2]float64{} },
		},
		{
			name: "dotrows", data: 2, sum: 1,
			run: func(impl *Impl, d, k, s [][]float32) { impl.DotRows(d[0], d[1], s[0]) },
			ref: func(x, k []float64) (_, _ float64, sum, tol [2]float64) {
				return 0, 0, [2]float64{x[0] * x[1]}, [2]float64{eps * math.Abs(x[0]*x[1])}
			},
		},
		{
			name: "add", data: 2, writes: true, reads: true, flat: true,
			run: func(impl *Impl, d, k, s [][]float32) { impl.Add(d[0], d[1]) },
			ref: func(x, k []float64) (out, tol float64, _, _ [2]float64) {
				return x[0] + x[1], eps * math.Abs(x[0]+x[1]), [2]float64{}, [2]float64{}
			},
		},
		{
			name: "axpy", data: 2, writes: true, reads: true, flat: true,
			run: func(impl *Impl, d, k, s [][]float32) { impl.Axpy(-0.75, d[0], d[1]) },
			ref: func(x, k []float64) (out, tol float64, _, _ [2]float64) {
				out, tol = linear(-0.75, x[1], x[0])
				return out, tol, [2]float64{}, [2]float64{}
			},
		},
	}
	for act := range numActs {
		// The activations have slopes up to 1.5 and round within actUnits; their
		// derivatives have slopes up to 0.5, and jumps at the kinks.
		kink := func(z float64) float64 {
			switch act {
			case ReLU:
				return math.Abs(z)
			case ReLU6:
				return min(math.Abs(z), math.Abs(z-6))
			case HardSwish, HardSigmoid:
				return min(math.Abs(z+3), math.Abs(z-3))
			}
			return math.Inf(1)
		}
		ks = append(ks, rowKernel{
			name: "scaleact-" + actNames[act], data: 2, coef: 2, writes: true,
			run: func(impl *Impl, d, k, s [][]float32) { impl.ScaleAct(d[0], d[1], k[0], k[1], act) },
			ref: func(x, k []float64) (out, tol float64, _, _ [2]float64) {
				z, dz := linear(k[0], x[1], k[1])
				out = actRef(act, z)
				return out, 1.5*dz + 2*actUnits(z)*eps*math.Abs(out) + 0x1p-119, [2]float64{}, [2]float64{}
			},
		}, rowKernel{
			name: "actbackward-" + actNames[act], data: 3, coef: 3, sum: 2, writes: true,
			run: func(impl *Impl, d, k, s [][]float32) {
				impl.ActBackward(d[0], d[1], d[2], k[0], k[1], k[2], act, s[0], s[1])
			},
			ref: func(x, k []float64) (out, tol float64, sum, sumTol [2]float64) {
				z, dz := linear(k[0], x[2], k[1])
				out, tol = x[1]*actGradRef(act, z), math.Abs(x[1])*(0.5*dz+0x1p-19)
				if kink(z) <= dz {
					tol = math.Abs(x[1])
				}
				d := x[2] - k[2]
				return out, tol, [2]float64{out, out * d}, [2]float64{tol, tol*math.Abs(d) + 2*eps*math.Abs(out*d)}
			},
		}, rowKernel{
			name: "apply-" + actNames[act], data: 2, writes: true, flat: true,
			run: func(impl *Impl, d, k, s [][]float32) { impl.Apply(d[0], d[1], act) },
			ref: func(x, k []float64) (out, tol float64, _, _ [2]float64) {
				out = actRef(act, x[1])
				return out, 2*actUnits(x[1])*eps*math.Abs(out) + 0x1p-119, [2]float64{}, [2]float64{}
			},
		})
	}
	return ks
}

// A rowCase is a matrix [m, c]; extra elements follow its last whole row.
type rowCase struct{ m, c, extra int }

var rowCases = []rowCase{
	{0, 5, 3}, {1, 1, 0}, {1, 16, 5}, {2, 3, 2}, {3, 17, 0}, {4, 8, 0}, {5, 24, 7}, {7, 31, 30}, {16, 4, 0}, {67, 7, 1},
	{130, 8, 0}, {197, 12, 0}, {259, 16, 0}, {100, 20, 0}, {133, 24, 0}, {99, 36, 0}, {77, 40, 0}, {130, 48, 0}, {50, 96, 0},
	{41, 100, 0}, {33, 144, 0}, {21, 257, 0}, {9, 1152, 3}, {600, 1, 0}, {2, 16400, 0}, {2200, 8, 0}, {1, 511, 0}, {1, 512, 0},
}

// TestRows holds every kernel over rows against float64.
func TestRows(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		for _, k := range rowKernels() {
			for i, c := range rowCases {
				testRows(t, impl, k, c, rand.New(rand.NewPCG(2, uint64(i))))
			}
		}
	})
}

func blocks(rng *rand.Rand, count, n int) (bs []*block, slices [][]float32) {
	for range count {
		b := newBlock(rng, n, rng.IntN(17), nil)
		for i := range b.s {
			b.s[i] *= 2
			if rng.IntN(8) == 0 { // far out on the activations
				b.s[i] *= 50
			}
		}
		bs, slices = append(bs, b), append(slices, b.s)
	}
	return bs, slices
}

func clones(bs []*block, off int) (cs []*block, slices [][]float32) {
	for _, b := range bs {
		c := b.clone(off)
		cs, slices = append(cs, c), append(slices, c.s)
	}
	return cs, slices
}

func testRows(t *testing.T, impl *Impl, k rowKernel, c rowCase, rng *rand.Rand) {
	what := fmt.Sprintf("%s %v", k.name, c)
	n := c.m*c.c + c.extra
	used := c.m * c.c
	if k.flat {
		used = n
	}
	db, data := blocks(rng, k.data, n)
	cb, coef := blocks(rng, k.coef, c.c)
	sb, sum := blocks(rng, k.sum, c.c)
	_, data0 := clones(db, 0)
	_, sum0 := clones(sb, 0)
	_, data2 := clones(db, 3)
	_, coef2 := clones(cb, 1)
	_, sum2 := clones(sb, 2)

	k.run(impl, data, coef, sum)
	for i, b := range append(append(db, cb...), sb...) {
		b.check(t, fmt.Sprintf("%s: slice %d", what, i))
	}
	if k.writes {
		sameBits(t, what+": past the rows", data[0][used:], data0[0][used:])
		if !k.reads {
			data2[0] = data2[1]
		}
	}
	k.run(impl, data2, coef2, sum2)
	for i := range data {
		if i == 0 || !k.writes || k.reads || i > 1 {
			sameBits(t, what+": data at other addresses", data2[i][:used], data[i][:used])
		}
	}
	for i := range sum {
		sameBits(t, what+": sums at other addresses", sum2[i], sum[i])
	}

	total, size, tol := make([][2]float64, c.c), make([][2]float64, c.c), make([][2]float64, c.c)
	for i := range used {
		var x, kk []float64
		for _, d := range data0 {
			x = append(x, float64(d[i]))
		}
		for _, d := range coef {
			kk = append(kk, float64(d[i%c.c]))
		}
		out, outTol, s, st := k.ref(x, kk)
		if k.writes && !(math.Abs(float64(data[0][i])-out) <= outTol) {
			t.Fatalf("%s: element %d of %v, %v is %g, want %g within %g", what, i, x, kk, data[0][i], out, outTol)
		}
		for j := range k.sum {
			total[i%c.c][j] += s[j]
			size[i%c.c][j] += math.Abs(s[j])
			tol[i%c.c][j] += st[j]
		}
	}
	for j := range k.sum {
		for i := range c.c {
			was := float64(sum0[j][i])
			bound := tol[i][j] + float64(c.m+1)*eps*(size[i][j]+math.Abs(was))
			if got, want := float64(sum[j][i]), was+total[i][j]; !(math.Abs(got-want) <= bound) {
				t.Fatalf("%s: sum %d of channel %d is %g, want %g within %g", what, j, i, got, want, bound)
			}
		}
	}
}

// TestActRange holds swish, sigmoid, their hard forms and derivatives against float64 over
// the whole range of float32, to the precision that act.go states.
func TestActRange(t *testing.T) { testActRange(t) }

func testActRange(t *testing.T) {
	var xs []float32
	for b := uint64(0); b < 1<<32; b += 3001 {
		xs = append(xs, math.Float32frombits(uint32(b)))
	}
	for x := float32(-110); x < 110; x += 0x1p-11 {
		xs = append(xs, x)
	}
	inf := float32(math.Inf(1))
	xs = append(xs, inf, -inf, float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32, 0, float32(math.Copysign(0, -1)), -88.72, -88.73, -89, 88)
	eachImpl(t, func(t *testing.T, impl *Impl) {
		got := make([]float32, len(xs))
		units := func(float64) float64 { return 2.5 }
		switch impl.Name {
		case "avx512": // takes the short way to an exponential
			units = actUnits
		case "neon":
			units = func(float64) float64 { return 3 }
		}
		checkAct := func(t *testing.T, act Act, units func(float64) float64) {
			worst, at := 0.0, float32(0)
			for i, x := range xs {
				want := actRef(act, float64(x))
				switch {
				case act == HardSwish && math.IsInf(float64(x), -1): // -Inf times 0
					continue
				case math.IsInf(float64(x), -1):
					want = 0
				case x != x:
					if got[i] == got[i] {
						t.Fatalf("%s(NaN) = %v", actNames[act], got[i])
					}
					continue
				}
				if math.IsInf(want, 0) && float64(got[i]) == want {
					continue
				}
				// A unit in the last place, and what is lost where exp overflows.
				_, e := math.Frexp(want)
				ulp := math.Ldexp(1, max(e-24, -149))
				err := max(0, math.Abs(float64(got[i])-want)-0x1p-119) / ulp / units(float64(x))
				if !(err <= worst) {
					worst, at = err, x
				}
			}
			t.Logf("%s: at most %.2f of the stated error, at %v", actNames[act], worst, at)
			if !(worst <= 1) {
				t.Errorf("%s(%v) is off by %.2f of the stated error", actNames[act], at, worst)
			}
		}
		checkSlope := func(t *testing.T, act Act) {
			for i, x := range xs {
				want := actGradRef(act, min(max(float64(x), -200), 200))
				if math.Abs(float64(x)) == 3 {
					continue // a kink
				}
				if !(math.Abs(float64(got[i])-want) <= 0x1p-19) && x == x {
					t.Fatalf("derivative of %s at %v is %v, want %v", actNames[act], x, got[i], want)
				}
				if x != x && got[i] == got[i] && (act == Swish || act == Sigmoid) {
					t.Fatalf("derivative of %s at NaN is %v", actNames[act], got[i])
				}
			}
		}
		one, zero, ones := []float32{1}, []float32{0}, make([]float32, len(xs))
		for i := range ones {
			ones[i] = 1
		}
		for _, act := range []Act{Swish, Sigmoid, HardSwish, HardSigmoid} {
			impl.Apply(got, xs, act)
			checkAct(t, act, units)
			sum := [2][]float32{{0}, {0}}
			impl.ActBackward(got, ones, xs, one, zero, zero, act, sum[0], sum[1])
			checkSlope(t, act)
		}
		t.Run("both", func(t *testing.T) {
			other := make([]float32, len(xs))
			impl.SwishSlope(got, other, xs, one, zero)
			checkAct(t, Swish, actUnits)
			impl.SwishSlope(other, got, xs, one, zero)
			checkSlope(t, Swish)
		})
	})
}

// TestReLUNaN holds that a NaN is not swallowed.
func TestReLUNaN(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		x := make([]float32, 37)
		for i := range x {
			x[i] = float32(math.NaN())
		}
		for act := range numActs {
			y := make([]float32, len(x))
			impl.Apply(y, x, act)
			for i, v := range y {
				if v == v {
					t.Fatalf("%s(NaN) = %v at %d", actNames[act], v, i)
				}
			}
		}
	})
}

func BenchmarkRows(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, k := range rowKernels() {
		for _, c := range []rowCase{{28, 24, 0}, {28, 48, 0}, {784, 8, 0}, {784, 24, 0}, {784, 40, 0}, {784, 96, 0}, {196, 480, 0}, {12544, 96, 0}} {
			if k.flat && c.c != 96 {
				continue
			}
			_, data := blocks(rng, k.data, c.m*c.c)
			_, coef := blocks(rng, k.coef, c.c)
			_, sum := blocks(rng, k.sum, c.c)
			arrays := k.data + map[bool]int{true: 1}[k.reads]
			benchImpl(b, fmt.Sprintf("%s/%dx%d", k.name, c.m, c.c), "GB/s", float64(4*c.m*c.c*arrays), func(impl *Impl) {
				k.run(impl, data, coef, sum)
			})
		}
	}
}
