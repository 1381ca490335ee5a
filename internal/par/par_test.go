package par

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestDoRunsEveryItemOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 7} {
		p := New(threads)
		busy := make([]atomic.Bool, threads)
		for round := range 300 {
			n := round % 23
			counts := make([]atomic.Int32, n)
			p.Do(n, func(w, i int) {
				if busy[w].Swap(true) {
					t.Errorf("worker %d runs two items at once", w)
				}
				counts[i].Add(1)
				busy[w].Store(false)
			})
			for i := range counts {
				if c := counts[i].Load(); c != 1 {
					t.Fatalf("%d threads, %d items: item %d ran %d times", threads, n, i, c)
				}
			}
			if round%100 == 0 {
				time.Sleep(2 * spinTime) // let the workers fall asleep
			}
		}
		p.Close()
	}
}

// TestSharesStay holds that who is not busy runs the items of its own share.
func TestSharesStay(t *testing.T) {
	const threads = 4
	p := New(threads)
	defer p.Close()
	for range 200 {
		var busy atomic.Int32
		p.Do(threads, func(w, i int) {
			if w != i {
				t.Errorf("worker %d runs item %d", w, i)
			}
			for busy.Add(1); busy.Load() < threads; {
				runtime.Gosched()
			}
		})
	}
}

func TestDoOfVeryMany(t *testing.T) {
	p := New(2)
	defer p.Close()
	const n = mostItems + 5
	var count, sum [2]int
	p.Do(n, func(w, i int) {
		count[w]++
		sum[w] += i
	})
	if c, s := count[0]+count[1], sum[0]+sum[1]; c != n || s != n*(n-1)/2 {
		t.Errorf("%d of %d items ran, their sum is %d", c, n, s)
	}
}

func TestSlowItemsAreWaitedFor(t *testing.T) {
	p := New(2)
	defer p.Close()
	var done atomic.Int32
	p.Do(2, func(_, i int) {
		if i == 1 {
			time.Sleep(10 * spinTime)
		}
		done.Add(1)
	})
	if done.Load() != 2 {
		t.Errorf("Do returned after %d of 2 items", done.Load())
	}
}

func TestCloseEndsWorkers(t *testing.T) {
	before := goleak.IgnoreCurrent()
	p := New(4)
	p.Do(8, func(_, _ int) {})
	p.Close()
	goleak.VerifyNone(t, before)
	ran := 0
	p.Do(3, func(_, _ int) { ran++ })
	if ran != 3 {
		t.Errorf("a closed pool ran %d of 3 items", ran)
	}
}

func TestDoDoesNotAllocate(t *testing.T) {
	p := New(2)
	defer p.Close()
	var sum atomic.Int64
	fn := func(_, i int) { sum.Add(int64(i)) }
	if n := testing.AllocsPerRun(100, func() { p.Do(16, fn) }); n > 0 {
		t.Errorf("%v allocations per Do", n)
	}
}

func BenchmarkDo(b *testing.B) {
	p := New(2)
	defer p.Close()
	fn := func(_, _ int) {}
	for b.Loop() {
		p.Do(8, fn)
	}
}
