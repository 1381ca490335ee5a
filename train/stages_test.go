package train

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"effnet/arch"
)

func staged(t testing.TB, side int, edit func(r *Recipe)) RunConfig {
	t.Helper()
	r, err := LookupRecipe("efficientnetv2")
	if err != nil {
		t.Fatal(err)
	}
	edit(&r)
	spec := arch.MustLookup("small_1m")
	spec.Resolution = side
	if r, err = r.Resolve(1000, 0.3, 0.2); err != nil {
		t.Fatal(err)
	}
	return RunConfig{Spec: spec, Recipe: r}
}

func TestStages(t *testing.T) {
	rate := func(x float64) *float64 { return &x }
	for _, c := range []struct {
		name string
		side int
		edit func(r *Recipe)
		want string // first-last epoch: pixels, dropout, drop path
	}{
		{"as the paper trained V2-S", 300, func(r *Recipe) { r.FirstResolution, r.FirstDropout = 128, rate(0.1) },
			"0-87: 128 0.1 0.2, 88-174: 184 0.167 0.2, 175-262: 244 0.233 0.2, 263-349: 300 0.3 0.2"},
		{"a share", 224, func(r *Recipe) { r.FirstResolution, r.FirstDropout, r.FirstDropPath = 0.57, rate(0), rate(0) },
			"0-87: 128 0 0, 88-174: 160 0.1 0.0667, 175-262: 192 0.2 0.133, 263-349: 224 0.3 0.2"},
		{"half where nothing is said", 28, func(r *Recipe) { r.Progressive, r.Epochs, r.FirstResolution, r.FirstDropout = 2, 5, 0, nil },
			"0-2: 16 0.3 0.2, 3-4: 28 0.3 0.2"},
		{"no more stages than epochs", 28, func(r *Recipe) { r.Progressive, r.Epochs, r.FirstDropout = 4, 2, nil; r.FirstResolution = 0.5 },
			"0-0: 16 0.3 0.2, 1-1: 28 0.3 0.2"},
		{"one epoch", 28, func(r *Recipe) { r.Progressive, r.Epochs = 4, 1 }, "0-0: 28 0.3 0.2"},
		{"nothing shrinks", 28, func(r *Recipe) { r.Progressive, r.Epochs, r.FirstResolution, r.FirstDropout = 2, 2, 1, rate(0.5) },
			"0-0: 28 0.3 0.2, 1-1: 28 0.3 0.2"},
		{"none", 28, func(r *Recipe) { r.Progressive, r.FirstDropout = 0, rate(0.5) }, "0-349: 28 0.3 0.2"},
	} {
		cfg := staged(t, c.side, c.edit)
		stages, err := cfg.Stages()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, s := range stages {
			got = append(got, fmt.Sprintf("%d-%d: %d %.3g %.3g", s.First, s.Last, s.Resolution, s.Dropout, s.DropPath))
		}
		if d := cmp.Diff(c.want, strings.Join(got, ", ")); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	cfg := staged(t, 28, func(r *Recipe) { r.Mixup, r.FirstMixup, r.Progressive = 0.024, rate(0), 4 })
	stages, err := cfg.Stages()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		policy string
		mixup  float64
	}{
		{"rand-m5-n2-mmax15", 0}, {"rand-m8-n2-mmax15", 0}, {"rand-m12-n2-mmax15", 0.016}, {"rand-m15-n2-mmax15", 0.024},
	} {
		if s := stages[i]; s.AutoAugment != want.policy || math.Abs(s.Mixup-want.mixup) > 1e-15 {
			t.Errorf("stage %d: %s and %v, want %+v", i, s.AutoAugment, s.Mixup, want)
		}
	}
	for want, edit := range map[string]func(r *Recipe){
		"recipe: first_resolution is 300, want at most the 28 pixels of the network": func(r *Recipe) { r.FirstResolution = 300 },
		"recipe: first_resolution is 0.01: arch: small_1m: resolution 4 ":            func(r *Recipe) { r.FirstResolution = 0.01 },
	} {
		cfg := staged(t, 28, func(r *Recipe) { r.Progressive = 3; edit(r) })
		if _, err := cfg.Stages(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestRelativeCost(t *testing.T) {
	cfg := staged(t, 32, func(r *Recipe) { r.Epochs, r.Progressive, r.FirstResolution = 3, 2, 0.5 })
	got, err := cfg.RelativeCost()
	if err != nil {
		t.Fatal(err)
	}
	half, err := cfg.Spec.CostAt(16)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := cfg.Spec.CostAt(32)
	if err != nil {
		t.Fatal(err)
	}
	if want := (2*float64(half.MACs)/float64(whole.MACs) + 1) / 3; math.Abs(got-want) > 1e-12 {
		t.Errorf("got %v, want %v", got, want)
	}
	cfg = staged(t, 32, func(r *Recipe) { r.Progressive = 0 })
	if got, err := cfg.RelativeCost(); err != nil || got != 1 {
		t.Errorf("not progressive: %v, %v, want 1", got, err)
	}
}

// TestStagesCover: stages follow each other without a gap, none is empty,
// nothing shrinks, and the last is what the recipe says.
func TestStagesCover(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		side := rapid.IntRange(32, 400).Draw(rt, "side")
		cfg := staged(t, side, func(r *Recipe) {
			r.Epochs = rapid.IntRange(1, 40).Draw(rt, "epochs")
			r.Progressive = rapid.IntRange(0, 9).Draw(rt, "stages")
			r.FirstResolution = rapid.OneOf(rapid.Float64Range(0.2, 1), rapid.Map(rapid.IntRange(16, side), func(n int) float64 { return float64(n) })).Draw(rt, "first")
			x := rapid.Float64Range(0, 0.9).Draw(rt, "dropout")
			r.FirstDropout = &x
			m := rapid.IntRange(0, 30).Draw(rt, "magnitude")
			r.FirstMagnitude = &m
			a := rapid.SampledFrom([]float64{0, 0.01, 1}).Draw(rt, "alpha")
			r.FirstMixup, r.Mixup = &a, rapid.SampledFrom([]float64{0, 0.01, 0.2}).Draw(rt, "last alpha")
		})
		stages, err := cfg.Stages()
		if err != nil {
			rt.Fatal(err)
		}
		next, before := 0, Stage{}
		for i, s := range stages {
			if s.Index != i || s.Of != len(stages) || s.First != next || s.Last < s.First || s.Resolution < before.Resolution || s.Dropout < before.Dropout || s.Mixup < before.Mixup {
				rt.Fatalf("stage %+v after %+v", s, before)
			}
			for e := s.First; e <= s.Last; e++ {
				if got := stages.At(e); got != s {
					rt.Fatalf("epoch %d is of stage %+v, want %+v", e, got, s)
				}
			}
			next, before = s.Last+1, s
		}
		if next != cfg.Recipe.Epochs || before.Resolution != side || before.Dropout != 0.3 || before.DropPath != 0.2 || before.AutoAugment != cfg.Recipe.AutoAugment || before.Mixup != cfg.Recipe.Mixup {
			rt.Fatalf("ends with %+v", before)
		}
	})
}
