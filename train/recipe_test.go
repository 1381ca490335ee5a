package train

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"effnet/arch"
)

func TestNamedRecipes(t *testing.T) {
	for _, name := range RecipeNames() {
		r, err := LookupRecipe(name)
		if err != nil {
			t.Fatal(err)
		}
		if r.Name != name {
			t.Errorf("%s: its name is %q", name, r.Name)
		}
		res, err := r.Resolve(54000, 0.1, 0.2)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		again, err := res.Resolve(54000, 0.5, 0.5)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(res, again); d != "" {
			t.Errorf("%s: resolving twice changes it: %s", name, d)
		}
		if err := res.schedule(res.StepsPerEpoch(54000)).Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if *res.Dropout != 0.1 || *res.DropPath != 0.2 {
			t.Errorf("%s: rates %v and %v are not the network's", name, *res.Dropout, *res.DropPath)
		}
	}
}

// TestEfficientNetRecipe holds the published figures.
func TestEfficientNetRecipe(t *testing.T) {
	r, err := LookupRecipe("efficientnet")
	if err != nil {
		t.Fatal(err)
	}
	r.Batch = 4096
	r, err = r.Resolve(1281167, 0.2, 0.2)
	if err != nil {
		t.Fatal(err)
	}
	per := r.StepsPerEpoch(1281167)
	s := r.schedule(per)
	if math.Abs(s.Base-0.256) > 1e-12 {
		t.Errorf("learning rate %v, want 0.256", s.Base)
	}
	if got := s.LR(int64(10 * per)); math.Abs(got-0.256*math.Pow(0.97, 4)) > 1e-12 {
		t.Errorf("learning rate after 10 epochs is %v, want 4 steps down", got)
	}
	want := Optimizer{Kind: RMSPropTF, Alpha: 0.9, Momentum: 0.9, Eps: 1e-3, WeightDecay: 1e-5, Decay: DecayAll}
	if d := cmp.Diff(want, r.engineOptimizer()); d != "" {
		t.Error(d)
	}
	if r.Epochs != 350 || r.WarmupEpochs != 5 || r.LabelSmoothing != 0.1 || r.EMADecay != 0.9999 || r.AutoAugment != "v0" || r.Erasing != 0 || r.Mixup != 0 {
		t.Errorf("%+v", r)
	}
	v2, err := LookupRecipe("efficientnetv2")
	if err != nil {
		t.Fatal(err)
	}
	want.Decay = DecayWeights
	if d := cmp.Diff(want, v2.engineOptimizer()); d != "" {
		t.Errorf("efficientnetv2: %s", d)
	}
}

