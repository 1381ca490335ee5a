package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	lib "effnet"
	"effnet/arch"
	"effnet/dataset"
	"effnet/imageprep"
	"effnet/weights"
)

func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n   int
		lo, hi float64 // the roots x of (k/n - x)^2 = z^2 x(1-x)/n
	}{
		{0, 10, 0, 0.277533},
		{10, 10, 0.722467, 1},
		{5, 10, 0.236593, 0.763407},
		{9153, 10000, 0.909682, 0.920599},
		{1, 1, 0.206549, 1},
	} {
		lo, hi := wilson(c.k, c.n)
		if math.Abs(lo-c.lo) > 1e-6 || math.Abs(hi-c.hi) > 1e-6 {
			t.Errorf("wilson(%d, %d) is %.6f to %.6f, want %.6f to %.6f", c.k, c.n, lo, hi, c.lo, c.hi)
		}
	}
}

// sevenClasses is a tally of a model whose classes stand in another order than
// the data's, which lacks one of them.
func sevenClasses(t *testing.T) *evalTally {
	t.Helper()
	m := &weights.Model{Labels: []string{"shirt", "coat", "bag", "ankle boot", "sandal", "hat\x1b[2J", "scarf"}}
	m.Spec.Classes = 7
	data := []string{"bag", "shirt", "scarf", "sandal", "coat", "hat\x1b[2J"}
	labels, err := matchLabels(m, data)
	if err != nil {
		t.Fatal(err)
	}
	return newEvalTally(m, data, labels)
}

func TestEvalTally(t *testing.T) {
	y := sevenClasses(t)
	for _, c := range []struct {
		label  int32
		logits []float32
	}{
		{0, []float32{0, 0, 3, 0, 0, 0, 0}},  // right
		{0, []float32{1, 2, 3, 0, 0, 0, 0}},  // right
		{0, []float32{9, 8, -1, 7, 6, 0, 0}}, // bag comes last
		{1, []float32{0, 5, 0, 0, 0, 0, 0}},  // shirt is the second, the first of many equal ones
		{1, []float32{1, 1, 1, 1, 1, 1, 1}},  // the first of equal ones counts
		{2, []float32{1, 1, 1, 1, 1, 1, 1}},  // ... and the last does not
		{4, []float32{9, 5, 8, 7, 6, 0, 0}},  // coat comes fifth
	} {
		if err := y.add(c.logits, c.label); err != nil {
			t.Fatal(err)
		}
	}
	r := y.report()
	if r.Images != 7 || r.Correct != 3 || math.Abs(r.Top1-3.0/7) > 1e-12 || r.Top5 == nil || math.Abs(*r.Top5-5.0/7) > 1e-12 {
		t.Errorf("%d images, %d correct, top-1 %v, top-5 %v; want 7, 3, 3/7, 5/7", r.Images, r.Correct, r.Top1, *r.Top5)
	}
	for i, c := range r.PerClass {
		if c.Class != y.names[c.own] || (c.Accuracy == nil) != (c.Images == 0) || r.Confusion[i][c.own] != c.Correct {
			t.Errorf("class %d is %+v, its row %v", i, c, r.Confusion[i])
		}
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		if err := y.add([]float32{0, 0, bad, 0, 0, 0, 0}, 0); err == nil {
			t.Errorf("no error for a logit of %v", bad)
		}
	}
}

