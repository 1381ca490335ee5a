package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"effnet/internal/atomicfile"
	"effnet/search"
)

// train is the engine's Train: it publishes the trial and waits.
func (q *Queue) train(ctx context.Context, t *search.Trial, progress func(search.Progress)) (*search.Outcome, error) {
	w := &waiter{
		trial: t, key: token(t.ID), progress: progress, began: time.Now(),
		done: make(chan claim, 1), stopped: make(chan struct{}),
	}
	q.mu.Lock()
	double := q.waiting[w.key] != nil
	if !double {
		q.waiting[w.key] = w
	}
	q.mu.Unlock()
	if double {
		return nil, fmt.Errorf("queue: trial %s is under way already", t.ID)
	}
	defer func() {
		q.mu.Lock()
		delete(q.waiting, w.key)
		q.mu.Unlock()
	}()
	l := q.current()
	if err := q.offer(ctx, l, w, true); err != nil && ctx.Err() == nil && !q.repairs(l, err) {
		return nil, fmt.Errorf("queue: publishing trial %s: %w", t.ID, err)
	}
	for {
		select {
		case c := <-w.done:
			out, err := q.accept(ctx, w, c)
			if errors.Is(err, errSpoilt) && ctx.Err() == nil {
				q.count(&q.stats.Retrained)
				q.opt.Note("trial %s is trained again: %v", t.ID, err)
				l := q.current()
				if err := q.offer(ctx, l, w, true); err != nil && !q.repairs(l, err) {
					return nil, err
				}
				continue
			}
			return out, err
		case <-ctx.Done():
			q.withdraw(w)
			return nil, ctx.Err()
		}
	}
}

// repairs reports whether an error is one that the check will make good by a
// new session.
func (q *Queue) repairs(l *live, err error) bool {
	return l == nil || l.srv != nil || gone(err)
}

// offer makes the stream hold the trial and its key in the bucket say open.
// anew begins another attempt.
func (q *Queue) offer(ctx context.Context, l *live, w *waiter, anew bool) error {
	if l == nil {
		return nil // the next session offers everything
	}
	w.offering.Lock()
	w.since.Store(time.Now().UnixNano())
	defer w.offering.Unlock()
	var attempt int
	var body []byte
	for {
		c, rev, err := l.claim(ctx, w.key)
		if err != nil && !errors.Is(err, errGarbled) {
			return err
		}
		q.mu.Lock()
		if anew {
			w.attempt = max(w.attempt, c.Attempt, w.trial.Attempt-1) + 1
			w.body, err = encodeTask(w.trial, w.attempt)
			w.offered = time.Now()
		}
		attempt, body = w.attempt, w.body
		q.mu.Unlock()
		if anew && err != nil {
			return err
		}
		if c.Attempt == attempt && c.State != "" {
			break // it is there, and may be claimed
		}
		_, err = l.swap(ctx, w.key, claim{Attempt: attempt, State: stateOpen}, rev)
		if err == nil {
			break
		}
		if !errors.Is(err, errSuperseded) {
			return err
		}
	}
	return publish(ctx, l.session, w.key, body)
}

// publish makes the stream hold a trial once.
func publish(ctx context.Context, s *session, key string, body []byte) error {
	subject := s.names.trial(key)
	return retry(ctx, func(ctx context.Context) error {
		_, err := s.js.Publish(ctx, subject, body)
		if err == nil || !alreadyThere(err) {
			return err
		}
		// An earlier attempt's, or this one's after an answer that got lost.
		m, err := s.stream.GetLastMsgForSubject(ctx, subject)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return errTaken
		case err != nil:
			return err
		case string(m.Data) == string(body):
			return nil
		}
		if err := s.stream.DeleteMsg(ctx, m.Sequence); err != nil {
			return err
		}
		return errTaken
	})
}

// errTaken has a publication repeated.
var errTaken = errors.New("another message was in the way")

// alreadyThere reports whether a publication failed for a message of the same
// subject.
func alreadyThere(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Description == "maximum messages per subject exceeded"
}

// withdraw tells whoever has the trial to save its state and stop, and waits
// for it: as long as it takes within this process, for a while elsewhere.
func (q *Queue) withdraw(w *waiter) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*requestTime)
	defer cancel()
	local := q.stopLocal(w.key)
	l := q.current()
	if l == nil {
		return
	}
	var c claim
	for {
		var rev uint64
		var err error
		if c, rev, err = l.claim(ctx, w.key); err != nil || c.State == stateDone {
			return
		}
		if _, err = l.swap(ctx, w.key, claim{Attempt: w.attempt, State: stateWithdrawn, Lost: c.Lost, Why: c.Why}, rev); err == nil {
			break
		} else if !errors.Is(err, errSuperseded) {
			return
		}
	}
	if m, err := l.stream.GetLastMsgForSubject(ctx, l.names.trial(w.key)); err == nil {
		l.stream.DeleteMsg(ctx, m.Sequence)
	}
	if c.Worker == q.opt.Name {
		q.stopLocal(w.key) // where it was claimed only now
		return
	}
	if local || c.State != stateClaimed {
		return
	}
	l.nc.Publish(l.names.stop(w.key), nil)
	select {
	case <-w.stopped:
	case <-ctx.Done():
		q.opt.Note("worker %s has not said that it stopped trial %s", c.Worker, w.trial.ID)
	}
}

