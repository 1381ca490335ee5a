package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml"

	"effnet/arch"
	"effnet/internal/yamlpos"
)

// RunConfig is all that decides the result of a run, and the content of its
// config.yaml.
type RunConfig struct {
	Spec   arch.Spec `yaml:"-"`      // with the recipe's dropout and drop path in force
	Recipe Recipe    `yaml:"recipe"` // resolved
	Data   DataID    `yaml:"data"`
	Start  *Start    `yaml:"start,omitempty"` // nil: from random weights
	Kernel string    `yaml:"kernel"`          // implementation of the arithmetic, by name: others round differently
	// MicroBatch is how many images go through the network, and are normalised
	// by batch norm, at a time; 0: the batch. Memory, bytes, is the limit that it
	// was chosen for, and does not decide anything else.
	MicroBatch int   `yaml:"micro_batch,omitempty"`
	Memory     int64 `yaml:"memory,omitempty"`
}

// Start is what a run that goes on from trained weights starts with.
type Start struct {
	Source   string `yaml:"source"`              // what the weights were loaded as
	Checksum string `yaml:"checksum"`            // SHA-256 of StartFile: the weights, made to fit the data
	Freeze   string `yaml:"freeze,omitempty"`    // a list as ParseFreeze takes it
	FreezeBN bool   `yaml:"freeze_bn,omitempty"` // every batch norm keeps its running statistics and uses them
}

// DataID identifies training data.
type DataID struct {
	Source     string `yaml:"source" json:"source"`                             // where to open it again
	Checksum   string `yaml:"checksum" json:"checksum"`                         // of the content
	SplitSeed  uint64 `yaml:"split_seed" json:"split_seed"`                     // of the validation part
	Subset     int    `yaml:"subset,omitempty" json:"subset,omitempty"`         // training images taken, validation included; 0: all
	BadImages  string `yaml:"bad_images,omitempty" json:"bad_images,omitempty"` // "skip" leaves out those that cannot be read; "": errors
	LeftOut    int    `yaml:"left_out,omitempty" json:"left_out,omitempty"`     // so many were
	Train      int    `yaml:"train" json:"train"`                               // images
	Validation int    `yaml:"validation" json:"validation"`                     // images
}

const configHead = `# All that decides the result of this run. A changed value makes another run:
# train it into another folder.
`

// networkKey opens the network in config.yaml: a spec file, indented.
const (
	networkKey = "network:"
	indent     = "  "
)

// YAML is the text of config.yaml.
func (c *RunConfig) YAML() ([]byte, error) {
	rest, err := yaml.MarshalWithOptions(c, yaml.CustomMarshaler(yamlString))
	if err != nil {
		return nil, err
	}
	b := bytes.NewBufferString(configHead + networkKey + "\n")
	for line := range bytes.Lines(c.Spec.YAML()) {
		b.WriteString(indent)
		b.Write(line)
	}
	b.Write(rest)
	return b.Bytes(), nil
}

// yamlString is s as YAML that reads as s again: the library leaves some strings
// without quotes, such as "? x", that it does not read so.
func yamlString(s string) ([]byte, error) {
	text, err := yaml.Marshal(s)
	if err != nil {
		return nil, err
	}
	var back struct{ S string }
	if err := yaml.Unmarshal([]byte("s: "+string(text)), &back); err != nil || back.S != s {
		return json.Marshal(s)
	}
	return text, nil
}

// ReadConfig reads the config.yaml of a run folder. The error is
// fs.ErrNotExist when there is none.
func ReadConfig(dir string) (*RunConfig, error) {
	path := filepath.Join(dir, ConfigFile)
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	network, rest := splitConfig(src)
	var c RunConfig
	c.Spec, err = arch.ParseSpec(path, network)
	var bad *arch.SpecError
	if errors.As(err, &bad) {
		bad.Column += len(indent)
	}
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalWithOptions(rest, &c, yaml.Strict()); err != nil {
		return nil, yamlpos.From(path, err)
	}
	var field *FieldError
	if err := c.Recipe.Validate(); errors.As(err, &field) {
		return nil, yamlpos.At(path, rest, "recipe."+field.Field, err.Error())
	}
	return &c, nil
}

// Trainer is the configuration of the run's trainer, of a network with so many
// stages.
func (c *RunConfig) Trainer(stages int) (Config, error) {
	r := &c.Recipe
	cfg := Config{
		Batch: r.Batch, Kernel: c.Kernel, Seed: r.Seed, MicroBatch: c.MicroBatch,
		LabelSmoothing: r.LabelSmoothing, Optimizer: r.engineOptimizer(), EMADecay: r.EMADecay,
	}
	if c.Start == nil {
		return cfg, nil
	}
	freeze, err := ParseFreeze(c.Start.Freeze, stages)
	if err != nil {
		return cfg, err
	}
	cfg.Frozen, cfg.FrozenBN = freeze.Covers, c.Start.FreezeBN
	return cfg, nil
}

// splitConfig takes a config.yaml apart into the network and the rest. Lines
// that belong to the other are left empty, so that line numbers hold.
func splitConfig(src []byte) (network, rest []byte) {
	inside := false
	for line := range bytes.Lines(src) {
		indented := bytes.HasPrefix(line, []byte(indent))
		if bytes.Equal(bytes.TrimRight(line, " \r\n"), []byte(networkKey)) {
			inside = true
			line = []byte("\n")
		} else if !indented {
			inside = false
		}
		if inside && indented {
			network, rest = append(network, line[len(indent):]...), append(rest, '\n')
		} else {
			network, rest = append(network, '\n'), append(rest, line...)
		}
	}
	return network, rest
}

// forget leaves out where data and weights were found, and the memory.
func (c *RunConfig) forget() {
	c.Data.Source, c.Memory = "", 0
	if c.Start != nil {
		s := *c.Start
		s.Source = ""
		c.Start = &s
	}
}

// Sum identifies c, apart from where its data and weights were found.
func (c RunConfig) Sum() (string, error) {
	c.forget()
	text, err := c.YAML()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// DifferError reports a run that was to go on with something changed that
// would change its result.
type DifferError struct {
	Field     string // path in config.yaml, such as recipe.lr
	Have, Now string
}

func (e *DifferError) Error() string {
	return fmt.Sprintf("train: %s: the run has %s, now it would be %s; a run cannot change on the way: train it into another folder", e.Field, e.Have, e.Now)
}

// Differ reports the first field in which now would be another run than c, as
// a [*DifferError]. Where data and
// weights were found does not matter, their content does.
func (c *RunConfig) Differ(now *RunConfig) error {
	a, b := *c, *now
	a.forget()
	b.forget()
	x, err := tree(&a)
	if err != nil {
		return err
	}
	y, err := tree(&b)
	if err != nil {
		return err
	}
	return differ("", x, y)
}

// tree is c as maps and values.
func tree(c *RunConfig) (any, error) {
	text, err := c.YAML()
	if err != nil {
		return nil, err
	}
	var t any
	err = yaml.Unmarshal(text, &t)
	return t, err
}

func differ(path string, have, now any) error {
	x, ok1 := have.(map[string]any)
	y, ok2 := now.(map[string]any)
	if !ok1 || !ok2 {
		if reflect.DeepEqual(have, now) {
			return nil
		}
		return &DifferError{path, shown(have), shown(now)}
	}
	keys := slices.Sorted(maps.Keys(x))
	for k := range y {
		if _, ok := x[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		next := k
		if path != "" {
			next = path + "." + k
		}
		if err := differ(next, x[k], y[k]); err != nil {
			return err
		}
	}
	return nil
}

func shown(v any) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(v)
}
