package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"effnet/arch"
)

// Config is what the config.json of a timm model says about it.
type Config struct {
	Spec   arch.Spec
	Labels []string // by class; nil if they have no names

	// The size and crop with which the model does best, where its authors
	// found others than those of training; 0 elsewhere.
	TestResolution int
	TestCrop       float64
}

// maxConfig is the largest config.json that is read, in bytes. The names of
// ImageNet-22k's classes and their descriptions take about 2 MiB.
const maxConfig = 16 << 20

// rawConfig is the file. Old ones have everything at the top.
type rawConfig struct {
	Architecture  string                     `json:"architecture"`
	NumClasses    *int                       `json:"num_classes"`
	LabelNames    []string                   `json:"label_names"`
	PretrainedCfg *pretrainedCfg             `json:"pretrained_cfg"`
	ModelArgs     map[string]json.RawMessage `json:"model_args"`
	pretrainedCfg
}

type pretrainedCfg struct {
	NumClasses    *int      `json:"num_classes"`
	InputSize     []int     `json:"input_size"`
	TestInputSize []int     `json:"test_input_size"`
	Interpolation string    `json:"interpolation"`
	CropPct       float64   `json:"crop_pct"`
	TestCropPct   float64   `json:"test_crop_pct"`
	CropMode      string    `json:"crop_mode"`
	Mean          []float64 `json:"mean"`
	Std           []float64 `json:"std"`
	LabelNames    []string  `json:"label_names"`
	Labels        []string  `json:"labels"`
}

// harmless are arguments of a model that do not change what its weights mean.
var harmless = []string{"in_chans", "num_classes", "drop_rate", "drop_path_rate", "global_pool", "img_size", "pretrained"}

// ParseConfig reads a config.json.
func ParseConfig(data []byte) (*Config, error) {
	var raw rawConfig
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("not a config.json of timm's: %w", err)
	}
	if raw.Architecture == "" {
		return nil, errors.New("not a config.json of timm's: it names no architecture")
	}
	spec, err := arch.Lookup(raw.Architecture)
	if err != nil {
		return nil, fmt.Errorf("architecture: %w", err)
	}
	p := raw.PretrainedCfg
	if p == nil {
		p = &raw.pretrainedCfg
	}
	c := &Config{Spec: spec, Labels: raw.LabelNames}
	s := &c.Spec
	for _, n := range []*int{p.NumClasses, raw.NumClasses} {
		if n != nil {
			s.Classes = *n
		}
	}
	if s.Classes == 0 {
		return nil, errors.New("num_classes is 0: a network without a classifier")
	}
	for _, labels := range [][]string{p.LabelNames, p.Labels} {
		if c.Labels == nil {
			c.Labels = labels
		}
	}
	if c.Labels != nil && len(c.Labels) != s.Classes {
		return nil, fmt.Errorf("label_names has %d names, the network %d classes", len(c.Labels), s.Classes)
	}
	if err := p.prep(s); err != nil {
		return nil, err
	}
	for arg, value := range raw.ModelArgs {
		switch {
		case !slices.Contains(harmless, arg):
			return nil, fmt.Errorf("model_args changes the network by %q = %.40s, which is not supported", arg, value)
		case arg == "in_chans":
			if err := json.Unmarshal(value, &s.Channels); err != nil {
				return nil, fmt.Errorf("model_args: in_chans: %w", err)
			}
		}
	}
	s.Prep.Mean = perChannel(s.Prep.Mean, s.Channels)
	s.Prep.Std = perChannel(s.Prep.Std, s.Channels)
	if _, err := s.CostAt(s.Resolution); err != nil {
		return nil, err
	}
	if n := len(p.TestInputSize); n == 3 && p.TestInputSize[1] != s.Resolution {
		c.TestResolution, c.TestCrop = p.TestInputSize[1], p.TestCropPct
		if c.TestCrop == 0 {
			c.TestCrop = s.Prep.Crop
		}
	}
	return c, nil
}