func TestEvalPrint(t *testing.T) {
	y := sevenClasses(t)
	hits := [][]int{{90, 2, 1, 0}, {850, 100, 3, 7}, {1, 1, 1, 1}, {40}, {12, 30, 9, 1000}, {}}
	for label, counts := range hits {
		for j, n := range counts {
			for range n {
				logits := make([]float32, 7)
				logits[(y.labels[label]+j)%7] = 2
				if err := y.add(logits, int32(label)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	r := y.report()
	r.Model, r.Network, r.Resolution, r.Data, r.Split = "run/model.safetensors", "small_1m", 28, "clothes", "test"
	var b bytes.Buffer
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "eval_report.txt")
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("printed\n%s\nwant\n%s", &b, want)
	}
}

// evalModel writes a model with random weights for the synthetic data set.
func evalModel(t *testing.T, labels ...string) string {
	t.Helper()
	st, err := arch.ParseStage("ir_r1_k3_s2_e2_c16")
	if err != nil {
		t.Fatal(err)
	}
	s := arch.Spec{
		Name: "probe", Resolution: 16, Channels: 1, Classes: 3,
		Stem: arch.Stem{Width: 8, Kernel: 3, Stride: 2}, Stages: []arch.Stage{st}, Act: arch.ActReLU,
		Padding: arch.PadSame, BN: arch.BatchNormConfig{Eps: 1e-3, Momentum: 0.1},
		Rule: arch.Rule{WidthDivisor: 8, WidthLimit: 0.9, Depth: arch.RoundUp},
		Prep: arch.Prep{Crop: 1, Filter: arch.Bilinear, Mean: []float64{0.5}, Std: []float64{0.5}},
	}
	g, err := s.Graph()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := (&weights.Model{Spec: s, Labels: labels, Set: weights.Init(g, 1)}).Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

const evalData = "synthetic:classes=3,size=16,channels=1,train=30,test=50,seed=1"

func TestEvalCommand(t *testing.T) {
	path := evalModel(t)
	var first string
	for _, extra := range [][]string{nil, {"--threads", "1", "--batch", "7"}, {"--threads", "3", "--batch", "50"}} {
		var out, errs bytes.Buffer
		if code := run(append([]string{"eval", path, "--data", evalData, "--json"}, extra...), &out, &errs); code != 0 {
			t.Fatalf("exit status %d: %s", code, &errs)
		}
		var r evalReport
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, row := range r.Confusion {
			for _, n := range row {
				sum += n
			}
		}
		if r.Images != 50 || sum != 50 || r.Top5 != nil || r.Network != "probe" || len(r.PerClass) != 3 {
			t.Errorf("report is %+v", r)
		}
		if first == "" {
			first = out.String()
		} else if out.String() != first {
			t.Errorf("with %v the report is\n%s\nwant\n%s", extra, &out, first)
		}
		if !strings.Contains(errs.String(), "images/s") {
			t.Errorf("no rate in %q", &errs)
		}
	}
}

// TestEvalMirror compares with the means of logits taken one by one.
func TestEvalMirror(t *testing.T) {
	path := evalModel(t)
	var out, errs bytes.Buffer
	if code := run([]string{"eval", path, "--data", evalData, "--mirror", "--json"}, &out, &errs); code != 0 {
		t.Fatalf("exit status %d: %s", code, &errs)
	}
	var r evalReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	m, err := lib.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	data, err := dataset.Open(t.Context(), evalData, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	loss := 0.0
	for i := range data.Test.Len() {
		im, err := data.Test.Image(i)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, m.InputElems())
		var logits [2][3]float32
		for mirrored := range logits {
			if err := m.Prepare(x, imageprep.CropPadded(nil, im, 0, 0, im.H, im.W, mirrored == 1)); err != nil {
				t.Fatal(err)
			}
			if err := m.Run(t.Context(), x, 1, logits[mirrored][:], make([]float32, m.Width())); err != nil {
				t.Fatal(err)
			}
		}
		mean := logits[0][:]
		for c, v := range logits[1] {
			mean[c] = (mean[c] + v) / 2
		}
		one, _ := crossEntropy(mean, data.Test.Label(i))
		loss += one / float64(data.Test.Len())
	}
	if !r.Mirror || r.Images != data.Test.Len() || math.Abs(r.Loss-loss) > 1e-6 {
		t.Errorf("loss %v over %d images, want %v over %d", r.Loss, r.Images, loss, data.Test.Len())
	}
}

// TestMirrorRows turns the rows of an image of two channels around.
func TestMirrorRows(t *testing.T) {
	x := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	mirrorRows(x, 3, 2)
	if want := []float32{5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8}; !slices.Equal(x, want) {
		t.Errorf("%v, want %v", x, want)
	}
}

// TestEvalAgreesWithTraining compares with what the training loop measured.
func TestEvalAgreesWithTraining(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	var trained trainReport
	var r evalReport
	for _, c := range []struct {
		args string
		into any
	}{
		{"train small_300k --data " + evalData + " --resolution 16 --epochs 2 --batch 10 --json --out " + dir, &trained},
		{"eval " + dir + " --json", &r},
	} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(c.args), &out, &errs); code != 0 {
			t.Fatalf("effnet %s: status %d: %s", c.args, code, &errs)
		}
		if err := json.Unmarshal(out.Bytes(), c.into); err != nil {
			t.Fatal(err)
		}
	}
	if trained.Test == nil || r.Images != trained.Test.Images || r.Top1 != trained.Test.Accuracy || math.Abs(r.Loss-trained.Test.Loss) > 1e-9 {
		t.Errorf("eval found %d images, %v, loss %v; training %+v", r.Images, r.Top1, r.Loss, trained.Test)
	}
}

func TestEvalErrors(t *testing.T) {
	model, named := evalModel(t), evalModel(t, "x", "y", "z")
	notModel := filepath.Join(t.TempDir(), "x.txt")
	if err := os.WriteFile(notModel, []byte("hello there"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"eval", exitUsage, "eval wants MODEL, got"},
		{"eval a b", exitUsage, "eval wants MODEL, got"},
		{"eval " + model, exitUsage, "no data set: add --data"},
		{"eval " + model + " --split dev --data synthetic", exitUsage, `--split is "dev"`},
		{"eval " + model + " --batch -1 --data synthetic", exitUsage, "cannot be negative"},
		{"eval nowhere.safetensors --data synthetic", exitFailure, "nowhere.safetensors: no such file"},
		{"eval efficientnet_b0 --data synthetic", exitFailure, "network without weights; train it first"},
		{"eval " + t.TempDir() + " --data synthetic", exitFailure, "no model.safetensors in this folder"},
		{"eval " + notModel + " --data synthetic", exitFailure, "neither a safetensors file nor one of torch.save"},
		{"eval " + model + " --data synthetic:classes=4,size=16,channels=1,train=8,test=8,seed=1", exitFailure, "the data has 4 classes, the network 3"},
		{"eval " + named + " --data " + evalData, exitFailure, "the model only has x, y, z"},
		{"eval " + model + " --split val --data " + evalData, exitFailure, "has no val images"},
	} {
		var out, errs bytes.Buffer
		code := run(strings.Fields(c.args), &out, &errs)
		lines := strings.Count(errs.String(), "\n")
		if code != c.code || !strings.Contains(errs.String(), c.want) || lines != 1 || out.Len() != 0 {
			t.Errorf("effnet %s: status %d and %q, want %d and one line with %q", c.args, code, &errs, c.code, c.want)
		}
	}
}
