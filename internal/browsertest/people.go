package browsertest

import (
	"encoding/json"
	"fmt"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
)

// unreadable lists texts whose contrast with what is behind them is below that
// of WCAG 2.2, level AA: 4.5, and 3 for large letters.
const unreadable = `(() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const colour = css => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = css;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = e => {
    if (!e) return colour(getComputedStyle(document.documentElement).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#fff");
    const c = colour(getComputedStyle(e).backgroundColor);
    return c[3] === 1 ? c : over(c, behind(e.parentElement));
  };
  const light = c => {
    const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bad = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, text = texts.currentNode.textContent.trim();
    if (!text || e.closest("svg, script, style, noscript, datalist, option, .sr, .skip") || !e.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const back = behind(e), a = light(over(colour(style.color), back)), b = light(back);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < (size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5)) bad.push(text.slice(0, 40) + ": contrast " + contrast.toFixed(2));
  }
  return bad;
})()`

// Unreadable lists the texts on the page that stand out too little from what is
// behind them.
func (tab *Tab) Unreadable() []string {
	tab.t.Helper()
	return Value[[]string](tab, unreadable)
}

// Nameless lists what a screen reader finds no words for: controls and pictures
// without a name.
func (tab *Tab) Nameless() []string {
	tab.t.Helper()
	call(tab, accessibility.Enable, cdp.Empty{})
	text := func(v *accessibility.Value) (s string) {
		if v != nil {
			_ = json.Unmarshal(v.Value, &s) // what is no string has no words
		}
		return s
	}
	var list []string
	for _, n := range call(tab, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if n.Ignored {
			continue
		}
		switch role := text(n.Role); role {
		case "button", "link", "checkbox", "radio", "slider", "textbox", "combobox", "image", "img", "group", "region", "article", "form", "navigation":
			if text(n.Name) == "" {
				list = append(list, fmt.Sprintf("a %s without a name (node %d)", role, n.BackendDOMNodeID))
			}
		}
	}
	return list
}