// prep sets the resolution and preprocessing of s.
func (p *pretrainedCfg) prep(s *arch.Spec) error {
	if p.InputSize != nil {
		if len(p.InputSize) != 3 || p.InputSize[1] != p.InputSize[2] {
			return fmt.Errorf("input_size is %v, want channels and a square", p.InputSize)
		}
		s.Channels, s.Resolution = p.InputSize[0], p.InputSize[1]
	}
	switch p.Interpolation {
	case "":
	case "bicubic":
		s.Prep.Filter = arch.Bicubic
	case "bilinear":
		s.Prep.Filter = arch.Bilinear
	default:
		return fmt.Errorf("interpolation is %q, want bicubic or bilinear", p.Interpolation)
	}
	switch p.CropMode {
	case "", "center":
		s.Prep.Squash = false
	case "squash":
		s.Prep.Squash = true
	default:
		return fmt.Errorf("crop_mode is %q, want center or squash", p.CropMode)
	}
	if p.CropPct != 0 {
		if !(p.CropPct > 0 && p.CropPct <= 1) {
			return fmt.Errorf("crop_pct is %v, want above 0, at most 1", p.CropPct)
		}
		s.Prep.Crop = p.CropPct
	}
	for _, f := range []struct {
		name string
		from []float64
		to   *[]float64
	}{{"mean", p.Mean, &s.Prep.Mean}, {"std", p.Std, &s.Prep.Std}} {
		if f.from == nil {
			continue
		}
		for _, v := range f.from {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%s is %v", f.name, f.from)
			}
		}
		*f.to = f.from
	}
	return nil
}

// perChannel makes n numbers of a list, by its mean where it has another length.
func perChannel(x []float64, n int) []float64 {
	if len(x) == n || len(x) == 0 || n < 1 || n > 1<<16 {
		return x
	}
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return slices.Repeat([]float64{sum / float64(len(x))}, n)
}

// Model is a model in the cache.
type Model struct {
	Config
	Weights string // path of the weights file, which carries no spec
}

// weightsFiles are the names that timm gives weights, the better choice first.
var weightsFiles = []string{"model.safetensors", "pytorch_model.bin"}

// Model fetches a timm model: what describes it, and its weights.
func (c *Client) Model(ctx context.Context, r Repo) (*Model, error) {
	path, err := c.File(ctx, r, "config.json")
	if err != nil {
		return nil, err
	}
	config, err := readConfig(path)
	if err != nil {
		return nil, fmt.Errorf("hub: %s: %w", r, err)
	}
	m := &Model{Config: *config}
	// Both files are of one commit, also if another comes meanwhile. The
	// snapshot's folder is named for it.
	r.Revision = filepath.Base(filepath.Dir(path))
	for i, file := range weightsFiles {
		path, fileErr := c.File(ctx, r, file)
		if fileErr == nil {
			m.Weights = path
			return m, nil
		}
		if i == 0 {
			err = fileErr
		}
		var nf *NotFoundError
		var off *OfflineError
		if !(errors.As(fileErr, &nf) && nf.File != "") && !errors.As(fileErr, &off) {
			return nil, fileErr
		}
	}
	return nil, err
}

// IsFolder reports whether dir holds the files of a repository, as a clone does.
func IsFolder(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "config.json"))
	return err == nil && info.Mode().IsRegular()
}

// Folder is Client.Model of a folder that holds the files of a repository.
func Folder(dir string) (*Model, error) {
	config, err := readConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	for _, file := range weightsFiles {
		path := filepath.Join(dir, file)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return &Model{*config, path}, nil
		}
	}
	return nil, fmt.Errorf("%s: a config.json, but no %s", dir, strings.Join(weightsFiles, " or "))
}

// readConfig reads a config.json.
func readConfig(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("larger than %d bytes", maxConfig)
	}
	var c *Config
	if err == nil {
		c, err = ParseConfig(data)
	}
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return c, nil
}
