// Package golden holds what PyTorch and timm compute in float64 for small
// networks, to be compared with the oracle and with both engines. The numbers
// are made by scripts/golden; everything that goes in (weights, images, labels,
// masks) is exact in float32 and made here, so only results are stored.
package golden

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"effnet/arch"
	"effnet/weights"
)

//go:embed testdata
var files embed.FS

// Case is one network, the batches it sees and what PyTorch makes of them.
// Step 0 of a run and the single forward and backward pass see the same batch.
type Case struct {
	Name      string
	Graph     *arch.Graph
	Batch     int     // images of every step
	Smoothing float64 // of labels

	EvalLogits  []float64 // [Batch, classes] of Images(0) with the starting weights
	TrainLogits []float64 // the same in training mode, with the masks of step 0
	Loss        float64   // of TrainLogits and Labels(0)

	Grads          map[string][]float64 // of Loss, by parameter
	InputGrad      []float64            // [Batch, H, W, C]; nil where only its probe is kept
	InputGradProbe float64
	Running        map[string][]float64 // running statistics after that one pass

	Runs []Run
}

// Run is some steps of one optimiser, from the starting weights, on Images(0),
// Images(1) and so on. Weight decay leaves out batch norm's gamma and beta, and
// biases too where WeightsOnly is set.
type Run struct {
	Kind        string // "rmsproptf", "sgd", "adamw"
	LR          float64
	Alpha       float64    // rmsproptf
	Momentum    float64    // rmsproptf, sgd
	Betas       [2]float64 // adamw
	Eps         float64    // rmsproptf, adamw
	WeightDecay float64    `json:"weight_decay"`
	WeightsOnly bool       `json:"weights_only"`

	Steps      int
	Losses     []float64            // of each step, before its update
	Probes     map[string]float64   // of every tensor after the last step
	Final      map[string][]float64 // every tensor after the last step; nil where only probes are kept
	EvalLogits []float64            `json:"eval_logits"` // of Images(0) after the last step
}

// Names lists the cases.
var Names = []string{"swish_symmetric", "swish_same_even", "relu6_same_odd", "masks", "fused", "hard", "resnet"}

// Load reads a case. It panics if the file is not what this package expects.
func Load(name string) *Case {
	var f struct {
		Spec struct {
			Resolution, Channels, Classes, Stem, Head int
			StemKernel                                int `json:"stem_kernel"`
			StemPool                                  int `json:"stem_pool"`
			SE                                        struct {
				Divisor   int
				Act, Gate string
			}
			Act, Padding           string
			Eps, Momentum, Dropout float64
			DropPath               float64 `json:"drop_path"`
			Stages                 []string
		}
		Batch          int
		Smoothing      float64
		EvalLogits     []float64 `json:"eval_logits"`
		TrainLogits    []float64 `json:"train_logits"`
		Loss           float64
		InputGrad      []float64 `json:"input_grad"`
		InputGradProbe float64   `json:"input_grad_probe"`
		Grads, Running map[string][]float64
		Runs           []Run
	}
	b, err := files.ReadFile(path.Join("testdata", name+".json"))
	must(err)
	must(json.Unmarshal(b, &f))
	s := arch.Spec{
		Name: name, Resolution: f.Spec.Resolution, Channels: f.Spec.Channels, Classes: f.Spec.Classes,
		Stem: arch.Stem{Width: f.Spec.Stem, Kernel: f.Spec.StemKernel, Stride: 2, Pool: f.Spec.StemPool},
		Head: f.Spec.Head,
		Act:  act(f.Spec.Act),
		SE:   arch.SEConfig{Divisor: f.Spec.SE.Divisor, Act: act(f.Spec.SE.Act), Gate: act(f.Spec.SE.Gate)},
		Padding: map[string]arch.PaddingRule{
			"symmetric": arch.PadSymmetric, "same": arch.PadSame,
		}[f.Spec.Padding],
		BN:       arch.BatchNormConfig{Eps: f.Spec.Eps, Momentum: f.Spec.Momentum},
		Dropout:  f.Spec.Dropout,
		DropPath: f.Spec.DropPath,
		Rule:     arch.Rule{WidthDivisor: 8, WidthLimit: 0.9, Depth: arch.RoundUp},
		Prep:     arch.Prep{Crop: 1, Filter: arch.Bilinear, Mean: make([]float64, f.Spec.Channels), Std: ones(f.Spec.Channels)},
	}
	for _, row := range f.Spec.Stages {
		st, err := arch.ParseStage(row)
		must(err)
		s.Stages = append(s.Stages, st)
	}
	g, err := s.Graph()
	must(err)
	return &Case{
		Name: name, Graph: g, Batch: f.Batch, Smoothing: f.Smoothing,
		EvalLogits: f.EvalLogits, TrainLogits: f.TrainLogits, Loss: f.Loss,
		Grads: f.Grads, InputGrad: f.InputGrad, InputGradProbe: f.InputGradProbe, Running: f.Running,
		Runs: f.Runs,
	}
}

// Weights is the starting value of every parameter and buffer.
func (c *Case) Weights() *weights.Set { return Weights(c.Graph) }

// Images is the batch of a step, [Batch, H, W, C].
func (c *Case) Images(step int) []float64 { return images(step, c.Batch, c.Graph.Ops[0].Shape) }

// Labels is the classes of a step's images.
func (c *Case) Labels(step int) []int { return labels(step, c.Batch, c.Graph.Spec.Classes) }

// Masks is the multipliers of a step by op name: a factor per image for drop
// path, a factor per element for dropout, 0 or 1/(1-rate). It is empty for a
// case without either.
func (c *Case) Masks(step int) map[string][]float64 {
	m := map[string][]float64{}
	for _, op := range c.Graph.Ops {
		switch {
		case op.Kind == arch.OpAdd && op.DropPath > 0:
			m[op.Name] = mask(op.Name, step, c.Batch, op.DropPath)
		case op.Kind == arch.OpDropout:
			m[op.Name] = mask(op.Name, step, c.Batch*op.Shape.Elems(), op.Rate)
		}
	}
	return m
}

// Weights is the starting value of every parameter and buffer of any network.
func Weights(g *arch.Graph) *weights.Set {
	s := &weights.Set{Tensors: map[string]weights.Tensor{}, Meta: map[string]string{}}
	for _, p := range g.Params() {
		t := weights.Tensor{Shape: p.Shape, Data: make([]float32, p.Elems())}
		for i, v := range parameter(p) {
			t.Data[i] = float32(v)
		}
		s.Tensors[p.Name] = t
	}
	return s
}

// RandomBatch is one batch for any network, for measurements that do not care
// what the images show.
func RandomBatch(g *arch.Graph, n int) (x []float32, y []int32) {
	for _, v := range images(0, n, g.Ops[0].Shape) {
		x = append(x, float32(v))
	}
	for _, v := range labels(0, n, g.Spec.Classes) {
		y = append(y, int32(v))
	}
	return x, y
}

// act is the activation of a name, the default of none.
func act(name string) arch.Act {
	if name == "" {
		return arch.ActDefault
	}
	for a := arch.ActIdentity; !strings.HasPrefix(a.String(), "Act("); a++ {
		if a.String() == name {
			return a
		}
	}
	panic("golden: no activation " + name)
}

func ones(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("golden: %v", strings.TrimSpace(err.Error())))
	}
}
