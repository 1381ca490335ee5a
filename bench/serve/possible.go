//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"effnet"
	"effnet/arch"
	"effnet/imageprep"
	"effnet/weights"
)

// possible is what the machine does of the two parts of a request, each with all
// cores: images a second of 'effnet bench', and of decoding and preparing. One
// after the other they take 1/Engine + 1/Decode a picture, which is what the
// server is measured against: HTTP and the client are its loss.
type possible struct {
	Engine float64 `json:"engine"`
	Decode float64 `json:"decode"`
	Both   float64 `json:"both"`
}

// decoders decode pictures as the server does.
type decoders struct {
	model    string
	spec     *arch.Spec
	pictures [][]byte
}

func newDecoders(model string, pictures [][]byte) (*decoders, error) {
	m, err := weights.OpenModel(model)
	if err != nil {
		return nil, err
	}
	return &decoders{model, &m.Spec, pictures}, nil
}

func (d *decoders) possible(ctx context.Context, o *options, r *report) error {
	var p possible
	for _, part := range []struct {
		rate *float64
		find func() (float64, error)
	}{
		{&p.Engine, func() (float64, error) { return engineRate(ctx, o, d.model) }},
		{&p.Decode, func() (float64, error) { return d.rate(o.Turn) }},
	} {
		rate, share, err := quietly(0, part.find)
		if err != nil {
			return err
		}
		*part.rate = rate
		r.Others = append(r.Others, share)
	}
	p.Both = 1 / (1/p.Engine + 1/p.Decode)
	r.Possible = append(r.Possible, p)
	return nil
}

// engineRate is the images a second of 'effnet bench' at the server's batch and
// threads.
func engineRate(ctx context.Context, o *options, model string) (float64, error) {
	out, err := exec.CommandContext(ctx, o.Effnet, "bench", model, "--batch", strconv.Itoa(o.Batch), "--threads", strconv.Itoa(o.Threads),
		"--seconds", fmt.Sprint(o.Turn.Seconds()), "--json").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return 0, fmt.Errorf("effnet bench: %w", err)
	}
	var r struct {
		ImagesPerS float64 `json:"images_per_s"`
	}
	return r.ImagesPerS, json.Unmarshal(out, &r)
}

// rate is how many pictures a second all cores decode and prepare.
func (d *decoders) rate(during time.Duration) (float64, error) {
	start := time.Now()
	var n atomic.Int64
	var wait sync.WaitGroup
	errs := make(chan error, runtime.GOMAXPROCS(0))
	for range cap(errs) {
		wait.Go(func() {
			prep, err := effnet.NewPreparer(d.spec)
			for err == nil && time.Since(start) < during {
				var im imageprep.Image
				im, err = imageprep.Decode(d.pictures[int(n.Add(1))%len(d.pictures)], imageprep.Limits{})
				if err == nil {
					prep.Apply(make([]float32, prep.Elems()), im)
				}
			}
			errs <- err
		})
	}
	wait.Wait()
	for range cap(errs) {
		if err := <-errs; err != nil {
			return 0, err
		}
	}
	return float64(n.Load()) / time.Since(start).Seconds(), nil
}
