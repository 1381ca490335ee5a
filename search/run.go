package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
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

	mu     sync.Mutex // everything below, the ledger included
	cond   *sync.Cond // a trial ended, the choice was made, or the search stops
	log    *ledger
	res    *Result
	queue  []job               // not yet taken up
	open   int                 // trials of the exploration without an end
	status map[string]*running // taken up by this process
	spent  float64             // seconds of the trials ended here, and their forecast
	hoped  float64
}

// running is a trial that this process has taken up.
type running struct {
	Progress
	since   time.Time
	started float64 // share that an earlier attempt had done
	ended   bool
}

// Run does a search in the folder dir, or goes on with the one it holds, and
// returns its result. cfg must agree with the folder's. When ctx ends, running
// trials save their state and Run returns ctx's error; a later Run goes on.
// What the search finds depends on cfg, base and the engine alone, not on
// opt, interruptions or load.
func Run(ctx context.Context, dir string, cfg Config, base arch.Spec, eng *Engine, opt Options) (*Result, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if opt.Workers < 1 || opt.Threads < 1 {
		panic("search: Run wants at least one worker and one thread")
	}
	log, events, err := openLedger(dir)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if len(events) == 0 {
		first := &record{Kind: kindSearch, Config: &cfg}
		if err := log.append(first); err != nil {
			return nil, err
		}
		events = append(events, first)
	}
	r := &runner{dir: dir, base: base, eng: eng, opt: opt, began: time.Now(), log: log, status: map[string]*running{}}
	r.cond = sync.NewCond(&r.mu)
	if r.res, err = replay(events); err != nil {
		return nil, fmt.Errorf("search: %s: %w", dir, err)
	}
	if err := r.res.Config.differs(&cfg); err != nil {
		return nil, fmt.Errorf("search: %s: %w", dir, err)
	}
	if r.res.Done {
		return r.res, nil
	}
	ses := &Session{Workers: opt.Workers, Threads: opt.Threads, CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if err := log.append(&record{Kind: kindSession, Session: ses}); err != nil {
		return nil, err
	}
	r.res.Sessions = append(r.res.Sessions, *ses)
	if r.res.Plan == nil {
		plan, err := makePlan(ctx, &cfg, &base, eng, &opt)
		if err != nil {
			return nil, err
		}
		if err := log.append(&record{Kind: kindPlan, Plan: plan}); err != nil {
			return nil, err
		}
		r.res.Plan = plan
	}
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
	if err := log.append(&record{Kind: kindDone}); err != nil {
		return nil, err
	}
	r.res.Done = true
	r.res.Finished = time.Now()
	return r.res, nil
}

// differs names the first field in which a resumed search is asked for
// something else.
func (c *Config) differs(now *Config) error {
	a, b := reflect.ValueOf(*c), reflect.ValueOf(*now)
	for i := range a.NumField() {
		was, is := a.Field(i).Interface(), b.Field(i).Interface()
		if reflect.DeepEqual(was, is) {
			continue
		}
		name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
		if s, ok := was.(string); ok && strings.Contains(s, "\n") {
			return fmt.Errorf("the search there has another %s; resume with the same, or search into another folder\n%s", name, firstDifference(s, is.(string)))
		}
		if was == "" {
			was = "unset"
		} else if is == "" {
			is = "unset"
		}
		return fmt.Errorf("the search there has %s %v, now it is %v; resume with the same, or search into another folder", name, was, is)
	}
	return nil
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(was, is string) string {
	a, b := strings.Split(was, "\n"), strings.Split(is, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d was %q, now it is %q", i+1, strings.TrimSpace(x), strings.TrimSpace(y))
		}
	}
	return ""
}

func (r *runner) note(format string, args ...any) {
	if r.opt.Note != nil {
		r.opt.Note(format, args...)
	}
}

// trials runs what the ledger does not hold yet.
func (r *runner) trials() error {
	explore, final := r.res.Plan.jobs()
	r.mu.Lock()
	for _, j := range explore {
		if t := r.res.Trials[j.id()]; t == nil || !t.Ended() {
			r.queue = append(r.queue, j)
			r.open++
		}
	}
	r.enqueue(final)
	if c := r.res.Choice; c != nil {
		r.enqueue(r.chosen(c))
	} else if err := r.choose(); err != nil {
		r.mu.Unlock()
		return err
	}
	r.mu.Unlock()
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

// enqueue adds the jobs that have not ended. mu is held.
func (r *runner) enqueue(jobs []job) {
	for _, j := range jobs {
		if t := r.res.Trials[j.id()]; t == nil || !t.Ended() {
			r.queue = append(r.queue, j)
		}
	}
}

// chosen is the trials of the chosen ratio's network where it is not one of
// the others.
func (r *runner) chosen(c *Choice) (jobs []job) {
	p := r.res.Plan
	for i := range c.Compounds {
		if n := c.Compounds[i].Network; n != nil {
			for _, seed := range p.Finals[i].Seeds {
				jobs = append(jobs, job{n, PhaseFinal, 0, p.Epochs, seed})
			}
		}
	}
	return jobs
}

// choose settles the ratio to validate once the exploration has ended. mu is
// held.
func (r *runner) choose() error {
	if r.open > 0 || r.res.Choice != nil {
		return nil
	}
	c, err := chooseRatio(r.ctx, r.res, r.base, r.eng.Meter)
	if err != nil {
		return err
	}
	if err := r.log.append(&record{Kind: kindChoice, Choice: c}); err != nil {
		return err
	}
	r.res.Choice = c
	r.enqueue(r.chosen(c))
	r.cond.Broadcast()
	return nil
}

// next waits for a job; ok is false when there will be none.
func (r *runner) next() (j job, attempt int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case r.ctx.Err() != nil:
			return job{}, 0, false
		case len(r.queue) > 0:
			j, r.queue = r.queue[0], r.queue[1:]
			t := r.res.trial(j.id())
			t.tie(&j)
			t.Attempts++
			err := r.log.append(&record{Kind: kindStart, Trial: j.id(), Attempt: t.Attempts})
			if err != nil {
				r.cancel(err)
				return job{}, 0, false
			}
			r.status[j.id()] = &running{since: time.Now(), started: math.NaN()}
			return j, t.Attempts, true
		case r.res.Choice != nil:
			return job{}, 0, false
		}
		r.cond.Wait()
	}
}

