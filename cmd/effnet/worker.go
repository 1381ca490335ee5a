package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"effnet/dataset"
	"effnet/internal/lockfile"
	"effnet/internal/words"
	"effnet/search"
	"effnet/search/queue"
)

// workerCmd is the worker command under way.
type workerCmd struct {
	*cobra.Command
	nats             natsFlags
	data             dataFlags
	dir, name        string
	threads, workers int
	once             bool
	checkpointEvery  time.Duration

	mu   sync.Mutex
	last map[string]time.Time // a trial's last line
}

func newWorkerCmd() *cobra.Command {
	w := &workerCmd{last: map[string]time.Time{}}
	w.Command = &cobra.Command{
		Use:   "worker --nats URL",
		Short: "Train trials of searches that run on other machines",
		Long: `Worker takes trials of every search that was started with --nats and the same
server, trains them, and hands results and models in. It may come and go at any
time. SIGTERM or Ctrl-C saves the running trials and gives them back.

The data set is found by its checksum: at --data, where the search has it, or,
if the search was started with --share-data, from the search. A worker whose CPU
rounds differently from the search's is refused.`,
		Example: `  effnet search small_1m --data fashion-mnist --budget 2h --out run --nats nats://10.0.0.1:4222
  effnet worker --nats nats://10.0.0.1:4222`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error { return w.run() },
	}
	f := w.Flags()
	f.SortFlags = false
	w.nats.register(f)
	f.StringVar(&w.data.source, "data", "", "the data set, where it lies elsewhere than on the search's machine")
	f.BoolVar(&w.data.offline, "offline", false, "never download")
	f.Var(&w.data.cache, "image-cache", "`memory` for decoded images of folders and shards, such as 2G; 0 for none")
	f.IntVar(&w.threads, "threads", 0, "threads in all (default: all)")
	f.IntVar(&w.workers, "workers", 0, "trials at a time (default: one a thread)")
	f.BoolVar(&w.once, "once", false, "end after one trial, or as many as --workers")
	f.StringVar(&w.dir, "dir", "", "`folder` for trials under way (default: in the user's cache)")
	f.StringVar(&w.name, "name", workerName(), "what to be called")
	f.DurationVar(&w.checkpointEvery, "checkpoint-every", 30*time.Second, "`time` between a trial's checkpoints; every epoch ends with one, too")
	return w.Command
}

func (w *workerCmd) run() error {
	switch {
	case w.nats.server.URL == "":
		return usagef("worker: no server: add --nats URL")
	case w.threads < 0 || w.workers < 0 || w.checkpointEvery <= 0:
		return usagef("worker: --threads and --workers cannot be negative, --checkpoint-every must be above 0")
	}
	kernels, err := kernelClasses()
	if err != nil {
		return err
	}
	dir, release, err := w.folder()
	if err != nil {
		return err
	}
	defer release()
	slots, threads := shareThreads(w.threads, w.workers)
	work := queue.Worker{
		Server: w.nats.server, Name: w.name, Kernels: kernels, Slots: slots, Threads: threads, Once: w.once,
		Folder: filepath.Join(dir, "trials"), Program: programRevision(), Note: w.note, Show: w.show,
		Open: func(ctx context.Context, d *queue.Description, class string, fetch func(context.Context, string) error) (*search.Engine, error) {
			return w.engine(ctx, d, class, dir, fetch)
		},
	}
	w.note("worker %s: kernels %s, %s at a time on %s", w.name, strings.Join(kernels, ", "), words.Plural(slots, "trial"), words.Plural(slots*threads, "thread"))
	err = work.Run(w.Context())
	if w.Context().Err() != nil && errors.Is(err, w.Context().Err()) {
		w.note("ended; unfinished trials were given back")
		return nil
	}
	return err
}

// shareThreads divides threads, 0 for all, among trials at a time, 0 for one a
// thread.
func shareThreads(threads, workers int) (slots, each int) {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if workers == 0 {
		workers = threads
	}
	return workers, max(1, threads/workers)
}

// mostFolders is how many workers of one user may run on a machine without --dir.
const mostFolders = 256

