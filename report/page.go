package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"

	"effnet/arch"
	"effnet/search"
)

//go:embed page.html
var pageSource string

//go:embed page.js
var pageScript string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// fact is a term and what it is.
type fact struct{ Term, Text string }

// drawn is a figure on the page.
type drawn struct {
	Name, Nav, Title, See, Caption string
	Half                           bool
	Panels                         []drawnPanel
	Keys                           []fact // colours and what they mean
	Images                         []picture
	Table                          *table
}

// drawnPanel is one drawing; Most and Least are the widths between which it is
// shown, in pixels.
type drawnPanel struct {
	Most, Least int
	SVG         template.HTML
}

// gap is the difference that the verdict rests on.
type gap struct {
	Lead, Half, Text string
	Strip            template.HTML
}

// ratio is how the growth should divide.
type ratio struct {
	Title, Text string
	Command     []string // its words
	Shares      []share
}

type share struct {
	Class, Text, Tip string
	Weight           float64
}

// Page makes the HTML page of the search in the folder dir, which is looked
// into for pictures alone: see [CAMPattern]. The page fetches nothing.
//
// A page that is open can be brought up to date by replacing what is inside
// #verdict, #facts, #figures, the table #networks, #method and #nav by the same
// of a newer page, and then dispatching the event "report:replaced" on the
// document. A figure alone is the element #fig- and its name.
func Page(dir string, a *search.Analysis) ([]byte, error) {
	if a.Plan == nil {
		return nil, noPlan(dir)
	}
	return page(dir, a, figures(a))
}

// page is Page with the figures that are drawn already.
func page(dir string, a *search.Analysis, figs []*figure) ([]byte, error) {
	cam, err := camFigure(dir)
	if err != nil {
		return nil, err
	}
	if cam != nil {
		figs = append(figs, cam)
	}
	badge, tone := verdictTone(a)
	data := struct {
		Title, Name           string
		Verdict, Kind, Detail string
		Badge, Tone           string
		Light, Dark, TextRule template.CSS
		Script                template.JS
		Gap                   *gap
		Ratio                 *ratio
		Tiles, Method, Origin []fact
		Figures               []drawn
		Networks              *table
	}{
		Title: fmt.Sprintf("Scaling %s on %s", baseName(a), a.Config.Data), Name: baseName(a),
		Verdict: a.Verdict.Text, Kind: string(a.Verdict.Kind), Detail: a.Verdict.Detail,
		Badge: badge, Tone: tone,
		Light: template.CSS(variables(false)), Dark: template.CSS(variables(true)), TextRule: template.CSS(textRule),
		Script: template.JS(pageScript),
		Gap:    verdictGap(a), Ratio: chosenRatio(a),
		Tiles: tiles(a), Method: method(a), Origin: origin(a),
		Networks: networksTable(a),
	}
	for _, f := range pair(figs) {
		d := drawn{Name: f.name, Nav: f.nav, Title: f.title, See: f.see, Caption: f.caption, Half: f.half, Images: f.images, Table: f.table}
		for _, s := range f.panels {
			// A wide one scrolls rather than shrinks beyond reading.
			most, least := 1.25*s.w, 0.68*s.w
			d.Panels = append(d.Panels, drawnPanel{int(most), int(least), template.HTML(s.svg(true))})
		}
		for _, k := range f.keys {
			d.Keys = append(d.Keys, fact{string(k.ink), k.text})
		}
		data.Figures = append(data.Figures, d)
	}
	var b bytes.Buffer
	err = pageTemplate.Execute(&b, data)
	return b.Bytes(), err
}

// pair lets half figures stand two in a row: one that would stand alone takes
// the whole width.
func pair(figs []*figure) []*figure {
	for i := 0; i < len(figs); i++ {
		switch {
		case !figs[i].half:
		case i+1 < len(figs) && figs[i+1].half:
			i++
		default:
			figs[i].half = false
		}
	}
	return figs
}

// verdictTone is the verdict in a word or two, and the colour of what won.
func verdictTone(a *search.Analysis) (badge, tone string) {
	switch v := &a.Verdict; v.Kind {
	case search.CompoundWins:
		return "compound wins", string(inkCompound)
	case search.SingleWins:
		return v.Single + " alone wins", string(roleInk(search.Role(v.Single)))
	default:
		return string(v.Kind), string(inkMuted)
	}
}

