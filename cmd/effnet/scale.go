package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"effnet/arch"
	"effnet/internal/atomicfile"
	"effnet/search"
)

// scaleReport is 'effnet scale --json'.
type scaleReport struct {
	Factors   factorsReport     `json:"factors"`
	Nominal   float64           `json:"nominal_factor"`  // d * w^2 * r^2
	Realised  float64           `json:"realised_factor"` // of MACs
	Published []publishedReport `json:"published,omitempty"`
	Base      netReport         `json:"base"`
	Scaled    netReport         `json:"scaled"`
	Spec      string            `json:"spec"` // the scaled network's spec file
}

type factorsReport struct {
	Depth      float64 `json:"depth"`
	Width      float64 `json:"width"`
	Resolution int     `json:"resolution"`
}

type publishedReport struct {
	Name    string        `json:"name"`
	Factors factorsReport `json:"factors"`
	Params  int64         `json:"params"`
	MACs    int64         `json:"macs"`
}

// scaleCmd is the scale command under way.
type scaleCmd struct {
	*cobra.Command
	depth, width       positive
	resolution         side
	phi                finite
	alpha, beta, gamma positive
	ratio              string
	factor             positive
	out                string
	name               netName
	json               bool
}

func newScaleCmd() *cobra.Command {
	s := &scaleCmd{
		depth: 1, width: 1,
		alpha: positive(arch.B0Compound.Alpha), beta: positive(arch.B0Compound.Beta), gamma: positive(arch.B0Compound.Gamma),
	}
	s.Command = &cobra.Command{
		Use:   "scale NET {--depth D --width W --resolution R | --phi N | --ratio RATIO --factor N} [-o FILE]",
		Short: "Scale a network in depth, width and resolution",
		Long: `Scale grows or shrinks NET and prints base and scaled network side by side: the
factors, what rounding to whole layers and channels made of them, and the cost.

Either give factors, where those left out are 1. --resolution is the new image
side in pixels when it is a whole number (260) and a factor of the old one when
it has a decimal point (1.15, 2.0).

Or give --phi for the EfficientNet paper's formula: depth alpha^phi, width
beta^phi, resolution gamma^phi. phi may be fractional or negative. The published
models B1 to B8 are not points of it: they are networks of their own
('effnet models').

Or give --ratio and --factor: the network whose MACs, as rounding leaves them,
come nearest to so many times NET's, where each dimension has its share of the
growth. The ratio is depth:width:resolution, such as 1:1:1, or what a search
found: its ratio.yaml, or the run folder. A factor below 1 shrinks; repeats then
round to the nearest number whatever NET's rule. For limits in parameters,
memory or latency see 'effnet fit', which takes the same ratios.

-o writes the scaled network as a spec file that every command takes as NET.`,
		Example: `  effnet scale b0 --phi 1
  effnet scale small_1m --ratio run/ratio.yaml --factor 6
  effnet scale small_1m --depth 1.5 --width 1.2 --resolution 36 -o bigger.yaml`,
		Args:              exactly("NET"),
		ValidArgsFunction: completeNet,
		RunE:              func(_ *cobra.Command, args []string) error { return s.run(args[0]) },
	}
	fs := s.Flags()
	fs.SortFlags = false
	fs.Var(&s.depth, "depth", "factor of layers")
	fs.Var(&s.width, "width", "factor of channels")
	fs.Var(&s.resolution, "resolution", "new image side")
	fs.Var(&s.phi, "phi", "exponent of the compound formula")
	fs.Var(&s.alpha, "alpha", "depth at phi 1")
	fs.Var(&s.beta, "beta", "width at phi 1")
	fs.Var(&s.gamma, "gamma", "resolution at phi 1")
	fs.StringVar(&s.ratio, "ratio", "", "`ratio` of a search (its ratio.yaml), or depth:width:resolution")
	fs.Var(&s.factor, "factor", "MACs over NET's, scaled by --ratio")
	fs.StringVarP(&s.out, "output", "o", "", "write the scaled network to this spec `file`")
	fs.Var(&s.name, "name", "what to call the scaled network (default: made from the factors)")
	fs.BoolVar(&s.json, "json", false, "print JSON")
	return s.Command
}

