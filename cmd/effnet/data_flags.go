package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"effnet/dataset"
)

// dataFlags choose a data set, for every command that needs one.
type dataFlags struct {
	source    string
	splitSeed uint64
	offline   bool
}

func (f *dataFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.source, "data", "", "data set: fashion-mnist, cifar10, cifar100, synthetic, or a `FOLDER` (class/image.jpg, tar shards, IDX, CIFAR binary) or 'x-{000..009}.tar'")
	fs.Uint64Var(&f.splitSeed, "split-seed", 0, "seed of the split into training, validation and test images")
	fs.BoolVar(&f.offline, "offline", false, "never download")
}

// open opens the data set. Downloads report to stderr.
func (f *dataFlags) open(ctx context.Context, stderr io.Writer) (*dataset.Data, error) {
	if f.source == "" {
		return nil, usagef("no data set: add --data, for example --data fashion-mnist")
	}
	down := newDownload(stderr)
	defer down.close()
	d, err := dataset.Open(ctx, f.source, dataset.Options{Offline: f.offline, SplitSeed: f.splitSeed, Progress: down.progress})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// stableSource is the source in a form that means the same from any folder.
func (f *dataFlags) stableSource() string {
	if _, err := os.Stat(f.source); err == nil || strings.HasSuffix(f.source, ".tar") {
		if abs, err := filepath.Abs(f.source); err == nil {
			return abs
		}
	}
	return f.source
}

// describeData is one line about a data set.
func describeData(d *dataset.Data) string {
	s := fmt.Sprintf("%s: %d training", d.Name, d.Train.Len())
	if d.Val != nil {
		s += fmt.Sprintf(", %d validation", d.Val.Len())
	}
	if d.Test != nil {
		s += fmt.Sprintf(", %d test", d.Test.Len())
	}
	return s + fmt.Sprintf(" images, %d classes", len(d.Classes))
}
