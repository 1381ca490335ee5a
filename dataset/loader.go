package dataset

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// LoaderOptions are the choices of [Pipeline.Load].
type LoaderOptions struct {
	Batch    int    // images a batch
	Epoch    int    // of the order and the augmentation
	Start    int    // first batch to deliver: where a resumed run goes on
	Shuffle  bool   // visit images in Order(n, Seed, Epoch), else in the order of the set
	Seed     uint64 // of the order
	DropLast bool   // leave out a last, partial batch
	Workers  int    // goroutines; 0: 1
	Ahead    int    // batches prepared ahead of Next at most; 0: 2 a worker
}

// Batch is N images ready for a network. Its slices are valid until the next
// call of Next.
type Batch struct {
	Index  int           // of the batch in its epoch
	N      int           // images
	X      []float32     // [N,Resolution,Resolution,Channels]
	Labels []int32       // [N]
	IDs    []int         // [N], indices into the Set
	Took   time.Duration // to prepare it, in one goroutine

	// Where images were mixed, the labels of the others [N], and the share of
	// Labels; else nil.
	Others []int32
	Share  float64
}

// Loader delivers the batches of one epoch in order, prepared by goroutines in
// bounded memory. What it delivers does not depend on their number. Next and
// Close are for one goroutine.
type Loader struct {
	batches int
	cancel  context.CancelFunc
	ctx     context.Context
	wg      sync.WaitGroup
	queue   chan *job   // in order
	free    chan *Batch // storage to fill
	last    *Batch      // what Next returned, the caller's until it is called again
	err     error
}

// job is one batch being prepared.
type job struct {
	batch *Batch
	err   error
	done  chan struct{} // closed when batch or err is there
}

// maxLoaded bounds the bytes of the batches that a Loader holds, the caller's
// included, where two fit.
const maxLoaded = 512 << 20

// within is ahead, or fewer batches of size bytes as maxLoaded allows.
func within(ahead, size int) int { return min(ahead, max(1, maxLoaded/size-1)) }

// Load starts a Loader. Close it, even after its end.
func (p *Pipeline) Load(ctx context.Context, opt LoaderOptions) (*Loader, error) {
	if err := p.setup(); err != nil {
		return nil, err
	}
	n := p.Set.Len()
	if opt.Batch < 1 {
		return nil, fmt.Errorf("dataset: loader: batch of %d images, want at least 1", opt.Batch)
	}
	batches := n / opt.Batch
	if !opt.DropLast && n%opt.Batch > 0 {
		batches++
	}
	if opt.Start < 0 || opt.Start > batches {
		return nil, fmt.Errorf("dataset: loader: first batch is %d, the epoch has %d", opt.Start, batches)
	}
	workers := max(opt.Workers, 1)
	ahead := opt.Ahead
	if ahead < 1 {
		ahead = 2 * workers
	}
	ahead = within(ahead, 4*opt.Batch*p.size())

	var order []int
	if opt.Shuffle {
		order = Order(n, opt.Seed, opt.Epoch)
	} else {
		order = make([]int, n)
		for i := range order {
			order[i] = i
		}
	}

	l := &Loader{batches: batches, queue: make(chan *job, ahead+1), free: make(chan *Batch, ahead+1)}
	l.ctx, l.cancel = context.WithCancel(ctx)
	for range min(ahead+1, batches-opt.Start) {
		l.free <- new(Batch) // grows at first use
	}
	work := make(chan *job)
	l.wg.Go(func() {
		defer close(work)
		defer close(l.queue)
		for i := opt.Start; i < batches; i++ {
			var b *Batch
			select {
			case b = <-l.free:
			case <-l.ctx.Done():
				return
			}
			b.Index = i
			b.IDs = order[i*opt.Batch : min((i+1)*opt.Batch, n)]
			j := &job{batch: b, done: make(chan struct{})}
			select {
			case work <- j:
			case <-l.ctx.Done():
				return
			}
			l.queue <- j // has room for every batch there is
		}
	})
	for range workers {
		l.wg.Go(func() {
			for j := range work {
				began := time.Now()
				j.err = p.FillBatch(j.batch, opt.Epoch)
				j.batch.Took = time.Since(began)
				close(j.done)
			}
		})
	}
	return l, nil
}

// FillBatch prepares the images b.IDs as batch b.Index of an epoch: Fill, and
// mixing where the pipeline does that.
func (p *Pipeline) FillBatch(b *Batch, epoch int) error {
	b.N = len(b.IDs)
	n := b.N * p.size()
	if cap(b.X) < n {
		b.X, b.Labels = make([]float32, n), make([]int32, b.N)
	}
	b.X, b.Labels = b.X[:n], b.Labels[:b.N]
	if err := p.Fill(b.X, b.Labels, b.IDs, epoch); err != nil {
		return err
	}
	if p.Augment.Mixup > 0 {
		p.mix(b, epoch)
	}
	return nil
}

// Len is the number of batches of the epoch, those before Start included.
func (l *Loader) Len() int { return l.batches }

// Next returns the next batch, io.EOF after the last, or the context's error
// once that is cancelled. After an error it returns the same error.
func (l *Loader) Next() (*Batch, error) {
	if l.err != nil {
		return nil, l.err
	}
	if l.last != nil {
		l.free <- l.last // has room for every batch there is
		l.last = nil
	}
	b, err := l.wait()
	if err != nil {
		l.err = err
		l.Close()
		return nil, err
	}
	l.last = b
	return b, nil
}

func (l *Loader) wait() (*Batch, error) {
	// A cancelled context wins over batches that are ready, so that a caller
	// stops at once.
	if l.ctx.Err() != nil {
		return nil, context.Cause(l.ctx)
	}
	select {
	case j, ok := <-l.queue:
		if !ok {
			if l.ctx.Err() != nil {
				return nil, context.Cause(l.ctx)
			}
			return nil, io.EOF
		}
		select {
		case <-j.done:
			return j.batch, j.err
		case <-l.ctx.Done():
		}
	case <-l.ctx.Done():
	}
	return nil, context.Cause(l.ctx)
}

// Close stops the goroutines and waits for them. It may be called twice.
func (l *Loader) Close() {
	l.cancel()
	l.wg.Wait()
	if l.err == nil {
		l.err = context.Canceled
	}
}