// factors reads the flags for a base.
func (s *scaleCmd) factors(base *arch.Spec) (arch.Factors, error) {
	given := func(names ...string) (first string) {
		for _, n := range names {
			if s.Flags().Changed(n) {
				return n
			}
		}
		return ""
	}
	direct, constant := given("depth", "width", "resolution"), given("alpha", "beta", "gamma")
	switch {
	case given("ratio", "factor") != "":
		if other := given("phi", "alpha", "beta", "gamma", "depth", "width", "resolution"); other != "" {
			return arch.Factors{}, usagef("scale: --%s and --%s exclude each other", given("ratio", "factor"), other)
		}
		return s.alongRatio(base)
	case given("phi") != "" && direct != "":
		return arch.Factors{}, usagef("scale: --phi and --%s exclude each other", direct)
	case given("phi") == "" && constant != "":
		return arch.Factors{}, usagef("scale: --%s belongs to --phi, which is not given", constant)
	case given("phi") != "":
		f, err := s.compound().Factors(float64(s.phi), base.Resolution)
		if err != nil {
			return arch.Factors{}, usagef("%w", err)
		}
		return f, nil
	case direct == "":
		return arch.Factors{}, usagef("scale: say how, with --phi, with --ratio and --factor, or with --depth, --width or --resolution; see 'effnet scale --help'")
	}
	f := arch.Factors{Depth: float64(s.depth), Width: float64(s.width), Resolution: s.resolution.pixels}
	if r := s.resolution.factor; r > 0 {
		px := math.Round(r * float64(base.Resolution))
		if px < 1 || px > 1<<20 {
			return arch.Factors{}, usagef("scale: --resolution %s times %d pixels is out of range", s.resolution.text, base.Resolution)
		}
		f.Resolution = int(px)
	}
	if n := s.resolution.pixels; n > 0 && n <= 16 && n < base.MinResolution() {
		return arch.Factors{}, usagef("scale: --resolution %d is %d pixels, at least %d are needed; write %d.0 for a factor", n, n, base.MinResolution(), n)
	}
	return f, nil
}

// alongRatio spends a factor as a ratio says.
func (s *scaleCmd) alongRatio(base *arch.Spec) (arch.Factors, error) {
	switch {
	case s.ratio == "":
		return arch.Factors{}, usagef("scale: --factor belongs to --ratio, which is not given")
	case s.factor == 0:
		return arch.Factors{}, usagef("scale: --ratio wants --factor: how many times the MACs of %s", base.Name)
	case s.factor == 1:
		return arch.Factors{}, usagef("scale: --factor 1 is %s itself", base.Name)
	}
	shares, file, err := readRatio(s.ratio)
	if err != nil {
		return arch.Factors{}, err
	}
	if file != nil {
		noteRatio(s.ErrOrStderr(), file, base.Name, s.factor > 1)
		if file.Cost != search.MeasureMACs {
			fmt.Fprintf(s.ErrOrStderr(), "note: the ratio was found at equal %s; --factor is of MACs\n", file.Cost)
		}
	}
	return search.Along(base, shares, float64(s.factor))
}

func (s *scaleCmd) compound() arch.Compound {
	return arch.Compound{Alpha: float64(s.alpha), Beta: float64(s.beta), Gamma: float64(s.gamma)}
}

func (s *scaleCmd) run(arg string) error {
	base, err := loadNet(arg)
	if err != nil {
		return err
	}
	f, err := s.factors(&base)
	if err != nil {
		return err
	}
	scale := base.Scale
	if s.ratio != "" {
		scale = func(f arch.Factors) (arch.Spec, error) { return search.Scale(&base, f) }
	}
	to, err := scale(f)
	if err != nil {
		return err
	}
	if s.name != "" {
		to.Name = string(s.name)
	}
	g0, err := base.Graph()
	if err != nil {
		return err
	}
	g1, err := to.Graph()
	if err != nil {
		return err
	}
	d := &comparison{base: g0, scaled: g1, factors: f}
	var family []arch.Model
	if s.Flags().Changed("phi") {
		family = published(base.Name)
	}
	if s.json {
		r := d.report()
		for _, m := range family {
			t := zooTotals(m.Name)
			r.Published = append(r.Published, publishedReport{m.Name, factorsReport(m.Factors), t.Params, t.MACs})
		}
		err = writeJSON(s.OutOrStdout(), r)
	} else {
		var b strings.Builder
		b.WriteString(d.text("scaled"))
		if s.Flags().Changed("phi") {
			b.WriteString("\n" + d.formulaText(float64(s.phi), s.compound(), family))
		}
		_, err = io.WriteString(s.OutOrStdout(), b.String())
	}
	if err != nil || s.out == "" {
		return err
	}
	return writeSpec(s.Command, s.out, d, "scaled")
}

