//go:build unix

package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"effnet/search"
)

// workerEnv makes the test's binary a worker process.
const workerEnv = "EFFNET_TEST_WORKER"

// process is what a worker process is told.
type process struct {
	URL, Name, Folder string
	Steps             int
	Delay             time.Duration
	Stubborn          bool
}

func TestMain(m *testing.M) {
	if text := os.Getenv(workerEnv); text != "" {
		os.Exit(workerMain(text))
	}
	os.Exit(m.Run())
}

func workerMain(text string) int {
	var p process
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	f := &fake{steps: p.Steps, delay: p.Delay, stubborn: p.Stubborn}
	note := func(format string, args ...any) { fmt.Fprintf(os.Stderr, p.Name+": "+format+"\n", args...) }
	w := f.worker(p.URL, p.Name, p.Folder, note)
	if err := w.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, p.Name, err)
		return 1
	}
	return 0
}

// launch starts a worker process.
func launch(t testing.TB, p process) *exec.Cmd {
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), workerEnv+"="+string(text), "GOMAXPROCS=1")
	if testing.Verbose() {
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// observe notes the results in the claims bucket, beside the coordinator. A watch
// may show one revision twice, after its server is gone; so a key's results are
// told apart by revision. results lists the texts of each key's.
func observe(t testing.TB, q *Queue) (results func() map[string][]string) {
	l := q.current()
	w, err := l.claims.WatchAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	done := map[string]map[uint64]string{}
	go func() {
		for e := range w.Updates() {
			if e == nil {
				continue
			}
			if c, rev, err := decodeClaim(e.Key(), e); err == nil && c.State == stateDone {
				mu.Lock()
				if done[e.Key()] == nil {
					done[e.Key()] = map[uint64]string{}
				}
				done[e.Key()][rev] = string(e.Value())
				mu.Unlock()
			}
		}
	}()
	return func() map[string][]string {
		mu.Lock()
		defer mu.Unlock()
		out := map[string][]string{}
		for k, all := range done {
			for _, rev := range slices.Sorted(maps.Keys(all)) {
				out[k] = append(out[k], fmt.Sprintf("revision %d: %s", rev, all[rev]))
			}
		}
		return out
	}
}

// once holds every trial to one result, but for those that the queue says it had
// trained again.
func once(t testing.TB, q *Queue, results map[string][]string) {
	t.Helper()
	more := 0
	var text strings.Builder
	for key, all := range results {
		if more += len(all) - 1; len(all) > 1 {
			fmt.Fprintf(&text, "\n%s:\n%s", key, strings.Join(all, "\n"))
		}
	}
	if again := q.Stats().Retrained; more != again {
		t.Errorf("%d results too many in the bucket, of %d trials that were trained again:%s", more, again, &text)
	}
}

// TestFaults kills and pauses worker processes at random instants, paused ones
// for longer than the ack wait, while trials go through the queue. Every trial
// must be recorded exactly once, with the outcome and the model it has without
// faults; results of workers that were given up must be refused.
func TestFaults(t *testing.T) {
	t.Parallel()
	const (
		workers = 4
		steps   = 8
		ackWait = 250 * time.Millisecond
	)
	c := startServers(t, 1)
	dir := t.TempDir()
	q, _ := open(t, dir, &fake{}, func(o *Options) { remote(c)(o); o.AckWait, o.Tries = ackWait, 1_000_000 })
	apart(dir)
	results := observe(t, q)

	var made, kills, pauses atomic.Int64
	over := make(chan struct{}) // enough faults
	var ends sync.Once
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var troubled sync.WaitGroup
	for i := range workers {
		p := process{URL: c.url(), Name: fmt.Sprint("w", i), Folder: filepath.Join(t.TempDir(), "w"), Steps: steps, Delay: 15 * time.Millisecond, Stubborn: i%2 == 0}
		cmd := launch(t, p)
		rnd := rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))
		troubled.Go(func() {
			defer func() {
				cmd.Process.Kill()
				cmd.Wait()
			}()
			for sleep(ctx, 200*time.Millisecond+time.Duration(rnd.Int64N(int64(600*time.Millisecond)))) == nil {
				select {
				case <-over:
					continue // the rest of the trials needs workers
				default:
				}
				if rnd.IntN(2) == 0 {
					kills.Add(1)
					cmd.Process.Kill()
					cmd.Wait()
					p.Name = fmt.Sprintf("w%d.%d", i, made.Load())
					cmd = launch(t, p)
				} else {
					pauses.Add(1)
					cmd.Process.Signal(syscall.SIGSTOP)
					time.Sleep(ackWait + time.Duration(rnd.Int64N(int64(2*ackWait))))
					cmd.Process.Signal(syscall.SIGCONT)
				}
				if made.Add(1) >= int64(*faults) {
					ends.Do(func() { close(over) })
				}
			}
		})
	}
	// As a search does it: some trials at a time, until the faults are over.
	var mu sync.Mutex
	ledger := map[string]int{}
	var began int
	next := func() *search.Trial {
		mu.Lock()
		defer mu.Unlock()
		select {
		case <-over:
			return nil
		default:
		}
		tr := *trials(t, dir, 1)[0]
		tr.ID, tr.Seed = fmt.Sprintf("n-e2-s%d", began), uint64(began)
		tr.Dir = filepath.Join(dir, "trials", tr.ID)
		if err := os.MkdirAll(tr.Dir, 0o777); err != nil {
			t.Error(err)
		}
		began++
		return &tr
	}
	var running sync.WaitGroup
	for range workers + 2 {
		running.Go(func() {
			for tr := next(); tr != nil; tr = next() {
				out, err := q.Engine().Train(t.Context(), tr, func(search.Progress) {})
				if err == nil {
					err = checkOutcome(tr, out, steps)
				}
				if err != nil {
					t.Errorf("trial %s: %v", tr.ID, err)
					continue
				}
				mu.Lock()
				ledger[token(tr.ID)]++
				mu.Unlock()
			}
		})
	}
	running.Wait()
	time.Sleep(2 * ackWait) // for what zombies still say
	cancel()
	troubled.Wait()
	once(t, q, results())
	if len(ledger) != began || len(results()) != began {
		t.Errorf("%d trials recorded and %d results, want %d", len(ledger), len(results()), began)
	}
	s := q.Stats()
	t.Logf("%d kills, %d pauses, %d trials: each recorded once; %+v", kills.Load(), pauses.Load(), began, s)
	if *faults >= 100 && s.Refused == 0 {
		t.Error("no zombie's result was refused: nothing is shown")
	}
}

