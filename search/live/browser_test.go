package live

import (
	"strings"
	"testing"
	"time"

	"effnet/internal/browsertest"
	"effnet/search"
)

// TestBrowser opens the page before there is a plan, and keeps it open until
// the search has ended.
func TestBrowser(t *testing.T) {
	browser := browsertest.Open(t)
	m := &made{view: View{Run: "run", Base: "tiny", Data: "photos", State: Planning, Doing: "timing networks, 3 of 12"}}
	s, h := serve(t, m)
	tab := browser.Tab(t, 2*time.Minute)
	look := func(name string) {
		t.Helper()
		for _, l := range browsertest.Looks {
			tab.Look(l)
			if over := browsertest.Value[float64](tab, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%s, %s: the page is %v pixels too wide", name, l.Name, over)
			}
			for _, bad := range tab.Unreadable() {
				t.Errorf("%s, %s: %s", name, l.Name, bad)
			}
			tab.Shot("live-" + name + "-" + l.Name)
		}
	}
	shows := func(words ...string) {
		t.Helper()
		for _, w := range words {
			tab.Wait(`(document.body?.innerText ?? "").includes(` + string(jsonText(w)) + `)`)
		}
	}
	tab.Go(h.URL)
	shows("planning", "tiny on photos: timing networks, 3 of 12")
	if !browsertest.Value[bool](tab, `document.getElementById("live-pause").disabled`) {
		t.Error("what is planned can be paused")
	}
	if browsertest.Value[string](tab, `getComputedStyle(document.getElementById("live-extend")).display`) != "none" {
		t.Error("a budget that there is not can be extended")
	}
	look("planning")
	m.set(func() { m.view.Doing = "timing networks, 4 of 12" })
	shows("timing networks, 4 of 12")

	m.set(func() {
		m.view = View{
			Run: "run", State: Running, Ended: 3, Total: 40, Spent: 61, Left: 3600, Budget: 7200,
			Parts:   []Part{{Name: "noise", Ended: 2, Total: 2}, {Name: "rung 1 of 2 (3 epochs)", Ended: 1, Total: 20}},
			Running: []Trial{{ID: "x2-01-e3-s1", Network: "x2-01", Phase: "rung 1", Depth: 1.2, Width: 1.1, Resolution: 32, Epochs: 3, Epoch: 2, Done: 0.7, Accuracy: 0.85, Rate: 1234, Left: 9, Curve: []search.Point{{Epoch: 1, Accuracy: 0.8}, {Epoch: 2, Accuracy: 0.85}}}},
			Best:    &Best{Network: "x2-width", Accuracy: 0.9, Trials: 1},
		}
	})
	shows("running", "3 of 40 trials", "1 h 00 min left", "x2-01-e3-s1", "epoch 3 of 3 · 85.00 % · 1,234 images/s · 9 s left", "best so far x2-width, 90.00 %")
	if browsertest.Value[bool](tab, `document.body.innerText.includes("timing networks")`) {
		t.Error("the plan stands, but networks are still said to be timed")
	}
	look("running")
	for _, bad := range tab.Nameless() {
		t.Errorf("without a name: %s", bad)
	}

	// The first report comes while the page is open, and then a newer one.
	page := func(verdict string) []byte {
		return []byte(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>t</title></head><body><main><h1 id="verdict">` + verdict + `</h1></main></body></html>`)
	}
	m.set(func() { m.html, m.version = page("Unfinished."), 1 })
	shows("Unfinished.")
	tab.Wait(`performance.getEntriesByType("navigation")[0]?.type === "reload"`) // for the report's scripts
	m.set(func() { m.html, m.version = page("Width alone wins."), 2 })
	shows("Width alone wins.")
	tab.Wait(`document.getElementById("live-pause") !== null && !document.getElementById("live-pause").disabled`)

	browsertest.Value[bool](tab, `document.getElementById("live-pause").click() ?? true`)
	pressed := func() (took []search.Command) {
		m.set(func() { took = m.took })
		return took
	}
	for range 200 {
		if len(pressed()) > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if took := pressed(); len(took) != 1 || took[0].Op != search.OpPause {
		t.Errorf("the button gave the commands %+v", took)
	}

	m.set(func() { m.view.State, m.view.Running, m.view.Ended = Done, nil, 40 })
	s.ended.Store(true)
	shows("ended", "40 of 40 trials")
	tab.Wait(`document.getElementById("live-pause").disabled`)
	if text := browsertest.Value[string](tab, `document.getElementById("live-problem").textContent`); strings.TrimSpace(text) != "" {
		t.Errorf("at the end there is the problem %q", text)
	}
}
