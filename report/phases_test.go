package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"effnet/search"
)

// TestEveryPhase draws a search that went through all of its phases, with few
// candidates and with hundreds, among them some that diverged and some that
// were stopped.
func TestEveryPhase(t *testing.T) {
	for _, nets := range []int{30, 144} {
		t.Run(fmt.Sprint(nets), func(t *testing.T) {
			a := everyPhase(t, nets)
			dir := t.TempDir()
			if look := os.Getenv("EFFNET_LOOK"); look != "" {
				dir = filepath.Join(look, t.Name())
				if err := os.MkdirAll(dir, 0o777); err != nil {
					t.Fatal(err)
				}
				if _, err := Write(dir, a); err != nil {
					t.Fatal(err)
				}
			}
			var names []string
			for _, f := range figures(a) {
				names = append(names, f.name)
				for _, p := range f.panels {
					fits(t, f.name, p)
				}
			}
			want := []string{"compound", "family", "lead", "triangle", "sweeps", "saturation", "pareto", "flow", "finalists", "curves", "compute", "time", "latency"}
			if diff := gocmp.Diff(want, names); diff != "" {
				t.Errorf("figures (-want +got):\n%s", diff)
			}
			page, err := Page(dir, a)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"NaN", "Inf", "%!"} {
				if i := bytes.Index(page, []byte(bad)); i >= 0 {
					t.Errorf("the page shows %q: %s", bad, page[max(0, i-80):i+20])
				}
			}
			if again, err := Page(dir, a.Result.Analyse()); err != nil || !bytes.Equal(page, again) {
				t.Errorf("the page is another the second time (%v)", err)
			}
		})
	}
}

// everyPhase is a search with every phase, whose budget has a limit in latency.
func everyPhase(t testing.TB, nets int) *search.Analysis {
	return fixture(t, t.TempDir(), func(c *search.Config) {
		c.Networks, c.Epochs, c.Eta, c.Rungs, c.Seeds = nets, 36, 3, 3, 1
		c.Finalists, c.FreshSeeds, c.NoiseSeeds, c.Sweep = 4, 3, 5, true
		c.Limits = []search.Limit{{Measure: search.MeasureLatency, Factor: 4}}
	})
}
