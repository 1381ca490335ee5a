package search

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"effnet/arch"
)

// Source says where the explored networks come from. Its text is a search's
// Config.Candidates:
//
//	triangle           spread over the triangle of shares (also "")
//	grid step=0.05     the paper's grid of alpha, beta and gamma
//	star steps=4       each dimension alone, at several costs up to the factor
//	list NEWLINE TEXT  the networks of a list file: see ParseList
type Source struct {
	Kind  SourceKind
	Step  float64 // of a grid
	Steps int     // of a star
	List  string  // the text of a list file
}

// SourceKind is a way to come by candidates.
type SourceKind string

const (
	SourceTriangle SourceKind = "triangle"
	SourceGrid     SourceKind = "grid"
	SourceStar     SourceKind = "star"
	SourceList     SourceKind = "list"
)

// Bounds of a source, and what it is where its text does not say.
const (
	defaultStep  = 0.05
	minStep      = 0.001
	maxStep      = 1
	defaultSteps = 4
	maxStarSteps = 100
)

// ParseSource reads the text of a source.
func ParseSource(text string) (Source, error) {
	head, list, isList := strings.Cut(text, "\n")
	words := strings.Fields(head)
	if len(words) == 0 {
		words = []string{string(SourceTriangle)}
	}
	src := Source{Kind: SourceKind(words[0])}
	option := func(name string, read func(value string) bool, want string) error {
		for _, w := range words[1:] {
			key, value, ok := strings.Cut(w, "=")
			if !ok || key != name || len(words) > 2 || !read(value) {
				return fmt.Errorf("search: candidates %q, want %s", head, want)
			}
		}
		return nil
	}
	var err error
	switch src.Kind {
	case SourceTriangle:
		err = option("", func(string) bool { return false }, "triangle alone")
	case SourceGrid:
		src.Step = defaultStep
		err = option("step", func(v string) bool {
			src.Step, err = strconv.ParseFloat(v, 64)
			return err == nil && src.Step >= minStep && src.Step <= maxStep
		}, fmt.Sprintf("grid step=%v, a step of %v to %v", defaultStep, minStep, maxStep))
	case SourceStar:
		src.Steps = defaultSteps
		err = option("steps", func(v string) bool {
			src.Steps, err = strconv.Atoi(v)
			return err == nil && src.Steps >= 1 && src.Steps <= maxStarSteps
		}, fmt.Sprintf("star steps=%d, 1 to %d steps", defaultSteps, maxStarSteps))
	case SourceList:
		src.List = list
		if err = option("", func(string) bool { return false }, "list and then its lines"); err == nil {
			_, err = ParseList("list", []byte(list))
		}
	default:
		err = fmt.Errorf("search: candidates %q, want triangle, grid, star or list", head)
	}
	if err == nil && isList && src.Kind != SourceList {
		err = fmt.Errorf("search: candidates %q go on for another line", head)
	}
	return src, err
}

func (s Source) String() string {
	switch s.Kind {
	case SourceGrid:
		return "grid step=" + strconv.FormatFloat(s.Step, 'g', -1, 64)
	case SourceStar:
		return "star steps=" + strconv.Itoa(s.Steps)
	case SourceList:
		return "list\n" + s.List
	}
	return string(SourceTriangle)
}

// Pool is what a search may explore, best spread first.
type Pool struct {
	Networks   []Network
	Enumerated int     // distinct networks within the budget that they were picked from
	Tolerance  float64 // of their cost: wider than was asked for where too few lay within that
	Note       string  // what the user should know of it; "" for nothing

	space *Space
}

// baseNet is the base as a network, with what was measured of it.
func (p *Pool) baseNet(base *arch.Spec) (Network, error) {
	n := Network{ID: "base", Depth: 1, Width: 1, Resolution: base.Resolution}
	if err := n.resolve(base, p.space.baseMACs); err != nil {
		return n, err
	}
	for _, g := range p.space.measured() {
		n.Costs.set(g.measure, g.base)
	}
	return n, nil
}

// fewest are the networks grown along more than one dimension that a search
// makes sense with; widening are the steps in which the tolerance grows until
// there are as many, up to maxTolerance.
const (
	fewest       = 4
	widening     = 1.5
	maxTolerance = 0.25
)

