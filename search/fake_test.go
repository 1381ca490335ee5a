package search

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"effnet/arch"
)

// testBase is a small network of four stages whose channels come in fours.
func testBase() arch.Spec {
	base := arch.MustLookup("small_300k")
	base.Name, base.Head, base.Stem = "base", 96, arch.Stem{Width: 8, Kernel: 3, Stride: 2}
	base.Resolution, base.Channels, base.Classes = 28, 1, 10
	base.Rule = arch.Rule{WidthDivisor: 4, WidthLimit: 0.9, Depth: arch.RoundNearest}
	base.Stages = nil
	for _, row := range []string{"ds_r1_k3_s1_e1_c8", "ir_r1_k3_s2_e4_c16", "ir_r2_k3_s1_e4_c16", "ir_r1_k3_s2_e4_c32"} {
		st, err := arch.ParseStage(row)
		if err != nil {
			panic(err)
		}
		base.Stages = append(base.Stages, st)
	}
	return base
}

// fake is an engine without networks: a trial's accuracy is a surface over
// the factors plus noise by seed, and its test hits are drawn accordingly.
type fake struct {
	surface func(s *arch.Spec) float64 // true accuracy, 0 to 1
	noise   float64                    // of a training
	gap     float64                    // by how much a training of no epochs is worse
	images  int                        // test images; validation has as many
	steps   int                        // a trial saves its state after each
	delay   time.Duration              // of a step
	step    func(t *Trial)             // before each
	fail    func(t *Trial) error       // before anything else
	hits    bool
}

func (f *fake) engine() *Engine {
	return &Engine{
		Train: f.train,
		Probe: func(_ context.Context, s *arch.Spec, threads int) (Speed, error) {
			c, err := s.CostAt(s.Resolution)
			return Speed{Train: 3e-10 * float64(c.MACs), Score: 1e-10 * float64(c.MACs)}, err
		},
		TrainImages: 50000, ValidationImages: f.images, TestImages: f.images,
	}
}

// source is random numbers for a purpose, the same for the same parts.
func source(parts ...any) *rand.Rand {
	h := sha256.Sum256(fmt.Append(nil, parts...))
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:])))
}

func (f *fake) train(ctx context.Context, t *Trial, progress func(Progress)) (*Outcome, error) {
	if f.fail != nil {
		if err := f.fail(t); err != nil {
			return nil, err
		}
	}
	// The state is a hash chain: a resumed trial ends with another model file
	// unless it goes on exactly where it stopped.
	name := filepath.Join(t.Dir, "state")
	state := sha256.Sum256(fmt.Append(nil, t.Spec.Name, t.Seed, t.Epochs, t.TrainImages))
	step := 0
	if b, err := os.ReadFile(name); err == nil && len(b) == 33 {
		step = int(b[0])
		copy(state[:], b[1:])
	}
	for ; step < f.steps; step++ {
		progress(Progress{Done: float64(step) / float64(f.steps)})
		if f.step != nil {
			f.step(t)
		}
		if f.delay > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(f.delay):
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		state = sha256.Sum256(state[:])
		if err := os.WriteFile(name, append([]byte{byte(step + 1)}, state[:]...), 0o666); err != nil {
			return nil, err
		}
	}
	model := filepath.Join(t.Dir, "model")
	if err := os.WriteFile(model, state[:], 0o666); err != nil {
		return nil, err
	}
	o := &Outcome{Model: "model", SHA256: hex.EncodeToString(state[:])}
	own := source("noise", t.Spec.Name, t.Epochs, t.Seed)
	end := f.surface(&t.Spec) + f.noise*own.NormFloat64()
	acc := end
	for e := 1; e <= t.Epochs; e++ {
		// A schedule of its own: the shorter, the worse it ends.
		acc = end - f.gap*math.Exp(-float64(t.Epochs)/4)
		if e < t.Epochs {
			acc -= 0.1*float64(t.Epochs-e)/float64(t.Epochs) + 0.3*f.noise*own.NormFloat64()
		}
		o.Curve = append(o.Curve, Point{Epoch: e, Loss: 1 / float64(e), Accuracy: acc})
		if e < t.Epochs && len(t.Floor) > 0 && acc < t.Floor[e-1] {
			o.Stopped = e
			break
		}
	}
	o.Validation = f.score("validation", t, acc, nil)
	if t.Test {
		var hits []byte
		if f.hits {
			hits = make([]byte, (f.images+7)/8)
		}
		s := f.score("test", t, acc, hits)
		o.Test, o.TestHits = &s, hits
	}
	return o, nil
}

// score draws images that come out right; every image has a difficulty that
// all networks share, so that networks agree more than chance has it.
func (f *fake) score(part string, t *Trial, acc float64, hits []byte) Score {
	if f.images > 20000 { // no draw: as if the images were endless
		return Score{Correct: int(math.Round(acc * float64(f.images))), Total: f.images}
	}
	easy := source(part, "images")
	own := source(part, t.Spec.Name, t.Epochs, t.Seed)
	s := Score{Total: f.images}
	for i := range f.images {
		u := easy.Float64()
		if own.Float64() < 0.3 {
			u = own.Float64()
		}
		if u < acc {
			s.Correct++
			if hits != nil {
				hits[i/8] |= 1 << (i % 8)
			}
		}
	}
	return s
}

// balanced is a surface with an optimum inside the triangle: accuracy grows
// with cost and falls with the distance from B0's ratio, by the given factor.
func balanced(strength float64) func(s *arch.Spec) float64 {
	return func(s *arch.Spec) float64 {
		base := testBase()
		blocks := func(s *arch.Spec) (n float64) {
			for i := range s.Stages {
				n += float64(s.Stages[i].Repeats)
			}
			return n
		}
		d := math.Log(blocks(s) / blocks(&base))
		w := 2 * math.Log(float64(s.Stages[3].Width)/float64(base.Stages[3].Width))
		r := 2 * math.Log(float64(s.Resolution)/float64(base.Resolution))
		sum := d + w + r
		if sum < 0.05 {
			return 0.85
		}
		at := sharesOf(max(d, 0), max(w, 0), max(r, 0))
		dist := Distance(at, B0Shares)
		return 0.85 + 0.02*sum - strength*dist*dist*sum
	}
}

func config(base *arch.Spec) Config {
	return Config{
		Base: string(base.YAML()), Data: "fake", DataChecksum: "sha256:0", Recipe: "fake", Kernel: "fake",
		Factor: 2, Tolerance: 0.08, ValidateFactors: []float64{4}, Networks: 10, Seeds: 1, Seed: 1, Epochs: 6, TrainImages: 1000,
		NoiseSeeds: 2, Finalists: 2, FreshSeeds: 2, FinalSeeds: 2,
	}
}

// runFake searches to the end.
func runFake(t testing.TB, dir string, f *fake, change func(*Config)) *Result {
	t.Helper()
	base := testBase()
	cfg := config(&base)
	if change != nil {
		change(&cfg)
	}
	res, err := Run(t.Context(), dir, cfg, base, f.engine(), Options{Workers: 2, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return res
}