// writeSpec writes the scaled network as a spec file that says where it comes from.
func writeSpec(c *cobra.Command, path string, d *comparison, how string) error {
	head := fmt.Sprintf("# %s %s by effnet: depth %s, width %s, resolution %d from %d\n",
		d.base.Spec.Name, how, short4(d.factors.Depth), short4(d.factors.Width), d.scaled.Spec.Resolution, d.base.Spec.Resolution)
	if err := atomicfile.WriteBytes(path, append([]byte(head), d.scaled.Spec.YAML()...)); err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "wrote %s\n", path)
	return nil
}

// comparison is a network beside what it was scaled to.
type comparison struct {
	base, scaled *arch.Graph
	factors      arch.Factors
}

func (d *comparison) report() scaleReport {
	r := scaleReport{
		Factors: factorsReport{d.factors.Depth, d.factors.Width, d.scaled.Spec.Resolution},
		Nominal: d.nominal(),
		Base:    report(d.base, d.base.Cost()),
		Scaled:  report(d.scaled, d.scaled.Cost()),
		Spec:    string(d.scaled.Spec.YAML()),
	}
	r.Realised = float64(r.Scaled.MACs) / float64(r.Base.MACs)
	return r
}

func (d *comparison) nominal() float64 { return d.factors.Nominal(d.base.Spec.Resolution) }

// text is the comparison for people; how names the second column.
func (d *comparison) text(how string) string {
	s0, s1 := &d.base.Spec, &d.scaled.Spec
	c0, c1 := d.base.Cost(), d.scaled.Cost()
	var b strings.Builder
	fmt.Fprintf(&b, "%s -> %s\n\n", s0.Name, s1.Name)
	tab := newTable("stage", "operator", ">input", ">channels", "", ">layers", "", ">parameters", ">MACs", ">x")
	for i, r0 := range c0.Stages {
		r1 := c1.Stages[i]
		channels, exactC, layers, exactL := fmt.Sprint(r0.Width), "", fmt.Sprint(r0.Layers), ""
		if i < len(c0.Stages)-1 { // the classifier's width is the classes
			channels = change(r0.Width, r1.Width)
			fixed := i == 0 && s0.Rule.FixStem || i > len(s0.Stages) && s0.Rule.FixHead
			exactC = exact(d.factors.Width, r0.Width, r1.Width, fixed)
		}
		if i > 0 && i <= len(s0.Stages) {
			layers = change(r0.Layers, r1.Layers)
			fixed := s0.Rule.FixEnds && (i == 1 || i == len(s0.Stages))
			exactL = exact(d.factors.Depth, r0.Layers, r1.Layers, fixed)
		}
		tab.add(r0.Name, r0.Operator, change(r0.In.H, r1.In.H), channels, exactC, layers, exactL,
			thousands(r1.Params), short(r1.MACs), factor(float64(r1.MACs)/float64(r0.MACs)))
	}
	b.WriteString(tab.String())
	b.WriteString("(in brackets: the number before rounding)\n\n")

	tab = newTable("", ">base", ">"+how, ">x")
	rows0, rows1 := totalRows(&c0.Totals), totalRows(&c1.Totals)
	for i := range rows0 {
		tab.add(rows0[i].name, thousands(rows0[i].n), thousands(rows1[i].n), factor(float64(rows1[i].n)/float64(rows0[i].n)))
	}
	b.WriteString(tab.String() + "\n")
	b.WriteString(d.roundingText(c0, c1))
	return b.String()
}

// change is "a -> b", or a alone where nothing changed.
func change(a, b int) string {
	if a == b {
		return fmt.Sprint(a)
	}
	return fmt.Sprintf("%d -> %d", a, b)
}

