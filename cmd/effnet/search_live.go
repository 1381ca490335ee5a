package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"effnet/arch"
	"effnet/internal/words"
	"effnet/search"
)

// searchLive shows how a search gets on: a table redrawn in place on a
// terminal, a line for every trial elsewhere.
type searchLive struct {
	*screen
	cfg              *search.Config
	base             *arch.Spec
	workers, threads int

	mu   sync.Mutex
	said map[string]bool // trials and preparations that there was a line for
	last time.Time       // of the last plain line
}

func newSearchLive(w io.Writer, cfg *search.Config, base *arch.Spec) *searchLive {
	return &searchLive{screen: newScreen(w), cfg: cfg, base: base, said: map[string]bool{}, last: time.Now()}
}

// preparing tells what is done before there is a plan.
func (l *searchLive) preparing(p search.Preparation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.term != nil {
		width, _ := l.size()
		l.draw([]string{clip("planning  "+p.String(), width-1)})
		return
	}
	if !l.said[p.Doing] {
		l.said[p.Doing] = true
		fmt.Fprintf(l.w, "planning  %s\n", p.Doing)
	}
}

// planned prints the forecast.
func (l *searchLive) planned(p *search.Plan, st *search.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	fmt.Fprintf(l.w, "base      %s: %s MACs, %s params, %d px\n", l.base.Name, short(p.BaseNet.MACs), short(p.BaseNet.Params), p.BaseNet.Resolution)
	fmt.Fprintf(l.w, "data      %s: %s training, %s validation, %s test images\n", l.cfg.Data, thousands(int64(p.TrainImages)), thousands(int64(p.Validation)), thousands(int64(p.Test)))
	fmt.Fprintf(l.w, "explore   %s\n", p.Explored(l.cfg))
	if p.Note != "" {
		fmt.Fprintf(l.w, "note      %s\n", p.Note)
	}
	for _, v := range p.Finals {
		if len(v.Seeds) == 0 {
			fmt.Fprintf(l.w, "validate  not at %gx the base's cost: the budget has no room for it\n", v.Factor)
			continue
		}
		var names []string
		for i := range v.Networks {
			names = append(names, v.Networks[i].ID)
		}
		fmt.Fprintf(l.w, "validate  %s and the chosen ratio, at a realised cost near %.2fx\n", strings.Join(names, ", "), v.Target)
	}
	l.forecast(p)
	if l.cfg.BudgetSeconds > 0 {
		fmt.Fprintf(l.w, "budget    %s\n", duration(seconds(l.cfg.BudgetSeconds)))
	}
	if st.Done > 0 {
		fmt.Fprintf(l.w, "going on: %d of %d trials have ended before, %s left\n", st.Done, st.Total, duration(st.Left))
	}
	for _, t := range st.Trials {
		l.said[t.ID] = t.State == search.Finished || t.State == search.Failed
	}
	fmt.Fprintln(l.w)
}

// forecast prints what each phase is expected to take.
func (l *searchLive) forecast(p *search.Plan) {
	f := &p.Forecast
	t := newTable("phase", ">trials", ">epochs", ">compute", ">trial time")
	add := func(name string, trials int, epochs string, flops, compute float64) {
		t.add(name, fmt.Sprint(trials), epochs, flop(flops), duration(seconds(compute)))
	}
	for _, part := range f.Parts {
		add(part.Title(), part.Trials, fmt.Sprint(part.Epochs), part.FLOPs, part.Compute)
	}
	add("all", f.Trials, "", f.FLOPs, f.Compute)
	fmt.Fprintf(l.w, "\n%s\n", t.String())
	fmt.Fprintf(l.w, "forecast  %s, %s at a time on %s\n", duration(seconds(f.Seconds)), words.Plural(l.workers, "trial"), words.Plural(l.workers*l.threads, "thread"))
	if x := f.Explore(); x > 0 && !l.cfg.Exhaustive {
		fmt.Fprintf(l.w, "economy   the ratio is found with %s, a grid of all candidates in full length on as many seeds would take %s, %.1f times as much\n",
			flop(x), flop(f.Exhaustive), f.Exhaustive/x)
	}
}