func TestRecipeSmallData(t *testing.T) {
	r, err := LookupRecipe("")
	if err != nil {
		t.Fatal(err)
	}
	lr := r.LRPer256
	r.Epochs, r.Batch, r.WarmupEpochs = 1, 128, 5
	r, err = r.Resolve(32, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if r.Batch != 32 || r.WarmupEpochs != 0.5 || r.LR != lr/8 {
		t.Errorf("batch %d, warm-up %v, learning rate %v", r.Batch, r.WarmupEpochs, r.LR)
	}
	if s := r.schedule(1); s.Check() != nil || s.LR(0) != r.LR {
		t.Errorf("a run of one step: %v, learning rate %v, want %v", s.Check(), s.LR(0), r.LR)
	}
	if _, err := r.Resolve(0, 0, 0); err == nil {
		t.Error("no images: no error")
	}
}

func TestSetOptimizer(t *testing.T) {
	r, err := LookupRecipe("efficientnet")
	if err != nil {
		t.Fatal(err)
	}
	r.LR = 3
	if err := r.SetOptimizer("sgd"); err != nil {
		t.Fatal(err)
	}
	if r.LR != 0 || r.LRPer256 != 0.1 || r.RMSDecay != 0 || r.Eps != 0 || r.Momentum != 0.9 {
		t.Errorf("values of the old optimizer are left: %+v", r)
	}
	if err := r.SetOptimizer("adam"); err == nil || !strings.Contains(err.Error(), "sgd, rmsprop, adamw or muon") {
		t.Errorf("got %v", err)
	}
}

func TestParseRecipe(t *testing.T) {
	r, err := ParseRecipe("r.yaml", []byte("base: efficientnet\nepochs: 7\noptimizer: sgd\nmomentum: 0\ndropout: 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "efficientnet" || r.Epochs != 7 || r.Optimizer != "sgd" || r.Momentum != 0 || r.LRPer256 != 0.1 || r.LabelSmoothing != 0.1 || r.Dropout == nil || *r.Dropout != 0 {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct{ src, want string }{
		{"epochs: ten\n", "r.yaml:1:9: "},
		{"epochs: 3\nbathc: 7\n", `r.yaml:2:1: unknown field "bathc"`},
		{"epochs: 3\n\nbatch: 0\n", "r.yaml:3:8: recipe: batch is 0, want 1 to 65536"},
		{"base: slow\n", `r.yaml:1:7: recipe: there is no recipe "slow", have quick, thorough, efficientnet, efficientnetv2, finetune, or a .yaml file`},
		{"epochs: 3\nbase: no/file.yaml\n", `r.yaml:2:7: recipe: no file no/file.yaml; the named recipes are quick, `},
		{"base: none\n", "r.yaml: recipe: epochs is 0, want 1 to 100000"},
		{"flip: true\noptimizer: adam\n", "r.yaml:2:12: recipe: optimizer is \"adam\", want sgd, rmsprop, adamw or muon"},
		{"lr: -1\n", "r.yaml:1:5: recipe: lr is -1, want above 0"},
		{"schedule: linear\n", "r.yaml:1:11: recipe: schedule is \"linear\", want constant, cosine or exponential"},
		{"drop_path: .nan\n", "r.yaml:1:12: recipe: drop_path is NaN, want 0 to below 1"},
		{"pad_crop: 2\nmin_area: 0.5\n", "r.yaml:2:11: recipe: min_area is 0.5, want 0, or pad_crop 0"},
		{"flip: true\nauto_augment: rand-m9-x3\n", `r.yaml:2:15: recipe: auto_augment policy "rand-m9-x3": there is no part "x3", want m, n, p, mstd, mmax, inc and a number`},
		{"erasing: 2\n", "r.yaml:1:10: recipe: erasing is 2, want 0 to 1"},
		{"mixup: 1e-9\n", "r.yaml:1:8: recipe: mixup is 1e-09, want 0 (none), or 0.01 to 100"},
		{"first_magnitude: 5\n", `r.yaml:1:18: recipe: first_magnitude is 5, but auto_augment is "", which has no magnitude`},
		{"base: efficientnetv2\nauto_augment: v0\nfirst_magnitude: 5\n", `r.yaml:3:18: recipe: first_magnitude is 5, but auto_augment is "v0"`},
		{"first_mixup: 0.001\n", "r.yaml:1:14: recipe: first_mixup is 0.001, want 0 (none), or 0.01 to 100"},
		{"epochs: 3\nepochs: 4\n", "r.yaml:2:1: "},
		{"epochs: [\n", "r.yaml:1:"},
		{"- 1\n", "r.yaml:1:"},
	} {
		_, err := ParseRecipe("r.yaml", []byte(c.src))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want %s", c.src, err, c.want)
		}
	}
	if _, err := ParseRecipe("r.yaml", nil); err != nil {
		t.Errorf("an empty file is the default recipe: %v", err)
	}
}

// TestRecipeBases reads files that start from files.
func TestRecipeBases(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file("ours.yaml", "base: efficientnet\nname: ours\nepochs: 100\nlr: 0.5\n")
	file("sub/small.yaml", "base: ../ours.yaml\nepochs: 3\nlr_per_256: 0.25\npad_crop: 4\n")
	r, err := ReadRecipe(file("mine.yaml", "base: sub/small.yaml\ndropout: 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "ours" || r.Epochs != 3 || r.LR != 0 || r.LRPer256 != 0.25 || r.PadCrop != 4 || r.MinArea != 0 || r.EMADecay != 0.9999 || *r.Dropout != 0 {
		t.Errorf("%+v", r)
	}

	file("a.yaml", "base: b.yaml\n")
	file("sub/c.yaml", "base: ../a.yaml\n")
	for _, c := range []struct{ text, want string }{
		{"base: sub/c.yaml\n", "a.yaml:1:7: recipe: base leads back to "}, // b, c, a
		{"epochs: 2\nbase: b.yaml\n", "b.yaml:2:7: recipe: base leads back to "},
		{"base: wrong.yaml\n", "wrong.yaml:1:9: recipe: epochs is 0"},
		{"base: quick.yaml\n", "b.yaml:1:7: recipe: no file "},
	} {
		file("wrong.yaml", "epochs: 0\n")
		_, err := ReadRecipe(file("b.yaml", c.text))
		if err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, c.want)) {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
}

// TestReplace: what is given drops what it excludes.
func TestReplace(t *testing.T) {
	for _, c := range []struct {
		r     Recipe
		given []string
		want  Recipe
	}{
		{Recipe{LR: 1, LRPer256: 2}, []string{"lr_per_256"}, Recipe{LRPer256: 2}},
		{Recipe{LR: 1, LRPer256: 2}, []string{"lr", "lr_per_256"}, Recipe{LR: 1, LRPer256: 2}},
		{Recipe{MinArea: 0.5, PadCrop: 1}, []string{"min_area"}, Recipe{MinArea: 0.5}},
		{Recipe{MinArea: 0.5, PadCrop: 1}, []string{"pad_crop"}, Recipe{PadCrop: 1}},
		{Recipe{AutoAugment: "v0", FirstMagnitude: new(int)}, []string{"auto_augment"}, Recipe{AutoAugment: "v0"}},
		{Recipe{AutoAugment: "rand-m9", FirstMagnitude: new(int)}, []string{"auto_augment"}, Recipe{AutoAugment: "rand-m9", FirstMagnitude: new(int)}},
		{Recipe{AutoAugment: "v0", FirstMagnitude: new(int)}, []string{"auto_augment", "first_magnitude"}, Recipe{AutoAugment: "v0", FirstMagnitude: new(int)}},
		{Recipe{MinArea: 0, PadCrop: 1}, []string{"min_area"}, Recipe{PadCrop: 1}},
		{Recipe{MinArea: 0.5, PadCrop: 1}, []string{"epochs"}, Recipe{MinArea: 0.5, PadCrop: 1}},
	} {
		got := c.r
		got.Replace(func(key string) bool { return slices.Contains(c.given, key) })
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%+v, given %v: %s", c.r, c.given, d)
		}
	}
}

// TestRecipeFiles: the files and the names are the same, a copy reads as the
// original does.
func TestRecipeFiles(t *testing.T) {
	entries, err := recipeFiles.ReadDir("recipes")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(RecipeNames()) {
		t.Errorf("%d files for the names %v", len(entries), RecipeNames())
	}
	for _, name := range RecipeNames() {
		src, err := RecipeText(name)
		if err != nil {
			t.Fatal(err)
		}
		copied, err := ParseRecipe("copy.yaml", src)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := LookupRecipe(name); err != nil || cmp.Diff(r, copied) != "" {
			t.Errorf("%s: %v", name, cmp.Diff(r, copied))
		}
		if !bytes.HasPrefix(src, []byte("# ")) {
			t.Errorf("%s does not say what it is for", name)
		}
	}
}

func FuzzParseRecipe(f *testing.F) {
	f.Add([]byte("base: quick\nepochs: 3\n"))
	f.Add([]byte("{epochs: 1, lr: 1e3}"))
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := ParseRecipe("r.yaml", src)
		if err == nil {
			err = r.Validate()
		}
		if err == nil {
			_, err = r.Resolve(1000, 0, 0)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %q", err)
		}
	})
}

