// Package effnet runs trained networks on pictures: it says what is in them,
// turns them into vectors, and shows where in a picture a network saw what it
// says.
//
//	m, err := effnet.Open("run/model.safetensors") // weights, spec, labels and preprocessing in one file
//	im, err := effnet.ReadImage("cat.jpg")         // JPEG, PNG, GIF, WebP or BMP, turned upright
//	best, err := m.Classify(ctx, im, 5)            // the five most probable classes
//	vector, err := m.Embed(ctx, im)                // what the classifier is given
//	x, err := m.Explain(ctx, im, best[0].Class)    // the class activation map
//	overlay := x.Map.Overlay(im, 0.5)              // an image.Image
//
// A [Model] may be used by any number of goroutines at once. For many pictures,
// [Model.Prepare] and [Model.Run] work on batches. The packages below are the
// parts: arch describes networks, weights reads and writes files, infer is the
// engine, imageprep prepares pictures, explain draws maps, train and search
// make models.
package effnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"effnet/arch"
	"effnet/imageprep"
	"effnet/infer"
	"effnet/internal/imagenet"
	"effnet/weights"
)

// Options are the choices of [New]; the zero value is sensible.
type Options struct {
	Threads int      // of one run; 0: GOMAXPROCS. They do not change results
	Kernel  string   // see infer.Options
	Labels  []string // names of the classes, in place of the model's own
	// Explain makes ready what [Model.Explain] needs, which else happens when it
	// is first called. The source of the weights is not used after New then.
	Explain bool
}

// Model is a network ready to run on pictures.
type Model struct {
	// Spec is the network; it is not to be written to.
	Spec arch.Spec
	// Labels are the names of the classes; nil if they have none. Those of a
	// network of 1000 classes without names are ImageNet's.
	Labels []string
	// Meta is what else the model's file says, such as where it was trained.
	Meta map[string]string

	graph  *arch.Graph
	prep   *Preparer // nil for what is no picture
	noPrep error     // why
	plan   *infer.Plan
	opt    Options

	source  weights.Source // until the second plan is made
	file    *weights.File  // of source, if Open opened it
	explain sync.Once
	mapping *mapping
	failed  error // to make it
}

// Open opens a model: a weights file, or a folder with a model.safetensors such
// as a training leaves. A file that says which network it is for, or whose
// tensors leave no doubt, is a model; for others there are weights.OpenModelAs
// and [New]. The file may be replaced by another while the model is open, but
// not written to.
func Open(path string) (*Model, error) { return OpenWith(path, Options{}) }

// OpenWith is [Open] with options.
func OpenWith(path string, opt Options) (*Model, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		inside := filepath.Join(path, weights.ModelFile)
		if _, err := os.Stat(inside); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("effnet: %s: no %s in this folder", path, weights.ModelFile)
		}
		path = inside
	}
	w, file, ok := weights.OpenFile(path, nil)
	if !ok {
		w, err := weights.OpenModel(path)
		if err != nil {
			return nil, err
		}
		return New(w, w.Set, opt)
	}
	m, err := New(w, file, opt)
	if err != nil || opt.Explain {
		file.Close()
		return m, err
	}
	m.file = file
	return m, nil
}

// New makes a model of w, whose tensors come from source: w.Set, or the file of
// weights.OpenFile, which has to stay open as long as the model; see
// [Options.Explain].
func New(w *weights.Model, source weights.Source, opt Options) (*Model, error) {
	m := &Model{Spec: w.Spec, Labels: opt.Labels, Meta: w.Set.Meta, opt: opt, source: source}
	if m.Labels == nil {
		m.Labels = ClassNames(w)
	} else if len(m.Labels) != w.Spec.Classes {
		return nil, fmt.Errorf("effnet: %d labels, the network %s has %d classes", len(m.Labels), w.Spec.Name, w.Spec.Classes)
	}
	var err error
	if m.graph, err = w.Spec.Graph(); err != nil {
		return nil, err
	}
	m.prep, m.noPrep = NewPreparer(&w.Spec)
	// The embedding is a value of its own in any plan: to have it costs nothing.
	m.plan, err = infer.Compile(m.graph, source, infer.Options{Threads: opt.Threads, Kernel: opt.Kernel, Taps: []int{m.graph.Features}})
	if err != nil {
		return nil, err
	}
	if opt.Explain {
		if _, err := m.mapper(); err != nil {
			m.Close()
			return nil, err
		}
	}
	return m, nil
}

