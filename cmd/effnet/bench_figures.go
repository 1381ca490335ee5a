package main

import (
	"fmt"
	"math"
	"slices"
)

// benchSeries are the times of one engine.
type benchSeries struct {
	engine, version string
	rounds          [][]float64 // ms of each run
	peakRSS         float64     // MB
}

// benchFigures are the figures of one engine: medians over rounds.
type benchFigures struct {
	Engine     string    `json:"engine"`
	Version    string    `json:"version"`
	P50        float64   `json:"p50_ms"`
	P90        float64   `json:"p90_ms"`
	P99        float64   `json:"p99_ms"`
	Min        float64   `json:"min_ms"` // of all
	Runs       int       `json:"runs"`
	Rounds     []float64 `json:"rounds_p50_ms"`
	ImagesPerS float64   `json:"images_per_s"`
	GFLOPS     float64   `json:"gflops"`
	PeakRSSMB  float64   `json:"peak_rss_mb"`
	benchRatio
	OutputDiff *float64 `json:"output_diff,omitempty"` // of another engine's logits, see maxOutputDiff
}

// benchRatio is effnet's time over another engine's; nothing for effnet.
type benchRatio struct {
	Ratio  float64   `json:"ratio,omitempty"`  // the median of
	Ratios []float64 `json:"ratios,omitempty"` // each round's
}

// ratioOf compares the times of rounds.
func ratioOf(own, other []float64) benchRatio {
	var r benchRatio
	for i := range other {
		r.Ratios = append(r.Ratios, own[i]/other[i])
	}
	r.Ratio = median(r.Ratios)
	return r
}

// cells are the median and the extremes, for a table.
func (r *benchRatio) cells() []string {
	if len(r.Ratios) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%.3f", r.Ratio), fmt.Sprintf("(%.3f..%.3f)", slices.Min(r.Ratios), slices.Max(r.Ratios))}
}

// figures works out the figures of runs of batch images that take flops.
func (s *benchSeries) figures(batch int, flops float64) benchFigures {
	f := benchFigures{Engine: s.engine, Version: s.version, PeakRSSMB: s.peakRSS, Min: math.Inf(1)}
	var p90, p99, rate []float64
	for _, times := range s.rounds {
		sorted := slices.Sorted(slices.Values(times))
		f.Rounds = append(f.Rounds, quantile(sorted, 0.5))
		p90, p99 = append(p90, quantile(sorted, 0.9)), append(p99, quantile(sorted, 0.99))
		sum := 0.0
		for _, t := range times {
			sum += t
		}
		rate = append(rate, float64(batch*len(times))/sum*1e3)
		f.Min = min(f.Min, sorted[0])
		f.Runs += len(times)
	}
	f.P50, f.P90, f.P99, f.ImagesPerS = median(f.Rounds), median(p90), median(p99), median(rate)
	f.GFLOPS = flops / f.P50 / 1e6
	return f
}

func median(x []float64) float64 { return quantile(slices.Sorted(slices.Values(x)), 0.5) }

// quantile is the value below which a share q of the sorted values are, between
// two of them linearly.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
