package report

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"effnet/internal/browsertest"
)

// TestBrowser looks at the page as people do: large and small, by day, by
// night and on paper; with a pointer; and while it is brought up to date.
func TestBrowser(t *testing.T) {
	browser := browsertest.Open(t)
	dir := t.TempDir()
	cam(t, dir)
	_, a := everyPhase(t)
	page, err := Page(dir, a)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNoContent) // the icon that browsers ask for
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	}))
	t.Cleanup(server.Close)
	tab := browser.Tab(t, 5*time.Minute)
	tab.Go(server.URL)
	for _, l := range []browsertest.Look{
		{Name: "desktop", Width: 1360, Height: 900}, {Name: "night", Width: 1360, Height: 900, Dark: true},
		{Name: "tablet", Width: 820, Height: 1100, Touch: true}, {Name: "telephone", Width: 360, Height: 740, Touch: true, Dark: true},
		{Name: "wide", Width: 2200, Height: 1200}, {Name: "paper", Width: 720, Height: 1000, Print: true},
	} {
		tab.Look(l)
		if over := browsertest.Value[float64](tab, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("%s: the page is %v pixels too wide", l.Name, over)
		}
		for _, bad := range tab.Unreadable() {
			t.Errorf("%s: %s", l.Name, bad)
		}
		if small := browsertest.Value[[]string](tab, smallTexts); len(small) > 0 && !l.Print {
			t.Errorf("%s: too small to read: %s", l.Name, strings.Join(small, ", "))
		}
		tab.Shot("report-" + l.Name)
	}
	for _, bad := range tab.Nameless() {
		t.Errorf("without a name: %s", bad)
	}

	tab.Look(browsertest.Look{Width: 1360, Height: 900})
	// What is near a mark says what it is, and the network lights up everywhere.
	browsertest.Value[bool](tab, `(() => {
		document.documentElement.style.scrollBehavior = "auto";
		document.getElementById("fig-flow").scrollIntoView();
		return new Promise(done => setTimeout(() => done(true), 300)); // scrolling hides what is shown
	})()`)
	browsertest.Value[bool](tab, `(() => {
		const r = document.querySelector("#fig-flow circle[data-net]").getBoundingClientRect();
		const at = { clientX: r.x + r.width / 2 + 6, clientY: r.y + r.height / 2, bubbles: true };
		return document.elementFromPoint(at.clientX, at.clientY).dispatchEvent(new PointerEvent("pointermove", at));
	})()`)
	tab.Wait(`document.getElementById("tip").style.visibility === "visible"`)
	net := browsertest.Value[string](tab, `document.querySelector("#fig-flow circle[data-net]").dataset.net`)
	if tip := browsertest.Value[string](tab, `document.getElementById("tip").textContent`); !strings.HasPrefix(tip, net+"\n") || !strings.Contains(tip, "promoted") {
		t.Errorf("the mark of %s says %q", net, tip)
	}
	const lit = `[...document.querySelectorAll(".hot")].filter(e => e !== document.body).every(e => e.dataset.net === "` // and the rest of it
	if !browsertest.Value[bool](tab, lit+net+`") && document.querySelector("#networks tr.hot") !== null && document.querySelectorAll("figure:has(.hot)").length >= 3`) {
		t.Errorf("%s is not lit in other figures and in the table", net)
	}

	// The table sorts and filters, and stays so when the page is replaced.
	first := `document.querySelector("#networks tbody tr:not([hidden])").cells[0].textContent`
	browsertest.Value[bool](tab, `document.querySelector("#networks th:nth-child(7) span").dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }))`)
	largest := browsertest.Value[string](tab, first)
	if !strings.HasPrefix(largest, "v8-") && !strings.HasPrefix(largest, "sweep") {
		t.Errorf("by MACs, %s is the largest", largest)
	}
	browsertest.Value[bool](tab, `document.querySelector("#table input").focus() ?? true`)
	tab.Type("x2-")
	filtered := browsertest.Value[int](tab, `document.querySelectorAll("#networks tbody tr:not([hidden])").length`)
	if filtered != 24 {
		t.Errorf("%d networks are left of 24", filtered)
	}
	browsertest.Value[bool](tab, `fetch("/").then(r => r.text()).then(text => {
		const next = new DOMParser().parseFromString(text, "text/html");
		for (const id of ["nav", "verdict", "facts", "figures", "networks", "method"])
			document.getElementById(id).innerHTML = next.getElementById(id).innerHTML;
		document.dispatchEvent(new Event("report:replaced"));
		return true;
	})`)
	if n := browsertest.Value[int](tab, `document.querySelectorAll("#networks tbody tr:not([hidden])").length`); n != filtered {
		t.Errorf("after the page was replaced, %d networks are left of %d", n, filtered)
	}
	if browsertest.Value[string](tab, `document.querySelectorAll("#networks th")[6].ariaSort`) != "descending" {
		t.Error("after the page was replaced, its table is not sorted")
	}
}

// smallTexts are texts of figures that are shown below 8 pixels.
const smallTexts = `[...document.querySelectorAll("#figures svg text")].filter(e => {
	const svg = e.ownerSVGElement;
	return e.getAttribute("font-size") * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width < 8;
}).slice(0, 5).map(e => e.closest("figure").id + " " + e.textContent)`

// cam leaves a picture for the page.
func cam(t testing.TB, dir string) {
	t.Helper()
	s := &scene{w: 600, h: 120}
	s.rect(0, 0, 600, 120, inkFaint)
	img, err := s.png()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, FiguresFolder), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, FiguresFolder, "cam.png"), img, 0o666); err != nil {
		t.Fatal(err)
	}
}
