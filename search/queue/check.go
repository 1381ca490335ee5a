package queue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"effnet/internal/atomicfile"
)

// checkTime is how often the queue is held against what the search waits for.
func (q *Queue) checkTime() time.Duration { return max(q.opt.AckWait/3, 50*time.Millisecond) }

// check repairs the queue until it ends: what a trial that waits for its
// result lacks is written again, results that the watch has missed are taken,
// dead letters are reported, and a store that no longer answers is replaced.
func (q *Queue) check() {
	var silence silence
	var stuck bool // trials that nobody will get were there at the last check
	warned := false
	for sleep(q.ctx, q.checkTime()) == nil {
		l := q.current()
		var err error
		if l != nil {
			if err = l.missing(); err == nil {
				err = q.inspect(q.ctx, l)
			}
			if err == nil {
				stuck, err = q.deadLetters(q.ctx, l, stuck)
			}
			q.confirm(l, confirmTime)
		}
		if q.ctx.Err() != nil {
			return
		}
		embedded := q.opt.Server.URL == ""
		switch {
		case l != nil && err == nil:
			silence.end()
			warned = false
		case embedded && (l == nil || lost(err)), !embedded && gone(err) && l.nc.IsConnected():
			q.rebuild(l, err)
			silence.end()
		case embedded && silence.broken(time.Now(), 2*q.checkTime(), l.effort(q.ctx)):
			q.rebuild(l, err)
			silence.end()
		case !embedded && !warned && silence.broken(time.Now(), q.opt.AckWait, 0):
			q.opt.Note("the queue at %s does not answer (%s); the search goes on when it does", q.opt.Server.redacted(), oneLine(err))
			warned = true
		}
	}
}

// silence is a time during which a store does not answer.
type silence struct {
	since    time.Time
	patience time.Duration // the most that was called for
}

func (s *silence) end() { *s = silence{} }

// broken reports whether a store that does not answer now has been silent for too
// long: for more than least, and for more than many times the effort that such work
// is without it. A machine that has other things to do is slow, which a new store
// would not change.
func (s *silence) broken(now time.Time, least, effort time.Duration) bool {
	if s.since.IsZero() {
		s.since = now
	}
	s.patience = max(s.patience, least+min(effortTimes*effort, mostPatience))
	return now.Sub(s.since) > s.patience
}

const (
	effortTimes  = 50
	mostPatience = 2 * time.Minute
)

// effort is how long a message takes through the server, on a connection of its
// own, which nothing of the store can hold up, and a file to the store's disk. A
// server that takes no connection is no measure.
func (l *live) effort(ctx context.Context) time.Duration {
	if l.srv == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	began := time.Now()
	nc, err := l.srv.connect("probe")
	if err != nil {
		return 0
	}
	defer nc.Close()
	nc.FlushWithContext(ctx)
	name := l.srv.dir + probeSuffix
	if err := atomicfile.WriteBytes(name, []byte("{}")); err == nil {
		os.Remove(name)
	}
	return time.Since(began)
}

// probeSuffix ends the name of a file beside the store.
const probeSuffix = ".probe"

// errNoStore: the store's folder is not there any more.
var errNoStore = errors.New("its folder is gone")

// errSlow: a trial cannot be published.
var errSlow = errors.New("it takes no trial")

// missing reports a store whose folder is gone, which the server, with its
// files open, may take long to notice.
func (l *live) missing() error {
	if l.srv == nil {
		return nil
	}
	if _, err := os.Stat(l.srv.dir); errors.Is(err, fs.ErrNotExist) {
		return errNoStore
	}
	return nil
}

// lost reports whether a session cannot come back.
func lost(err error) bool { return gone(err) || errors.Is(err, errNoStore) }

// beatKey is written at every check, to know that the bucket can be written
// to. No trial's key has a dot.
const beatKey = "coordinator.beat"

