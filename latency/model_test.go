package latency

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"effnet/arch"
)

// A machine is a cost function in the place of a real one.
type machine struct {
	coef  terms
	cache float64
	curve func(x Features) float64 // a factor that no model knows; nil for 1
	noise float64                  // standard deviation of a measurement, relative
	rng   *rand.Rand
}

// plain is about what one core of a desktop does.
func plain() *machine {
	return &machine{
		coef:  terms{pointwiseMACs: 9e-12, denseMACs: 2e-11, depthwiseMACs: 5e-11, activations: 1e-10, layers: 2e-6, weightBytes: 5e-12, uncachedBytes: 1e-10},
		cache: 12 << 20,
		rng:   rand.New(rand.NewPCG(7, 7)),
	}
}

func (m *machine) seconds(x Features) float64 {
	f := fitted{m.coef, m.cache}
	y := f.predict(&x)
	if m.curve != nil {
		y *= m.curve(x)
	}
	return y
}

func (m *machine) sample(x Features) Sample {
	y := m.seconds(x) * math.Exp(m.noise*m.rng.NormFloat64())
	d := seconds(y)
	return Sample{x, d, d, d, 10}
}

func featuresOf(t testing.TB, base arch.Spec, depth, width, side float64) Features {
	t.Helper()
	s, err := base.Scale(arch.Factors{Depth: depth, Width: width, Resolution: int(side * float64(base.Resolution))})
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return FeaturesOf(g)
}

// star is the networks of a calibration around base.
func star(t testing.TB, base arch.Spec) []Features {
	list := []Features{featuresOf(t, base, 1, 1, 1), featuresOf(t, base, 0.3, 0.5, 0.5)}
	for _, a := range arms {
		list = append(list, featuresOf(t, base, a.Depth, a.Width, a.resolution))
	}
	return list
}

// others is networks of all shapes within a factor of four or so in cost.
func others(t testing.TB, base arch.Spec) (list []Features) {
	for _, d := range []float64{0.5, 0.8, 1.2, 1.6} {
		for _, w := range []float64{0.7, 0.9, 1.1, 1.3} {
			for _, r := range []float64{0.7, 0.9, 1.1, 1.3} {
				list = append(list, featuresOf(t, base, d, w, r))
			}
		}
	}
	return list
}

// Without noise the coefficients are those that made the samples, zeros
// included, and predictions are exact.
func TestFitRecovers(t *testing.T) {
	base := arch.MustLookup("b0")
	train, test := star(t, base), star(t, base)
	for i, x := range others(t, base) {
		if i%3 == 0 {
			train = append(train, x)
		} else {
			test = append(test, x)
		}
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		m := plain()
		m.cache = []float64{12 << 20, 16 << 20, 24 << 20}[r.IntN(3)]
		for i := range m.coef {
			m.coef[i] *= 0.5 + 1.5*r.Float64()
		}
		m.coef[pointwiseMACs+1+r.IntN(weightBytes-pointwiseMACs)] = 0
		var samples []Sample
		for _, x := range train {
			samples = append(samples, m.sample(x))
		}
		model, err := Fit(samples)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range model.fit.coef {
			if math.Abs(c-m.coef[i]) > 0.01*plain().coef[i] {
				t.Errorf("coefficient %d is %g, want %g (cache %g, want %g)", i, c, m.coef[i], model.fit.cache, m.cache)
			}
		}
		for _, x := range test {
			e := model.Predict(x)
			if want := m.seconds(x); math.Abs(e.Latency.Seconds()/want-1) > 1e-3 || e.Error > 1e-3 {
				t.Errorf("predicted %v +- %g, want %gs", e.Latency, e.Error, want)
			}
		}
	}
}

// What a calibration measures, with noise and on a machine that is no sum,
// predicts networks of other shapes within what the model says of itself.
func TestPredictHeldOut(t *testing.T) {
	for _, name := range []string{"b0", "small_1m", "efficientnetv2_s"} {
		base := arch.MustLookup(name)
		outside, n := 0, 0
		var sum float64
		for seed := range uint64(20) {
			m := plain()
			m.noise = 0.02
			m.rng = rand.New(rand.NewPCG(seed, 1))
			m.curve = func(x Features) float64 { return 1 + 0.05*math.Sin(math.Log(x.macs())*5) }
			var samples []Sample
			for _, x := range star(t, base) {
				samples = append(samples, m.sample(x))
			}
			model, err := Fit(samples)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range model.fit.coef {
				if c < 0 {
					t.Fatalf("%s: a coefficient is %g", name, c)
				}
			}
			for _, x := range others(t, base) {
				e := model.Predict(x)
				off := math.Abs(e.Latency.Seconds()/m.seconds(x) - 1)
				if off > 2*e.Error {
					outside++
				}
				n++
				sum += off * off
			}
		}
		rms := math.Sqrt(sum / float64(n))
		t.Logf("%s: %.3f rms, %d of %d beyond twice the error", name, rms, outside, n)
		if rms > 0.10 || outside > n/10 {
			t.Errorf("%s: %.3f rms, %d of %d predictions are off by more than twice their error", name, rms, outside, n)
		}
	}
}

// A sample of a busy moment hardly bends the model.
func TestBusySample(t *testing.T) {
	base := arch.MustLookup("b0")
	m := plain()
	var samples []Sample
	for _, x := range star(t, base) {
		samples = append(samples, m.sample(x))
	}
	samples[0].Median *= 2
	samples[0].P90 = 2 * samples[0].Median
	model, err := Fit(samples)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range others(t, base) {
		if got, want := model.Predict(x).Latency.Seconds(), m.seconds(x); math.Abs(got/want-1) > 0.05 {
			t.Errorf("predicted %gs, want %gs", got, want)
		}
	}
}

func TestFitErrors(t *testing.T) {
	m := plain()
	x := featuresOf(t, arch.MustLookup("b0"), 1, 1, 1)
	if _, err := Fit([]Sample{m.sample(x), m.sample(x)}); err == nil {
		t.Error("two samples made a model")
	}
	// One network over and over is no reason to fail.
	model, err := Fit([]Sample{m.sample(x), m.sample(x), m.sample(x)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := model.Predict(x).Latency, seconds(m.seconds(x)); (got - want).Abs() > time.Microsecond {
		t.Errorf("predicted %v, want %v", got, want)
	}
}

// No feature shrinks while a network grows, which searches along a line rely on.
func TestFeaturesGrow(t *testing.T) {
	for _, name := range []string{"b0", "small_1m", "mobilenetv2_100", "efficientnetv2_s"} {
		base := arch.MustLookup(name)
		last := Features{}
		for cost := 0.1; cost < 20; cost *= 1.07 {
			f, err := arch.Shares{D: 1, W: 1, R: 1}.Factors(cost, base.Resolution)
			if err != nil {
				t.Fatal(err)
			}
			x := featuresOf(t, base, f.Depth, f.Width, (float64(f.Resolution)+0.5)/float64(base.Resolution))
			for i := range x {
				if x[i] < last[i] {
					t.Errorf("%s at cost %.3g: feature %d is %g, was %g", name, cost, i, x[i], last[i])
				}
			}
			last = x
		}
	}
	g, err := arch.MustLookup("b0").Graph()
	if err != nil {
		t.Fatal(err)
	}
	x, c := FeaturesOf(g), g.Cost()
	if x[weightBytes] != float64(c.WeightBytes()) || x.macs() < float64(c.MACs) || x.macs() > 1.1*float64(c.MACs) || x[layers] != 82 {
		t.Errorf("b0 has %v, its cost is %v", x, &c.Totals)
	}
}
