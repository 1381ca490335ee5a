package dataset

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestMeasure(t *testing.T) {
	d := openTest(t, "synthetic:train=7,test=1,size=40")
	p := &Pipeline{Set: d.Train, Resolution: 60, Channels: 3, Augment: Augment{Flip: true, Erasing: 1}}
	began := time.Now()
	s, err := p.Measure(context.Background(), 20*time.Millisecond)
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	var all time.Duration
	for stage, spent := range s.Spent {
		if spent <= 0 {
			t.Errorf("%v took %v", Stage(stage), spent)
		}
		all += spent
	}
	if s.Images < 8 || all > took || all < took/4 || s.PerSecond() != float64(s.Images)/all.Seconds() {
		t.Errorf("%d images, %v in stages of %v, %v a second", s.Images, all, took, s.PerSecond())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Measure(ctx, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := (&Pipeline{Set: tinySet(nil, 1), Resolution: 8, Channels: 1}).Measure(context.Background(), 1); err == nil {
		t.Error("an empty set: no error")
	}
}
