// Package load sends a server requests and says how it bore them.
package load

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Post sends a request that was due at a time, waits for its answer and gives its
// status and the time that it took: since it was due, so that a client that is
// late does not make the server look quicker, or since it was sent, where the
// client is not to count.
type Post func(due time.Time) (status int, took time.Duration)

// Result is what became of the requests of a run.
type Result struct {
	Took    map[int][]float64 // seconds that requests took, by status
	Seconds float64           // from the first request to the last answer
}

// Rate is how many requests a second were answered with the status.
func (r *Result) Rate(status int) float64 { return float64(len(r.Took[status])) / r.Seconds }

// recorder collects the times of requests that run side by side.
type recorder struct {
	mu    sync.Mutex
	took  map[int][]float64
	start time.Time
}

func newRecorder() *recorder { return &recorder{took: map[int][]float64{}, start: time.Now()} }

func (r *recorder) do(post Post, due time.Time) {
	status, took := post(due)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took[status] = append(r.took[status], took.Seconds())
}

func (r *recorder) result() Result { return Result{r.took, time.Since(r.start).Seconds()} }

// Closed has so many clients, each of which sends its next request when the one
// before is answered.
func Closed(clients int, during time.Duration, post Post) Result {
	r := newRecorder()
	end := r.start.Add(during)
	var wait sync.WaitGroup
	for range clients {
		wait.Go(func() {
			for now := time.Now(); now.Before(end); now = time.Now() {
				r.do(post, now)
			}
		})
	}
	wait.Wait()
	return r.result()
}

// Open sends requests as a Poisson process of a rate a second, whatever becomes
// of them.
func Open(rate float64, during time.Duration, seed uint64, post Post) Result {
	random := rand.New(rand.NewPCG(1, seed))
	r := newRecorder()
	var wait sync.WaitGroup
	for at := time.Duration(0); at < during; at += time.Duration(random.ExpFloat64() / rate * float64(time.Second)) {
		due := r.start.Add(at)
		time.Sleep(time.Until(due))
		wait.Go(func() { r.do(post, due) })
	}
	wait.Wait()
	return r.result()
}

// Quantile is the value that a share q of x does not exceed, 0 without values.
func Quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Sorted(slices.Values(x))
	return x[int(q*float64(len(x)-1))]
}

// Median is the value in the middle.
func Median(x []float64) float64 { return Quantile(x, 0.5) }
