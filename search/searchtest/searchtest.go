// Package searchtest runs searches over a made-up surface, without networks
// and in a moment, for tests of what reads a search.
package searchtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"effnet/arch"
	"effnet/search"
)

// Images of validation, and of the test.
const Images = 500

// Engine trains nothing: a trial's accuracy follows from the shape of its
// network, its length and its seed.
type Engine struct {
	Delay time.Duration             // of an epoch
	Fail  func(*search.Trial) error // why a trial has no outcome
}

// Base is a small network whose channels come in twos, so that many networks
// are about twice as large.
func Base() arch.Spec {
	base := arch.MustLookup("small_300k")
	base.Name, base.Head, base.Stem = "tiny", 96, arch.Stem{Width: 8, Kernel: 3, Stride: 2}
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

// Config is a short search of it.
func Config() search.Config {
	base := Base()
	return search.Config{
		Base: string(base.YAML()), Data: "made-up", DataChecksum: "sha256:0", Recipe: "none", Kernel: "none",
		Factor: 2, Tolerance: 0.08, ValidateFactors: []float64{4}, Networks: 6, Seeds: 2, Seed: 1, Epochs: 4, TrainImages: 1000,
	}
}

// Run searches in the folder dir to the end.
func Run(t testing.TB, dir string, cfg search.Config, e *Engine) *search.Result {
	t.Helper()
	res, err := search.Run(t.Context(), dir, cfg, Base(), e.Engine(), search.Options{Workers: 2, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Engine is e as a search takes it.
func (e *Engine) Engine() *search.Engine {
	return &search.Engine{
		TrainImages: 1000, ValidationImages: Images, TestImages: Images, Train: e.train,
		Probe: func(_ context.Context, s *arch.Spec, _ int) (search.Speed, error) {
			c, err := s.CostAt(s.Resolution)
			return search.Speed{Train: 2e-10 * float64(c.MACs), Score: 5e-11 * float64(c.MACs)}, err
		},
	}
}

func (e *Engine) train(ctx context.Context, t *search.Trial, progress func(search.Progress)) (*search.Outcome, error) {
	if e.Fail != nil {
		if err := e.Fail(t); err != nil {
			return nil, err
		}
	}
	c, err := t.Spec.CostAt(t.Spec.Resolution)
	if err != nil {
		return nil, err
	}
	h := sha256.Sum256(fmt.Append(nil, t.Spec.Name, t.Seed))
	r := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(h[:]), 1))
	wide := math.Log2(float64(t.Spec.Stages[3].Width) / 32)
	end := 0.75 + 0.03*math.Log2(float64(c.MACs)/1e6) - 0.03*math.Abs(wide-0.4) + 0.002*r.NormFloat64()
	o := &search.Outcome{Model: "model", SHA256: "00"}
	for epoch := 1; epoch <= t.Epochs; epoch++ {
		select {
		case <-ctx.Done():
		case <-time.After(e.Delay):
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		gap := 0.3 * math.Exp(-float64(epoch))
		o.Curve = append(o.Curve, search.Point{Epoch: epoch, Loss: 0.4 + gap, Accuracy: end - gap})
		progress(search.Progress{Done: float64(epoch) / float64(t.Epochs), Epoch: epoch, Accuracy: end - gap, Rate: 1000})
	}
	score := search.Score{Correct: int(math.Round(o.Curve[t.Epochs-1].Accuracy * Images)), Total: Images}
	o.Validation = score
	if t.Test {
		o.Test = &score
		o.TestHits = make([]byte, (Images+7)/8)
		for i := range score.Correct {
			o.TestHits[i/8] |= 1 << (i % 8)
		}
	}
	return o, nil
}
