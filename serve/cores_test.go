package serve

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testCores is closed when the test ends.
func testCores(t *testing.T, n int) *cores {
	c := newCores(n)
	t.Cleanup(c.close)
	return c
}

// Who waits for cores gets them by age, and one who waits for all is not passed
// by those who want one.
func TestCoresByAge(t *testing.T) {
	c := testCores(t, 2)
	if err := c.take(t.Context(), 5, time.Time{}); err != nil { // all
		t.Fatal(err)
	}
	if c.more(1) {
		t.Error("more than all were given")
	}
	now := time.Now()
	var mu sync.Mutex
	var order []int
	var wait sync.WaitGroup
	for i, w := range []struct{ age, n int }{{3, 1}, {1, 1}, {2, 2}, {4, 1}} {
		wait.Go(func() {
			if err := c.take(t.Context(), w.n, now.Add(time.Duration(w.age)*time.Second)); err != nil {
				t.Error(err)
			}
			mu.Lock()
			order = append(order, w.age)
			mu.Unlock()
			c.give(w.n)
		})
		for {
			c.mu.Lock()
			n := len(c.waiting)
			c.mu.Unlock()
			if n == i+1 {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	if c.more(1) {
		t.Error("cores that others wait for were given")
	}
	c.give(1)
	c.give(1)
	wait.Wait()
	// 3 and 4 may go at once.
	if len(order) != 4 || order[0] != 1 || order[1] != 2 {
		t.Errorf("cores were given in the order %v", order)
	}
	if c.free != 2 || len(c.waiting) != 0 {
		t.Errorf("%d of 2 cores are free, %d wait", c.free, len(c.waiting))
	}
}

// Work is done in the order of age, also what work brings at its end.
func TestCoresWork(t *testing.T) {
	c := newCores(1)
	now := time.Now()
	at := func(age int) time.Time { return now.Add(time.Duration(age) * time.Second) }
	var order []int
	piece := func(age int) func() { return func() { order = append(order, age) } }
	goOn := make(chan struct{})
	c.queue(at(0), false, func() {
		<-goOn
		c.queue(at(2), true, piece(2))
	})
	c.queue(at(3), false, piece(3))
	c.queue(at(1), false, piece(1))
	gone := c.queue(at(0), false, piece(0))
	if !c.withdraw(gone) || c.withdraw(gone) {
		t.Error("what waits was not withdrawn, or twice")
	}
	close(goOn)
	c.close()
	if !slices.Equal(order, []int{1, 2, 3}) {
		t.Errorf("work was done in the order %v", order)
	}
	if c.free != 1 || len(c.waiting) != 0 {
		t.Errorf("%d of 1 cores are free, %d wait", c.free, len(c.waiting))
	}
}

// What work brings at its end goes on with its core, which is then the only one.
func TestCoresSoon(t *testing.T) {
	c := newCores(3)
	more := false
	c.queue(time.Time{}, false, func() {
		c.queue(time.Time{}, true, func() { more = c.more(2) })
	})
	c.close()
	if !more {
		t.Error("two of three cores are not free for the second half of a lone piece of work")
	}
	if c.free != 1 || len(c.waiting) != 0 {
		t.Errorf("%d cores are free, %d wait, want 1 and 0", c.free, len(c.waiting))
	}
}

// Whatever comes and goes, no core is lost or given twice.
func TestCoresKept(t *testing.T) {
	c := testCores(t, 3)
	var held atomic.Int64
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*50*time.Microsecond)
			defer cancel()
			n := 1 + i%4
			if c.take(ctx, n, time.Now().Add(time.Duration(i%7)*time.Millisecond)) != nil {
				return
			}
			n = min(n, 3)
			if got := held.Add(int64(n)); got > 3 {
				t.Errorf("%d of 3 cores are held", got)
			}
			time.Sleep(100 * time.Microsecond)
			held.Add(int64(-n))
			c.give(n)
		})
	}
	wait.Wait()
	if c.free != 3 || len(c.waiting) != 0 {
		t.Errorf("%d of 3 cores are free, %d wait", c.free, len(c.waiting))
	}
}

// Arrays that come while all cores are held are shared among these, in batches.
func TestBatchOfMany(t *testing.T) {
	s, url := newServer(t, Config{Cores: 2})
	free := hold(t, s)
	defer free()
	const binaryHead = `{"inputs": [{"name": "input", "shape": [1,3,24,24], "datatype": "FP32", "parameters": {"binary_data_size": 6912}}]}`
	x, _, _ := tensor(t, 1)
	body := append([]byte(binaryHead), appendFloats(nil, x)...)
	var wait sync.WaitGroup
	const n = 5
	for range n {
		wait.Go(func() {
			resp, data := send(t, "POST", url+"/v2/models/small/infer", "application/octet-stream", body, headerLength, strconv.Itoa(len(binaryHead)))
			if resp.StatusCode != 200 {
				t.Errorf("%s: %s", resp.Status, data)
			}
		})
	}
	b := s.slots[0].now.batcher
	for ready := 0; ready < n; time.Sleep(time.Millisecond) {
		b.mu.Lock()
		ready = len(b.ready)
		b.mu.Unlock()
	}
	free()
	wait.Wait()
	_, data := send(t, "GET", url+"/metrics", "", nil)
	if execs := metric(t, data, "nv_inference_exec_count"); execs > 3 || metric(t, data, "nv_inference_count") != n {
		t.Errorf("%v pictures in %v batches", metric(t, data, "nv_inference_count"), execs)
	}
}
