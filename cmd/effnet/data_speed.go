package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"effnet/dataset"
	"effnet/imageprep"
)

// speedReport is how fast images are prepared for training.
type speedReport struct {
	Resolution int                `json:"resolution"`
	PerSecond  float64            `json:"images_per_second_one_thread"`
	Threads    int                `json:"threads"`
	Together   float64            `json:"images_per_second"` // by all threads
	Stages     map[string]float64 `json:"stage_ms"`          // of an image, in one thread
	order      []string
}

const (
	speedTime  = time.Second
	speedBatch = 32
)

// measureSpeed prepares training images for a while, in one thread and in all.
func (d *dataCmd) measureSpeed(ctx context.Context, data *dataset.Data) (*speedReport, error) {
	r := &speedReport{Threads: runtime.GOMAXPROCS(0), Stages: make(map[string]float64)}
	var err error
	if r.Resolution, err = d.sheet.side(data.Train); err != nil {
		return nil, err
	}
	p := &dataset.Pipeline{
		Set: data.Train, Resolution: r.Resolution, Channels: data.Channels, Filter: imageprep.Bicubic,
		Augment: d.sheet.augment, Seed: d.sheet.seed,
	}
	one, err := p.Measure(ctx, speedTime)
	if err != nil {
		return nil, err
	}
	r.PerSecond = one.PerSecond()
	for s, spent := range one.Spent {
		name := dataset.Stage(s).String()
		r.order = append(r.order, name)
		r.Stages[name] = spent.Seconds() * 1000 / float64(one.Images)
	}
	images := 0
	began := time.Now()
	for epoch := 0; time.Since(began) < speedTime; epoch++ {
		n, err := d.loadEpoch(ctx, p, epoch, began.Add(speedTime))
		if err != nil {
			return nil, err
		}
		images += n
	}
	r.Together = float64(images) / time.Since(began).Seconds()
	return r, nil
}

// loadEpoch counts the images that a loader delivers in an epoch or until then.
func (d *dataCmd) loadEpoch(ctx context.Context, p *dataset.Pipeline, epoch int, until time.Time) (images int, err error) {
	l, err := p.Load(ctx, dataset.LoaderOptions{Batch: min(speedBatch, p.Set.Len()), Epoch: epoch, Shuffle: true, Workers: runtime.GOMAXPROCS(0)})
	if err != nil {
		return 0, err
	}
	defer l.Close()
	for range l.Len() {
		b, err := l.Next()
		if err != nil {
			return 0, err
		}
		images += b.N
		if time.Now().After(until) {
			break
		}
	}
	return images, nil
}

func (r *speedReport) text() string {
	var stages []string
	for _, name := range r.order {
		stages = append(stages, fmt.Sprintf("%s %.3f ms", name, r.Stages[name]))
	}
	return fmt.Sprintf("speed     %s images/s in one thread, %s in %d, at %dx%d pixels, nothing kept decoded\nstages    %s an image\n",
		thousands(int64(r.PerSecond)), thousands(int64(r.Together)), r.Threads, r.Resolution, r.Resolution, strings.Join(stages, ", "))
}
