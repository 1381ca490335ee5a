package arch

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Budget is what a network may cost; 0 is no limit.
type Budget struct {
	MACs   int64
	Params int64
	Memory int64 // bytes of weights and activations at inference of one image, Totals.InferenceBytes

	// Within is any other limit, nil for none. Of networks that grow in depth,
	// width and resolution it must allow none above one that it refuses.
	Within func(*Spec) bool
}

// limited reports whether b has a limit, none of them negative.
func (b *Budget) limited() bool {
	return min(b.MACs, b.Params, b.Memory) >= 0 && (max(b.MACs, b.Params, b.Memory) > 0 || b.Within != nil)
}

// fits reports whether f is within b.
func (b *Budget) fits(f *Fitted) bool {
	return b.Fits(&f.Totals) && (b.Within == nil || b.Within(&f.Spec))
}

// Fits reports whether t is within the counted limits of b.
func (b *Budget) Fits(t *Totals) bool {
	return within(t.MACs, b.MACs) && within(t.Params, b.Params) && within(t.InferenceBytes(), b.Memory)
}

func within(x, limit int64) bool { return limit == 0 || x <= limit }

// over is what t needs where b allows less.
func (b *Budget) over(t *Totals) string {
	var parts []string
	add := func(name string, x, limit int64) {
		if !within(x, limit) {
			parts = append(parts, fmt.Sprintf("%d %s where %d are allowed", x, name, limit))
		}
	}
	add("MACs", t.MACs, b.MACs)
	add("parameters", t.Params, b.Params)
	add("bytes of memory", t.InferenceBytes(), b.Memory)
	return strings.Join(parts, " and ")
}

// Fitted is the network that Fit found.
type Fitted struct {
	Spec    Spec
	Totals  Totals
	Cost    float64 // the cost factor: its place on the ratio's line
	Factors Factors // Shares.Factors of Cost
}

// Fit finds the largest network within b on the line of networks that sh
// describes, from base upwards or, where base is too large already, downwards.
// Largest is furthest along the line, by realised cost.
//
// Along the line every integer of the network grows in steps, so there are
// finitely many networks. MACs and parameters never fall from one to the next;
// memory can, where two widths round apart and a residual connection ends. Fit
// therefore looks at every network from above the budget down.
func Fit(base Spec, b Budget, sh Shares) (Fitted, error) {
	bad := func(format string, args ...any) (Fitted, error) {
		return Fitted{}, fmt.Errorf("arch: fitting %s: %w", base.Name, fmt.Errorf(format, args...))
	}
	if _, err := base.CostAt(base.Resolution); err != nil {
		return Fitted{}, err
	}
	sh, err := sh.normal()
	if err != nil {
		return Fitted{}, err
	}
	if !b.limited() {
		return bad("the budget is %d MACs, %d parameters, %d bytes; want at least one limit above 0 and none below", b.MACs, b.Params, b.Memory)
	}
	l := line{base: &base, shares: sh, floor: base.MinResolution()}

	// Double until no larger network can fit.
	top := 2.0
	for !l.beyond(top, &b) {
		top *= 2
	}
	f, err := l.furthest(top, &b)
	// The base is one more network, off the line where its channel counts are
	// no multiples of the divisor.
	if own, ownErr := l.at(1); ownErr == nil && b.fits(&own) && (isNoFit(err) || err == nil && own.Totals.MACs >= f.Totals.MACs) {
		f, err = own, nil
	}
	if err != nil {
		return bad("%w", err)
	}
	f.Spec.Name = scaledName(base, f.Factors)
	return f, nil
}

// furthest is the last network below top on the line that fits.
func (l *line) furthest(top float64, b *Budget) (Fitted, error) {
	var limit error // why the network just above is none
	var smallest *Fitted
	for ; top > minCost; top /= 2 {
		places := l.places(top/2, top)
		// Of the networks that b.Within refuses only the smallest matters.
		if n := l.within(places, b); n < len(places) {
			places = places[:n+1]
		}
		for _, cost := range slices.Backward(places) {
			if l.tooSmall(cost) {
				return Fitted{}, l.none(smallest, b)
			}
			f, err := l.at(cost)
			switch {
			case err != nil:
				limit = err
			case !b.fits(&f):
				smallest, limit = &f, nil
			case limit != nil:
				var fe *FieldError
				if errors.As(limit, &fe) {
					limit = errors.New(fe.Msg)
				}
				return Fitted{}, fmt.Errorf("the budget is never reached on the ratio %s: %w", l.shares, limit)
			default:
				return f, nil
			}
		}
	}
	return Fitted{}, l.none(smallest, b)
}

// within is how many of the networks at places, from the first on, b.Within
// allows; b.Within may be slow, so that few are tried.
func (l *line) within(places []float64, b *Budget) int {
	if b.Within == nil {
		return len(places)
	}
	return sort.Search(len(places), func(i int) bool {
		f, err := l.at(places[i])
		return err != nil && !l.tooSmall(places[i]) || err == nil && !b.Within(&f.Spec)
	})
}

