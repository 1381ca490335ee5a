package dataset

import (
	"context"

	"effnet/imageprep"
)

// Pipeline turns images of a Set into normalised float32 NHWC batches at a
// network's resolution. Set it up as a literal and use it through a pointer;
// the fields must not change after the first call. All methods are safe for
// concurrent use.
//
// The order is fixed: augment at the source's size, resize the short side to
// Resolution/Crop, take the centre, normalise.
type Pipeline struct {
	Set        Set
	Resolution int              // height and width of the output
	Channels   int              // of the output, 1 or 3; images are converted
	Mean, Std  []float32        // per channel, of pixels in [0,1]; nil: 0 and 1
	Filter     imageprep.Filter // of every resize
	Crop       float64          // side of the centre crop over the short side; 0: 1
	Squash     bool             // resize both sides to Resolution instead, aspect not kept
	Augment    Augment          // zero: none
	Seed       uint64           // of the augmentation
}

// Augment is the random change of training images. The zero value is none.
type Augment struct {
	Flip    bool // mirror left-right with probability 1/2
	PadCrop int  // pad this many black pixels on every side, then crop the original size at random
	// MinArea > 0 crops a random box of MinArea to 1 times the image's area
	// and aspect 3/4 to 4/3, then resizes it to the output, aspect not kept.
	MinArea float64
}

// Fill writes images idx[j] into x [len(idx),Resolution,Resolution,Channels]
// and their labels into labels. The randomness of image j depends only on
// (Seed, epoch, idx[j]).
func (p *Pipeline) Fill(x []float32, labels []int32, idx []int, epoch int) error { return nil }

// LoaderOptions are the choices of [Pipeline.Load].
type LoaderOptions struct {
	Batch    int    // images a batch
	Epoch    int    // of the order and the augmentation
	Start    int    // first batch to deliver: where a resumed run goes on
	Shuffle  bool   // visit images in Order(n, Seed, Epoch), else in the order of the set
	Seed     uint64 // of the order
	DropLast bool   // leave out a last, partial batch
	Workers  int    // goroutines; 0: 1
	Ahead    int    // batches prepared ahead of Next; 0: 2 a worker
}

// Batch is N images ready for a network. Its slices are valid until the next
// call of Next.
type Batch struct {
	Index  int       // of the batch in its epoch
	N      int       // images
	X      []float32 // [N,Resolution,Resolution,Channels]
	Labels []int32   // [N]
	IDs    []int     // [N], indices into the Set
}

// Loader delivers the batches of one epoch in order, prepared by goroutines in
// bounded memory. Next and Close are for one goroutine.
type Loader struct{}

// Load starts a Loader. Close it, or read it to its end.
func (p *Pipeline) Load(ctx context.Context, opt LoaderOptions) (*Loader, error) { return nil, nil }

// Len is the number of batches of the epoch, those before Start included.
func (l *Loader) Len() int { return 0 }

// Next returns the next batch, and io.EOF after the last.
func (l *Loader) Next() (*Batch, error) { return nil, nil }

// Close stops the goroutines and waits for them. It may be called twice.
func (l *Loader) Close() {}

// Stats returns the mean and standard deviation of every channel, of pixels in
// [0,1] converted to channels, over at most max images (0: all) spread evenly.
func Stats(ctx context.Context, s Set, channels, max int) (mean, std []float64, err error) {
	return nil, nil, nil
}
