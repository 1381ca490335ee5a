package queue

import (
	"context"
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

	"effnet/search"
)

// pool is one process's workers: slots that pull trials of the sessions it has
// joined, one at a time each.
type pool struct {
	name    string
	threads int
	once    bool // a slot ends after one trial
	// folder is where a trial trains: in the run folder itself within the
	// search's own process, else in the worker's.
	local  bool
	folder string
	note   func(format string, args ...any)
	show   func(Activity)

	errors sync.Map // of local trainings, by lease name: the text travels, the error does not

	mu      sync.Mutex
	joined  []*member
	turn    int           // of the member to pull from next
	changed chan struct{} // closed when joined changes
	leases  map[string]*lease
}

// member is a session that a pool works for.
type member struct {
	*session
	pool   *pool
	ctx    context.Context // ends when the pool leaves the session
	cancel context.CancelFunc
	kernel string // class to train with
	shared string // the queue's folder, where this process sees it
	engine *search.Engine

	rest   time.Time     // takes no trial before, after an error; under the pool's mu
	errors time.Duration // how long the next rest is
	subs   []*nats.Subscription
}

func newPool(name string, threads int, note func(string, ...any)) *pool {
	return &pool{name: name, threads: threads, note: note, show: func(Activity) {}, changed: make(chan struct{}), leases: map[string]*lease{}}
}

// join makes the pool's slots pull from a session.
func (p *pool) join(m *member) error {
	m.pool = p
	m.ctx, m.cancel = context.WithCancel(context.Background())
	hear := func(subject func(key string) string, do func(key string)) error {
		prefix := subject("")
		sub, err := m.nc.Subscribe(subject("*"), func(msg *nats.Msg) { do(strings.TrimPrefix(msg.Subject, prefix)) })
		m.subs = append(m.subs, sub)
		return err
	}
	err := hear(m.names.stop, func(key string) {
		if l := p.lease(m.leaseName(key)); l != nil {
			l.cancel(errStopped)
		}
	})
	if err == nil && !p.local {
		err = hear(m.names.taken, func(key string) {
			if p.lease(m.leaseName(key)) == nil {
				os.RemoveAll(filepath.Join(p.folder, m.desc.ID, key))
			}
		})
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.joined = append(p.joined, m)
	p.announce()
	return nil
}

// leave makes them stop. What trains for the session goes on unless why is
// given; it then saves its state and ends.
func (p *pool) leave(m *member, why error) {
	p.mu.Lock()
	p.joined = slices.DeleteFunc(p.joined, func(x *member) bool { return x == m })
	p.announce()
	var ending []*lease
	for _, l := range p.leases {
		if l.of() == m && why != nil {
			ending = append(ending, l)
		}
	}
	p.mu.Unlock()
	for _, sub := range m.subs {
		sub.Unsubscribe()
	}
	m.cancel()
	for _, l := range ending {
		l.cancel(why)
	}
}

// announce tells waiting slots that joined has changed. mu is held.
func (p *pool) announce() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// pick is the next session to pull from, in turn, and how many there are.
func (p *pool) pick() (m *member, of int, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ready []*member
	for _, m := range p.joined {
		if time.Now().After(m.rest) {
			ready = append(ready, m)
		}
	}
	if n := len(ready); n > 0 {
		p.turn++
		m = ready[p.turn%n]
	}
	return m, len(ready), p.changed
}

func (p *pool) lease(name string) *lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leases[name]
}

// pullTime is how long a slot waits for a trial of one session before it looks
// at others.
const (
	pullTime       = 5 * time.Second
	pullTimeShared = time.Second
)

