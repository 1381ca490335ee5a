package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"effnet/arch"
	"effnet/hub"
	"effnet/train"
	"effnet/weights"
)

// modelFlags are what a command needs beside its MODEL argument to load it.
type modelFlags struct {
	net     string
	running bool // the model is only run: its tensors need not be in memory together
}

func (f *modelFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.net, "net", "", "the `network` of weights that do not say it themselves: a name or a spec file")
}

// loadedModel is what a MODEL argument means.
type loadedModel struct {
	*weights.Model
	Path string           // the weights file; "" for random weights
	file *weights.File    // of a model that is only run, where that can be: its Set has shapes alone
	Run  *train.RunConfig // nil unless the argument is a run folder, or the best model in one
}

// source is where a plan gets the tensors.
func (m *loadedModel) source() weights.Source {
	if m.file != nil {
		return m.file
	}
	return m.Set
}

// load loads a MODEL argument: a weights file, a run folder, or a name on the
// hub or a folder with its files.
func (f *modelFlags) load(c *cobra.Command, arg string) (*loadedModel, error) {
	r, onHub := hubRepo(arg)
	if onHub || hub.IsFolder(arg) {
		if f.net != "" {
			return nil, usagef("%s: %s says itself which network it is; --net does not apply", c.Name(), arg)
		}
		var m *hubModel
		var err error
		if onHub {
			m, err = loadHub(c, r, f)
		} else {
			m, err = loadFolder(arg, f)
		}
		if err != nil {
			return nil, err
		}
		return &m.loadedModel, nil
	}
	m, err := f.find(arg)
	if err != nil {
		return nil, err
	}
	if f.net == "" {
		if f.open(m, nil) {
			return m, nil
		}
		if m.Model, err = weights.OpenModel(m.Path); errors.Is(err, weights.ErrNoSpec) {
			err = fmt.Errorf("%w; say which it is with --net NAME", err)
		}
		return m, err
	}
	spec, err := loadNet(f.net)
	if err != nil {
		// timm's names of weights: a network's and a tag.
		name, tag, _ := strings.Cut(strings.TrimPrefix(f.net, "timm/"), ".")
		s, unknown := arch.Lookup(name)
		if unknown != nil || tag == "yaml" || tag == "yml" {
			return nil, err
		}
		spec = s
		fmt.Fprintf(c.ErrOrStderr(), "note: images are prepared as for %s; what the tag %s changes, 'effnet pull' knows\n", name, tag)
	}
	if f.open(m, &spec) {
		return m, nil
	}
	if m.Model, err = weights.OpenModelAs(m.Path, spec); err != nil {
		return nil, err
	}
	switch _, own := m.Set.Meta[weights.MetaSpec]; {
	case own && m.Spec.Name != spec.Name:
		fmt.Fprintf(c.ErrOrStderr(), "note: %s says itself that it is %s; --net %s is not used\n", m.Path, m.Spec.Name, f.net)
	case !own && (m.Spec.Name != spec.Name || m.Spec.BN.Eps != spec.BN.Eps || m.Spec.Padding != spec.Padding):
		fmt.Fprintf(c.ErrOrStderr(), "note: the names in %s are of code that runs this network as %s, with %s padding and batch-norm epsilon %g\n",
			m.Path, m.Spec.Name, m.Spec.Padding, m.Spec.BN.Eps)
	}
	return m, nil
}

// open opens a model that is only run, if its file allows that.
func (f *modelFlags) open(m *loadedModel, spec *arch.Spec) (ok bool) {
	if f.running {
		var opened *weights.Model
		if opened, m.file, ok = weights.OpenFile(m.Path, spec); ok {
			m.Model = opened
		}
	}
	return ok
}

// loadOrInit is load of a MODEL or a NET; the latter has random weights.
func (f *modelFlags) loadOrInit(c *cobra.Command, arg string, seed uint64) (*loadedModel, error) {
	if !namesNet(arg) {
		return f.load(c, arg)
	}
	if f.net != "" {
		return nil, usagef("%s: %s is a network, to which --net does not apply", c.Name(), arg)
	}
	spec, err := loadNet(arg)
	if err != nil {
		return nil, err
	}
	g, err := spec.Graph()
	if err != nil {
		return nil, err
	}
	return &loadedModel{Model: &weights.Model{Spec: spec, Set: weights.Random(g, seed)}}, nil
}

// namesNet reports whether an argument means a network: a spec file, or a name
// of the zoo that is not also a file's.
func namesNet(arg string) bool {
	if strings.HasSuffix(arg, ".yaml") || strings.HasSuffix(arg, ".yml") {
		return true
	}
	if _, err := os.Stat(arg); err == nil {
		return false
	}
	_, err := arch.Lookup(arg)
	return err == nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// find tells which weights file a MODEL argument means.
func (f *modelFlags) find(arg string) (*loadedModel, error) {
	if namesNet(arg) {
		return nil, fmt.Errorf("%s is a network without weights; train it first: effnet train %s --data DATA --out RUN", arg, shellQuote(arg))
	}
	info, err := os.Stat(arg)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file; want a weights file, a run folder or the name of a model on the hub", arg)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		m := &loadedModel{Path: arg}
		if filepath.Base(arg) == train.BestFile { // of the run beside it
			if m.Run, err = train.ReadConfig(filepath.Dir(arg)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		return m, nil
	}
	m := &loadedModel{Path: filepath.Join(arg, train.ModelFile)}
	m.Run, err = train.ReadConfig(arg)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := os.Stat(m.Path); errors.Is(err, fs.ErrNotExist) {
		if best := filepath.Join(arg, train.BestFile); m.Run != nil && exists(best) {
			return nil, fmt.Errorf("%s: training has not ended; the best epoch so far is %s; the run goes on with 'effnet train --resume %s'", arg, best, shellQuote(arg))
		}
		if m.Run != nil {
			return nil, fmt.Errorf("%s: training has not ended; go on with it by 'effnet train --resume %s'", arg, shellQuote(arg))
		}
		return nil, fmt.Errorf("%s: no %s in this folder", arg, train.ModelFile)
	}
	return m, nil
}
