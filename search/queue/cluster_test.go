package queue

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestCluster trains on three servers with three replicas, while one of them, or
// with many -faults each in turn, is killed and comes back: nothing is lost, and
// every outcome is as it must be.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := startServers(t, 3)
	dir := t.TempDir()
	const steps = 10
	n := 12
	if *faults >= 100 {
		n = 80
	}
	f := &fake{steps: steps, delay: 20 * time.Millisecond}
	q, _ := open(t, dir, f, func(o *Options) { remote(c)(o); o.AckWait = 2 * time.Second })
	apart(dir)
	l := q.current()
	if info, err := l.stream.Info(t.Context()); err != nil || info.Config.Replicas != 3 {
		t.Fatalf("stream %+v: %v, want 3 replicas", info, err)
	}
	for _, name := range []string{"a", "b"} {
		w, _ := worker(t, c.url(), name, f)
		start(t, w)
	}
	results := observe(t, q)
	var failing sync.WaitGroup
	failing.Go(func() {
		nodes := []int{rand.IntN(3)}
		if *faults >= 100 {
			nodes = []int{0, 1, 2, 1, 0, 2}
		}
		for _, i := range nodes {
			time.Sleep(400 * time.Millisecond)
			c.kill(i)
			time.Sleep(400 * time.Millisecond)
			c.start(i)
			c.ready()
		}
	})
	all := trials(t, dir, n)
	var wg sync.WaitGroup
	for i := range 4 { // four at a time
		wg.Go(func() {
			if err := trainAll(t.Context(), q, all[i*n/4:(i+1)*n/4], steps); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	failing.Wait()
	once(t, q, results())
	t.Logf("%+v", q.Stats())
}
