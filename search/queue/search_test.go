package queue

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"effnet/arch"
	"effnet/search"
)

// searchBase is a small network of four stages.
func searchBase(t testing.TB) arch.Spec {
	base, err := arch.ParseSpec("base", []byte(`name: base
resolution: 28
channels: 1
classes: 10
stem: {width: 8, kernel: 3, stride: 2}
blocks:
  - ds_r1_k3_s1_e1_c8
  - ir_r1_k3_s2_e4_c16
  - ir_r2_k3_s1_e4_c16
  - ir_r1_k3_s2_e4_c32
head: 96
scaling: {depth: round, width_divisor: 4, width_limit: 0.9}
`))
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// searchWith searches in dir with an engine, and returns every trial's outcome
// and the choice. Who trained a trial is left out.
func searchWith(t testing.TB, dir string, wrap func(*search.Engine, search.Config) *search.Engine, f *fake) map[string]string {
	t.Helper()
	base := searchBase(t)
	eng := f.engine()
	eng.Probe = func(_ context.Context, s *arch.Spec, _ int) (search.Speed, error) {
		c, err := s.CostAt(s.Resolution)
		return search.Speed{Train: 3e-10 * float64(c.MACs), Score: 1e-10 * float64(c.MACs)}, err
	}
	cfg := search.Config{
		Base: string(base.YAML()), Data: "fake", DataChecksum: "sha256:0", Recipe: "fake", Kernel: "go",
		Factor: 2, Tolerance: 0.08, ValidateFactors: []float64{4}, Networks: 6, Seeds: 2, Seed: 1, Epochs: 2, TrainImages: 1000,
	}
	res, err := search.Run(t.Context(), dir, cfg, base, wrap(eng, cfg), search.Options{Workers: 4, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for id, tr := range res.Trials {
		if tr.Outcome == nil {
			t.Fatalf("trial %s: %s", id, tr.Error)
		}
		o := *tr.Outcome
		o.Worker, o.Kernel = "", ""
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		out[id] = string(text)
	}
	choice, err := json.Marshal(res.Choice)
	if err != nil {
		t.Fatal(err)
	}
	out["choice"] = string(choice)
	return out
}

// TestSearch: one and the same search, without a queue, through the one inside
// the process, and through a cluster of which a node is killed half-way, after
// the search was begun inside the process.
func TestSearch(t *testing.T) {
	t.Parallel()
	f := &fake{steps: 3, delay: 3 * time.Millisecond}
	want := searchWith(t, t.TempDir(), func(e *search.Engine, _ search.Config) *search.Engine { return e }, f)
	dir := t.TempDir()
	got := searchWith(t, dir, func(e *search.Engine, cfg search.Config) *search.Engine {
		q, _ := open(t, dir, f, func(o *Options) { o.Config, o.Engine = cfg, e })
		return q.Engine()
	}, f)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the queue inside the process changed the search:\n%s", d)
	}

	// Cut the ledger: the same search, half of it done, moves to the cluster.
	moved := t.TempDir()
	if err := os.CopyFS(filepath.Join(moved, search.TrialsFolder), os.DirFS(filepath.Join(dir, search.TrialsFolder))); err != nil {
		t.Fatal(err)
	}
	cutLedger(t, filepath.Join(dir, search.LedgerName), filepath.Join(moved, search.LedgerName))
	servers := 1
	if *faults >= 100 {
		servers = 3
	}
	c := startServers(t, servers)
	for _, name := range []string{"a", "b"} {
		w, _ := worker(t, c.url(), name, f)
		start(t, w)
	}
	got = searchWith(t, moved, func(e *search.Engine, cfg search.Config) *search.Engine {
		q, _ := open(t, moved, f, func(o *Options) { remote(c)(o); o.Config, o.Engine, o.AckWait = cfg, e, 2*time.Second })
		if servers > 1 {
			time.AfterFunc(200*time.Millisecond, func() { c.kill(1) })
		}
		return q.Engine()
	}, f)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the cluster changed the search:\n%s", d)
	}
}

// cutLedger copies the first half of its lines.
func cutLedger(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	cut := len(data) / 2
	for data[cut-1] != '\n' {
		cut--
	}
	if err := os.WriteFile(to, data[:cut], 0o666); err != nil {
		t.Fatal(err)
	}
}
