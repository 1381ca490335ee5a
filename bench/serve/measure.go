//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"effnet/internal/load"
)

// result is what was measured of a server. Figures are of each round.
type result struct {
	Name   string   `json:"name"`
	Closed []figure `json:"closed"`    // by number of clients
	Half   figure   `json:"half_load"` // open loop, half of its own capacity
	Same   figure   `json:"same_rate"` // open loop, the same requests for every server
	PeakMB float64  `json:"peak_mb"`
	Apart  float64  `json:"apart"` // the largest difference of a probability from effnet's
	Wrong  int      `json:"other_class"`

	capacity float64 // images a second, of the round before those that count
}

// figure is what one load found, round by round.
type figure struct {
	Rate []float64 `json:"images_per_s"`
	P50  []float64 `json:"p50_ms"`
	P99  []float64 `json:"p99_ms"`
}

func (f *figure) add(r load.Result) {
	took := r.Took[200]
	f.Rate = append(f.Rate, r.Rate(200))
	f.P50, f.P99 = append(f.P50, 1e3*load.Median(took)), append(f.P99, 1e3*load.Quantile(took, 0.99))
}

// compare has every server classify every picture.
func (o *options) compare(servers []*server, pictures [][]byte) error {
	type prediction struct {
		Class       int
		Probability float64
	}
	ask := func(s *server, p []byte) ([]prediction, error) {
		status, body, err := s.post(p)
		if err != nil || status != 200 {
			s.stop()
			return nil, fmt.Errorf("%s: %d, %s, %w\n%s", s.name, status, body, err, s.errors.Bytes())
		}
		var answer struct {
			Results []struct{ Predictions []prediction }
		}
		if err := json.Unmarshal(body, &answer); err != nil || len(answer.Results) != 1 || len(answer.Results[0].Predictions) == 0 {
			return nil, fmt.Errorf("%s: %s, %w", s.name, body, err)
		}
		return answer.Results[0].Predictions, nil
	}
	for _, p := range pictures {
		want, err := ask(servers[0], p)
		if err != nil {
			return err
		}
		for _, s := range servers[1:] {
			got, err := ask(s, p)
			if err != nil {
				return err
			}
			if got[0].Class != want[0].Class {
				s.result.Wrong++
			} else {
				s.result.Apart = max(s.result.Apart, math.Abs(got[0].Probability-want[0].Probability))
			}
		}
	}
	for _, s := range servers[1:] {
		fmt.Fprintf(os.Stderr, "%s: the probability of a picture's class is at most %.1e from effnet's; of %d pictures another class\n", s.name, s.result.Apart, s.result.Wrong)
	}
	return nil
}

// measure lets the servers take turns.
func (o *options) measure(ctx context.Context, r *report, servers []*server, d *decoders, pictures [][]byte) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	post := func(s *server) load.Post {
		return func(due time.Time) (int, time.Duration) {
			status, _, err := s.post(pictures[int(next.Add(1))%len(pictures)])
			if err == nil && status != 200 {
				err = fmt.Errorf("status %d", status)
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", s.name, err)
				failed.CompareAndSwap(nil, &err)
			}
			return status, time.Since(due)
		}
	}
	closed := func(s *server, clients int, during time.Duration) func() load.Result {
		return func() load.Result { return load.Closed(clients, during, post(s)) }
	}
	open := func(s *server, rate float64, round int) func() load.Result {
		return func() load.Result { return load.Open(rate, 2*o.Turn, uint64(round+1), post(s)) }
	}
	turn := func(s *server, do func() load.Result) (load.Result, error) {
		result, share, err := quietly(s.cmd.Process.Pid, func() (load.Result, error) {
			before, sent := cpuTime(syscall.RUSAGE_SELF), next.Load()
			result := do()
			r.ClientMS = append(r.ClientMS, 1e3*(cpuTime(syscall.RUSAGE_SELF)-before)/float64(next.Load()-sent))
			if err := failed.Load(); err != nil {
				return result, *err
			}
			return result, ctx.Err()
		})
		r.Others = append(r.Others, share)
		return result, err
	}
	// Caches, pools and connections warm up while the capacities are found.
	for _, s := range servers {
		s.result.Closed = make([]figure, len(o.Clients))
		r.Servers = append(r.Servers, &s.result)
		closed(s, slices.Max(o.Clients), time.Second)()
		for _, clients := range o.Clients {
			got, err := turn(s, closed(s, clients, o.Turn))
			if err != nil {
				return err
			}
			s.result.capacity = max(s.result.capacity, got.Rate(200))
		}
	}
	r.Others, r.ClientMS = nil, nil
	r.Rate = math.Inf(1)
	for _, s := range servers {
		r.Rate = min(r.Rate, s.result.capacity/2)
	}
	for round := range o.Rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, o.Rounds)
		if err := d.possible(ctx, o, r); err != nil {
			return err
		}
		order := slices.Concat(servers[round%len(servers):], servers[:round%len(servers)])
		for i, clients := range o.Clients {
			for _, s := range order {
				got, err := turn(s, closed(s, clients, o.Turn))
				if err != nil {
					return err
				}
				s.result.Closed[i].add(got)
			}
		}
		for _, s := range order {
			half, err := turn(s, open(s, s.result.capacity/2, round))
			if err != nil {
				return err
			}
			s.result.Half.add(half)
			same, err := turn(s, open(s, r.Rate, round))
			if err != nil {
				return err
			}
			s.result.Same.add(same)
		}
		for _, s := range servers {
			s.result.PeakMB = s.peakMemory()
		}
		// A run that does not get to its end has said what it knows.
		if r.Rounds = round + 1; r.Rounds < o.Rounds {
			if err := r.print(os.Stderr); err != nil {
				return err
			}
		}
	}
	return nil
}