// drawRecipe is any valid recipe.
func drawRecipe(t *rapid.T) Recipe {
	r := Recipe{
		Name:   rapid.SampledFrom(RecipeNames()).Draw(t, "name"),
		Epochs: rapid.IntRange(1, 1000).Draw(t, "epochs"), Batch: rapid.IntRange(1, 4096).Draw(t, "batch"),
		Seed:     rapid.Uint64().Draw(t, "seed"),
		Schedule: rapid.SampledFrom([]ScheduleKind{Constant, Cosine, Exponential}).Draw(t, "schedule"),
	}
	if err := r.SetOptimizer(rapid.SampledFrom(optimizers).Draw(t, "optimizer").name); err != nil {
		t.Fatal(err)
	}
	rate := rapid.Float64Range(0, 0.999)
	r.WeightDecay, r.LabelSmoothing, r.EMADecay = rate.Draw(t, "decay"), rate.Draw(t, "smoothing"), rate.Draw(t, "ema")
	r.LR, r.WarmupEpochs = rapid.Float64Range(1e-9, 10).Draw(t, "lr"), rapid.Float64Range(0, 50).Draw(t, "warmup")
	r.Validation = rapid.Float64Range(0, 0.9).Draw(t, "validation")
	r.Flip, r.PadCrop = rapid.Bool().Draw(t, "flip"), rapid.IntRange(0, 8).Draw(t, "pad")
	if r.PadCrop == 0 {
		r.MinArea = rate.Draw(t, "area")
	}
	r.AutoAugment = rapid.SampledFrom([]string{"", "v0", "rand-m9-n2-mstd0.5-inc1"}).Draw(t, "policy")
	r.Erasing, r.Mixup = rate.Draw(t, "erasing"), rapid.SampledFrom([]float64{0, 0.2, 1}).Draw(t, "mixup")
	if rapid.Bool().Draw(t, "has dropout") {
		x := rate.Draw(t, "dropout")
		r.Dropout = &x
	}
	if rapid.Bool().Draw(t, "progressive") {
		r.Progressive, r.FirstResolution = rapid.IntRange(0, 9).Draw(t, "stages"), rate.Draw(t, "first resolution")
		x, m, a := rate.Draw(t, "first drop path"), rapid.IntRange(0, 10).Draw(t, "first magnitude"), rapid.Float64Range(0.01, 1).Draw(t, "first mixup")
		r.AutoAugment, r.FirstDropPath, r.FirstMagnitude, r.FirstMixup = "rand-m9", &x, &m, &a
	}
	return r
}

