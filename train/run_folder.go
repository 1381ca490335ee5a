package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"effnet/internal/atomicfile"
	"effnet/internal/lockfile"
	"effnet/weights"
)

// A run folder holds
//
//	config.yaml        all that decides the result: a RunConfig
//	start.safetensors  the weights it started with, unless these were random
//	metrics.jsonl      how it went
//	summary.csv        a row for each epoch
//	events.out.*       the same for TensorBoard
//	ckpt-STEP.bin      the newest checkpoints, Job.Keep of them, and the best epoch's
//	best.safetensors   the network of the epoch with the best validation accuracy
//	model.safetensors  the trained network, once training has ended
//	diverged.json      why training cannot go on
//	lock               held by the process that trains
//
// ckpt-STEP.bin.damaged is a checkpoint that could not be read.
const (
	ConfigFile   = "config.yaml"
	MetricsFile  = "metrics.jsonl"
	SummaryFile  = "summary.csv"
	BestFile     = "best.safetensors"
	ModelFile    = weights.ModelFile
	DivergedFile = "diverged.json"
	StartFile    = "start.safetensors"
	lockFile     = "lock"
)

// folder is a run folder that this process owns; nil keeps nothing on disk.
type folder struct {
	dir  string
	lock *lockfile.Lock
}

// openFolder makes dir a run folder of c, or takes it up again: then c must
// be the configuration in it.
func openFolder(dir string, c *RunConfig, start *weights.Set) (*folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := lockfile.Acquire(filepath.Join(dir, lockFile))
	var held *lockfile.HeldError
	if errors.As(err, &held) {
		return nil, fmt.Errorf("train: %w, which is training in it", err)
	}
	if err != nil {
		return nil, err
	}
	f := &folder{dir, lock}
	if err := f.adopt(c, start); err != nil {
		lock.Release()
		return nil, err
	}
	return f, nil
}

func (f *folder) adopt(c *RunConfig, start *weights.Set) error {
	old, err := ReadConfig(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		text, err := c.YAML()
		if err != nil {
			return err
		}
		if start != nil {
			if err := (&weights.Set{Tensors: start.Tensors}).WriteFile(f.path(StartFile)); err != nil {
				return err
			}
		}
		return atomicfile.WriteBytes(f.path(ConfigFile), text)
	}
	if err != nil {
		return err
	}
	if err := old.Differ(c); err != nil {
		return err
	}
	return f.sweep()
}

// Occupied is the name of a file in dir that a new run must not mix with:
// ConfigFile if there is a run already, "" if the folder is free or not there.
func Occupied(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	other := ""
	for _, e := range entries {
		switch {
		case e.Name() == ConfigFile:
			return ConfigFile, nil
		case e.Name() != lockFile && e.Name() != StartFile && !isLeftover(e.Name()):
			other = e.Name()
		}
	}
	return other, nil
}

// isLeftover reports whether a file is one that was being written when its
// process was killed.
func isLeftover(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp")
}

// sweep removes leftovers.
func (f *folder) sweep() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isLeftover(e.Name()) {
			if err := os.Remove(f.path(e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *folder) close() error {
	if f == nil {
		return nil
	}
	return f.lock.Release()
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func checkpointName(step int64) string { return fmt.Sprintf("ckpt-%09d.bin", step) }

// checkpoints lists the checkpoint files of dir, newest first.
func checkpoints(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "ckpt-") && strings.HasSuffix(e.Name(), ".bin") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// save writes c and removes the checkpoints that it makes superfluous.
func (f *folder) save(c *checkpoint, keep int) error {
	if err := c.write(f.path(checkpointName(c.State.Step))); err != nil {
		return err
	}
	return f.prune(keep, c.Best)
}

// prune removes all checkpoints but the newest, keep of them, and the best.
func (f *folder) prune(keep int, best Best) error {
	names, err := checkpoints(f.dir)
	if err != nil {
		return err
	}
	for _, name := range names[min(len(names), keep):] {
		if best.Epoch > 0 && name == checkpointName(int64(best.Step)) {
			continue
		}
		if err := os.Remove(f.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// load reads the newest checkpoint that is whole and of this run, and sets
// damaged ones aside. It returns nil when there has not been one yet.
func (f *folder) load(configSum string, note func(string)) (*checkpoint, error) {
	names, err := checkpoints(f.dir)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		c, err := readCheckpoint(f.path(name))
		if err == nil && c.ConfigSum != configSum {
			return nil, fmt.Errorf("train: %s belongs to another run than %s beside it", f.path(name), ConfigFile)
		}
		if err == nil {
			return c, nil
		}
		if !errors.As(err, new(*damagedError)) {
			return nil, err
		}
		next := "starting again from the beginning"
		if i+1 < len(names) {
			next = "going back to " + names[i+1]
		}
		note(fmt.Sprintf("checkpoint %v; %s", err, next))
		if err := os.Rename(f.path(name), f.path(name+".damaged")); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// start reads the weights that a run started with.
func (f *folder) start(want *Start) (*weights.Set, error) {
	if f == nil {
		return nil, errors.New("train: the weights to start with are missing")
	}
	s, err := weights.Open(f.path(StartFile))
	if err != nil {
		return nil, err
	}
	sum, err := s.Checksum()
	if err != nil {
		return nil, err
	}
	if sum != want.Checksum {
		return nil, fmt.Errorf("train: %s has the checksum %s, %s wants %s", f.path(StartFile), sum, ConfigFile, want.Checksum)
	}
	return s, nil
}