// Candidates finds at most n networks of a source within a budget; with n = 0
// as many as a grid, a star or a list has. Costs that must be measured are.
func Candidates(ctx context.Context, base arch.Spec, b Budget, src Source, n int, m *Meter) (*Pool, error) {
	if n == 0 {
		n = maxNetworks
	}
	switch src.Kind {
	case SourceStar, SourceList:
		sp, err := newSpace(ctx, base, b, m)
		if err != nil {
			return nil, err
		}
		if src.Kind == SourceStar {
			return sp.star(ctx, src.Steps, n)
		}
		return sp.list(ctx, src.List, n)
	}
	var sp *Space
	var err error
	if src.Kind == SourceGrid {
		sp, err = newGrid(ctx, base, b, src.Step, m)
	} else {
		sp, err = NewSpace(ctx, base, b, m)
	}
	if err != nil {
		return nil, err
	}
	p := &Pool{space: sp}
	for {
		p.Networks, err = sp.Measured(ctx, func() []Network { return sp.Spread(n, prefix(b.Factor)) })
		if err != nil {
			return nil, err
		}
		p.Enumerated, p.Tolerance = sp.Len(), sp.Tolerance
		mixed := 0
		if sp.predicts() { // what counts is what was measured
			for i := range p.Networks {
				if p.Networks[i].mixed() {
					mixed++
				}
			}
		} else {
			for i := range sp.points {
				if (&Network{Realised: sp.points[i].realised}).mixed() {
					mixed++
				}
			}
		}
		if mixed >= min(fewest, max(1, n-len(dimNames))) || sp.Tolerance*widening > maxTolerance {
			switch {
			case mixed == 0:
				p.Note = fmt.Sprintf("no network that grew along more than one dimension costs %v times %s within %.3g %%", b.Factor, base.Name, 100*sp.Tolerance)
			case sp.Tolerance > b.Tolerance:
				p.Note = fmt.Sprintf("few networks cost %v times %s within %.3g %%: the tolerance is %.3g %%", b.Factor, base.Name, 100*b.Tolerance, 100*sp.Tolerance)
			}
			return p, nil
		}
		sp.Tolerance *= widening
		if err := sp.fill(); err != nil {
			return nil, err
		}
	}
}

// newGrid is the space of the paper's grid: alpha, beta and gamma from 1 in
// steps (down from 1 to shrink), as far as their realised cost is within the
// budget. Points that round to one network are one, with the factors of that
// whose alpha * beta^2 * gamma^2 is about nearest to the factor.
func newGrid(ctx context.Context, base arch.Spec, b Budget, step float64, m *Meter) (*Space, error) {
	sp, err := newSpace(ctx, base, b, m)
	if err != nil {
		return nil, err
	}
	sp.step = step
	return sp, sp.enumerate(func(dim int) ([]setting, error) {
		var shares []float64
		for i := 0; ; i++ {
			f := sp.snap(1 + math.Copysign(float64(i)*step, math.Log(b.Factor)))
			if f <= 0 {
				break
			}
			share := math.Log(f) / math.Log(b.Factor) // factorAt's inverse
			if dim != dimDepth {
				share *= 2
			}
			if share > maxShare {
				break
			}
			shares = append(shares, share+0)
		}
		return sp.settings(dim, shares)
	})
}

// snap is the grid's factor nearest to f, without the dust of its product.
func (sp *Space) snap(f float64) float64 {
	if sp.step == 0 {
		return f
	}
	return math.Round((1+math.Round((f-1)/sp.step)*sp.step)*1e9) / 1e9
}

// star takes each dimension alone at steps costs from the base to the factor,
// in equal ratios.
func (sp *Space) star(ctx context.Context, steps, n int) (*Pool, error) {
	var err error
	for dim := range sp.dims {
		if sp.dims[dim], err = sp.sweep(dim); err != nil {
			return nil, err
		}
	}
	p := &Pool{Tolerance: sp.Tolerance, space: sp}
	for dim := range sp.dims {
		p.Enumerated += len(sp.dims[dim]) - 1
	}
	p.Networks, err = sp.Measured(ctx, func() []Network {
		nets, fail := sp.arms(steps)
		err = fail
		return nets[:min(n, len(nets))]
	})
	return p, err
}

// arms are the networks of a star, from the base outwards: the nearest of each
// dimension to each of the costs, if it is no farther from it than half the way
// to the next.
func (sp *Space) arms(steps int) ([]Network, error) {
	var nets []Network
	taken := map[place]bool{}
	way := math.Log(sp.Factor)
	for k := 1; k <= steps; k++ {
		target := math.Exp(way * float64(k) / float64(steps))
		for dim, name := range dimNames {
			best, nearest := math.Abs(way)/float64(2*steps), (*point)(nil)
			for s := 1; s < len(sp.dims[dim]); s++ {
				var at place
				at[dim] = int32(s)
				p, ok, err := sp.point(at)
				if err != nil {
					return nil, err
				}
				if d := math.Abs(math.Log(p.ratio / target)); ok && d <= best {
					best, nearest = d, &p
				}
			}
			if nearest == nil || taken[nearest.at] {
				continue
			}
			taken[nearest.at] = true
			n := sp.network(nearest)
			n.ID = prefix(target) + name
			nets = append(nets, n)
		}
	}
	return nets, nil
}