// inspect looks at every trial that waits for its result. Each request may take
// its time: a store that is slow is not silent.
func (q *Queue) inspect(ctx context.Context, l *live) error {
	q.mu.Lock()
	var all []*waiter
	var never []*waiter // offered while a session was being replaced
	var slow bool
	for _, w := range q.waiting {
		if !w.offering.TryLock() {
			slow = slow || time.Since(time.Unix(0, w.since.Load())) > requestTime
			continue
		}
		w.offering.Unlock()
		switch {
		case w.offered.IsZero() && time.Since(w.began) > q.checkTime():
			never = append(never, w)
		case !w.offered.IsZero() && time.Since(w.offered) > q.checkTime()/2:
			all = append(all, w)
		}
	}
	q.mu.Unlock()
	if slow {
		return errSlow
	}
	err := ask(ctx, func(ctx context.Context) error {
		_, err := l.claims.Put(ctx, beatKey, []byte("{}"))
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range never {
		if err := ask(ctx, func(ctx context.Context) error { return q.offer(ctx, l, w, true) }); err != nil {
			return err
		}
	}
	for _, w := range all {
		err := ask(ctx, func(ctx context.Context) error {
			_, err := l.stream.GetLastMsgForSubject(ctx, l.names.trial(w.key))
			return err
		})
		lost := errors.Is(err, jetstream.ErrMsgNotFound)
		if err != nil && !lost {
			return err
		}
		var c claim
		var rev uint64
		err = ask(ctx, func(ctx context.Context) (err error) {
			c, rev, err = l.claim(ctx, w.key)
			return err
		})
		switch {
		case errors.Is(err, errGarbled) || err == nil && rev == 0:
			lost = true
		case err != nil:
			return err
		case c.State == stateDone:
			q.heard(w.key, c, rev)
			continue
		}
		if lost && q.waits(w) {
			q.count(&q.stats.Republished)
			q.opt.Note("the queue has lost trial %s; it is published again", w.trial.ID)
			if err := ask(ctx, func(ctx context.Context) error { return q.offer(ctx, l, w, false) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask gives a request its time.
func ask(ctx context.Context, request func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	return request(ctx)
}

// waiters are the trials that wait.
func (q *Queue) waiters() []*waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Collect(maps.Values(q.waiting))
}

// waits reports whether a trial has no result yet.
func (q *Queue) waits(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting[w.key] == w && len(w.done) == 0
}

// deadLetters reports whether the stream holds trials that nobody will get any
// more: those past the most deliveries stay in it. What is there at two checks
// in a row ends as abandoned.
func (q *Queue) deadLetters(ctx context.Context, l *live, before bool) (now bool, err error) {
	var s *jetstream.StreamInfo
	var c *jetstream.ConsumerInfo
	err = ask(ctx, func(ctx context.Context) (err error) { s, err = l.stream.Info(ctx); return err })
	if err == nil {
		err = ask(ctx, func(ctx context.Context) (err error) { c, err = l.consumer.Info(ctx); return err })
	}
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	now = s.State.Msgs > 0 && c.NumPending == 0 && c.NumAckPending == 0 && c.NumRedelivered == 0
	if !now || !before {
		return now, nil
	}
	for _, w := range q.waiters() {
		m, err := l.stream.GetLastMsgForSubject(ctx, l.names.trial(w.key))
		if err != nil || !q.waits(w) {
			continue
		}
		have, rev, err := l.claim(ctx, w.key)
		if err != nil || have.State == stateDone {
			continue
		}
		have.State, have.Saved = stateDone, nil
		have.Result = &result{Kind: resultAbandoned, Error: fmt.Sprintf("it was delivered %d times without a result", l.desc.mostDeliveries())}
		if _, err := l.swap(ctx, w.key, have, rev); err == nil {
			l.stream.DeleteMsg(ctx, m.Sequence)
		}
	}
	return false, nil
}

// brokenPrefix begins the name of a store that was moved aside.
const brokenPrefix = "broken-"

// rebuild replaces a session that is lost by a new one, to which every trial
// that waits is published again.
func (q *Queue) rebuild(l *live, why error) {
	if l != nil {
		q.use(nil)
		q.pool.leave(l.member, nil) // trainings go on; the new session's claims renew them
		reason := oneLine(why)
		if l.srv != nil && l.srv.log.last() != noReason {
			reason += "; " + l.srv.log.last()
		}
		l.close()
		q.count(&q.stats.Rebuilt)
		if l.srv != nil {
			aside := filepath.Join(q.opt.Folder, brokenPrefix+strings.TrimPrefix(filepath.Base(l.srv.dir), storePrefix))
			if err := os.Rename(l.srv.dir, aside); err != nil {
				os.RemoveAll(l.srv.dir)
				aside = "nowhere (it was gone)"
			}
			q.opt.Note("the queue's store is broken (%s); it was moved to %s, and a new one made from the ledger: no finished trial is lost", reason, aside)
		} else {
			q.opt.Note("the queue is gone from %s (%s); it is made anew from the ledger: no finished trial is lost", q.opt.Server.redacted(), reason)
		}
	}
	ctx, cancel := context.WithTimeout(q.ctx, time.Minute)
	defer cancel()
	next, err := q.newSession(ctx)
	if err != nil {
		if q.ctx.Err() == nil {
			q.opt.Note("%v; trying again", err)
		}
		return
	}
	q.use(next)
	for _, w := range q.waiters() {
		if q.waits(w) {
			c, cancel := context.WithTimeout(ctx, requestTime)
			err := q.offer(c, next, w, true)
			cancel()
			if err != nil {
				return // the next check repairs
			}
		}
	}
}
