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
	onBad     string // failOnBad, the same as "", or skipBad
	cache     cacheFlag
}

// What becomes of images that cannot be read.
const (
	failOnBad = "fail"
	skipBad   = "skip"
)

func (f *dataFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.source, "data", "", "data set: fashion-mnist, cifar10, cifar100, synthetic, or a `FOLDER` (class/image.jpg, tar shards, IDX, CIFAR binary) or 'x-{000..009}.tar'")
	fs.Uint64Var(&f.splitSeed, "split-seed", 0, "seed of the split into training, validation and test images")
	fs.BoolVar(&f.offline, "offline", false, "never download")
	f.registerOnBad(fs)
	fs.Var(&f.cache, "image-cache", "`memory` for decoded images of folders and shards, such as 2G; 0 for none; does not change the result")
}

// cacheFlag is memory for decoded images: "" leaves it to package dataset.
type cacheFlag string

func (c *cacheFlag) Type() string   { return "memory" }
func (c *cacheFlag) String() string { return string(*c) }
func (c *cacheFlag) Set(s string) error {
	if s != "0" {
		if _, err := parseAmount(s, 1024); err != nil {
			return fmt.Errorf("%w, or 0", err)
		}
	}
	*c = cacheFlag(s)
	return nil
}

// withinMemory keeps no decoded images, for a command with --memory: the limit
// decides the micro-batch, and with it the result, so a cache must not.
func (f *dataFlags) withinMemory(command string) error {
	if f.cache != "" && f.cache != "0" {
		return usagef("%s: with --memory no decoded images are kept; leave --image-cache out", command)
	}
	f.cache = "0"
	return nil
}

// bytes is the flag for dataset.Options.
func (c cacheFlag) bytes() int64 {
	switch c {
	case "":
		return 0
	case "0":
		return -1
	}
	n, _ := parseAmount(string(c), 1024) // checked by Set
	return n
}

func (f *dataFlags) registerOnBad(fs *pflag.FlagSet) {
	fs.StringVar(&f.onBad, "on-bad-image", failOnBad, "what becomes of images that cannot be read: `fail`, or skip, which decodes all first")
}

// badImages is the choice as a run's configuration has it.
func (f *dataFlags) badImages() string {
	if f.onBad == failOnBad {
		return ""
	}
	return f.onBad
}

// open opens the data set. Downloads report to stderr.
func (f *dataFlags) open(ctx context.Context, stderr io.Writer) (*dataset.Data, error) {
	if f.source == "" {
		return nil, usagef("no data set: add --data, for example --data fashion-mnist")
	}
	if f.badImages() != "" && f.onBad != skipBad {
		return nil, usagef("--on-bad-image is %q, want %s or %s", f.onBad, failOnBad, skipBad)
	}
	down := newDownload(stderr)
	defer down.close()
	d, err := dataset.Open(ctx, f.source, dataset.Options{Offline: f.offline, SplitSeed: f.splitSeed, CacheBytes: f.cache.bytes(), Progress: down.progress})
	if err != nil {
		return nil, err
	}
	if f.onBad == skipBad {
		return readable(ctx, d, stderr)
	}
	return d, nil
}

// readable leaves out bad images and names them.
func readable(ctx context.Context, d *dataset.Data, stderr io.Writer) (*dataset.Data, error) {
	bar := newBar(io.Discard, int64(imagesOf(d)))
	if isTerminal(stderr) {
		bar = newBar(stderr, int64(imagesOf(d)))
		bar.Describe("decoding every image once")
	}
	good, bad, err := d.Readable(ctx, func(done int) { bar.Set(done) })
	bar.Clear()
	for _, err := range bad {
		fmt.Fprintf(stderr, "left out: %v\n", err)
	}
	return good, err
}

// imagesOf counts the images of all parts.
func imagesOf(d *dataset.Data) int {
	n := 0
	for _, s := range []dataset.Set{d.Train, d.Val, d.Test} {
		if s != nil {
			n += s.Len()
		}
	}
	return n
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