// list makes the networks of a list file.
func (sp *Space) list(ctx context.Context, text string, n int) (*Pool, error) {
	entries, err := ParseList("list", []byte(text))
	if err != nil {
		return nil, err
	}
	p := &Pool{Tolerance: sp.Tolerance, space: sp}
	var specs []arch.Spec
	lines := map[string]int{}
	same := 0
	for _, e := range entries {
		f := e.Factors(sp.Base.Resolution)
		spec, err := Scale(&sp.Base, f)
		if err != nil {
			return nil, fmt.Errorf("list:%d: %w", e.Line, err)
		}
		net, err := locate(&sp.Base, f)
		if err != nil {
			return nil, fmt.Errorf("list:%d: %w", e.Line, err)
		}
		if lines[net.key()] != 0 {
			same++
			continue
		}
		lines[net.key()] = e.Line
		net.ID = fmt.Sprintf("%s%02d", prefix(sp.Factor), len(p.Networks)+1)
		p.Networks, specs = append(p.Networks, net), append(specs, spec)
	}
	p.Enumerated = len(p.Networks)
	for _, g := range sp.measured() {
		values, err := g.measureAll(ctx, sp.meter, &sp.Base, specs)
		if err != nil {
			return nil, err
		}
		for i := range values {
			p.Networks[i].Costs.set(g.measure, values[i].value)
			if g == sp.cost {
				p.Networks[i].CostRatio = values[i].ratio
			}
			if g.most > 0 && values[i].ratio > g.most {
				return nil, overLimit(lines[p.Networks[i].key()], g, values[i].ratio)
			}
		}
	}
	for i := range p.Networks {
		net := &p.Networks[i]
		line := lines[net.key()]
		if sp.cost.measure.counted() {
			net.CostRatio = net.Costs.Of(sp.cost.measure) / sp.cost.base
		}
		if !sp.within(net.CostRatio, sp.Tolerance) {
			return nil, fmt.Errorf("list:%d: the network costs %.3f times the base (%s), want %v within %.3g %%; a tolerance of %.3g would do",
				line, net.CostRatio, sp.cost.measure, sp.Factor, 100*sp.Tolerance, math.Ceil(100*math.Abs(net.CostRatio/sp.Factor-1))/100)
		}
		for _, g := range sp.limits {
			if g.measure.counted() && net.Costs.Of(g.measure)/g.base > g.most {
				return nil, overLimit(line, g, net.Costs.Of(g.measure)/g.base)
			}
		}
	}
	if same > 0 {
		p.Note = fmt.Sprintf("%d line(s) of the list give a network that an earlier line gave", same)
	}
	p.Networks = p.Networks[:min(n, len(p.Networks))]
	return p, nil
}

func overLimit(line int, g *gauge, ratio float64) error {
	return fmt.Errorf("list:%d: the network has %.3f times the base's %s, the limit is %v", line, ratio, g.measure, g.most)
}

// ListEntry is a line of a list file.
type ListEntry struct {
	Line         int
	Depth, Width float64
	Pixels       int     // 0: Resolution
	Resolution   float64 // a factor
}

// Factors are the entry's for a base of resolution pixels.
func (e *ListEntry) Factors(resolution int) arch.Factors {
	f := arch.Factors{Depth: e.Depth, Width: e.Width, Resolution: e.Pixels}
	if e.Pixels == 0 {
		f.Resolution = pixels(resolution, e.Resolution)
	}
	return f
}

// ListError is what is wrong with a list file, and where; lines and columns
// count from 1, columns in bytes.
type ListError struct {
	File         string
	Line, Column int
	Msg          string
}

