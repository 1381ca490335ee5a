package train

import (
	"context"
	_ "embed"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"testing"

	"effnet/internal/ref"
	"effnet/internal/ref/golden"
	"effnet/weights"
)

//go:embed testdata/recipe.json
var recipeGolden []byte

// goldenSource has the batches of a golden case.
type goldenSource struct {
	*golden.Case
	perEpoch int
}

func (s goldenSource) Len() int { return s.perEpoch * s.Batch }
func (s goldenSource) Epoch(_ context.Context, epoch, first int) (Batches, error) {
	return &goldenBatches{s.Case, epoch*s.perEpoch + first}, nil
}

type goldenBatches struct {
	*golden.Case
	step int
}

func (b *goldenBatches) Close() {}
func (b *goldenBatches) Next() ([]float32, Targets, error) {
	b.step++
	return narrow(b.Images(b.step - 1)), Targets{Labels: labels32(b.Labels(b.step - 1))}, nil
}

// TestRecipeGolden runs a recipe whole, from warm-up to moving average, and
// compares it with timm's: learning rates, losses, and what the validation is
// given, which is the average of weights and of batch-norm statistics.
func TestRecipeGolden(t *testing.T) {
	var f struct {
		Network                               string
		PerEpoch                              int `json:"per_epoch"`
		Warmup, Every, Rate, Base, Decay, Ema float64
		Runs                                  []struct {
			Schedule      ScheduleKind
			WeightsOnly   bool `json:"weights_only"`
			Rates, Losses []float64
			Average       map[string]float64
			AverageLogits []float64 `json:"average_logits"`
		}
	}
	if err := json.Unmarshal(recipeGolden, &f); err != nil {
		t.Fatal(err)
	}
	c := golden.Load(f.Network)
	for _, want := range f.Runs {
		t.Run(string(want.Schedule), func(t *testing.T) {
			r, err := LookupRecipe("efficientnet")
			if err != nil {
				t.Fatal(err)
			}
			if want.WeightsOnly {
				if r, err = LookupRecipe("efficientnetv2"); err != nil {
					t.Fatal(err)
				}
			}
			r.Epochs, r.Batch = len(want.Rates)/f.PerEpoch, c.Batch
			r.LR, r.Schedule, r.WarmupEpochs, r.DecayRate, r.DecayEpochs = f.Base, want.Schedule, f.Warmup, f.Rate, f.Every
			r.WeightDecay, r.EMADecay, r.Progressive = f.Decay, f.Ema, 0
			if r, err = r.Resolve(f.PerEpoch*c.Batch, 0, 0); err != nil {
				t.Fatal(err)
			}
			s := r.schedule(f.PerEpoch)
			for i, lr := range want.Rates {
				near(t, "learning rate", []float64{s.LR(int64(i))}, []float64{lr}, 1e-12, 1e-15)
			}
			var validated *weights.Set
			res, err := Run(t.Context(), Job{
				Config: RunConfig{Spec: c.Graph.Spec, Recipe: r, Start: &Start{}}, Start: c.Weights(), Threads: 1,
				Source: goldenSource{c, f.PerEpoch},
				Evaluate: func(_ context.Context, w *weights.Set) (Eval, error) {
					validated = w
					return Eval{Images: 1}, nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range res.Epochs {
				mean := 0.0
				for _, l := range want.Losses[i*f.PerEpoch:][:f.PerEpoch] {
					mean += l / float64(f.PerEpoch)
				}
				near(t, "loss", []float64{e.TrainLoss}, []float64{mean}, 1e-5, 0)
			}
			for _, name := range slices.Sorted(maps.Keys(want.Average)) {
				data := widen(validated.Tensors[name].Data)
				sum := 0.0
				for _, v := range data {
					sum += math.Abs(v)
				}
				near(t, "probe of the average of "+name, []float64{golden.Probe(data)}, []float64{want.Average[name]}, 0, 1e-5*sum+1e-6)
				near(t, "result "+name, res.Weights.Tensors[name].Data, validated.Tensors[name].Data, 0, 0)
			}
			o := ref.Forward(c.Graph, ref.FromSet(validated), c.Images(0), c.Batch, ref.Mode{})
			near(t, "logits of the average", o.Logits(), want.AverageLogits, 1e-4, 1e-6)
		})
	}
}
