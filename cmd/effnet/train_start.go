package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	lib "effnet"
	"effnet/arch"
	"effnet/dataset"
	"effnet/train"
	"effnet/weights"
)

// startFlags are about training that starts from trained weights.
type startFlags struct {
	model    modelFlags
	freeze   string
	freezeBN bool
}

func (f *startFlags) register(fs *pflag.FlagSet) {
	f.model.register(fs)
	fs.StringVar(&f.freeze, "freeze", "", "`PARTS` of a model that keep their weights: stem, stages such as 2 or 1-3, head, or all but the classifier")
	fs.BoolVar(&f.freezeBN, "freeze-bn", false, "use a model's running statistics in batch norm and keep them")
}

// namesModel reports whether the argument of train means trained weights and
// not a network.
func (f *startFlags) namesModel(arg string) bool {
	if f.model.net != "" {
		return true
	}
	if namesNet(arg) {
		return false
	}
	if _, ok := hubRepo(arg); ok {
		return true
	}
	_, err := os.Stat(arg)
	return err == nil || errors.Is(err, fs.ErrNotExist) && slices.Contains([]string{".safetensors", ".pth", ".pt", ".bin"}, filepath.Ext(arg))
}

// check refuses flags that need trained weights where there are none.
func (f *startFlags) check(model bool) error {
	if !model && (f.freeze != "" || f.freezeBN) {
		return usagef("train: --freeze and --freeze-bn want trained weights to start from, not a network")
	}
	return nil
}

// modelStart says what becomes of a model that is trained on.
type modelStart struct {
	spec  arch.Spec // adapted to the data
	keep  bool      // the classifier
	notes []string
}

// adaptModel makes the network of m fit the data as adaptSpec does, but keeps
// the normalisation that its weights are used to.
func adaptModel(ctx context.Context, m *loadedModel, d *dataset.Data, resolution int) (*modelStart, error) {
	s := &modelStart{spec: m.Spec}
	if s.spec.Channels != d.Channels {
		s.spec.Prep.Mean = sameForAll(m.Spec.Prep.Mean, d.Channels)
		s.spec.Prep.Std = sameForAll(m.Spec.Prep.Std, d.Channels)
	}
	var err error
	if s.spec, s.notes, err = fitSpec(ctx, s.spec, d, resolution, nil); err != nil {
		return nil, err
	}
	if s.spec.Channels != m.Spec.Channels {
		rule := "repeated and scaled"
		if s.spec.Channels == 1 {
			rule = "summed"
		}
		s.notes = append(s.notes, fmt.Sprintf("stem: weights of %d image channels %s to %d, normalisation mean %.4g and std %.4g",
			m.Spec.Channels, rule, s.spec.Channels, s.spec.Prep.Mean[0], s.spec.Prep.Std[0]))
	}
	names := lib.ClassNames(m.Model)
	s.keep = slices.Equal(names, d.Classes)
	switch {
	case s.keep:
		s.notes = append(s.notes, "classifier: kept, as the classes are the same")
	case names == nil:
		s.notes = append(s.notes, "classifier: new, as the weights do not name their classes")
	default:
		s.notes = append(s.notes, "classifier: new, as the classes are others")
	}
	return s, nil
}

// sameForAll is the mean of x for each of n channels.
func sameForAll(x []float64, n int) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return slices.Repeat([]float64{sum / float64(len(x))}, n)
}

// weights makes the starting weights and what config.yaml says of them.
func (f *startFlags) weights(m *loadedModel, s *modelStart, source string, seed uint64) (*weights.Set, *train.Start, error) {
	g, err := s.spec.Graph()
	if err != nil {
		return nil, nil, err
	}
	if _, err := train.ParseFreeze(f.freeze, len(s.spec.Stages)); err != nil {
		return nil, nil, usagef("train: --%w", err)
	}
	w, err := m.Adapt(g, s.keep, seed)
	if err != nil {
		return nil, nil, err
	}
	sum, err := w.Checksum()
	if err != nil {
		return nil, nil, err
	}
	return w, &train.Start{Source: source, Checksum: sum, Freeze: f.freeze, FreezeBN: f.freezeBN}, nil
}

// stablePath is a path that means the same from any folder; a name on the hub
// is one already.
func stablePath(arg string) string {
	if _, err := os.Stat(arg); err == nil {
		if abs, err := filepath.Abs(arg); err == nil {
			return abs
		}
	}
	return arg
}