func (e *ListError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// MaxList is the largest list file that is read, in bytes.
const MaxList = 64 << 10

// ParseList reads networks to explore, one a line: factors of depth and width,
// and the resolution, which is a side in pixels when it is a whole number and a
// factor when it has a decimal point. "#" starts a comment. file is for errors,
// which are [*ListError]s.
func ParseList(file string, text []byte) ([]ListEntry, error) {
	if len(text) > MaxList {
		return nil, &ListError{file, 1, 1, fmt.Sprintf("the file is larger than %d bytes", MaxList)}
	}
	var out []ListEntry
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		at := listWord.FindAllStringIndex(line, 4)
		if len(at) == 0 {
			continue
		}
		var words []string
		for _, w := range at {
			words = append(words, line[w[0]:w[1]])
		}
		bad := func(word int, format string, args ...any) ([]ListEntry, error) {
			return nil, &ListError{file, i + 1, at[word][0] + 1, fmt.Sprintf(format, args...)}
		}
		if len(words) != 3 {
			many := [...]string{"one word", "two words", "", "more than three words"}[len(words)-1]
			return bad(len(words)-1, "the line has %s, want three: depth width resolution, such as 1.2 1.1 32", many)
		}
		e := ListEntry{Line: i + 1}
		for w, dst := range []*float64{&e.Depth, &e.Width, &e.Resolution} {
			x, err := strconv.ParseFloat(words[w], 64)
			if err != nil || !(x > 0 && x <= 1000) && !(w == 2 && x >= 1 && x <= 1<<16 && !strings.Contains(words[w], ".")) {
				return bad(w, "the %s is %q, want a number above 0, at most 1000", dimNames[w], shorten(words[w]))
			}
			*dst = x
		}
		if px, err := strconv.Atoi(words[2]); err == nil {
			e.Pixels, e.Resolution = px, 0
		} else if !strings.Contains(words[2], ".") {
			return bad(2, "the resolution is %q, want pixels such as 32 or a factor such as 1.15", shorten(words[2]))
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, &ListError{file, 1, 1, "the list is empty, want lines of depth width resolution, such as 1.2 1.1 32"}
	}
	if len(out) > maxNetworks {
		return nil, &ListError{file, out[maxNetworks].Line, 1, fmt.Sprintf("the list has more than %d networks", maxNetworks)}
	}
	return out, nil
}

// listWord is a word of a list file.
var listWord = regexp.MustCompile(`\S+`)

func shorten(s string) string {
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "..."
	}
	return s
}

// locate makes the network of any factors, with its place on the triangle: a
// dimension that went the other way than the cost counts for nothing there.
func locate(base *arch.Spec, f arch.Factors) (Network, error) {
	n := Network{Depth: f.Depth, Width: f.Width, Resolution: f.Resolution}
	own, err := base.CostAt(base.Resolution)
	if err != nil {
		return n, err
	}
	spec, err := Scale(base, f)
	if err == nil {
		err = n.resolve(&spec, own.MACs)
	}
	if err != nil {
		return n, err
	}
	way := 1.0
	if n.CostRatio < 1 {
		way = -1
	}
	r := float64(f.Resolution) / float64(base.Resolution)
	n.Nominal = clamped(way*math.Log(f.Depth), 2*way*math.Log(f.Width), 2*way*math.Log(r))
	var logs [3]float64
	for dim, alone := range [3]arch.Factors{{Depth: f.Depth, Width: 1}, {Depth: 1, Width: f.Width}, {Depth: 1, Width: 1, Resolution: f.Resolution}} {
		s, err := Scale(base, alone)
		if err != nil {
			return n, err
		}
		c, err := s.CostAt(s.Resolution)
		if err != nil {
			return n, err
		}
		logs[dim] = way * math.Log(float64(c.MACs)/float64(own.MACs))
	}
	n.Realised = clamped(logs[0], logs[1], logs[2])
	return n, nil
}

// clamped are the shares of what is above 0; none of nothing.
func clamped(d, w, r float64) arch.Shares {
	d, w, r = max(d, 0), max(w, 0), max(r, 0)
	if d+w+r == 0 {
		return arch.Shares{}
	}
	return sharesOf(d, w, r)
}

// WidthSweeps are the networks of the paper's Figure 4: the width grows from
// the base's in equal ratios of cost, at several depths and resolutions, up to
// most times the base's MACs. IDs read "d2-r1.3-w1.41".
func WidthSweeps(base *arch.Spec, most float64, steps int) ([]Network, error) {
	if !(most > 1) || steps < 1 {
		return nil, fmt.Errorf("search: width sweeps up to %v times the base in %d steps, want above 1 and at least 1", most, steps)
	}
	var out []Network
	var seen []string
	for _, at := range sweepPairs {
		for k := range steps + 1 {
			f := arch.Factors{Depth: at.depth, Width: math.Pow(most, float64(k)/float64(2*steps)), Resolution: pixels(base.Resolution, at.resolution)}
			n, err := locate(base, f)
			if err != nil || n.CostRatio > most*(1+cornerTolerance) {
				break
			}
			if slices.Contains(seen, n.key()) {
				continue
			}
			seen = append(seen, n.key())
			n.ID = fmt.Sprintf("d%v-r%v-w%.4g", at.depth, at.resolution, f.Width)
			out = append(out, n)
		}
	}
	return out, nil
}

// sweepPairs are the paper's depths and resolutions.
var sweepPairs = []struct{ depth, resolution float64 }{{1, 1}, {1, 1.3}, {2, 1}, {2, 1.3}}
