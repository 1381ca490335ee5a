// Package queue sends the trials of a search through NATS JetStream to workers,
// in this process or on other machines.
//
// To the search it is a [search.Engine] whose Train publishes the trial and
// waits for its result ([Open], [Queue.Engine]). By default the server is a part of the
// process, opens no port, and the workers are goroutines; with a URL the same
// code uses a server or a cluster elsewhere, and any number of processes that
// run a [Worker].
//
// JetStream delivers at least once. A trial is recorded exactly once all the
// same: a worker claims it by a compare-and-set in a bucket, and hands its
// result in by another, on the revision of its claim. Whoever was silent for
// longer than the ack wait finds the claim changed and is refused.
//
// The queue is never the truth. Each coordinator begins with empty streams
// under new names, publishes what the search asks for, which is what its ledger
// lacks, and republishes what gets lost. A store that is damaged or deleted
// costs at most the work on unfinished trials since their last checkpoint.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"effnet/internal/atomicfile"
	"effnet/internal/lockfile"
	"effnet/search"
)

// FolderName is the queue's folder in a run folder.
const FolderName = "queue"

// Options say how a search's trials are done.
type Options struct {
	Server  Server
	Folder  string         // the queue's own, on this machine
	Engine  *search.Engine // trains here, and measures
	Config  search.Config
	Name    string // of this process as a worker
	Kernel  string // class of Engine's arithmetic
	Slots   int    // trials at a time in this process, 0 for none
	Threads int    // of each
	Mixed   bool   // workers of other kernel classes may train
	Program string // revision of this program

	// Share writes the data set's files as a tar, for workers that cannot see
	// them. Nil: it is not shared.
	Share func(ctx context.Context, w io.Writer) error

	AckWait time.Duration // 0: 30 s
	Tries   int           // workers that a trial may take down; 0: 3
	Note    func(format string, args ...any)
}

// Stats count what went wrong and was made good.
type Stats struct {
	Refused     int // results under a claim that was another's
	Lost        int // trainings that ended as their claim was another's
	Returned    int // trials given back
	Republished int // trials that the stream had lost
	Abandoned   int // trials that took down as many workers as allowed
	Retrained   int // trials whose result's files did not arrive
	Rebuilt     int // stores that were broken, moved aside and replaced
}

// Queue is a search's coordinator.
type Queue struct {
	opt  Options
	id   string
	lock *lockfile.Lock
	pool *pool

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	slots  sync.WaitGroup // the pool's
	tasks  sync.WaitGroup // the watch and the check

	mu      sync.Mutex
	live    *live
	waiting map[string]*waiter
	stats   Stats
	ended   []ended // not yet confirmed to workers
	shared  sharedData
}

// live is the session in use and what belongs to it.
type live struct {
	*session
	srv    *embedded // nil: elsewhere
	member *member   // of the pool
	cancel context.CancelFunc
}

// waiter is a call of Train that waits for its result.
type waiter struct {
	trial    *search.Trial
	key      string
	attempt  int
	body     []byte
	progress func(search.Progress)
	began    time.Time
	offered  time.Time // last published
	rev      uint64    // of the latest claim that was heard of
	done     chan claim
	stopped  chan struct{} // a worker has obeyed the withdrawal
	offering sync.Mutex    // held while it is published
	since    atomic.Int64  // when offering was taken, Unix nanoseconds
}

// Open starts a queue. Close ends it.
func Open(ctx context.Context, opt Options) (*Queue, error) {
	if opt.AckWait == 0 {
		opt.AckWait = 30 * time.Second
	}
	if opt.Tries == 0 {
		opt.Tries = 3
	}
	if opt.Note == nil {
		opt.Note = func(string, ...any) {}
	}
	if err := opt.Server.check(); err != nil {
		return nil, err
	}
	folder, err := filepath.Abs(opt.Folder)
	if err != nil {
		return nil, err
	}
	opt.Folder = folder
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, err
	}
	lock, err := lockfile.Acquire(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	q := &Queue{opt: opt, lock: lock, waiting: map[string]*waiter{}}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	if err := q.begin(ctx); err != nil {
		q.cancel()
		lock.Release()
		return nil, err
	}
	for range opt.Slots {
		q.slots.Go(func() { q.pool.slot(q.ctx) })
	}
	q.tasks.Go(q.check)
	return q, nil
}

// begin makes the first session.
func (q *Queue) begin(ctx context.Context) error {
	if err := clearStores(q.opt.Folder); err != nil {
		return fmt.Errorf("queue: what an earlier search left in %s cannot be removed: %w", q.opt.Folder, err)
	}
	os.RemoveAll(filepath.Join(q.opt.Folder, inbox))
	var err error
	if q.id, err = searchID(q.opt.Folder); err != nil {
		return err
	}
	q.pool = newPool(q.opt.Name, q.opt.Threads, q.opt.Note)
	q.pool.local = true
	l, err := q.newSession(ctx)
	if err != nil {
		return err
	}
	q.use(l)
	return nil
}

// searchID is the search's name on a cluster, kept in its folder.
func searchID(folder string) (string, error) {
	path := filepath.Join(folder, "id")
	data, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(data)); err == nil && len(id) == 12 && token(id) == id {
		return id, nil
	}
	id := nonce()
	return id, atomicfile.WriteBytes(path, []byte(id+"\n"))
}

