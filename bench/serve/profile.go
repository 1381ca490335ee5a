//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"effnet/internal/load"
)

// profile writes where effnet spends its processor under the most clients.
func (o *options) profile(ctx context.Context, dir string, pictures [][]byte) error {
	s, err := o.startEffnet(ctx, dir, "--pprof")
	if err != nil {
		return err
	}
	defer s.stop()
	var next atomic.Int64
	post := func(due time.Time) (int, time.Duration) {
		status, _, _ := s.post(pictures[int(next.Add(1))%len(pictures)])
		return status, time.Since(due)
	}
	clients := o.Clients[len(o.Clients)-1]
	load.Closed(clients, time.Second, post)
	answer := make(chan error, 1)
	go func() {
		resp, err := http.Get(strings.TrimSuffix(s.url, "/v1/classify") + "/debug/pprof/profile?seconds=5")
		if err != nil {
			answer <- err
			return
		}
		defer resp.Body.Close()
		f, err := os.Create(o.Pprof)
		if err == nil {
			_, err = io.Copy(f, resp.Body)
		}
		if err == nil {
			err = f.Close()
		}
		answer <- err
	}()
	r := load.Closed(clients, 6*time.Second, post)
	fmt.Printf("%d clients: %.1f images/s, p50 %.1f ms; go tool pprof %s\n", clients, r.Rate(200), 1e3*load.Median(r.Took[200]), o.Pprof)
	return <-answer
}
