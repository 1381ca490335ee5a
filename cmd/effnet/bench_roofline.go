package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"effnet/internal/kernel"
	"effnet/internal/words"
	searchreport "effnet/report"
)

// ceilings are what the machine can do at best besides multiply-adds.
type ceilings struct {
	Bandwidth []bandwidth `json:"bandwidth"`
	Swish     float64     `json:"gswish_per_s"` // 10^9 values of swish a second
}

// measureCeilings measures each of them for d.
func measureCeilings(impl *kernel.Impl, threads int, d time.Duration) *ceilings {
	return &ceilings{measureReads(impl, threads, d), measureSwish(impl, threads, d)}
}

// raise takes the better of two measurements.
func (c *ceilings) raise(o *ceilings) {
	for i := range c.Bandwidth {
		c.Bandwidth[i].GBs = max(c.Bandwidth[i].GBs, o.Bandwidth[i].GBs)
	}
	c.Swish = max(c.Swish, o.Swish)
}

// checkFigure holds the name of a figure, which a flag gives, against the
// formats there are.
func checkFigure(flag, path string) error {
	if !slices.Contains(searchreport.FigureFormats, filepath.Ext(path)) {
		return usagef("%s %s: want a name that ends in %s", flag, path, strings.Join(searchreport.FigureFormats, " or "))
	}
	return nil
}

// roofline is the figure of r, whose steps and ceilings have been measured.
func (r *benchReport) roofline() *searchreport.Roofline {
	f := &searchreport.Roofline{
		Title:   fmt.Sprintf("%s at %dx%d, float32, %s", r.Net, r.Resolution, r.Resolution, words.Plural(r.Threads, "thread")),
		Machine: fmt.Sprintf("%s, kernels %s; everything at its best", r.Machine.line(), r.Kernel),
		Peak:    1e9 * r.PeakGFLOPS,
		Swish:   1e9 * r.Ceilings.Swish,
		Seconds: r.Min / 1e3 / float64(r.Batch),
	}
	if r.Batch > 1 {
		f.Title += fmt.Sprintf(", batch %d", r.Batch)
	}
	for _, b := range r.Ceilings.Bandwidth {
		f.Reads = append(f.Reads, searchreport.RoofRead{From: levelName(b.Level), Rate: 1e9 * b.GBs})
	}
	for _, o := range r.Ops {
		f.FLOPs += int64(math.Round(1e6 * o.MFLOP))
		f.Steps = append(f.Steps, searchreport.RoofStep{
			Name: o.Name, Kind: o.Kind, FLOPs: int64(math.Round(1e6 * o.Done)), Bytes: o.Bytes, Swish: o.Swish, Seconds: o.MinUs / 1e6,
		})
	}
	return f
}

// levelName is a level of memory as a figure names it.
func levelName(level string) string {
	if n, ok := strings.CutPrefix(level, "l"); ok {
		return "L" + n + " cache"
	}
	return level
}