// folder takes the worker's own folder: the one that was asked for, or the
// first in the user's cache that no other process has.
func (w *workerCmd) folder() (dir string, release func(), err error) {
	take := func(dir string) (func(), error) {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, err
		}
		lock, err := lockfile.Acquire(filepath.Join(dir, "lock"))
		if err != nil {
			return nil, fmt.Errorf("worker: %w", err)
		}
		return func() { lock.Release() }, nil
	}
	if w.dir != "" {
		release, err = take(w.dir)
		return w.dir, release, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", nil, fmt.Errorf("worker: no folder to work in: add --dir (%w)", err)
	}
	for i := range mostFolders {
		dir = filepath.Join(cache, "effnet", "worker", fmt.Sprint(i+1))
		var held *lockfile.HeldError
		if release, err = take(dir); !errors.As(err, &held) {
			break
		}
	}
	return dir, release, err
}

func (w *workerCmd) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(w.ErrOrStderr(), time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// show prints a line for what happens to a trial, and one now and then while
// it trains.
func (w *workerCmd) show(a queue.Activity) {
	name := a.Search + " " + a.Trial
	switch a.Kind {
	case queue.Took:
		w.note("%s: taken", name)
	case queue.Trains:
		w.mu.Lock()
		if w.last[name].IsZero() {
			w.last[name] = time.Now()
		}
		due := time.Since(w.last[name]) >= lineInterval
		if due {
			w.last[name] = time.Now()
		}
		w.mu.Unlock()
		if due {
			w.note("%s: %.0f %%, epoch %d, %.0f images/s", name, 100*a.Progress.Done, a.Progress.Epoch, a.Progress.Rate)
		}
		return
	case queue.Finished:
		if a.Outcome != nil {
			w.note("%s: %.2f %% on validation images, after %s", name, 100*a.Outcome.Validation.Accuracy(), duration(a.Took))
		} else {
			w.note("%s: diverged, after %s", name, duration(a.Took))
		}
	case queue.Refused:
		w.note("%s: the result is refused: the trial is another worker's by now", name)
	case queue.Stopped:
		w.note("%s: stopped: %v", name, a.Err)
	case queue.GaveBack:
		w.note("%s: given back", name)
	case queue.Failed:
		w.note("%s: failed here: %v", name, a.Err)
	}
	w.mu.Lock()
	delete(w.last, name)
	w.mu.Unlock()
}

// engine makes what trains a search's trials.
func (w *workerCmd) engine(ctx context.Context, d *queue.Description, class, dir string, fetch func(context.Context, string) error) (*search.Engine, error) {
	cfg := &d.Config
	recipe, err := parseRecipeText(cfg.Recipe)
	if err != nil {
		return nil, err
	}
	impl, err := kernelOf(class)
	if err != nil {
		return nil, err
	}
	data, err := w.find(ctx, d, filepath.Join(dir, "data"), fetch)
	if err != nil {
		return nil, err
	}
	t, err := newSearchTrainer(data, cfg.Source, recipe, cfg.SplitSeed, impl, w.checkpointEvery)
	if err != nil {
		return nil, err
	}
	t.memory = cfg.Memory
	return t.engine(), nil
}

// find opens the search's data set: the one of --data, or the one where the
// search has it, or that which the search gives away, or a download.
func (w *workerCmd) find(ctx context.Context, d *queue.Description, cache string, fetch func(context.Context, string) error) (*dataset.Data, error) {
	cfg := &d.Config
	open := func(source string, offline bool) (*dataset.Data, error) {
		f := w.data
		f.source, f.offline, f.splitSeed, f.onBad = source, offline, cfg.SplitSeed, cfg.BadImages
		if cfg.Memory > 0 {
			if err := f.withinMemory("worker"); err != nil {
				return nil, err
			}
		}
		data, err := f.open(ctx, w.ErrOrStderr())
		if err == nil && data.Checksum != cfg.DataChecksum {
			err = fmt.Errorf("%s has the checksum %s, the search's data set %s", source, data.Checksum, cfg.DataChecksum)
		}
		return data, err
	}
	if w.data.source != "" {
		return open(w.data.source, w.data.offline)
	}
	data, err := open(cfg.Source, true)
	if err == nil || ctx.Err() != nil {
		return data, err
	}
	if !d.Share {
		if !w.data.offline {
			data, err = open(cfg.Source, false)
		}
		if err != nil {
			err = fmt.Errorf("no data set: %w; give its place with --data, or start the search with --share-data", err)
		}
		return data, err
	}
	dir := filepath.Join(cache, strings.ReplaceAll(cfg.DataChecksum, ":", "-"))
	if data, err := open(dir, true); err == nil {
		return data, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	w.note("fetching the data set %s from the search", cfg.Data)
	if err := fetch(ctx, dir); err != nil {
		return nil, err
	}
	return open(dir, true)
}
