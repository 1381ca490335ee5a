package effnet

import (
	"context"
	"fmt"
	"image"
	"slices"

	"effnet/arch"
	"effnet/explain"
	"effnet/imageprep"
	"effnet/infer"
)

// Explanation is where in a picture a network saw what speaks for a class.
type Explanation struct {
	Prediction             // of the class explained
	Best       Prediction  // of the most probable class
	Map        explain.Map // class activation map, placed in the picture
}

// mapping is a plan that gives the last map, and the classifier's weight. The
// map costs a plan some of its speed, so that it is not in the one of all runs.
type mapping struct {
	plan   *infer.Plan
	shape  arch.Shape // of the map
	weight []float32  // [classes, C]
}

// mapper makes the mapping at first use.
func (m *Model) mapper() (*mapping, error) {
	m.explain.Do(func() { m.mapping, m.failed = m.makeMapping() })
	return m.mapping, m.failed
}

func (m *Model) makeMapping() (*mapping, error) {
	g := m.graph
	weight, err := m.source.Tensor(g.Ops[g.Output()].Params[0].Name) // linear, of the mean over the map
	if err != nil {
		return nil, err
	}
	weight = slices.Clone(weight)
	plan, err := infer.Compile(g, m.source, infer.Options{Threads: m.opt.Threads, Kernel: m.opt.Kernel, Taps: []int{g.HeadMap}})
	if err != nil {
		return nil, err
	}
	m.source = nil
	return &mapping{plan, g.Ops[g.HeadMap].Shape, weight}, nil
}

// Best is for [Model.Explain]: the class that is the most probable.
const Best = -1

// Explain shows where in a picture the network sees what speaks for a class, or
// for the most probable one where class is [Best].
func (m *Model) Explain(ctx context.Context, im imageprep.Image, class int) (*Explanation, error) {
	x := make([]float32, m.InputElems())
	if err := m.Prepare(x, im); err != nil {
		return nil, err
	}
	return m.ExplainPrepared(ctx, x, im.H, im.W, class)
}

// ExplainPrepared is [Model.Explain] of what [Model.Prepare] made of a picture of
// height x width pixels.
func (m *Model) ExplainPrepared(ctx context.Context, x []float32, height, width, class int) (*Explanation, error) {
	if m.noPrep != nil {
		return nil, m.noPrep
	}
	if class != Best && (class < 0 || class >= m.Classes()) {
		return nil, fmt.Errorf("effnet: class %d, %s has classes 0 to %d", class, m.Spec.Name, m.Classes()-1)
	}
	k, err := m.mapper()
	if err != nil {
		return nil, err
	}
	logits, features := make([]float32, m.Classes()), make([]float32, k.shape.Elems())
	if err := k.plan.RunInto(ctx, x, 1, logits, features); err != nil {
		return nil, err
	}
	all, err := Top(logits, len(logits), m.Labels)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Prediction: all[0], Best: all[0]}
	if class != Best {
		e.Prediction = all[slices.IndexFunc(all, func(p Prediction) bool { return p.Class == class })]
	}
	c := k.shape.C
	e.Map = explain.Class(features, k.shape.H, k.shape.W, k.weight[e.Class*c:][:c])
	r := &e.Map.Seen
	r.Y, r.X, r.H, r.W = m.prep.Fit.Seen(height, width)
	return e, nil
}

// Named is a model with the name that drawings give it.
type Named struct {
	Name string
	*Model
}

// ExplainRow explains a picture by several models, as figure 7 of the
// EfficientNet paper does for the base network and its scaled versions: a panel
// a model for explain.Row. The class is [Best], each model's own, or one for all.
func ExplainRow(ctx context.Context, models []Named, im imageprep.Image, class int) ([]explain.Panel, error) {
	var panels []explain.Panel
	for _, m := range models {
		e, err := m.Explain(ctx, im, class)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		panels = append(panels, m.Panel(e))
	}
	return panels, nil
}

// Panel is an explanation of m's as a panel of explain.Row: below it the class
// and its probability, and what the network says where that is another.
func (m Named) Panel(e *Explanation) explain.Panel {
	caption := fmt.Sprintf("%.1f %%  %s", 100*e.Probability, m.Label(e.Class))
	if e.Class != e.Best.Class {
		caption += fmt.Sprintf(" (says %s)", m.Label(e.Best.Class))
	}
	return explain.Panel{Title: m.Name, Caption: caption, Map: e.Map}
}

// DrawRow is [ExplainRow] as a picture, with the picture itself first. name
// stands above that.
func DrawRow(ctx context.Context, models []Named, im imageprep.Image, name string) (image.Image, error) {
	panels, err := ExplainRow(ctx, models, im, Best)
	if err != nil {
		return nil, err
	}
	return explain.Row(im, name, panels), nil
}
