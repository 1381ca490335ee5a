package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"effnet/dataset"
	"effnet/internal/words"
	"effnet/search"
	"effnet/search/queue"
)

// queueFlags say who trains a search's trials.
type queueFlags struct {
	nats      natsFlags
	local     int
	shareData bool
	mixed     bool
	ackWait   time.Duration
}

func (f *queueFlags) register(fs *pflag.FlagSet) {
	f.nats.register(fs)
	fs.IntVar(&f.local, "local-workers", -1, "with --nats: `trials` at a time in this process (default: one a thread)")
	fs.BoolVar(&f.shareData, "share-data", false, "with --nats: give the data set to workers that do not have it")
	fs.BoolVar(&f.mixed, "mixed-kernels", false, "with --nats: let workers train whose CPUs round differently")
	fs.DurationVar(&f.ackWait, "ack-wait", 30*time.Second, "a worker that is silent for this `time` has lost its trial")
}

// check refuses flags that do nothing.
func (f *queueFlags) check(fs *pflag.FlagSet) error {
	if f.nats.server.URL == "" {
		for _, name := range []string{"nats-creds", "nats-ca", "nats-cert", "nats-key", "local-workers", "share-data", "mixed-kernels"} {
			if fs.Changed(name) {
				return usagef("search: --%s is for workers elsewhere; add --nats URL", name)
			}
		}
	}
	if f.ackWait < 100*time.Millisecond {
		return usagef("search: --ack-wait is %s, want at least 100ms", f.ackWait)
	}
	return nil
}

// searchQueue is the queue of a search: opened at once where it is elsewhere,
// else with the first trial.
type searchQueue struct {
	opt  queue.Options
	once sync.Once
	q    *queue.Queue
	err  error
}

// rollTime is how long workers may take to say that they are there.
const rollTime = 500 * time.Millisecond

// openQueue settles who trains, and how many trials at a time.
func (s *searchCmd) openQueue(cfg *search.Config, eng *search.Engine, opt *search.Options) (*searchQueue, error) {
	f := &s.queue
	q := &searchQueue{opt: queue.Options{
		Server: f.nats.server, Folder: filepath.Join(s.out, queue.FolderName), Engine: eng, Config: *cfg,
		Name: workerName(), Kernel: kernelClass(cfg.Kernel), Slots: opt.Workers, Threads: opt.Threads,
		Mixed: f.mixed, Program: programRevision(), AckWait: f.ackWait, Note: opt.Note,
	}}
	if f.nats.server.URL == "" {
		return q, nil
	}
	if f.shareData {
		q.opt.Share = shareData(cfg.Source)
	}
	local := opt.Workers
	if f.local >= 0 {
		local = f.local
	}
	if s.workers > 0 {
		local = min(local, s.workers)
	}
	q.opt.Slots = local
	if err := q.open(s.Context()); err != nil {
		return nil, err
	}
	workers, slots := q.q.Roll(s.Context(), rollTime)
	if opt.Workers = s.workers; opt.Workers == 0 {
		opt.Workers = max(1, local+slots)
	}
	fmt.Fprintf(s.ErrOrStderr(), "workers   %s here, %s elsewhere with %d; %d at a time in all\n", words.Plural(local, "trial"), words.Plural(workers, "worker"), slots, opt.Workers)
	return q, nil
}

func (q *searchQueue) open(ctx context.Context) error {
	q.once.Do(func() { q.q, q.err = queue.Open(ctx, q.opt) })
	return q.err
}

// engine trains through the queue.
func (q *searchQueue) engine() *search.Engine {
	e := *q.opt.Engine
	e.Train = func(ctx context.Context, t *search.Trial, progress func(search.Progress)) (*search.Outcome, error) {
		if err := q.open(ctx); err != nil {
			return nil, err
		}
		return q.q.Engine().Train(ctx, t, progress)
	}
	return &e
}

// close ends the queue, and says what went wrong with it.
func (q *searchQueue) close() {
	if q.q == nil {
		return
	}
	if err := q.q.Close(); err != nil {
		q.opt.Note("%v", err)
	}
	if s := q.q.Stats(); s.Refused > 0 {
		q.opt.Note("%s refused: the trial was another worker's by then", words.Plural(s.Refused, "late result"))
	}
}

// shareData gives away the files of a data set.
func shareData(source string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		dir, names, err := dataset.Files(source)
		if err != nil {
			return err
		}
		return queue.PackFiles(dir, names)(ctx, w)
	}
}