func (r *runner) work() {
	for {
		j, attempt, ok := r.next()
		if !ok {
			return
		}
		r.publish()
		out, seconds, err := r.train(&j, attempt)
		if err != nil && !errors.Is(err, ErrDiverged) && !errors.Is(err, ErrAbandoned) {
			if r.ctx.Err() == nil {
				err = fmt.Errorf("trial %s: %w", j.id(), err)
			}
			r.cancel(err)
			return
		}
		if err := r.finish(&j, attempt, out, seconds, err); err != nil {
			r.cancel(err)
			return
		}
		r.publish()
	}
}

// train does one job.
func (r *runner) train(j *job, attempt int) (*Outcome, float64, error) {
	spec, err := j.net.Spec(&r.base)
	if err != nil {
		return nil, 0, err
	}
	p := r.res.Plan
	t := &Trial{
		ID: j.id(), Phase: j.phase, Rung: j.rung, Attempt: attempt,
		Spec: spec, Seed: j.seed, SplitSeed: r.res.Config.SplitSeed,
		Epochs: j.epochs, TrainImages: p.TrainImages, Test: j.test(),
		Threads: r.opt.Threads, Dir: filepath.Join(r.dir, TrialsFolder, j.id()),
	}
	if err := os.MkdirAll(t.Dir, 0o777); err != nil {
		return nil, 0, err
	}
	began := time.Now()
	out, err := r.eng.Train(r.ctx, t, func(p Progress) {
		r.mu.Lock()
		s := r.status[t.ID]
		if math.IsNaN(s.started) {
			s.started = p.Done
		}
		s.Progress = p
		r.mu.Unlock()
	})
	if err == nil {
		err = out.check(t, p)
	}
	return out, time.Since(began).Seconds(), err
}

// finish records a trial's end; failed is why it has no outcome.
func (r *runner) finish(j *job, attempt int, out *Outcome, seconds float64, failed error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.res.Trials[j.id()]
	ev := &record{Kind: kindFinish, Trial: j.id(), Attempt: attempt, Seconds: seconds, Outcome: out}
	if failed != nil {
		ev.Kind, ev.Outcome, ev.Error = kindFail, nil, failed.Error()
		r.note("trial %s failed and is left out: %v", j.id(), failed)
	}
	if err := r.log.append(ev); err != nil {
		return err
	}
	t.Outcome, t.Error, t.Seconds = ev.Outcome, ev.Error, seconds
	s := r.status[j.id()]
	s.ended, s.Done = true, 1
	if failed == nil && !(s.started > 0) {
		r.spent += seconds
		r.hoped += r.res.Plan.seconds(j)
	}
	if j.phase == PhaseRung {
		r.open--
	}
	if r.eng.Tidy != nil {
		if err := r.eng.Tidy(filepath.Join(r.dir, TrialsFolder, j.id())); err != nil {
			return err
		}
	}
	return r.choose()
}

// tick publishes the status until over is closed.
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
			r.publish()
		case <-over:
			return
		}
	}
}

func (r *runner) publish() {
	if r.opt.Status == nil {
		return
	}
	r.opt.Status(r.snapshot())
}