// exact is "(x)" where rounding made n of x = factor*from, and "(fixed)" where
// the network's rule keeps a number whatever the factor.
func exact(factor float64, from, n int, fixed bool) string {
	if fixed && factor != 1 {
		return "(fixed)"
	}
	x := factor * float64(from)
	digits := 2
	for lim := 10.0; x >= lim && digits > 0; lim *= 10 {
		digits--
	}
	text := strconv.FormatFloat(x, 'f', digits, 64)
	if digits > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == strconv.Itoa(n) {
		return ""
	}
	return "(" + text + ")"
}

// short4 is x in at most four digits.
func short4(x float64) string { return fmt.Sprintf("%.4g", x) }

// roundingText sets each factor's promise against what it does alone.
func (d *comparison) roundingText(c0, c1 *arch.Cost) string {
	s0 := &d.base.Spec
	r := float64(d.scaled.Spec.Resolution) / float64(s0.Resolution)
	tab := newTable("", ">factor", ">nominal", ">realised", "")
	blocks := func(s *arch.Spec) (n int) {
		for _, st := range s.Stages {
			n += st.Repeats
		}
		return n
	}
	base := *s0
	base.Rule = d.scaled.Spec.Rule
	row := func(name string, x, nominal float64, f arch.Factors, what string) {
		realised := "-"
		if s, err := base.Scale(f); err == nil {
			if t, err := s.CostAt(s.Resolution); err == nil {
				realised = factor(float64(t.MACs) / float64(c0.MACs))
			}
		}
		tab.add(name, short4(x), factor(nominal), realised, what)
	}
	row("depth", d.factors.Depth, d.factors.Depth, arch.Factors{Depth: d.factors.Depth, Width: 1},
		fmt.Sprintf("%d -> %d blocks", blocks(s0), blocks(&d.scaled.Spec)))
	row("width", d.factors.Width, d.factors.Width*d.factors.Width, arch.Factors{Depth: 1, Width: d.factors.Width},
		fmt.Sprintf("channels are multiples of %d", s0.Rule.WidthDivisor))
	row("resolution", r, r*r, arch.Factors{Depth: 1, Width: 1, Resolution: d.scaled.Spec.Resolution},
		fmt.Sprintf("%d -> %d pixels", s0.Resolution, d.scaled.Spec.Resolution))
	tab.add("together", "", factor(d.nominal()), factor(float64(c1.MACs)/float64(c0.MACs)), "d * w^2 * r^2 against MACs")
	return tab.String()
}

// published lists the zoo models that share a base network, that one included.
func published(base string) []arch.Model {
	for _, f := range arch.Families() {
		if len(f.Models) > 1 && f.Models[0].Name == base {
			return f.Models
		}
	}
	return nil
}

func zooTotals(name string) arch.Totals {
	s := arch.MustLookup(name)
	t, err := s.CostAt(s.Resolution)
	if err != nil {
		panic(err)
	}
	return t
}

// formulaText shows the formula's network between the published ones of
// nearest cost.
func (d *comparison) formulaText(phi float64, c arch.Compound, family []arch.Model) string {
	var b strings.Builder
	fmt.Fprintf(&b, "formula: alpha %g, beta %g, gamma %g, phi %g; alpha*beta^2*gamma^2 = %.4g\n", c.Alpha, c.Beta, c.Gamma, phi, c.Cost())
	if len(family) == 0 {
		return b.String()
	}
	tab := newTable("", ">depth", ">width", ">pixels", ">parameters", ">MACs", ">x")
	t := d.scaled.Cost().Totals
	base := zooTotals(family[0].Name).MACs
	add := func(name string, f arch.Factors, t arch.Totals) {
		tab.add(name, short4(f.Depth), short4(f.Width), fmt.Sprint(f.Resolution), thousands(t.Params), short(t.MACs), factor(float64(t.MACs)/float64(base)))
	}
	i := 0 // the first model that costs more
	for i < len(family) && zooTotals(family[i].Name).MACs <= t.MACs {
		i++
	}
	if i > 0 {
		add(family[i-1].Name, family[i-1].Factors, zooTotals(family[i-1].Name))
	}
	add(fmt.Sprintf("phi %g", phi), d.factors, t)
	if i < len(family) {
		add(family[i].Name, family[i].Factors, zooTotals(family[i].Name))
	}
	b.WriteString(tab.String())
	return b.String()
}