// flop writes a number of floating-point operations.
func flop(x float64) string {
	return scaled(x, 1000, " FLOP", " kFLOP", " MFLOP", " GFLOP", " TFLOP", " PFLOP")
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (l *searchLive) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	fmt.Fprintf(l.w, "note: "+format+"\n", args...)
}

// status shows what has changed.
func (l *searchLive) status(st *search.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.term != nil {
		width, height := l.size()
		lines := l.lines(st, height)
		for i := range lines {
			lines[i] = clip(lines[i], width-1)
		}
		l.draw(lines)
		return
	}
	for _, t := range st.Trials {
		if l.said[t.ID] || t.State != search.Finished {
			continue
		}
		l.said[t.ID] = true
		l.last = time.Now()
		fmt.Fprintf(l.w, "[%*d/%d] %-20s %6.2f %% on validation images, %s left\n", len(fmt.Sprint(st.Total)), st.Done, st.Total, t.ID, 100*t.Accuracy, duration(st.Left))
	}
	if time.Since(l.last) >= lineInterval {
		l.last = time.Now()
		var running []string
		for _, t := range st.Trials {
			if t.State == search.Running {
				running = append(running, fmt.Sprintf("%s %.0f %%", t.ID, 100*t.Progress.Done))
			}
		}
		fmt.Fprintf(l.w, "[%*d/%d] running: %s, %s left\n", len(fmt.Sprint(st.Total)), st.Done, st.Total, strings.Join(running, ", "), duration(st.Left))
	}
}

func (l *searchLive) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
}

// lines are the table, at most height of them: where networks are too many,
// those that rest are left out first.
func (l *searchLive) lines(st *search.Status, height int) []string {
	t := newTable("network", ">depth", ">width", ">px", ">cost", "accuracy on validation images, by seed")
	type row struct {
		net     *search.Network
		cells   []string
		running bool
		done    bool
	}
	var rows []*row
	byID := map[string]*row{}
	for _, tr := range st.Trials {
		r := byID[tr.Network.ID]
		if r == nil {
			r = &row{net: tr.Network, done: true}
			byID[tr.Network.ID] = r
			rows = append(rows, r)
		}
		cell := "    ·"
		switch tr.State {
		case search.Finished:
			cell = fmt.Sprintf("%5.2f", 100*tr.Accuracy)
		case search.Failed:
			cell = "fails"
		case search.Running:
			r.running = true
			cell = fmt.Sprintf("%4.0f%%", 100*tr.Progress.Done)
			if tr.Accuracy > 0 {
				cell += fmt.Sprintf(" (%.1f)", 100*tr.Accuracy)
			}
		}
		r.done = r.done && (tr.State == search.Finished || tr.State == search.Failed)
		r.cells = append(r.cells, cell)
	}
	room := height - 3
	for pass := 0; pass < 2 && len(rows) > room; pass++ {
		var keep []*row
		drop := len(rows) - room
		for _, r := range rows {
			rests := !r.running && (pass == 1 || !r.done)
			if rests && drop > 0 {
				drop--
				continue
			}
			keep = append(keep, r)
		}
		rows = keep
	}
	for _, r := range rows {
		mark := "  "
		if r.running {
			mark = "> "
		}
		t.add(mark+r.net.ID, fmt.Sprintf("%.2f", r.net.Depth), fmt.Sprintf("%.2f", r.net.Width), fmt.Sprint(r.net.Resolution),
			factor(r.net.CostRatio)+"x", strings.Join(r.cells, "  "))
	}
	return append(tableLines(t), "", progressLine(st.Done, st.Total, st.Elapsed, st.Left))
}