// verdictGap is the comparison that the verdict rests on, as a number and as
// an interval beside zero.
func verdictGap(a *search.Analysis) *gap {
	c := a.Verdict.Against
	if c == nil {
		return nil
	}
	f := c.Factor
	if finals, _ := validated(a); f == 0 && len(finals) > 0 {
		f = finals[len(finals)-1].Factor
	}
	return &gap{
		Lead: signed(100*c.Diff, 2), Half: fmt.Sprintf("%.2f", 100*c.Half()),
		Text:  fmt.Sprintf("points of test accuracy: compound less %s alone, at %s the base's cost, with its 95 %% interval", a.Verdict.Single, factor(f)),
		Strip: template.HTML(gapStrip(c).svg(true)),
	}
}

// gapStrip is an interval on a line through zero.
func gapStrip(c *search.Comparison) *scene {
	s := &scene{w: 400, h: 46, title: "The difference and its 95 % interval beside zero"}
	e := newExtent()
	e.add(0, c.Lo, c.Hi, c.Diff)
	if e.hi <= e.lo {
		e.add(0.001)
	}
	lo, hi := pad(e.lo, e.hi, 0.12)
	x := scale{lo: lo, hi: hi, a: 4, b: 396}
	ink := inkMuted
	switch {
	case c.Lo > 0:
		ink = roleInk(search.RoleCompound)
	case c.Hi < 0:
		ink = roleInk(c.Rule)
	}
	s.line(4, 18, 396, 18, inkGrid, 2)
	s.line(x.at(0), 6, x.at(0), 30, inkText, 1.5)
	s.label(min(max(x.at(0), 12), 388), 43, "0", 12, anchorMiddle, inkMuted)
	s.line(x.at(c.Lo), 18, x.at(c.Hi), 18, ink, 5)
	s.circle(x.at(c.Diff), 18, 8, ink, fmt.Sprintf("%s points, 95 %% interval %s to %s", signed(100*c.Diff, 2), signed(100*c.Lo, 2), signed(100*c.Hi, 2)))
	for _, v := range []float64{c.Lo, c.Hi} {
		if math.Abs(x.at(v)-x.at(0)) > 26 {
			an := anchorMiddle
			if x.at(v) < 20 {
				an = anchorStart
			} else if x.at(v) > 380 {
				an = anchorEnd
			}
			s.label(x.at(v), 43, signed(100*v, 2), 12, an, inkMuted)
		}
	}
	return s
}

// chosenRatio is how the search says to grow.
func chosenRatio(a *search.Analysis) *ratio {
	growth, role := a.Growth()
	if growth == nil {
		return nil
	}
	n := a.Net(a.Choice.Winner)
	r := &ratio{
		Title: "The chosen ratio",
		Text:  fmt.Sprintf("of the growth of cost into depth, width and resolution. At %s: depth ×%.2f, width ×%.2f, %d px (%s).", factor(a.Config.Factor), n.Depth, n.Width, n.Resolution, n.ID),
	}
	if role != search.RoleCompound {
		c := a.Choice.Ratio
		r.Title = "How to grow"
		r.Text = fmt.Sprintf("All cost into %s. The best ratio of several dimensions that was found did worse: depth %.0f\u00a0%%, width %.0f\u00a0%%, resolution %.0f\u00a0%% of the growth (%s).", role, 100*c.D, 100*c.W, 100*c.R, n.ID)
	}
	for _, s := range []struct {
		name string
		part func(arch.Shares) float64
	}{
		{"depth", func(s arch.Shares) float64 { return s.D }},
		{"width", func(s arch.Shares) float64 { return s.W }},
		{"resolution", func(s arch.Shares) float64 { return s.R }},
	} {
		p := s.part(*growth)
		if p == 0 {
			continue
		}
		text := fmt.Sprintf("%s %.0f %%", s.name, 100*p)
		const bar = 290 // pixels at least
		if textWidth(text, 14, true) > bar*p {
			if text = fmt.Sprintf("%.0f %%", 100*p); textWidth(text, 14, true) > bar*p {
				text = ""
			}
		}
		r.Shares = append(r.Shares, share{s.name, text, fmt.Sprintf("%s %.0f %%", s.name, 100*p), math.Round(1000*p) / 1000})
	}
	r.Command = strings.Fields(growCommand(a))
	return r
}

// baseName is the name in the base network's YAML.
func baseName(a *search.Analysis) string {
	base, err := arch.ParseSpec(search.LedgerName, []byte(a.Config.Base))
	if err != nil || base.Name == "" {
		return "a base network"
	}
	return base.Name
}
