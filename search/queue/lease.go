package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"effnet/search"
)

// Why a training ends before its time.
var (
	errStopped = errors.New("the search wants it no more")
	errLost    = errors.New("the claim is another worker's")
	errGone    = errors.New("the search has ended or begun a new session")
)

// hold is a claim on a trial: the message to acknowledge and the revision that
// the result must match.
type hold struct {
	m   *member
	msg jetstream.Msg
	rev uint64
	c   claim
}

// lease is a trial that this process trains. Its hold changes where the trial
// was delivered to the process once more.
type lease struct {
	task   *task
	key    string
	cancel context.CancelCauseFunc
	over   chan struct{} // closed when all is done

	mu     sync.Mutex
	hold   *hold
	closed bool // no other hold can be taken up
}

func (l *lease) now() *hold {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hold
}

func (l *lease) of() *member { return l.now().m }

// renew puts a running training under another hold. It refuses if it is of
// another trial, or has ended.
func (l *lease) renew(t *task, h *hold) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !sameTrial(l.task, t) {
		return false
	}
	l.hold = h
	return true
}

// settle ends the lease for the given hold; false if another was taken up.
func (l *lease) settle(h *hold) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold != h {
		return false
	}
	l.closed = true
	return true
}

// sameTrial reports whether two tasks give the same bits.
func sameTrial(a, b *task) bool {
	x, y := *a, *b
	x.Dir, y.Dir, x.Threads, y.Threads, x.Attempt, y.Attempt = "", "", 0, 0, 0, 0
	p, errA := json.Marshal(x)
	q, errB := json.Marshal(y)
	return errA == nil && errB == nil && bytes.Equal(p, q)
}

// drainTime is how long a worker that is told to end may take for what it
// still has to say.
const drainTime = 20 * time.Second

// lingering ends a while after ctx does.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(drainTime, cancel)
		context.AfterFunc(late, func() { t.Stop() })
	})
	return late, func() { stop(); cancel() }
}

// train does a claimed trial and hands its result in. If the process trains it
// already it does nothing and returns that lease.
func (m *member) train(ctx context.Context, key string, t *task, h *hold) (running *lease) {
	p, name := m.pool, m.leaseName(key)
	tctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := &lease{task: t, key: key, cancel: cancel, over: make(chan struct{}), hold: h}
	p.mu.Lock()
	if running = p.leases[name]; running == nil {
		p.leases[name] = l
	}
	p.mu.Unlock()
	if running != nil {
		return running
	}
	began := time.Now()
	p.show(Activity{Kind: Took, Trial: t.ID, Search: m.desc.ID})
	late, done := lingering(ctx)
	defer done()
	beating := make(chan struct{})
	hctx, stop := context.WithCancel(late)
	go func() {
		defer close(beating)
		l.beat(hctx, m.desc.AckWait/3)
	}()

	out, dir, err := l.attempt(tctx, m, h, t)
	l.hand(late, tctx, out, dir, err, time.Since(began))

	stop()
	<-beating
	p.mu.Lock()
	if p.leases[name] == l {
		delete(p.leases, name)
	}
	p.mu.Unlock()
	close(l.over)
	return nil
}

// attempt trains.
func (l *lease) attempt(ctx context.Context, m *member, h *hold, t *task) (*search.Outcome, string, error) {
	eng := m.engine
	dir, err := m.prepare(ctx, h, t)
	if err != nil {
		return nil, dir, err
	}
	trial := t.Trial
	trial.Dir, trial.Threads = dir, m.pool.threads
	out, err := eng.Train(ctx, &trial, l.reporter())
	return out, dir, err
}

// reportTime is how often progress is told at most.
const reportTime = 200 * time.Millisecond

// reporter publishes progress under the hold of the moment.
func (l *lease) reporter() func(search.Progress) {
	var mu sync.Mutex
	var last time.Time
	epoch := -1
	return func(p search.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(last) < reportTime && p.Epoch == epoch {
			return
		}
		last, epoch = time.Now(), p.Epoch
		h := l.now()
		if data, err := json.Marshal(report{p, h.c.Attempt, h.rev}); err == nil {
			h.m.nc.Publish(h.m.names.progress(l.key), data)
		}
		h.m.pool.show(Activity{Kind: Trains, Trial: l.task.ID, Search: h.m.desc.ID, Progress: p})
	}
}

// beat keeps the claim, and notices when it is another's.
func (l *lease) beat(ctx context.Context, every time.Duration) {
	for sleep(ctx, every) == nil {
		h := l.now()
		h.msg.InProgress()
		c, cancel := context.WithTimeout(ctx, every)
		e, err := h.m.claims.Get(c, l.key)
		cancel()
		if err != nil {
			continue // the server is away; the training need not know
		}
		// A replica may still show an older revision.
		if e.Revision() > h.rev && l.now() == h {
			why := errLost
			if c, _, err := decodeClaim(l.key, e); err == nil && c.State == stateWithdrawn {
				why = errStopped
			}
			l.cancel(why)
		}
	}
}

