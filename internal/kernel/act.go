package kernel

import (
	"fmt"
	"math"
)

// Sigmoid and swish rest on exp(-z) = 2^n 2^f with n the integer nearest to
// -z log2(e) and |f| <= 1/2. 2^f is a polynomial of degree 6 whose relative
// error is below 2^-25; 2^n is put together from bits. The result of Sigmoid
// and Swish is within 3 + 1.25 max(0, -z) units in the last place of the exact value,
// except where that is so small that exp(-z) overflows float32: there the
// absolute error is below 2^-119. Their derivatives are within 2^-19. Assembly
// may use other polynomials within the same bounds.
// Infinities give the limits (0 and 1; 0 and +Inf) within that, a NaN a NaN.
const (
	expMin = -89 // below, exp(-z) is +Inf
	expMax = 88  // above, 1 + exp(-z) is 1

	exp2c1 = 0.6931472
	exp2c2 = 0.24022648
	exp2c3 = 0.05550332
	exp2c4 = 0.009618439
	exp2c5 = 0.0013399004
	exp2c6 = 0.00015353254
)

const numActs = HardSigmoid + 1

// expNeg1 is 1 + exp(-z) for z in [expMin, expMax] or NaN.
func expNeg1(z float32) float32 {
	t := float64(z) * -math.Log2E
	n := math.RoundToEven(t)
	f := float32(t - n)
	p := 1 + f*(exp2c1+f*(exp2c2+f*(exp2c3+f*(exp2c4+f*(exp2c5+f*exp2c6)))))
	return 1 + p*math.Float32frombits(uint32(int32(n)+127)<<23)
}

// clamp cuts z to the range of expNeg1; a NaN stays.
func clamp(z float32) float32 {
	if z < expMin {
		return expMin
	}
	if z > expMax {
		return expMax
	}
	return z
}

func sigmoid(z float32) float32 { return 1 / expNeg1(clamp(z)) }

func swish(z float32) float32 {
	c := clamp(z)
	if z < c {
		z = c
	}
	return z / expNeg1(c)
}

func hardSigmoid(z float32) float32 { return min(max(z+3, 0), 6) * (1. / 6) }

// applyGo is the definition of the activations.
func applyGo(dst, src []float32, act Act) {
	src = src[:len(dst)]
	switch act {
	case Identity:
		copy(dst, src)
	case ReLU:
		for i, z := range src {
			dst[i] = max(z, 0)
		}
	case ReLU6:
		for i, z := range src {
			dst[i] = min(max(z, 0), 6)
		}
	case Swish:
		for i, z := range src {
			dst[i] = swish(z)
		}
	case Sigmoid:
		for i, z := range src {
			dst[i] = sigmoid(z)
		}
	case HardSwish:
		for i, z := range src {
			dst[i] = z * hardSigmoid(z)
		}
	case HardSigmoid:
		for i, z := range src {
			dst[i] = hardSigmoid(z)
		}
	default:
		panic(fmt.Sprintf("kernel: activation %d", act))
	}
}

// actGradGo is the derivative at z. That of swish is s*(1 + z*(1-s)), s =
// sigmoid(z).
func actGradGo(z float32, act Act) float32 {
	switch act {
	case ReLU:
		if z > 0 {
			return 1
		}
		return 0
	case ReLU6:
		if z > 0 && z < 6 {
			return 1
		}
		return 0
	case Swish:
		z = clamp(z)
		s := 1 / expNeg1(z)
		return s * (1 + z*(1-s))
	case Sigmoid:
		s := sigmoid(z)
		return s * (1 - s)
	case HardSwish:
		switch {
		case !(z > -3):
			return 0
		case z < 3:
			return z*(1./3) + 0.5
		}
	case HardSigmoid:
		if z > -3 && z < 3 {
			return 1. / 6
		}
		return 0
	}
	return 1
}
