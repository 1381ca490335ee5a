package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"effnet/internal/lockfile"
	"effnet/search"
)

// Worker takes trials of the searches on a cluster.
type Worker struct {
	Server  Server
	Name    string
	Kernels []string // classes of arithmetic it has, the best first; equal classes give equal bits
	Slots   int      // trials at a time
	Threads int      // of each
	Once    bool     // every slot ends after one trial
	Folder  string   // where trials train; one process at a time owns it
	Program string   // revision of this program, for messages

	// Open makes the engine for a search, which computes with the given class
	// of kernels. fetch unpacks the search's data set into a folder, if the
	// search shares it.
	Open func(ctx context.Context, d *Description, kernel string, fetch func(ctx context.Context, dir string) error) (*search.Engine, error)
	Note func(format string, args ...any)
	Show func(Activity)

	nc    *nats.Conn
	pool  *pool
	known map[string]*known // by the search's ID
}

// known is a search that a worker has looked at.
type known struct {
	session string
	member  *member // nil: it cannot work for it
}

// refreshTime is how often a worker looks at the registry unasked.
const refreshTime = 3 * time.Second

// keepTime is how long a worker keeps the folders of trials that nobody asked
// about.
const keepTime = 3 * 24 * time.Hour

// Run works until ctx ends; then it saves the states of its trials, gives them
// back and returns ctx's error. With Once it returns nil after its trials.
func (w *Worker) Run(ctx context.Context) error {
	if err := os.MkdirAll(w.Folder, 0o777); err != nil {
		return err
	}
	lock, err := lockfile.Acquire(filepath.Join(w.Folder, "lock"))
	if err != nil {
		return fmt.Errorf("queue: the worker's folder: %w", err)
	}
	defer lock.Release()
	w.sweep()
	if w.nc, err = w.Server.connect("effnet worker "+w.Name, w.Note); err != nil {
		return err
	}
	defer w.nc.Close()
	w.known = map[string]*known{}
	w.pool = newPool(w.Name, w.Threads, w.Note)
	w.pool.once, w.pool.folder = w.Once, w.Folder
	if w.Show != nil {
		w.pool.show = w.Show
	}
	changed := make(chan struct{}, 1)
	for subject, handle := range map[string]nats.MsgHandler{
		news: func(*nats.Msg) {
			select {
			case changed <- struct{}{}:
			default:
			}
		},
		rollCall: func(m *nats.Msg) {
			data, _ := json.Marshal(w.hello(eventJoined))
			m.Respond(data)
		},
	} {
		if _, err := w.nc.Subscribe(subject, handle); err != nil {
			return err
		}
	}
	sctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var slots sync.WaitGroup
	for range w.Slots {
		slots.Go(func() { w.pool.slot(ctx) })
	}
	go func() {
		slots.Wait()
		cancel()
	}()
	failing := false
	for sctx.Err() == nil {
		if err := w.refresh(sctx); err != nil && sctx.Err() == nil && !failing {
			failing = true
			w.Note("the registry of searches cannot be read: %v; trying again", err)
		} else if err == nil {
			failing = false
		}
		select {
		case <-changed:
		case <-time.After(refreshTime):
		case <-sctx.Done():
		}
	}
	slots.Wait()
	for _, k := range w.known {
		if k.member != nil {
			k.member.tell(w.hello(eventLeft))
		}
	}
	if w.nc.IsConnected() {
		w.nc.FlushTimeout(requestTime)
	}
	return ctx.Err()
}

func (w *Worker) hello(kind eventKind) event {
	return event{Kind: kind, Worker: w.Name, Kernel: strings.Join(w.Kernels, ", "), Slots: w.Slots}
}

// sweep removes folders of trials that were left long ago.
func (w *Worker) sweep() {
	trials, _ := filepath.Glob(filepath.Join(w.Folder, "*", "*"))
	for _, dir := range trials {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && time.Since(info.ModTime()) > keepTime {
			os.RemoveAll(dir)
		}
	}
}

