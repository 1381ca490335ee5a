// Package dataset is many images with labels: Fashion-MNIST and other IDX
// files, CIFAR, folders of images, tar shards in WebDataset's layout and a
// built-in synthetic set; split, shuffled, augmented and made into batches.
//
// Everything random follows from a seed and from what is asked for, never from
// the number of goroutines or from what was asked before.
package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"effnet/imageprep"
)

// Set is a labelled collection of images with random access. All methods are
// safe for concurrent use.
type Set interface {
	Len() int
	Label(i int) int32                    // index into Classes
	Image(i int) (imageprep.Image, error) // not to be written to
	Classes() []string
}

// Data is a data set with its parts.
type Data struct {
	Name    string
	Train   Set
	Val     Set // nil where the data set has no validation part of its own
	Test    Set
	Classes []string
	// Channels of the images: 1 when they are grey, else 3. Of a folder a
	// sample of files is looked at.
	Channels int
	// Checksum identifies the content ("sha256:..."), for ledgers and
	// checkpoints.
	Checksum string
	// Of [Data.Readable]: whether it has left out bad images, and how many.
	SkipBad bool
	LeftOut int
	// Notes say in words what was decided about the data: files left out, a
	// test part held out.
	Notes []string
}

// Options are the choices of [Open]; the zero value is sensible.
type Options struct {
	Progress func(file string, done, total int64) // of downloads, in bytes; total is -1 while unknown
	Client   *http.Client                         // for downloads; nil: http.DefaultClient
	Offline  bool                                 // never download

	// Image folders and shards only.
	TestFraction float64          // held out by SplitSeed when the folder has no test part; 0: 0.2
	SplitSeed    uint64           // of that split
	ShortSide    int              // shrink larger images to this short side after decoding; 0: keep
	CacheBytes   int64            // decoded pixels kept in memory; 0: 512 MiB, negative: none
	Limits       imageprep.Limits // of one file; zero fields: the defaults
}

// SpecError reports a text that does not name a data set.
type SpecError struct{ Spec, Why string }

func (e *SpecError) Error() string { return fmt.Sprintf("dataset: %q: %s", e.Spec, e.Why) }

// builtin are the data sets known by name.
var builtin = map[string]func(ctx context.Context, opt Options) (*Data, error){
	"fashion-mnist": openFashionMNIST,
	"cifar10":       func(ctx context.Context, opt Options) (*Data, error) { return openCIFAR(ctx, cifar10, opt) },
	"cifar100":      func(ctx context.Context, opt Options) (*Data, error) { return openCIFAR(ctx, cifar100, opt) },
}

// Open opens a data set: "fashion-mnist", "cifar10", "cifar100", "synthetic"
// (or "synthetic:classes=10,size=28,channels=1,train=2000,test=500,seed=1"),
// or the path of a folder: IDX files, CIFAR binary files, tar shards, class/image
// or train/class/image with test/ or val/ beside it. A pattern such as
// "train-{000..009}.tar", or one tar file, names shards, too.
//
// A data set known by name is looked for in $EFFNET_DATA, in the system's
// share/datasets and in the user's cache, and downloaded from its own site
// when it is nowhere.
func Open(ctx context.Context, spec string, opt Options) (*Data, error) {
	if open, ok := builtin[spec]; ok {
		return open(ctx, opt)
	}
	if spec == "synthetic" || strings.HasPrefix(spec, "synthetic:") {
		return openSynthetic(ctx, spec)
	}
	st, err := os.Stat(spec)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(spec, "{}"):
		return openPattern(ctx, spec, opt)
	case errors.Is(err, fs.ErrNotExist):
		return nil, &SpecError{spec, "neither a folder nor one of fashion-mnist, cifar10, cifar100, synthetic"}
	case err != nil:
		return nil, fmt.Errorf("dataset: %w", err)
	case !st.IsDir() && (isShard(spec) || isCompressedShard(spec)):
		return openShards(ctx, spec, []shardFile{{spec, 0}}, filepath.Dir(spec), opt)
	case !st.IsDir():
		return nil, fmt.Errorf("dataset: %s is a file; want a folder of class/image files, of tar files, of IDX files or of CIFAR files, or a .tar file", spec)
	case hasIDX(spec):
		return openIDX(ctx, spec)
	}
	for _, v := range []*cifar{cifar10, cifar100} {
		if v.in(spec) {
			return v.open(ctx, spec)
		}
	}
	if hasShards(spec) {
		shards, err := shardsIn(spec)
		if err != nil {
			return nil, err
		}
		return openShards(ctx, spec, shards, spec, opt)
	}
	return openFolder(ctx, spec, opt)
}

// systemFolder holds data sets installed by packages of the system.
const systemFolder = "/usr/share/datasets"

// folders lists where the data set called name may lie, best first, and where
// a download goes.
func folders(name string) (search []string, download string, err error) {
	if root := os.Getenv("EFFNET_DATA"); root != "" {
		download = filepath.Join(root, name)
		search = append(search, download, root)
	}
	search = append(search, filepath.Join(systemFolder, name))
	cache, err := os.UserCacheDir()
	if err == nil {
		cached := filepath.Join(cache, "effnet", "datasets", name)
		search = append(search, cached)
		if download == "" {
			download = cached
		}
	}
	if download == "" {
		return search, "", fmt.Errorf("dataset: no place to keep %s: set EFFNET_DATA (%w)", name, err)
	}
	return search, download, nil
}
