package report

import (
	"bytes"
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
	for name, search := range map[string]func(testing.TB) (string, *search.Analysis){
		"few candidates": everyPhase, "many candidates": once("many", phasesOf(144)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, a := search(t)
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