// refresh joins searches that are new and leaves those that have ended.
func (w *Worker) refresh(ctx context.Context) error {
	js, err := jetstream.New(w.nc)
	if err != nil {
		return err
	}
	c, cancel := context.WithTimeout(ctx, 2*requestTime)
	defer cancel()
	reg, err := openRegistry(c, js)
	if err != nil {
		return err
	}
	keys, err := reg.ListKeys(c)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for id := range keys.Keys() {
		e, err := reg.Get(c, id)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		var d Description
		if err := json.Unmarshal(e.Value(), &d); err != nil || d.ID != id {
			continue
		}
		there[id] = true
		if k := w.known[id]; k == nil || k.session != d.Session {
			w.leave(id)
			w.meet(ctx, &d)
		}
	}
	for id := range w.known {
		if !there[id] && c.Err() == nil {
			w.Note("search %s has ended", id)
			w.leave(id)
		}
	}
	return nil
}

func (w *Worker) leave(id string) {
	if k := w.known[id]; k != nil && k.member != nil {
		w.pool.leave(k.member, errGone)
	}
	delete(w.known, id)
}

// meet joins a search, or says why not.
func (w *Worker) meet(ctx context.Context, d *Description) {
	k := &known{session: d.Session}
	w.known[d.ID] = k
	refuse := func(err error) {
		if ctx.Err() != nil {
			return
		}
		w.Note("cannot work for search %s: %v", d.ID, err)
		e := w.hello(eventUnfit)
		e.Text = err.Error()
		(&session{names: names(d.Session), nc: w.nc}).tell(e)
	}
	kernel, err := w.kernel(d)
	if err != nil {
		refuse(err)
		return
	}
	s, err := joinSession(ctx, w.nc, *d)
	if err != nil {
		if !gone(err) {
			refuse(err)
		}
		delete(w.known, d.ID) // it may be under way
		return
	}
	if d.Program != w.Program {
		w.Note("search %s is by another build of this program (%s, this is %s): results may differ in their last bits", d.ID, d.Program, w.Program)
	}
	m := &member{session: s, kernel: kernel}
	if d.seen() {
		m.shared = d.Folder
	}
	if m.engine, err = w.Open(ctx, d, kernel, s.fetchData); err != nil {
		refuse(err)
		return
	}
	if err := w.pool.join(m); err != nil {
		refuse(err)
		return
	}
	k.member = m
	w.Note("working for search %s on %s, with kernels %s", d.ID, d.Config.Data, kernel)
	s.tell(w.hello(eventJoined))
}

// kernel is the class to train with for a search.
func (w *Worker) kernel(d *Description) (string, error) {
	switch {
	case d.Protocol != protocol:
		return "", fmt.Errorf("it speaks version %d of the queue, this worker version %d: use the same effnet on all machines", d.Protocol, protocol)
	case slices.Contains(w.Kernels, d.Kernel):
		return d.Kernel, nil
	case d.Mixed && len(w.Kernels) > 0:
		return w.Kernels[0], nil
	}
	return "", fmt.Errorf("it trains with kernels %s, this machine has %s, which round differently; 'effnet search --mixed-kernels' would allow that", d.Kernel, strings.Join(w.Kernels, ", "))
}

// Roll asks which workers are there, and waits a moment for answers. It
// returns how many trials they take at a time in all.
func (q *Queue) Roll(ctx context.Context, wait time.Duration) (workers, slots int) {
	l := q.current()
	if l == nil || l.srv != nil {
		return 0, 0
	}
	sub, err := l.nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		return 0, 0
	}
	defer sub.Unsubscribe()
	if err := l.nc.PublishRequest(rollCall, sub.Subject, nil); err != nil {
		return 0, 0
	}
	c, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(c)
		if err != nil {
			return workers, slots
		}
		var e event
		if json.Unmarshal(m.Data, &e) == nil && e.Kind == eventJoined {
			workers++
			slots += e.Slots
		}
	}
}
