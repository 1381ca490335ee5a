//go:build unix

package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"effnet/internal/load"
)

// print writes the table: medians over rounds, ratios of figures of one round.
func (r *report) print(out io.Writer) error {
	fmt.Fprintf(out, "%s, %d cores; %s, %d threads, batches of up to %d; %d JPEGs of %.0f kB; medians of %d rounds\n",
		r.CPU, r.Cores, r.Net, r.Threads, r.Batch, r.Pictures, r.Kilobyte, r.Rounds)
	own := r.Servers[0]
	busiest := own.Closed[len(own.Closed)-1].Rate
	var engine, decode, both, share []float64
	for i, p := range r.Possible {
		engine, decode, both = append(engine, p.Engine), append(decode, p.Decode), append(both, p.Both)
		share = append(share, busiest[i]/p.Both)
	}
	fmt.Fprintf(out, "effnet bench %.1f images/s, decoding and preparing %.1f images/s on all cores, one after the other %.1f; effnet serve with %d clients %.2f of that\n",
		load.Median(engine), load.Median(decode), load.Median(both), r.Clients[len(r.Clients)-1], load.Median(share))
	fmt.Fprintf(out, "the client takes %.2f ms of a core for a picture; other programs took %.1f %% of the processors' time, %.1f %% of that of the worst turn\n\n",
		load.Median(r.ClientMS), 100*load.Median(r.Others), 100*load.Quantile(r.Others, 1))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprintf(w, "%v\t", c)
		}
		fmt.Fprintln(w)
	}
	line("load", "server", "images/s", "p50 ms", "p99 ms", "effnet does", "effnet's p50", "effnet's p99")
	row := func(name string, of func(*result) *figure) {
		mine := of(own)
		for _, s := range r.Servers {
			f := of(s)
			cells := []any{name, s.Name, number(load.Median(f.Rate)), number(load.Median(f.P50)), number(load.Median(f.P99))}
			if s == own {
				cells = append(cells, "", "", "")
			} else {
				cells = append(cells, ratio(mine.Rate, f.Rate), ratio(mine.P50, f.P50), ratio(mine.P99, f.P99))
			}
			line(cells...)
		}
	}
	for i, clients := range r.Clients {
		row(fmt.Sprintf("%d clients", clients), func(s *result) *figure { return &s.Closed[i] })
	}
	row("half its capacity", func(s *result) *figure { return &s.Half })
	row(fmt.Sprintf("%.1f/s", r.Rate), func(s *result) *figure { return &s.Same })
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	most := len(r.Clients) - 1
	for _, s := range r.Servers {
		var alone, core []float64
		for i, p99 := range s.Half.P99 {
			alone = append(alone, p99/s.Closed[0].P50[i])
			core = append(core, p99/(1e3*float64(r.Cores)/s.Closed[most].Rate[i]))
		}
		fmt.Fprintf(out, "%s: at most %.0f MB; p99 at half its capacity is %.2f x the time of a request with %d client(s), %.2f x that of a picture on one core with %d\n",
			s.Name, s.PeakMB, load.Median(alone), r.Clients[0], load.Median(core), r.Clients[most])
	}
	return nil
}

// ratio is the median over rounds of a over b.
func ratio(a, b []float64) string {
	var q []float64
	for i := range a {
		q = append(q, a[i]/b[i])
	}
	return fmt.Sprintf("%.2f x", load.Median(q))
}

func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
