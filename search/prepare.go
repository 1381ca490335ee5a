package search

import (
	"context"
	"fmt"
	"sync"

	"effnet/arch"
	"effnet/internal/words"
)

// Preparation is what a search does before its plan stands.
type Preparation struct {
	Doing       string // in words
	Done, Total int    // of what is counted; Total 0: nothing is
}

func (p Preparation) String() string {
	if p.Total == 0 {
		return p.Doing
	}
	return fmt.Sprintf("%s, %d of %d", p.Doing, p.Done, p.Total)
}

// preparing tells of a preparation, one thing at a time.
type preparing struct {
	mu   sync.Mutex
	tell func(Preparation) // nil: nobody
	now  Preparation
}

// begin says what is done next.
func (p *preparing) begin(doing string, total int) {
	p.say(func() { p.now = Preparation{Doing: doing, Total: total} })
}

// step counts one more done.
func (p *preparing) step() { p.say(func() { p.now.Done++ }) }

func (p *preparing) say(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	if p.tell != nil {
		p.tell(p.now)
	}
}

// meter is m, which says what it measures; nil for none.
func (p *preparing) meter(m *Meter) *Meter {
	if m == nil {
		return nil
	}
	told := *m
	told.Measure = func(ctx context.Context, what Measure, specs []arch.Spec) ([]float64, error) {
		before := p.now
		p.begin(fmt.Sprintf("measuring the %s of %s", what, words.Plural(len(specs), "network")), 0)
		defer p.begin(before.Doing, before.Total)
		return m.Measure(ctx, what, specs)
	}
	return &told
}