// hand tells how the trial ended. Where the training was to end early but came
// to a result all the same, the bucket decides whether that counts.
func (l *lease) hand(ctx, trained context.Context, out *search.Outcome, dir string, err error, took time.Duration) {
	m := l.of()
	p := m.pool
	cause := context.Cause(trained)
	switch {
	case err == nil:
		if out.Kernel = m.kernel; !p.local {
			out.Worker = p.name
		}
		l.commit(ctx, &result{Kind: resultOutcome, Outcome: out}, dir, took)
	case errors.Is(err, search.ErrDiverged):
		l.commit(ctx, &result{Kind: resultDiverged, Error: err.Error()}, "", took)
	case cause == errStopped:
		l.drop(eventStopped, err)
		p.show(Activity{Kind: Stopped, Trial: l.task.ID, Search: m.desc.ID, Err: cause})
	case cause == errLost || cause == errGone:
		l.drop(eventLost, err)
		p.show(Activity{Kind: Stopped, Trial: l.task.ID, Search: m.desc.ID, Err: cause})
	case trained.Err() != nil:
		l.giveBack(ctx, dir)
		p.show(Activity{Kind: GaveBack, Trial: l.task.ID, Search: m.desc.ID})
	case p.local:
		p.errors.Store(m.leaseName(l.key), err)
		l.commit(ctx, &result{Kind: resultError, Error: err.Error()}, "", took)
	default:
		l.fail(ctx, err)
		p.show(Activity{Kind: Failed, Trial: l.task.ID, Search: m.desc.ID, Err: err})
	}
}

// commit hands a result in under the claim that this process holds. dir is the
// folder with files to go along, or "".
func (l *lease) commit(ctx context.Context, r *result, dir string, took time.Duration) {
	for {
		h := l.now()
		m := h.m
		show := func(kind ActivityKind, err error) {
			m.pool.show(Activity{Kind: kind, Trial: l.task.ID, Search: m.desc.ID, Err: err, Outcome: r.Outcome, Took: took})
		}
		if dir != "" && !m.pool.local && r.Files == nil {
			var err error
			if r.Files, err = m.sendTidy(ctx, l.key+"-"+nonce(), dir); err != nil {
				l.fail(ctx, err)
				show(Failed, err)
				return
			}
		}
		c := claim{Attempt: h.c.Attempt, State: stateDone, Worker: m.pool.name, Lost: h.c.Lost, Why: h.c.Why, Result: r}
		_, err := m.swap(ctx, l.key, c, h.rev)
		if err != nil && !l.settle(h) {
			if m2 := l.of(); m2 != m {
				r.Files = nil // it lies in a bucket of another session
			}
			continue
		}
		if err != nil {
			if errors.Is(err, errSuperseded) { // else it may count all the same
				m.discard(ctx, r.Files, m.shared)
			}
			m.tell(event{Kind: eventRefused, Worker: m.pool.name, Trial: l.task.ID, Text: err.Error()})
			show(Refused, err)
			return
		}
		l.settle(h)
		m.recover(false)
		retry(ctx, h.msg.DoubleAck) // if it fails, whoever gets the trial next sees that it is done
		if h.c.Saved != nil {
			m.discard(ctx, h.c.Saved, m.shared)
		}
		show(Finished, nil)
		return
	}
}

// drop ends a training that nobody waits for. Its folder stays, so that another
// attempt here goes on from it.
func (l *lease) drop(kind eventKind, err error) {
	h := l.now()
	l.settle(h)
	if kind == eventStopped {
		h.msg.Ack() // the coordinator removes it anyway
	}
	h.m.tell(event{Kind: kind, Worker: h.m.pool.name, Trial: l.task.ID, Text: err.Error()})
}

// savedLimit is the most bytes of a trial's state that a worker gives back
// through the object store.
const savedLimit = 64 << 20

// giveBack lets another worker take the trial up.
func (l *lease) giveBack(ctx context.Context, dir string) {
	h := l.now()
	l.settle(h)
	m := h.m
	c := claim{Attempt: h.c.Attempt, State: stateOpen, Worker: m.pool.name, Lost: h.c.Lost, Why: h.c.Why, Saved: h.c.Saved}
	if !m.pool.local && dir != "" {
		if saved, err := m.send(ctx, "saved-"+l.key+"-"+nonce(), dir, m.shared, savedLimit); err != nil {
			m.pool.note("trial %s: its state stays here: %v", l.task.ID, err)
		} else if saved != nil {
			c.Saved = saved
		}
	}
	if _, err := m.swap(ctx, l.key, c, h.rev); err != nil {
		return // it is another's already, or will be when the claim has run out
	}
	h.msg.Nak()
	m.tell(event{Kind: eventReturned, Worker: m.pool.name, Trial: l.task.ID})
	m.nc.FlushWithContext(ctx)
}

// fail counts an error of this worker against the trial, which others may try.
func (l *lease) fail(ctx context.Context, err error) {
	h := l.now()
	l.settle(h)
	m := h.m
	c := claim{Attempt: h.c.Attempt, State: stateOpen, Worker: m.pool.name, Lost: h.c.Lost + 1, Why: fmt.Sprintf("worker %s: %v", m.pool.name, err), Saved: h.c.Saved}
	if c.Lost >= m.desc.Tries {
		c = m.abandoned(c)
	}
	m.recover(true)
	m.trouble(l.task.ID, err)
	if _, err := m.swap(ctx, l.key, c, h.rev); err != nil {
		return
	}
	if c.State == stateDone {
		retry(ctx, h.msg.DoubleAck)
		return
	}
	h.msg.NakWithDelay(m.desc.AckWait / 3)
}
