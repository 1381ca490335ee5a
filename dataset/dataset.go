// Package dataset is many images with labels: Fashion-MNIST and other IDX
// files, CIFAR, folders of images and a built-in synthetic set; split,
// shuffled, augmented and made into batches.
package dataset

import (
	"context"
	"errors"
	"net/http"

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
	// Channels of the images: 1 when all are grey, else 3.
	Channels int
	// Checksum identifies the content ("sha256:..."), for ledgers and checkpoints.
	Checksum string
}

// Options are the choices of [Open]; the zero value is sensible.
type Options struct {
	Progress func(file string, done, total int64) // of downloads, in bytes; total is -1 while unknown
	Client   *http.Client                         // for downloads; nil: a client with idle timeouts
	Offline  bool                                 // never download

	// Image folders only.
	TestFraction float64          // held out by SplitSeed when the folder has no test part; 0: 0.2
	SplitSeed    uint64           // of that split
	ShortSide    int              // shrink larger images to this short side after decoding; 0: keep
	CacheBytes   int64            // decoded pixels kept in memory; 0: 512 MiB, negative: none
	Limits       imageprep.Limits // of one file; zero fields: the defaults
}

// Open opens a data set: "fashion-mnist", "cifar10", "cifar100", "synthetic"
// (or "synthetic:classes=10,size=28,channels=1,train=2000,test=500,seed=1"),
// or the path of a folder: IDX files, CIFAR binary files, class/image or
// train/class/image with test/ or val/ beside it.
func Open(ctx context.Context, spec string, opt Options) (*Data, error) {
	return nil, errors.New("dataset: Open: under construction")
}