// ClassNames are the names of a model's classes; nil if they have none. Those of
// a network of 1000 classes without names are ImageNet's.
func ClassNames(w *weights.Model) []string {
	if w.Labels == nil && w.Spec.Classes == imagenet.Classes {
		return imagenet.Names()
	}
	return w.Labels
}

// Close frees the model's threads and its file. Nothing may be under way.
func (m *Model) Close() error {
	m.plan.Close()
	m.explain.Do(func() { m.failed = errors.New("effnet: the model is closed") })
	if m.mapping != nil {
		m.mapping.plan.Close()
	}
	if m.file != nil {
		return m.file.Close()
	}
	return nil
}

// Threads is how many threads one run has.
func (m *Model) Threads() int {
	if m.opt.Threads > 0 {
		return m.opt.Threads
	}
	return runtime.GOMAXPROCS(0)
}

// Graph is the network's graph, at its own resolution; it is not to be written to.
func (m *Model) Graph() *arch.Graph { return m.graph }

// Classes is the number of classes.
func (m *Model) Classes() int { return m.plan.Classes() }

// Width is the length of an embedding.
func (m *Model) Width() int { return m.graph.Ops[m.graph.Features].Shape.C }

// InputElems is the number of values of one prepared picture [H,W,C].
func (m *Model) InputElems() int { return m.graph.Ops[0].Shape.Elems() }

// Label is the name of a class, or "class 7" where it has none.
func (m *Model) Label(class int) string {
	if m.Labels != nil {
		return m.Labels[class]
	}
	return fmt.Sprintf("class %d", class)
}

// ReadImage reads a picture within the default limits: see imageprep.ReadFile.
// Pictures that are in memory already are for imageprep.Decode and
// imageprep.FromGo.
func ReadImage(path string) (imageprep.Image, error) {
	return imageprep.ReadFile(path, imageprep.Limits{})
}

// Prepare writes a picture to x [H,W,C] as the network wants it: resized,
// cropped and normalised as its spec says.
func (m *Model) Prepare(x []float32, im imageprep.Image) error {
	if m.noPrep != nil {
		return m.noPrep
	}
	if len(x) != m.InputElems() {
		return fmt.Errorf("effnet: room for %d values, a picture for %s has %d", len(x), m.Spec.Name, m.InputElems())
	}
	m.prep.Apply(x, im)
	return nil
}

// Run computes the logits [n, classes] and the embeddings [n, width] of n
// prepared pictures x [n, H, W, C]. They do not depend on the pictures beside
// them, nor on the number of threads. The slices have to have just that room.
func (m *Model) Run(ctx context.Context, x []float32, n int, logits, embeddings []float32) error {
	return m.plan.RunInto(ctx, x, n, logits, embeddings)
}

// Outputs are the results of one picture.
type Outputs struct {
	Logits    []float32 // [classes]
	Embedding []float32 // [width]
}

// RunAlone is [Model.Run] on the calling goroutine alone, as programs want it that
// run pictures on all cores themselves.
func (m *Model) RunAlone(ctx context.Context, x []float32, n int, logits, embeddings []float32) error {
	return m.plan.RunAlone(ctx, x, n, logits, embeddings)
}

// Apply runs the network on one picture.
func (m *Model) Apply(ctx context.Context, im imageprep.Image) (Outputs, error) {
	x := make([]float32, m.InputElems())
	if err := m.Prepare(x, im); err != nil {
		return Outputs{}, err
	}
	out := Outputs{make([]float32, m.Classes()), make([]float32, m.Width())}
	return out, m.Run(ctx, x, 1, out.Logits, out.Embedding)
}

// Classify gives the most probable classes of a picture, the first the most
// probable, at most top of them.
func (m *Model) Classify(ctx context.Context, im imageprep.Image, top int) ([]Prediction, error) {
	out, err := m.Apply(ctx, im)
	if err != nil {
		return nil, err
	}
	return Top(out.Logits, top, m.Labels)
}

// Embed gives the vector [width] that the classifier is given for a picture:
// the mean over the last map.
func (m *Model) Embed(ctx context.Context, im imageprep.Image) ([]float32, error) {
	out, err := m.Apply(ctx, im)
	return out.Embedding, err
}
