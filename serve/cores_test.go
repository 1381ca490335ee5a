package serve

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Who waits for cores gets them by age, and one who waits for all is not passed
// by those who want one.
func TestCoresByAge(t *testing.T) {
	c := newCores(2)
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

// A holder goes on unless an older one waits.
func TestCoresTurn(t *testing.T) {
	c := newCores(1)
	now := time.Now()
	if err := c.take(t.Context(), 1, now); err != nil {
		t.Fatal(err)
	}
	if err := c.turn(t.Context(), now); err != nil || c.free != 0 {
		t.Errorf("%v, %d free", err, c.free)
	}
	old := make(chan struct{})
	go func() {
		if err := c.take(t.Context(), 1, now.Add(-time.Second)); err != nil {
			t.Error(err)
		}
		close(old)
	}()
	for {
		c.mu.Lock()
		n := len(c.waiting)
		c.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.turn(ctx, now); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	<-old
	c.give(1)
	if c.free != 1 || len(c.waiting) != 0 {
		t.Errorf("%d of 1 cores are free, %d wait", c.free, len(c.waiting))
	}
}

// Whatever comes and goes, no core is lost or given twice.
func TestCoresKept(t *testing.T) {
	c := newCores(3)
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
