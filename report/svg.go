package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"strconv"
	"strings"
)

// svg writes the scene. inline leaves colours and fonts to the page around it;
// otherwise the file brings its own, for light and dark surroundings.
func (s *scene) svg(inline bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img"`, num(s.w), num(s.h))
	if inline {
		// A title would hover over all that has none of its own.
		fmt.Fprintf(&b, ` aria-label="%s">`+"\n", html.EscapeString(s.title))
	} else {
		fmt.Fprintf(&b, ` width="%s" height="%s"><title>%s</title>`+"\n", num(s.w), num(s.h), html.EscapeString(s.title))
		fmt.Fprintf(&b, "<style>svg{%s}@media(prefers-color-scheme:dark){svg{%s}}%s</style>\n", variables(false), variables(true), textRule)
		fmt.Fprintf(&b, `<rect width="100%%" height="100%%" style="fill:var(--paper)"/>`+"\n")
	}
	for i := range s.items {
		s.items[i].svg(&b)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// textRule styles text; the first faces have the widths that text is laid out by.
const textRule = `svg text{font-family:"Helvetica Neue",Helvetica,Arial,"Liberation Sans",sans-serif}`

// variables are CSS custom properties with the palette's colours.
func variables(dark bool) string {
	var b strings.Builder
	for _, p := range palette {
		c := p.light
		if dark {
			c = p.dark
		}
		fmt.Fprintf(&b, "--%s:%s;", p.role, c)
	}
	return b.String()
}

func (c ink) css() string {
	switch {
	case c == inkNone:
		return "none"
	case c.fixed():
		return string(c)
	}
	return "var(--" + string(c) + ")"
}

// num is a coordinate with at most two decimals.
func num(x float64) string {
	s := strconv.FormatFloat(x, 'f', 2, 64)
	s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	if s == "-0" {
		return "0"
	}
	return s
}

func (it *item) svg(b *bytes.Buffer) {
	var style strings.Builder
	fmt.Fprintf(&style, "fill:%s", it.fill.css())
	if it.stroke != inkNone {
		fmt.Fprintf(&style, ";stroke:%s;stroke-width:%s", it.stroke.css(), num(it.width))
		if it.kind == shapeLine || it.kind == shapeArea {
			style.WriteString(";stroke-linejoin:round;stroke-linecap:round")
		}
	}
	if len(it.dash) > 0 {
		var d []string
		for _, x := range it.dash {
			d = append(d, num(x))
		}
		fmt.Fprintf(&style, ";stroke-dasharray:%s", strings.Join(d, " "))
	}
	if it.alpha > 0 {
		fmt.Fprintf(&style, ";opacity:%s", num(it.alpha))
	}
	var open, closing string
	switch it.kind {
	case shapeImage:
		p, q := it.pts[0], it.pts[1]
		fmt.Fprintf(b, `<image x="%s" y="%s" width="%s" height="%s" preserveAspectRatio="none" href="data:image/png;base64,%s"/>`+"\n",
			num(p.x), num(p.y), num(q.x-p.x), num(q.y-p.y), base64.StdEncoding.EncodeToString(pngOf(it.img)))
		return
	case shapeCircle:
		open = fmt.Sprintf(`<circle cx="%s" cy="%s" r="%s"`, num(it.pts[0].x), num(it.pts[0].y), num(it.r))
		closing = "circle"
	case shapeText:
		x, y := num(it.pts[0].x), num(it.pts[0].y)
		open = fmt.Sprintf(`<text x="%s" y="%s" font-size="%s"`, x, y, num(it.size))
		if it.bold {
			open += ` font-weight="bold"`
		}
		if a := [...]string{"", "middle", "end"}[it.anchor]; a != "" {
			open += fmt.Sprintf(` text-anchor="%s"`, a)
		}
		if it.turn != 0 {
			open += fmt.Sprintf(` transform="rotate(%s %s %s)"`, num(-it.turn), x, y)
		}
		if it.halo {
			style.WriteString(";stroke:var(--paper);stroke-width:3;paint-order:stroke;stroke-linejoin:round")
		}
		closing = "text"
	default:
		var d strings.Builder
		for i, p := range it.pts {
			if i == 0 {
				d.WriteByte('M')
			} else {
				d.WriteByte('L')
			}
			d.WriteString(num(p.x) + " " + num(p.y))
		}
		if it.kind == shapeArea {
			d.WriteByte('Z')
		}
		open = fmt.Sprintf(`<path d="%s"`, d.String())
		closing = "path"
	}
	fmt.Fprintf(b, `%s style="%s"`, open, style.String())
	if it.net != "" {
		fmt.Fprintf(b, ` data-net="%s"`, html.EscapeString(it.net))
	}
	switch {
	case it.kind == shapeText:
		b.WriteString(">" + html.EscapeString(it.text))
		if it.tip != "" {
			fmt.Fprintf(b, "<title>%s</title>", html.EscapeString(it.tip))
		}
		fmt.Fprintf(b, "</%s>\n", closing)
	case it.tip != "":
		fmt.Fprintf(b, "><title>%s</title></%s>\n", html.EscapeString(it.tip), closing)
	default:
		b.WriteString("/>\n")
	}
}