// stopLocal ends a training of this process and waits for it.
func (q *Queue) stopLocal(key string) bool {
	running := q.pool.lease(q.id + "/" + key)
	if running == nil {
		return false
	}
	running.cancel(errStopped)
	<-running.over
	return true
}

// errSpoilt: a result's files did not arrive.
var errSpoilt = errors.New("its files did not arrive")

// accept turns a result into the engine's answer, and puts its files where the
// search expects them.
func (q *Queue) accept(ctx context.Context, w *waiter, c claim) (*search.Outcome, error) {
	r := c.Result
	switch {
	case r == nil:
		return nil, fmt.Errorf("%w: worker %s gave no result", errSpoilt, c.Worker)
	case r.Kind == resultDiverged:
		return nil, fmt.Errorf("%w (%s)", search.ErrDiverged, r.Error)
	case r.Kind == resultAbandoned:
		q.count(&q.stats.Abandoned)
		return nil, fmt.Errorf("%w: %s", search.ErrAbandoned, r.Error)
	case r.Kind == resultError:
		if err, ok := q.pool.errors.LoadAndDelete(q.id + "/" + w.key); ok {
			return nil, err.(error)
		}
		return nil, errors.New(r.Error)
	case r.Kind != resultOutcome || r.Outcome == nil:
		return nil, fmt.Errorf("%w: worker %s gave a result of kind %q", errSpoilt, c.Worker, r.Kind)
	case !q.opt.Mixed && r.Outcome.Kernel != q.opt.Kernel:
		return nil, fmt.Errorf("queue: trial %s: worker %s computed with kernels %s, the search is with %s", w.trial.ID, c.Worker, r.Outcome.Kernel, q.opt.Kernel)
	}
	l := q.current()
	if r.Files != nil {
		q.stopLocal(w.key) // nobody else writes to the folder now
		if l == nil {
			return nil, fmt.Errorf("%w: the queue was replaced", errSpoilt)
		}
		if err := l.receive(ctx, r.Files, q.opt.Folder, w.trial.Dir); err != nil {
			return nil, fmt.Errorf("%w: %w", errSpoilt, err)
		}
		l.discard(ctx, r.Files, q.opt.Folder)
	}
	if o := r.Outcome; o.Model != "" {
		sum, err := atomicfile.SHA256(filepath.Join(w.trial.Dir, o.Model))
		if err == nil && sum != o.SHA256 {
			err = fmt.Errorf("%s is another file than worker %s names", o.Model, c.Worker)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errSpoilt, err)
		}
	}
	q.settled(w.key)
	return r.Outcome, nil
}

// listen hears of claims, progress and events until ctx ends.
func (q *Queue) listen(ctx context.Context, s *session) error {
	watch, err := s.claims.WatchAll(ctx, jetstream.UpdatesOnly())
	if err != nil {
		return err
	}
	q.tasks.Go(func() {
		defer watch.Stop()
		for {
			select {
			case e, ok := <-watch.Updates():
				if !ok {
					return
				}
				if e != nil {
					if c, rev, err := decodeClaim(e.Key(), e); err == nil {
						q.heard(e.Key(), c, rev)
					}
				}
			case <-ctx.Done():
				return
			}
		}
	})
	prefix := s.names.progress("")
	subs := map[string]nats.MsgHandler{
		s.names.progress("*"): func(m *nats.Msg) {
			var r report
			if json.Unmarshal(m.Data, &r) == nil {
				q.progress(m.Subject[len(prefix):], &r)
			}
		},
		s.names.event(): func(m *nats.Msg) {
			var e event
			if json.Unmarshal(m.Data, &e) == nil {
				q.told(&e)
			}
		},
		s.names.data(): func(m *nats.Msg) { m.Respond(q.shareData(ctx, s)) },
	}
	for subject, handle := range subs {
		if _, err := s.nc.Subscribe(subject, handle); err != nil {
			return err
		}
	}
	return nil
}

// heard passes a claim on to the trial that waits for it.
func (q *Queue) heard(key string, c claim, rev uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.waiting[key]
	if w == nil || c.Attempt != w.attempt {
		return
	}
	w.rev = max(w.rev, rev)
	if c.State == stateDone {
		select {
		case w.done <- c:
		default: // heard before
		}
	}
}

func (q *Queue) progress(key string, r *report) {
	q.mu.Lock()
	w := q.waiting[key]
	if w != nil && (r.Attempt != w.attempt || r.Rev < w.rev) {
		w = nil // of a worker whose claim is gone
	}
	q.mu.Unlock()
	if w != nil {
		w.progress(r.Progress)
	}
}

// told counts and passes on what workers tell.
func (q *Queue) told(e *event) {
	switch e.Kind {
	case eventRefused:
		q.count(&q.stats.Refused)
	case eventLost:
		q.count(&q.stats.Lost)
	case eventReturned:
		q.count(&q.stats.Returned)
	case eventStopped:
		q.mu.Lock()
		if w := q.waiting[token(e.Trial)]; w != nil {
			select {
			case <-w.stopped:
			default:
				close(w.stopped)
			}
		}
		q.mu.Unlock()
	case eventJoined:
		q.opt.Note("worker %s joins: kernels %s, %d at a time", e.Worker, e.Kernel, e.Slots)
	case eventLeft:
		q.opt.Note("worker %s leaves", e.Worker)
	case eventUnfit:
		q.opt.Note("worker %s cannot help: %s", e.Worker, e.Text)
	case eventTrouble:
		if e.Worker != q.opt.Name {
			q.opt.Note("worker %s: %s", e.Worker, e.Text)
		}
	}
}
