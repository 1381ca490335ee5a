package load

import (
	"math"
	"sync/atomic"
	"testing"
	"time"
)

// Clients of a closed loop wait for their answers: never are more under way, and
// each keeps one there.
func TestClosed(t *testing.T) {
	var now, most, n atomic.Int64
	r := Closed(3, 50*time.Millisecond, func(due time.Time) (int, time.Duration) {
		k := now.Add(1)
		for old := most.Load(); k > old && !most.CompareAndSwap(old, k); old = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
		n.Add(1)
		return 200, time.Since(due)
	})
	if most.Load() > 3 || n.Load() < 3 || len(r.Took) != 1 || len(r.Took[200]) != int(n.Load()) {
		t.Errorf("%d at once, %d requests, %v", most.Load(), n.Load(), r.Took)
	}
	if r.Seconds < 0.05 || math.Abs(r.Rate(200)*r.Seconds-float64(n.Load())) > 1e-6 {
		t.Errorf("%v s, %v/s of %d requests", r.Seconds, r.Rate(200), n.Load())
	}
	if least := Quantile(r.Took[200], 0); least < 0.005 {
		t.Errorf("a request of 5 ms took %v s", least)
	}
}

// An open loop sends as many as its rate and seed say, all of them although none
// is answered before the end, and sorts them by status.
func TestOpen(t *testing.T) {
	const rate, during = 2000, 200 * time.Millisecond
	count := func(seed uint64) int {
		var n atomic.Int64
		end := time.Now().Add(during)
		r := Open(rate, during, seed, func(due time.Time) (int, time.Duration) {
			time.Sleep(time.Until(end))
			return 200 + int(n.Add(1)%2), time.Since(due)
		})
		if got := len(r.Took[200]) + len(r.Took[201]); got != int(n.Load()) || len(r.Took) != 2 {
			t.Errorf("%d answers of %d requests, statuses %v", got, n.Load(), len(r.Took))
		}
		if r.Seconds < during.Seconds() {
			t.Errorf("ended after %v s", r.Seconds)
		}
		return int(n.Load())
	}
	a, again, b := count(1), count(1), count(2)
	if a != again || a == b {
		t.Errorf("%d and %d requests of one seed, %d of another", a, again, b)
	}
	// 400 are expected, with a standard deviation of 20.
	if a < 300 || a > 500 {
		t.Errorf("%d requests", a)
	}
}

func TestQuantile(t *testing.T) {
	x := []float64{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 4, 1: 5} {
		if got := Quantile(x, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if x[0] != 5 || Median(nil) != 0 {
		t.Error("the values were sorted in place, or there is a median of none")
	}
}
