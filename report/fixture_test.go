package report

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"effnet/arch"
	"effnet/search"
)

// folders holds the runs that tests share.
var folders string

func TestMain(m *testing.M) {
	var err error
	if folders, err = os.MkdirTemp("", "report"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(folders)
	os.Exit(code)
}

// once makes a search the first time that a test wants it.
func once(name string, change func(*search.Config)) func(testing.TB) (string, *search.Analysis) {
	var made sync.Once
	var a *search.Analysis
	return func(t testing.TB) (string, *search.Analysis) {
		t.Helper()
		dir := filepath.Join(folders, name)
		made.Do(func() { a = fixture(t, dir, change) })
		if a == nil {
			t.Fatalf("the search %s failed in another test", name)
		}
		return dir, a
	}
}

// Searches of the usual kind, and with every phase.
var (
	usual      = once("usual", nil)
	everyPhase = once("phases", phasesOf(24))
)

// phasesOf has every phase, and a budget with a limit in latency.
func phasesOf(nets int) func(c *search.Config) {
	return func(c *search.Config) {
		c.Networks, c.Epochs, c.Eta, c.Rungs, c.Seeds = nets, 36, 3, 3, 1
		c.Finalists, c.FreshSeeds, c.NoiseSeeds, c.Sweep = 4, 3, 5, true
		c.Limits = []search.Limit{{Measure: search.MeasureLatency, Factor: 4}}
	}
}

// fixture runs a search whose trials are drawn from a made-up surface, so that
// a report has something like real data to show.
func fixture(t testing.TB, dir string, change func(*search.Config)) *search.Analysis {
	t.Helper()
	base := testBase()
	cfg := search.Config{
		Base: string(base.YAML()), Data: "fashion-mnist", DataChecksum: "sha256:0123456789abcdef", Recipe: "quick", Kernel: "avx512",
		Factor: 2, Tolerance: 0.08, ValidateFactors: []float64{2, 4, 8}, Networks: 14, Seeds: 2, Seed: 1, Epochs: 4, TrainImages: 20000,
	}
	if change != nil {
		change(&cfg)
	}
	res, err := search.Run(t.Context(), dir, cfg, base, madeUp(base), search.Options{Workers: 2, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return res.Analyse()
}

// testBase is a small network whose channels come in twos, so that the
// triangle has many places.
func testBase() arch.Spec {
	base := arch.MustLookup("small_300k")
	base.Name, base.Head, base.Stem = "tiny", 96, arch.Stem{Width: 8, Kernel: 3, Stride: 2}
	base.Resolution, base.Channels, base.Classes = 28, 1, 10
	base.Rule = arch.Rule{WidthDivisor: 2, Depth: arch.RoundNearest}
	base.Stages = nil
	for _, row := range []string{"ds_r1_k3_s1_e1_c8", "ir_r1_k3_s2_e4_c16", "ir_r2_k3_s1_e4_c16", "ir_r2_k3_s2_e4_c32"} {
		st, err := arch.ParseStage(row)
		if err != nil {
			panic(err)
		}
		base.Stages = append(base.Stages, st)
	}
	return base
}

func madeUp(base arch.Spec) *search.Engine {
	const images = 10000
	baseCost, err := base.CostAt(base.Resolution)
	if err != nil {
		panic(err)
	}
	noise := func(parts ...any) *rand.Rand {
		h := sha256.Sum256(fmt.Append(nil, parts...))
		return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(h[:]), 1))
	}
	return &search.Engine{
		Meter: &search.Meter{Measure: func(_ context.Context, _ search.Measure, specs []arch.Spec) (out []float64, err error) {
			for i := range specs {
				c, err := specs[i].CostAt(specs[i].Resolution)
				if err != nil {
					return nil, err
				}
				off := 1 + 0.05*noise(specs[i].Stages, specs[i].Resolution).NormFloat64()
				out = append(out, off*(2e-5+2e-10*float64(c.MACs)+1.5e-9*float64(c.Activations)))
			}
			return out, nil
		}},
		TrainImages: 54000, ValidationImages: 6000, TestImages: images,
		Probe: func(_ context.Context, s *arch.Spec, _ int) (search.Speed, error) {
			c, err := s.CostAt(s.Resolution)
			return search.Speed{Train: 2e-10 * float64(c.MACs), Score: 5e-11 * float64(c.MACs)}, err
		},
		Train: func(_ context.Context, t *search.Trial, _ func(search.Progress)) (*search.Outcome, error) {
			s := &t.Spec
			c, err := s.CostAt(s.Resolution)
			if err != nil {
				return nil, err
			}
			grown := math.Log2(float64(c.MACs) / float64(baseCost.MACs))
			width := math.Log2(float64(s.Stages[3].Width) / float64(base.Stages[3].Width))
			res := math.Log2(float64(s.Resolution) / float64(base.Resolution))
			acc := 0.868 + 0.011*grown - 0.012*math.Abs(width-0.35*grown) - 0.01*math.Abs(res-0.2*grown)
			r := noise(t.ID)
			acc += 0.0018 * r.NormFloat64()
			// Of the candidates, some are hopeless and a few diverge.
			if t.Phase == search.PhaseRung && t.Rung == 0 && strings.HasPrefix(t.ID, "x2-") && strings.ContainsAny(t.ID[3:4], "0123456789") {
				switch noise("fate", t.ID).IntN(24) {
				case 0, 1:
					acc -= 0.15
				case 2:
					return nil, fmt.Errorf("%w: the loss is not a number", search.ErrDiverged)
				}
			}
			o := &search.Outcome{Model: "model.safetensors", SHA256: "00"}
			hits := func(part string, n int) (search.Score, []byte) {
				easy, own := noise(part), noise(part, t.ID)
				bits := make([]byte, (n+7)/8)
				k := 0
				for i := range n {
					u := easy.Float64()
					if own.Float64() < 0.3 {
						u = own.Float64()
					}
					if u < acc {
						bits[i/8] |= 1 << (i % 8)
						k++
					}
				}
				return search.Score{Correct: k, Total: n}, bits
			}
			o.Validation, _ = hits("validation", 6000)
			if t.Test {
				score, bits := hits("test", images)
				o.Test, o.TestHits = &score, bits
			}
			end := o.Validation.Accuracy()
			for e := 1; e <= t.Epochs; e++ {
				gap := 0.22*math.Exp(-1.1*float64(e)) - 0.22*math.Exp(-1.1*float64(t.Epochs))
				p := search.Point{Epoch: e, Loss: 0.4 + gap, Accuracy: end - gap + 0.002*r.NormFloat64()*math.Sqrt(gap*20)}
				o.Curve = append(o.Curve, p)
				if e < t.Epochs && e <= len(t.Floor) && p.Accuracy < t.Floor[e-1] {
					o.Stopped = e
					o.Validation.Correct = int(p.Accuracy * float64(o.Validation.Total))
					break
				}
			}
			return o, nil
		},
	}
}