// newSession makes a session and has the pool join it.
func (q *Queue) newSession(ctx context.Context) (_ *live, err error) {
	d := Description{
		Protocol: protocol, ID: q.id, Session: q.id + "-" + nonce(), Config: q.opt.Config, Kernel: q.opt.Kernel, Mixed: q.opt.Mixed,
		AckWait: q.opt.AckWait, Tries: q.opt.Tries, Share: q.opt.Share != nil, Folder: q.opt.Folder, Program: q.opt.Program,
	}
	l := &live{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	var nc *nats.Conn
	if q.opt.Server.URL == "" {
		if l.srv, err = startEmbedded(filepath.Join(q.opt.Folder, storePrefix+d.Session)); err != nil {
			return nil, err
		}
		nc, err = l.srv.connect(q.opt.Name)
	} else {
		nc, err = q.opt.Server.connect("effnet search "+q.id, q.opt.Note)
	}
	if err != nil {
		return nil, err
	}
	l.session = &session{nc: nc} // for close
	s, err := createSession(ctx, nc, d, l.srv == nil)
	if err != nil {
		return nil, err
	}
	l.session = s
	sctx, cancel := context.WithCancel(q.ctx)
	l.cancel = cancel
	if err := q.listen(sctx, s); err != nil {
		return nil, err
	}
	l.member = &member{session: s, kernel: q.opt.Kernel, engine: q.opt.Engine, shared: q.opt.Folder}
	if err := q.pool.join(l.member); err != nil {
		return nil, err
	}
	if l.srv == nil {
		if err := q.register(ctx, s); err != nil {
			q.pool.leave(l.member, errGone)
			return nil, err
		}
	}
	return l, nil
}

// register replaces the search's entry in the cluster's registry and removes
// the session that was there.
func (q *Queue) register(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := atomicfile.WriteBytes(filepath.Join(q.opt.Folder, hereFile), []byte(s.desc.Session)); err != nil {
		return err
	}
	data, err := json.Marshal(s.desc)
	if err != nil {
		return err
	}
	reg, err := openRegistry(ctx, s.js)
	if err != nil {
		return err
	}
	var old Description
	err = retry(ctx, func(ctx context.Context) error {
		if e, err := reg.Get(ctx, q.id); err == nil {
			json.Unmarshal(e.Value(), &old)
		} else if !errors.Is(err, jetstream.ErrKeyNotFound) {
			return err
		}
		_, err := reg.Put(ctx, q.id, data)
		return err
	})
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	s.nc.Publish(news, nil)
	if strings.HasPrefix(old.Session, q.id+"-") && old.Session != s.desc.Session {
		return dropSession(ctx, s.js, old.Session)
	}
	return nil
}

// openRegistry opens the bucket of searches, or makes it.
func openRegistry(ctx context.Context, js jetstream.JetStream) (jetstream.KeyValue, error) {
	var reg jetstream.KeyValue
	err := retry(ctx, func(ctx context.Context) (err error) {
		reg, err = js.KeyValue(ctx, registry)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			reg, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: registry, Description: "effnet searches under way", History: 1, Replicas: replicasAt(js.Conn())})
			if errors.Is(err, jetstream.ErrBucketExists) {
				reg, err = js.KeyValue(ctx, registry)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("queue: the registry of searches: %w", err)
	}
	return reg, nil
}

// use makes l the session in use; nil stands for none.
func (q *Queue) use(l *live) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.live = l
}

// current is the session in use; nil while a broken one is replaced.
func (q *Queue) current() *live {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.live
}

// close ends a session's connection and server.
func (l *live) close() {
	if l.cancel != nil {
		l.cancel()
	}
	if l.session != nil && l.nc != nil {
		l.nc.Close()
	}
	if l.srv != nil {
		l.srv.stop()
	}
}

// Engine is the search's engine: it trains through the queue and measures by
// itself.
func (q *Queue) Engine() *search.Engine {
	e := *q.opt.Engine
	e.Train = q.train
	return &e
}

// Stats are the counts so far.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats
}

func (q *Queue) count(n *int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	*n++
}

// Close ends the workers of this process, which save their state, and removes
// the queue. The search has written to its ledger what it was given, and calls
// Train no more.
func (q *Queue) Close() error {
	q.cancel()
	q.slots.Wait()
	q.tasks.Wait()
	l := q.current()
	var err error
	if l != nil {
		q.confirm(l, 0)
		if l.srv == nil {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if e := q.unregister(ctx, l.session); e != nil {
				err = fmt.Errorf("queue: what is left of the search at %s is not removed: %s", q.opt.Server.redacted(), oneLine(e))
			}
		}
		l.close()
		if l.srv != nil {
			err = os.RemoveAll(l.srv.dir)
		}
	}
	os.RemoveAll(filepath.Join(q.opt.Folder, inbox))
	os.Remove(filepath.Join(q.opt.Folder, hereFile))
	if e := q.lock.Release(); err == nil {
		err = e
	}
	return err
}

// unregister takes the search off the cluster.
func (q *Queue) unregister(ctx context.Context, s *session) error {
	reg, err := openRegistry(ctx, s.js)
	if err == nil {
		err = retry(ctx, func(ctx context.Context) error { return reg.Purge(ctx, q.id) })
	}
	s.nc.Publish(news, nil)
	return errors.Join(err, dropSession(ctx, s.js, s.desc.Session))
}