// TestZombie pauses one worker past its ack wait, so that another does its
// trial: what the first then hands in is refused.
func TestZombie(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	dir := t.TempDir()
	const steps = 20
	q, _ := open(t, dir, &fake{}, func(o *Options) { remote(c)(o); o.AckWait = 300 * time.Millisecond })
	apart(dir)
	results := observe(t, q)
	cmd := launch(t, process{URL: c.url(), Name: "zombie", Folder: filepath.Join(t.TempDir(), "w"), Steps: steps, Delay: 30 * time.Millisecond, Stubborn: true})
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	tr := trials(t, dir, 1)[0]
	var paused sync.Once
	out, err := q.Engine().Train(t.Context(), tr, func(search.Progress) {
		paused.Do(func() {
			cmd.Process.Signal(syscall.SIGSTOP)
			w, _ := worker(t, c.url(), "second", &fake{steps: steps})
			start(t, w)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := checkOutcome(tr, out, steps); err != nil || out.Worker != "second" {
		t.Fatalf("worker %s: %v", out.Worker, err)
	}
	cmd.Process.Signal(syscall.SIGCONT)
	for end := time.Now().Add(time.Minute); q.Stats().Refused == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the late result was not refused")
		}
	}
	if got := results(); len(got) != 1 {
		t.Errorf("results of %d trials", len(got))
	}
	once(t, q, results())
}

// TestKiller: a trial that kills every worker is given up with its reason.
func TestKiller(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	dir := t.TempDir()
	q, _ := open(t, dir, &fake{}, func(o *Options) { remote(c)(o); o.AckWait = 200 * time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			cmd := launch(t, process{URL: c.url(), Name: fmt.Sprint("victim", i), Folder: filepath.Join(t.TempDir(), "w"), Steps: 100, Delay: 20 * time.Millisecond})
			l := q.current()
			for sleep(ctx, 10*time.Millisecond) == nil { // until it has the trial
				if have, _, err := l.claim(ctx, token(trials(t, dir, 1)[0].ID)); err == nil && have.State == stateClaimed && have.Worker == fmt.Sprint("victim", i) {
					break
				}
			}
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	_, err := q.Engine().Train(t.Context(), trials(t, dir, 1)[0], func(search.Progress) {})
	cancel()
	wg.Wait()
	if !errors.Is(err, search.ErrAbandoned) || err.Error() != "trial abandoned: it took down 3 workers, the last: worker victim2 fell silent" {
		t.Errorf("error %v", err)
	}
}
