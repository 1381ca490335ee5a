package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"effnet/arch"
)

// TrialsFolder is where, in a run folder, each trial has its own.
const TrialsFolder = "trials"

// runner is one process working on a search.
type runner struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	dir    string
	base   arch.Spec
	eng    *Engine
	opt    Options
	began  time.Time

	publishing sync.Mutex // before mu

	mu     sync.Mutex // everything below, the ledger included
	cond   *sync.Cond // a trial ended, a command came, or the search stops
	log    *ledger
	res    *Result
	status map[string]*running // being trained by this process
	pace   pace
	budget budget
}

// running is a trial that this process is training.
type running struct {
	Progress
	job     job
	since   time.Time
	started float64 // share that an earlier attempt had done; NaN before it is known
	cancel  context.CancelCauseFunc
}

// Why a trial's context ends while the search goes on.
var (
	errPaused  = errors.New("paused")
	errStopped = errors.New("stopped on request")
)

// Run does a search in the folder dir, or goes on with the one it holds, and
// returns its result. cfg must agree with the folder's. When ctx ends, running
// trials save their state and Run returns ctx's error; a later Run goes on.
//
// Without a budget, what the search finds depends on cfg, base and the engine
// alone, not on opt, interruptions or load. With one, the pace decides how
// much is done; what was decided is in the ledger, and a later Run follows it.
func Run(ctx context.Context, dir string, cfg Config, base arch.Spec, eng *Engine, opt Options) (*Result, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if opt.Workers < 1 || opt.Threads < 1 {
		panic("search: Run wants at least one worker and one thread")
	}
	if opt.now == nil {
		opt.now = time.Now
	}
	log, events, err := openLedger(dir)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	log.now = opt.now
	if len(events) == 0 {
		first := &record{Kind: kindSearch, Config: &cfg}
		if err := log.append(first); err != nil {
			return nil, err
		}
		events = append(events, first)
	}
	r := &runner{dir: dir, base: base, eng: eng, opt: opt, began: opt.now(), log: log, status: map[string]*running{}}
	r.cond = sync.NewCond(&r.mu)
	if r.res, err = replay(events); err != nil {
		return nil, fmt.Errorf("search: %s: %w", filepath.Join(dir, LedgerName), err)
	}
	if err := r.res.Config.differs(&cfg); err != nil {
		return nil, fmt.Errorf("search: %s: %w", dir, err)
	}
	if r.res.Done {
		return r.res, nil
	}
	ses := &Session{Workers: opt.Workers, Threads: opt.Threads, CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if err := r.record(&record{Kind: kindSession, Session: ses}); err != nil {
		return nil, err
	}
	if r.res.Plan == nil {
		plan, err := makePlan(ctx, &cfg, &base, eng, &opt, r.res.Worked)
		if err != nil {
			return nil, err
		}
		if err := r.record(&record{Kind: kindPlan, Plan: plan}); err != nil {
			return nil, err
		}
	}
	r.pace.learn(r.res)
	if opt.Planned != nil {
		opt.Planned(r.res.Plan, r.snapshot())
	}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.cancel(nil)
	if err := r.trials(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	if err := r.record(&record{Kind: kindDone}); err != nil {
		return nil, err
	}
	return r.res, nil
}

func (r *runner) note(format string, args ...any) {
	if r.opt.Note != nil {
		r.opt.Note(format, args...)
	}
}

// record writes an event to the ledger and applies it. mu is held, or nobody
// else is there yet.
func (r *runner) record(e *record) error {
	if err := r.log.append(e); err != nil {
		return err
	}
	return r.res.apply(e)
}

// trials runs what the ledger does not hold yet.
func (r *runner) trials() error {
	r.mu.Lock()
	err := r.commands()
	if err == nil {
		err = r.advance()
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(r.ctx, func() {
		r.mu.Lock()
		r.cond.Broadcast()
		r.mu.Unlock()
	})
	defer stop()
	var wg sync.WaitGroup
	for range r.opt.Workers {
		wg.Go(r.work)
	}
	ticked := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(ticked)
		r.tick(over)
	}()
	wg.Wait()
	close(over)
	<-ticked
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return nil
}

// advance records what follows from the trials that have ended. mu is held.
func (r *runner) advance() error {
	// Stopped trials whose end a kill kept out of the ledger.
	for _, c := range r.res.Controls {
		if c.Op == OpStop {
			if err := r.stopTrial(c.Trial); err != nil {
				return err
			}
		}
	}
	stands := r.res.standings()
	for k := len(r.res.Cuts); k < len(stands) && stands[k].settled; k++ {
		if err := r.record(&record{Kind: kindRung, Cut: &stands[k].cut}); err != nil {
			return err
		}
	}
	if r.res.Choice == nil && len(r.res.Cuts) == len(stands) {
		if err := r.refitReruns(); err != nil {
			return err
		}
		if r.res.explored() {
			c, err := r.res.choose(r.ctx, r.base, r.eng.Meter)
			if err != nil {
				return err
			}
			if err := r.record(&record{Kind: kindChoice, Choice: c}); err != nil {
				return err
			}
		}
	}
	r.cond.Broadcast()
	return nil
}

// next waits for a job; ok is false when there will be none.
func (r *runner) next() (s *running, trial *Trial, ctx context.Context, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.ctx.Err() == nil {
		if !r.res.Paused {
			j, err := r.pick()
			if err == nil && j != nil {
				s, trial, ctx, err = r.start(j)
			}
			if err != nil {
				r.cancel(err)
				break
			}
			if j != nil {
				return s, trial, ctx, true
			}
			if r.res.Choice != nil && len(r.status) == 0 {
				break
			}
		}
		r.cond.Wait()
	}
	r.cond.Broadcast()
	return nil, nil, nil, false
}

// pick is the next job that can start; nil while there is none. mu is held.
func (r *runner) pick() (*job, error) {
	for {
		for _, j := range r.res.needed(r.mayRerun(), r.open) {
			if r.status[j.id()] == nil {
				return &j, nil
			}
		}
		if more, err := r.openBlock(); err != nil || !more {
			return nil, err
		}
	}
}

// start takes a job up. mu is held.
func (r *runner) start(j *job) (*running, *Trial, context.Context, error) {
	spec, err := j.net.Spec(&r.base)
	if err != nil {
		return nil, nil, nil, err
	}
	attempt := r.res.trial(j.id()).Attempts + 1
	if err := r.record(&record{Kind: kindStart, Trial: j.id(), Attempt: attempt}); err != nil {
		return nil, nil, nil, err
	}
	r.res.trial(j.id()).tie(j)
	p := r.res.Plan
	t := &Trial{
		ID: j.id(), Phase: j.phase, Rung: j.rung, Attempt: attempt,
		Spec: spec, Seed: j.seed, SplitSeed: r.res.Config.SplitSeed,
		Epochs: j.epochs, TrainImages: p.TrainImages, Test: j.test(),
		Threads: r.opt.Threads, Dir: filepath.Join(r.dir, TrialsFolder, j.id()),
	}
	if j.phase == PhaseRung && j.rung == 0 && !r.res.isScout(j.net) {
		t.Floor, _ = r.res.floor()
	}
	s := &running{job: *j, since: r.opt.now(), started: math.NaN()}
	var ctx context.Context
	ctx, s.cancel = context.WithCancelCause(r.ctx)
	r.status[t.ID] = s
	return s, t, ctx, nil
}

func (r *runner) work() {
	for {
		s, t, ctx, ok := r.next()
		if !ok {
			return
		}
		r.publish()
		out, err := r.train(ctx, s, t)
		if err == nil || errors.Is(err, ErrDiverged) || errors.Is(err, ErrAbandoned) {
			err = r.finish(s, t, out, err)
		} else {
			err = r.aborted(ctx, s, t, err)
		}
		s.cancel(nil)
		if err != nil {
			r.cancel(err)
			return
		}
		r.publish()
	}
}

// train does a trial.
func (r *runner) train(ctx context.Context, s *running, t *Trial) (*Outcome, error) {
	if err := os.MkdirAll(t.Dir, 0o777); err != nil {
		return nil, err
	}
	out, err := r.eng.Train(ctx, t, func(p Progress) {
		r.mu.Lock()
		if math.IsNaN(s.started) {
			s.started = p.Done
		}
		s.Progress = p
		r.mu.Unlock()
	})
	if err == nil {
		r.mu.Lock()
		err = out.check(t, r.res.Plan)
		r.mu.Unlock()
	}
	return out, err
}

// finish records a trial's end; failed is why it has no outcome.
func (r *runner) finish(s *running, t *Trial, out *Outcome, failed error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	seconds := r.opt.now().Sub(s.since).Seconds()
	ev := &record{Kind: kindFinish, Trial: t.ID, Attempt: t.Attempt, Seconds: seconds, Outcome: out}
	if failed != nil {
		ev.Kind, ev.Outcome, ev.Error = kindFail, nil, failed.Error()
		r.note("trial %s failed and is left out: %v", t.ID, failed)
	}
	delete(r.status, t.ID)
	if err := r.record(ev); err != nil {
		return err
	}
	if failed == nil && !(s.started > 0) {
		r.pace.add(seconds, r.res.Plan.trained(&s.job, out))
	}
	if noise, settled := r.res.firstNoise(); t.Phase == PhaseNoise && settled && noise.DF > 0 {
		r.note("%s", noise)
	}
	if r.eng.Tidy != nil {
		if err := r.eng.Tidy(t.Dir); err != nil {
			return err
		}
	}
	return r.advance()
}

// aborted deals with a trial that ended neither well nor for good.
func (r *runner) aborted(ctx context.Context, s *running, t *Trial, err error) error {
	if r.ctx.Err() == nil {
		switch context.Cause(ctx) {
		case errStopped:
			return r.finish(s, t, nil, errStopped)
		case errPaused:
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.status, t.ID)
			return r.advance()
		}
		return fmt.Errorf("trial %s: %w", t.ID, err)
	}
	return err
}

// stopTrial ends a trial that was asked to stop. mu is held.
func (r *runner) stopTrial(id string) error {
	if s := r.status[id]; s != nil {
		s.cancel(errStopped)
		return nil
	}
	t := r.res.trial(id)
	if t.Ended() {
		return nil
	}
	err := r.record(&record{Kind: kindFail, Trial: id, Attempt: max(1, t.Attempts), Error: errStopped.Error()})
	for _, j := range r.res.jobs() {
		if j.id() == id {
			t.tie(&j)
		}
	}
	return err
}

// commands carries out those that wait. mu is held.
func (r *runner) commands() error {
	waiting, err := pendingCommands(r.dir)
	if err != nil {
		return err
	}
	for i := range waiting {
		c := &waiting[i]
		if c.err == nil && !r.res.carried(c.ID) {
			c.err = c.check(r.res)
			if c.err == nil {
				if err := r.carryOut(&c.Command); err != nil {
					return err
				}
			}
		}
		if c.err != nil {
			r.note("%s: %v", c.path, c.err)
		}
		if err := os.Remove(c.path); err != nil {
			return err
		}
	}
	return nil
}

// carryOut records a command and acts on it. mu is held.
func (r *runner) carryOut(c *Command) error {
	if err := r.record(&record{Kind: kindControl, Control: c}); err != nil {
		return err
	}
	switch c.Op {
	case OpPause:
		for _, s := range r.status {
			s.cancel(errPaused)
		}
	case OpStop:
		if err := r.stopTrial(c.Trial); err != nil {
			return err
		}
		return r.advance()
	}
	r.cond.Broadcast()
	return nil
}

// tick looks for commands and publishes the status until over is closed.
func (r *runner) tick(over <-chan struct{}) {
	d := r.opt.Tick
	if d == 0 {
		d = time.Second
	}
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.mu.Lock()
			err := r.commands()
			r.mu.Unlock()
			if err != nil {
				r.cancel(err)
			}
			r.publish()
		case <-over:
			return
		}
	}
}

// publish tells how the search stands, no earlier state after a later one.
func (r *runner) publish() {
	if r.opt.Status == nil {
		return
	}
	r.publishing.Lock()
	defer r.publishing.Unlock()
	r.opt.Status(r.snapshot())
}
