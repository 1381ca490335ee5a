package report

import (
	"fmt"
	"math"
	"strings"
)

// scale maps values to pixels along an axis.
type scale struct {
	lo, hi float64 // values at the ends
	a, b   float64 // pixels at the ends
	log    bool
}

func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		v, lo, hi = math.Log(v), math.Log(lo), math.Log(hi)
	}
	return s.a + (s.b-s.a)*(v-lo)/(hi-lo)
}

// niceStep is a step of 1, 2 or 5 times a power of ten that cuts span into
// about n.
func niceStep(span float64, n int) float64 {
	raw := span / float64(n)
	mag := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*mag*1.0001 {
			return m * mag
		}
	}
	return 10 * mag
}

// linearTicks are round values from lo to hi, about n of them, and the
// decimals they need.
func linearTicks(lo, hi float64, n int) (ticks []float64, decimals int) {
	step := niceStep(hi-lo, n)
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+1e-9*step; k++ {
		ticks = append(ticks, k*step+0) // no -0
	}
	return ticks, max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
}

// logTicks are 1, 2 and 5 times powers of ten, or more of them where those
// are too few.
func logTicks(lo, hi float64) []float64 {
	for _, set := range [][]float64{{1}, {1, 2, 5}, {1, 1.5, 2, 3, 4, 5, 7}, {1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9}} {
		var ticks []float64
		for e := math.Floor(math.Log10(lo)); math.Pow(10, e) <= hi; e++ {
			for _, m := range set {
				if v := m * math.Pow(10, e); v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
					ticks = append(ticks, v)
				}
			}
		}
		if len(ticks) >= 3 {
			return ticks
		}
	}
	if ticks, _ := linearTicks(lo, hi, 4); len(ticks) >= 2 {
		return ticks
	}
	return []float64{lo, hi}
}

// timeTicks are round times in seconds, a decade or so apart.
func timeTicks(lo, hi float64) []float64 {
	var ticks []float64
	for _, s := range []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 60, 600, 3600, 36000, 360000} {
		if s >= lo && s <= hi {
			ticks = append(ticks, s)
		}
	}
	if len(ticks) >= 3 {
		return ticks
	}
	if hi < 60 {
		return logTicks(lo, hi)
	}
	ticks = ticks[:0]
	for _, s := range []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000, 36000, 72000} {
		if s >= lo && s <= hi {
			ticks = append(ticks, s)
		}
	}
	if len(ticks) < 2 {
		return logTicks(lo, hi)
	}
	return ticks
}

// pad widens lo to hi by a share of the span on each side.
func pad(lo, hi, share float64) (float64, float64) {
	if hi <= lo {
		return lo - 1, hi + 1
	}
	return lo - share*(hi-lo), hi + share*(hi-lo)
}

// count is a number with three digits and a unit: 1.23M.
func count(x float64) string {
	for _, u := range []struct {
		at   float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if x >= u.at*0.9995 {
			return trim(x/u.at) + u.name
		}
	}
	return trim(x)
}

// trim writes three significant digits without trailing zeros.
func trim(x float64) string {
	d := 2
	switch {
	case x >= 99.95:
		d = 0
	case x >= 9.995:
		d = 1
	}
	s := fmt.Sprintf("%.*f", d, x)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
