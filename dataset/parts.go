package dataset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"effnet/imageprep"
)

// partNames are the names of folders and shards that hold a part. The first
// one present is taken.
var (
	trainNames = []string{"train", "training"}
	valNames   = []string{"val", "valid", "validation"}
	testNames  = []string{"test", "testing"}
)

var imageExtensions = []string{".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp"}

// maxHashed bounds the bytes of images that identify a data set by content; a
// larger one is identified by its names and sizes.
const maxHashed = 256 << 20

const (
	defaultCacheBytes   = 512 << 20
	defaultTestFraction = 0.2
)

// encodedParts are the parts that were found of a data set of encoded images.
type encodedParts struct {
	where            string      // the data set, for a user
	train, val, test *encodedSet // val and test may be nil
	valName          string      // what holds val
}

// data makes the data set, and a test part where there is none.
func (p *encodedParts) data(ctx context.Context, d *Data, opt Options) (*Data, error) {
	if len(p.train.classes) < 2 {
		return nil, fmt.Errorf("dataset: %s has one class, %s; want at least two", p.where, p.train.classes[0])
	}
	d.Train, d.Classes = p.train, p.train.classes
	switch {
	case p.test != nil && p.val != nil:
		d.Val, d.Test = p.val, p.test
	case p.test != nil:
		d.Test = p.test
	case p.val != nil:
		d.Test = p.val
		d.Notes = append(d.Notes, fmt.Sprintf("no test part: %s is the test part", p.valName))
	default:
		fraction := cmp.Or(opt.TestFraction, defaultTestFraction)
		if !(fraction > 0 && fraction < 1) {
			return nil, fmt.Errorf("dataset: test fraction is %g, want a number between 0 and 1", fraction)
		}
		rest, held := Split(p.train, fraction, opt.SplitSeed)
		if held.Len() == 0 {
			return nil, fmt.Errorf("dataset: %s: too few images (%d) to hold out %g of each class for the test", p.where, p.train.Len(), fraction)
		}
		d.Train, d.Test = rest, held
		d.Notes = append(d.Notes, fmt.Sprintf("no test part: %g of every class held out by seed %d", fraction, opt.SplitSeed))
	}
	var err error
	if d.Checksum, err = p.checksum(ctx); err != nil {
		return nil, err
	}
	d.Channels, err = p.train.channels()
	return d, err
}

// checksum identifies the images by name, size and, while they are not too
// large, content.
func (p *encodedParts) checksum(ctx context.Context) (string, error) {
	parts := slices.DeleteFunc([]*encodedSet{p.train, p.val, p.test}, func(s *encodedSet) bool { return s == nil })
	var total int64
	for _, s := range parts {
		for i := range s.images {
			total += s.images[i].size
		}
	}
	h := sha256.New()
	if _, ok := p.train.store.(*shardStore); ok { // names of folders are in those of the images
		fmt.Fprintf(h, "%q\n", p.train.classes)
	}
	for _, s := range parts {
		for i := range s.images {
			im := &s.images[i]
			fmt.Fprintf(h, "%q %d %d\n", im.name, im.label, im.size)
			if total > maxHashed {
				continue
			}
			if ctx.Err() != nil {
				return "", context.Cause(ctx)
			}
			data, err := s.store.read(im, imageprep.Limits{MaxBytes: maxHashed})
			if err != nil {
				return "", s.wrap(i, err)
			}
			h.Write(data)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// channels looks at the headers of a sample of the images. One that cannot be
// read says nothing here; it is an error when its turn comes.
func (s *encodedSet) channels() (int, error) {
	const sample = 64
	k := min(len(s.images), sample)
	read := 0
	var lastErr error
	for j := range k {
		cfg, err := s.config(j * len(s.images) / k)
		if err != nil {
			lastErr = err
			continue
		}
		read++
		if cfg.C == 3 {
			return 3, nil
		}
	}
	if read == 0 {
		return 0, fmt.Errorf("dataset: none of %d images looked at can be read: %w", k, lastErr)
	}
	return 1, nil
}