// TestRunConfigRoundTrip writes and reads config.yaml: resuming compares with
// what was read, so nothing may get lost.
func TestRunConfigRoundTrip(t *testing.T) {
	spec := arch.MustLookup("small_300k")
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		r, err := drawRecipe(rt).Resolve(10000, 0.1, 0.2)
		if err != nil {
			rt.Fatal(err)
		}
		c := RunConfig{Spec: spec, Recipe: r, Kernel: "avx2", Data: DataID{
			Source: rapid.StringMatching(`[ -~äß语]{0,20}`).Draw(rt, "source"), Checksum: "sha256:00", SplitSeed: rapid.Uint64().Draw(rt, "split"), Train: 9000, Validation: 1000,
		}}
		text, err := c.YAML()
		if err != nil {
			rt.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ConfigFile), text, 0o644); err != nil {
			rt.Fatal(err)
		}
		got, err := ReadConfig(dir)
		if err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
		if d := cmp.Diff(c, *got); d != "" {
			rt.Fatalf("%s\n%s", d, text)
		}
		if err := got.Differ(&c); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestConfigStrings holds strings that mean something else to YAML.
func TestConfigStrings(t *testing.T) {
	for _, s := range []string{"? !", "- x", "null", "1e3", "a: b", "a # b", "'", "\"", "", " ", "a\nb", "y", "~", "!x", "&a", "*a", "%a", "@a", "`a`", "{a", "[a", "? x: y", "|", ">", "plain"} {
		text, err := yamlString(s)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ S string }
		if err := yaml.Unmarshal([]byte("s: "+string(text)), &got); err != nil || got.S != s {
			t.Errorf("%q is written as %s and read as %q, %v", s, text, got.S, err)
		}
	}
}

func TestReadConfigErrors(t *testing.T) {
	spec := arch.MustLookup("small_300k")
	r, err := LookupRecipe("")
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.Resolve(1000, 0, 0); err != nil {
		t.Fatal(err)
	}
	c := RunConfig{Spec: spec, Recipe: r}
	text, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range []struct{ old, new, want string }{
		{"  epochs: 20", "  epochs: twenty", ":11: cannot unmarshal"},
		{"  epochs: 20", "  epohcs: 20", "config.yaml:"},
		{"  epochs: 20", "  epochs: 0", "epochs is 0"},
		{"kernel:", "kernle:", "config.yaml:"},
		{"  head: ", "  haed: ", ":3: unknown key"},
		{"network:", "netwrok:", "config.yaml:"},
	} {
		dir := t.TempDir()
		changed := strings.Replace(string(text), ch.old, ch.new, 1)
		if changed == string(text) {
			t.Fatalf("%q is not in\n%s", ch.old, text)
		}
		if err := os.WriteFile(filepath.Join(dir, ConfigFile), []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadConfig(dir); err == nil || !strings.Contains(err.Error(), ch.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want %s", ch.new, err, ch.want)
		}
	}
	if _, err := ReadConfig(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}
