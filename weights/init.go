package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"

	"effnet/arch"
)

// Init makes the starting weights of a network, by the rules of the reference
// TensorFlow code:
//
//	convolution   normal, std sqrt(2/fan_out), fan_out = k*k*Cout, not truncated
//	depthwise     the same with fan_out = k*k
//	classifier    uniform in +-1/sqrt(classes)
//	batch norm    gamma 1, beta 0, mean 0, variance 1
//	biases        0
//
// Each tensor draws from a generator of its own, keyed by seed and the
// tensor's name, so that a tensor's values depend on neither its neighbours
// nor the machine.
func Init(g *arch.Graph, seed uint64) *Set {
	s := &Set{Tensors: map[string]Tensor{}, Meta: map[string]string{}}
	for _, p := range g.Params() {
		t := Tensor{Shape: p.Shape, Data: make([]float32, p.Elems())}
		r := newSource(seed, p.Name)
		switch p.Role {
		case arch.ConvWeight:
			r.fillNormal(t.Data, math.Sqrt(2/float64(p.Shape[0]*p.Shape[2]*p.Shape[3])))
		case arch.DepthwiseWeight:
			r.fillNormal(t.Data, math.Sqrt(2/float64(p.Shape[2]*p.Shape[3])))
		case arch.LinearWeight:
			bound := 1 / math.Sqrt(float64(p.Shape[0]))
			for i := range t.Data {
				t.Data[i] = float32(bound * r.symmetric())
			}
		case arch.BNGamma, arch.BNVar:
			for i := range t.Data {
				t.Data[i] = 1
			}
		case arch.BiasVector, arch.BNBeta, arch.BNMean:
		}
		s.Tensors[p.Name] = t
	}
	return s
}

// source draws the same numbers on every machine: conversions such as
// float64(a*b) keep a compiler from fusing the product into an addition, and
// the logarithm is written out because math.Log differs between machines in
// its last bit.
type source struct{ *rand.ChaCha8 }

func newSource(seed uint64, name string) source {
	key := binary.LittleEndian.AppendUint64(nil, seed)
	return source{rand.NewChaCha8(sha256.Sum256(append(key, name...)))}
}

// symmetric is uniform in [-1, 1), a multiple of 2^-52.
func (s source) symmetric() float64 {
	return float64(int64(s.Uint64())>>11) / (1 << 52)
}

// fillNormal is Marsaglia's polar method: a point uniform in the unit disc
// gives two independent normal deviates.
func (s source) fillNormal(dst []float32, std float64) {
	for i := 0; i < len(dst); {
		u, v := s.symmetric(), s.symmetric()
		q := float64(u*u) + float64(v*v)
		if q >= 1 || q == 0 {
			continue
		}
		m := std * math.Sqrt(-2*logarithm(q)/q)
		dst[i] = float32(u * m)
		if i++; i < len(dst) {
			dst[i] = float32(v * m)
			i++
		}
	}
}

// logarithm is ln x for x > 0. With x = f*2^e and t = (f-1)/(f+1),
// ln f = 2 atanh t = 2t (1 + t^2/3 + t^4/5 + ...), |t| < 0.172.
func logarithm(x float64) float64 {
	f, e := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f, e = 2*f, e-1
	}
	t := (f - 1) / (f + 1)
	z := t * t
	sum := 0.0
	for k := 21; k >= 1; k -= 2 {
		sum = float64(sum*z) + 1/float64(k)
	}
	return float64(2*t*sum) + float64(float64(e)*math.Ln2)
}