// NoFitError says that even the smallest network is over the budget.
type NoFitError struct {
	Shares   Shares
	Smallest *Fitted // nil where the ratio leads to no network at all
	over     string
}

func (e *NoFitError) Error() string {
	text := fmt.Sprintf("no network on the ratio %s fits", e.Shares)
	if e.over != "" {
		text += ": the smallest has " + e.over
	}
	return text
}

func isNoFit(err error) bool {
	var e *NoFitError
	return errors.As(err, &e)
}

func (l *line) none(smallest *Fitted, b *Budget) error {
	e := &NoFitError{Shares: l.shares, Smallest: smallest}
	if smallest != nil {
		smallest.Spec.Name = scaledName(*l.base, smallest.Factors)
		e.over = b.over(&smallest.Totals)
	}
	return e
}

// minCost is where Fit stops shrinking: every integer is at its least long before.
const minCost = 1e-15

// line is the networks of one base and one ratio, by cost factor.
type line struct {
	base   *Spec
	shares Shares
	floor  int // smallest resolution
}

// at is the network at a cost factor.
func (l *line) at(cost float64) (Fitted, error) {
	fs, err := l.shares.Factors(cost, l.base.Resolution)
	if err != nil {
		return Fitted{}, err
	}
	s, err := l.base.scaled(fs)
	if err != nil {
		return Fitted{}, err
	}
	t, ok := s.quick(s.Resolution)
	if !ok {
		_, err := s.Graph()
		return Fitted{}, err
	}
	return Fitted{s, t, cost, fs}, nil
}

// beyond reports whether nothing at cost or above fits. A shortcut that a
// residual connection keeps alive at most doubles memory, and all else only
// grows, so twice the memory is beyond.
func (l *line) beyond(cost float64, b *Budget) bool {
	if l.tooSmall(cost) {
		return false
	}
	f, err := l.at(cost)
	return err != nil || !within(f.Totals.MACs, b.MACs) || !within(f.Totals.Params, b.Params) ||
		b.Memory > 0 && f.Totals.InferenceBytes()/2 > b.Memory || b.Within != nil && !b.Within(&f.Spec)
}

// tooSmall reports whether the resolution at cost is below what the strides need.
func (l *line) tooSmall(cost float64) bool {
	return math.Round(float64(l.base.Resolution)*math.Pow(cost, l.shares.R/2)) < float64(l.floor)
}

// places gives one cost factor inside each step of the line between lo and hi,
// ascending.
func (l *line) places(lo, hi float64) []float64 {
	// steps collects the cost factors at which an integer changes: factor f of
	// a dimension with exponent e is reached at cost f^(1/e).
	steps := []float64{lo, hi}
	step := func(factor, exponent float64) {
		if c := math.Pow(factor, 1/exponent); c > lo && c < hi {
			steps = append(steps, c)
		}
	}
	// each calls f with the multiples of unit around what a quantity n runs through.
	each := func(n int, exponent, unit float64, f func(k float64)) {
		if exponent == 0 || n == 0 {
			return
		}
		first := math.Floor(float64(n)*math.Pow(lo, exponent)/unit) - 1
		last := math.Ceil(float64(n)*math.Pow(hi, exponent)/unit) + 1
		for k := max(first, 0); k <= min(last, 2*maxWidth); k++ {
			f(k * unit)
		}
	}
	r, sh := &l.base.Rule, l.shares
	repeats := map[int]bool{}
	widths := map[int]bool{l.base.Stem.Width: true, l.base.Head: true}
	for _, st := range l.base.Stages {
		repeats[st.Repeats] = true
		widths[st.Width], widths[st.ForceIn] = true, true
	}
	for n := range repeats {
		each(n, sh.D, 1, func(k float64) {
			if r.Depth == RoundNearest {
				k += 0.5
			}
			step(k/float64(n), sh.D)
		})
	}
	div := float64(r.WidthDivisor)
	for n := range widths {
		each(n, sh.W/2, div, func(k float64) {
			step((k+div/2)/float64(n), sh.W/2)
			if r.WidthLimit > 0 && k/r.WidthLimit < k+div/2 { // the guard against losing more than 10 %
				step(k/r.WidthLimit/float64(n), sh.W/2)
			}
		})
	}
	each(l.base.Resolution, sh.R/2, 1, func(k float64) {
		step((k+0.5)/float64(l.base.Resolution), sh.R/2)
	})
	slices.Sort(steps)
	var places []float64
	for i, c := range steps[1:] {
		if p := between(steps[i], c); p > 0 {
			places = append(places, p)
		}
	}
	return places
}

// between is the shortest decimal well inside (lo, hi), 0 where they are one
// and the same but for rounding errors.
func between(lo, hi float64) float64 {
	margin := 1e-9 * hi
	if hi-lo < 3*margin {
		return 0
	}
	mid := math.Sqrt(lo * hi)
	for digits := 1; digits < 17; digits++ {
		x, _ := strconv.ParseFloat(strconv.FormatFloat(mid, 'g', digits, 64), 64)
		if lo+margin < x && x < hi-margin {
			return x
		}
	}
	return mid
}