// slot pulls and trains until ctx ends.
func (p *pool) slot(ctx context.Context) {
	for ctx.Err() == nil {
		m, of, changed := p.pick()
		if m == nil {
			select {
			case <-changed:
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		wait := pullTime
		if of > 1 {
			wait = pullTimeShared
		}
		msg, err := m.pull(ctx, wait)
		if msg != nil {
			if m.handle(ctx, msg) && p.once {
				return
			}
			continue
		}
		if err != nil && ctx.Err() == nil && m.ctx.Err() == nil {
			sleep(ctx, 200*time.Millisecond)
		}
	}
}

// pull waits for a trial; nil when there is none.
func (m *member) pull(ctx context.Context, wait time.Duration) (jetstream.Msg, error) {
	c, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	stop := context.AfterFunc(m.ctx, cancel)
	defer stop()
	batch, err := m.consumer.Fetch(1, jetstream.FetchContext(c), jetstream.FetchHeartbeat(wait/8))
	if err != nil {
		return nil, err
	}
	msg := <-batch.Messages()
	return msg, batch.Error()
}

func (m *member) leaseName(key string) string { return m.desc.ID + "/" + key }

// dir is where a trial trains.
func (m *member) dir(t *task) string {
	if m.pool.local {
		return t.Dir
	}
	return filepath.Join(m.pool.folder, m.desc.ID, token(t.ID))
}

// Rests of a worker after errors of its own, which would otherwise take trial
// after trial down: they double until a trial succeeds.
const (
	firstRest   = 4 // ack waits
	longestRest = time.Hour
)

// recover ends the rests, or begins one.
func (m *member) recover(failed bool) {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	if !failed {
		m.errors = 0
		return
	}
	m.errors = min(max(2*m.errors, firstRest*m.desc.AckWait), longestRest)
	m.rest = time.Now().Add(m.errors)
}

// handle does one delivered trial, or finds out that there is nothing to do;
// it reports whether it trained.
func (m *member) handle(ctx context.Context, msg jetstream.Msg) bool {
	t, err := decodeTask(msg.Data())
	if err != nil {
		m.trouble("", err)
		msg.NakWithDelay(m.desc.AckWait)
		return false
	}
	key := token(t.ID)
	c, rev, err := m.take(ctx, key, t, m.pool.lease(m.leaseName(key)) != nil)
	switch {
	case errors.Is(err, errSettled):
		msg.DoubleAck(ctx)
		return false
	case err != nil:
		if ctx.Err() == nil && !gone(err) {
			m.trouble(t.ID, err)
		}
		msg.NakWithDelay(m.desc.AckWait / 3)
		return false
	}
	h := &hold{m, msg, rev, c}
	for {
		running := m.train(ctx, key, t, h)
		if running == nil {
			return true
		}
		// This process trains it already, under a claim that it lost while it
		// was paused or the server away: that training goes on under this one.
		if running.renew(t, h) {
			return false
		}
		// Its training has just ended, or is of another trial of this name.
		running.cancel(errLost)
		<-running.over
	}
}

// errSettled: a delivered trial needs no worker.
var errSettled = errors.New("the trial is settled")

// take claims a trial for this worker. own says that this process trains it
// already, so that nobody was lost.
func (m *member) take(ctx context.Context, key string, t *task, own bool) (claim, uint64, error) {
	for {
		c, rev, err := m.claim(ctx, key)
		switch {
		case err != nil:
			return c, 0, err
		case rev == 0 || c.Attempt < t.Attempt:
			// The coordinator finds out and writes the key again.
			return c, 0, fmt.Errorf("queue: trial %s, attempt %d, has no claim in the bucket", t.ID, t.Attempt)
		case c.Attempt > t.Attempt || c.State == stateDone || c.State == stateWithdrawn:
			return c, 0, errSettled
		case c.State == stateClaimed && !own:
			c.Lost++
			c.Why = fmt.Sprintf("worker %s fell silent", c.Worker)
		}
		next := claim{Attempt: t.Attempt, State: stateClaimed, Worker: m.pool.name, Lost: c.Lost, Why: c.Why, Saved: c.Saved}
		if c.Lost >= m.desc.Tries {
			next = m.abandoned(next)
		}
		switch rev, err = m.swap(ctx, key, next, rev); {
		case errors.Is(err, errSuperseded):
			if err := sleep(ctx, 5*time.Millisecond); err != nil {
				return c, 0, err
			}
		case err == nil && next.State == stateDone:
			return c, 0, errSettled
		default:
			return next, rev, err
		}
	}
}

// abandoned is the claim of a trial that took down as many workers as allowed.
func (m *member) abandoned(c claim) claim {
	c.State, c.Saved = stateDone, nil
	c.Result = &result{Kind: resultAbandoned, Error: fmt.Sprintf("it took down %d workers, the last: %s", c.Lost, c.Why)}
	return c
}

func (m *member) trouble(trial string, err error) {
	if trial != "" {
		err = fmt.Errorf("trial %s: %w", trial, err)
	}
	m.pool.note("%v", err)
	m.tell(event{Kind: eventTrouble, Worker: m.pool.name, Trial: trial, Text: err.Error()})
}

// prepare makes a trial's folder and fills it with the state that a worker
// gave back, where this one has none of its own.
func (m *member) prepare(ctx context.Context, h *hold, t *task) (string, error) {
	dir := m.dir(t)
	if err := os.MkdirAll(dir, 0o777); err != nil || m.pool.local || h.c.Saved == nil {
		return dir, err
	}
	have, err := folderSize(dir)
	if err != nil || have > 0 {
		return dir, err
	}
	if err := m.receive(ctx, h.c.Saved, m.shared, dir); err != nil && ctx.Err() == nil {
		m.pool.note("trial %s begins anew, as its saved state cannot be had: %v", t.ID, err)
		os.RemoveAll(dir)
		err = os.MkdirAll(dir, 0o777)
		return dir, err
	}
	return dir, ctx.Err()
}
