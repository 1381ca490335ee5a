package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"effnet/internal/tfevents"
	"effnet/search"
	"effnet/search/searchtest"
)

// diverging makes one trial of a search fail.
func diverging(network string) *searchtest.Engine {
	return &searchtest.Engine{Fail: func(t *search.Trial) error {
		if strings.HasPrefix(t.ID, network+"-") {
			return fmt.Errorf("%w: loss is NaN", search.ErrDiverged)
		}
		return nil
	}}
}

// fixed gives a search times that do not depend on the clock.
func fixed(a *search.Analysis) *search.Analysis {
	zero := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range a.History {
		a.History[i].Time = zero.Add(time.Duration(i) * time.Second)
	}
	for _, t := range a.Trials {
		t.Seconds = 1.5
	}
	return a
}

// searched is a finished search with a trial that failed.
func searched(t *testing.T) (dir string, a *search.Analysis) {
	dir = t.TempDir()
	searchtest.Run(t, dir, searchtest.Config(), diverging("x2-depth"))
	res, err := search.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, fixed(res.Analyse())
}

// operations decodes a journal.
func operations(t *testing.T, data []byte) (list []map[string]any) {
	t.Helper()
	for line := range bytes.Lines(data) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

// TestOptuna replays the journal as Optuna does and holds it against the
// search.
func TestOptuna(t *testing.T) {
	_, a := searched(t)
	data, err := optuna(a)
	if err != nil {
		t.Fatal(err)
	}
	type trial struct {
		name   string
		state  trialState
		value  float64
		curve  map[int]float64
		params map[string]any
		ranges map[string]any
		attrs  map[string]any
	}
	var trials []*trial
	study := map[string]any{}
	for _, m := range operations(t, data) {
		var tr *trial
		if id, ok := m["trial_id"].(float64); ok {
			if tr = trials[int(id)]; tr.state != trialRunning {
				t.Fatalf("trial %v is changed after its end: Optuna ignores that", id)
			}
		}
		switch operation(m["op_code"].(float64)) {
		case createStudy:
			study["name"] = m["study_name"]
			if d := m["directions"].([]any); len(d) != 1 || d[0].(float64) != maximize {
				t.Errorf("directions %v", d)
			}
		case setStudyUser, setStudySystem:
			for _, key := range []string{"user_attr", "system_attr"} {
				if attr, ok := m[key].(map[string]any); ok {
					for k, v := range attr {
						study[k] = v
					}
				}
			}
		case createTrial:
			attrs := m["user_attrs"].(map[string]any)
			trials = append(trials, &trial{
				name: attrs["trial"].(string), attrs: attrs, curve: map[int]float64{}, value: math.NaN(),
				params: m["params"].(map[string]any), ranges: m["distributions"].(map[string]any),
			})
		case setIntermediate:
			tr.curve[int(m["step"].(float64))] = m["intermediate_value"].(float64)
		case setTrialUser:
			for k, v := range m["user_attr"].(map[string]any) {
				tr.attrs[k] = v
			}
		case setTrialState:
			tr.state = trialState(m["state"].(float64))
			if v, ok := m["values"].([]any); ok {
				tr.value = v[0].(float64)
			}
		default:
			t.Errorf("operation %v", m["op_code"])
		}
	}
	if study["name"] != "tiny on made-up" || study["verdict"] != a.Verdict.Text {
		t.Errorf("study %v", study)
	}
	if len(trials) != len(a.Trials) {
		t.Errorf("%d trials, the ledger has %d", len(trials), len(a.Trials))
	}
	failed := 0
	for _, tr := range trials {
		want := a.Trials[tr.name]
		n := a.Net(want.Network)
		if tr.params["depth"] != n.Depth || tr.params["width"] != n.Width || tr.params["resolution"] != float64(n.Resolution) || tr.params["epochs"] != float64(want.Epochs) {
			t.Errorf("%s: parameters %v", tr.name, tr.params)
		}
		for k, v := range tr.ranges {
			var d struct {
				Name       string
				Attributes struct{ Low, High float64 }
			}
			if err := json.Unmarshal([]byte(v.(string)), &d); err != nil {
				t.Fatal(err)
			}
			if x := tr.params[k].(float64); !(d.Attributes.Low <= x && x <= d.Attributes.High) {
				t.Errorf("%s: %s is %v, outside of its range %v", tr.name, k, x, v)
			}
		}
		if want.Outcome == nil {
			failed++
			if tr.state != trialFail || tr.attrs["error"] == nil || !math.IsNaN(tr.value) {
				t.Errorf("%s failed: state %d, attributes %v", tr.name, tr.state, tr.attrs)
			}
			continue
		}
		if tr.state != trialComplete || tr.value != want.Outcome.Validation.Accuracy() {
			t.Errorf("%s: state %d, value %v, want %v", tr.name, tr.state, tr.value, want.Outcome.Validation.Accuracy())
		}
		for _, p := range want.Outcome.Curve {
			if tr.curve[p.Epoch] != p.Accuracy {
				t.Errorf("%s: epoch %d has %v, want %v", tr.name, p.Epoch, tr.curve[p.Epoch], p.Accuracy)
			}
		}
		if s := want.Outcome.Test; s != nil && tr.attrs["test accuracy"] != s.Accuracy() {
			t.Errorf("%s: test accuracy %v, want %v", tr.name, tr.attrs["test accuracy"], s.Accuracy())
		}
	}
	if failed == 0 {
		t.Error("no trial failed, so that none was looked at")
	}
}

// TestOptunaGrows cuts the ledger after every event: the journal of a search
// under way is the beginning of the finished one's.
func TestOptunaGrows(t *testing.T) {
	dir, _ := searched(t)
	data, err := os.ReadFile(filepath.Join(dir, search.LedgerName))
	if err != nil {
		t.Fatal(err)
	}
	part := t.TempDir()
	var last []byte
	length := 0
	for line := range bytes.Lines(data) {
		length += len(line)
		if err := os.WriteFile(filepath.Join(part, search.LedgerName), data[:length], 0o666); err != nil {
			t.Fatal(err)
		}
		res, err := search.Load(part)
		if err != nil {
			t.Fatal(err)
		}
		now, err := optuna(res.Analyse())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(now, last) {
			t.Fatalf("after %s the journal begins otherwise:\n%s", line[:min(len(line), 60)], firstDifference(last, now))
		}
		last = now
	}
}

func firstDifference(a, b []byte) string {
	x, y := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] + "\n" + y[i]
		}
	}
	return ""
}

func TestSummary(t *testing.T) {
	_, a := searched(t)
	rows, err := csv.NewReader(bytes.NewReader(summary(a))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(a.Nets)+1 {
		t.Fatalf("%d rows, want a heading and %d networks", len(rows), len(a.Nets))
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for i := range a.Nets {
		n, row := &a.Nets[i], rows[i+1]
		for name, want := range map[string]float64{
			"top1": 100 * n.Test.Mean, "top1_err": 100 - 100*n.Test.Mean, "val_top1": 100 * n.Validation.Mean,
			"param_count": float64(n.Params) / 1e6, "infer_gmacs": float64(n.MACs) / 1e9, "infer_macts": float64(n.Activations) / 1e6,
			"img_size": float64(n.Resolution), "depth": n.Depth, "width": n.Width,
		} {
			text := row[column[name]]
			if text == "" && math.IsNaN(want) || text == "" && name[:3] == "top" && n.Test.N == 0 || text == "" && n.Validation.N == 0 {
				continue
			}
			if got, err := strconv.ParseFloat(text, 64); err != nil || math.Abs(got-want) > 1e-5*math.Abs(want)+5e-4*boolean(strings.Contains(name, "top1")) {
				t.Errorf("%s: %s is %q, want %v", n.ID, name, text, want)
			}
		}
	}
	// A network that was timed has a step of one image, in milliseconds; others
	// have none.
	a.Nets[1].Latency = 0.00125
	if rows, err = csv.NewReader(bytes.NewReader(summary(a))).ReadAll(); err != nil {
		t.Fatal(err)
	}
	for i, row := range rows[1:] {
		step, batch := "", ""
		if i == 1 {
			step, batch = "1.25", "1"
		}
		if got := row[column["infer_step_time"]]; got != step || row[column["infer_batch_size"]] != batch {
			t.Errorf("%s: a step of %q ms for %q images, want %q and %q", row[0], got, row[column["infer_batch_size"]], step, batch)
		}
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 1: "1", 0.093162: "0.093162", 7.123456789: "7.12346", 123456789: "123457000", 0.00000123456789: "0.00000123457"} {
		if got := number(x); got != want {
			t.Errorf("%v is written %s, want %s", x, got, want)
		}
	}
}

// TestTensorBoard reads every trial's event file back.
func TestTensorBoard(t *testing.T) {
	_, a := searched(t)
	out := t.TempDir()
	paths, err := Write(out, a)
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) != 3 {
		t.Errorf("paths %v", paths)
	}
	for id, want := range a.Trials {
		f, err := os.Open(filepath.Join(out, TensorBoardFolder, id, eventsName))
		if err != nil {
			t.Fatal(err)
		}
		events, err := tfevents.Read(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		scalars, params := map[string]float64{}, map[string]any{}
		var status tfevents.Status
		for _, e := range events {
			for _, v := range e.Values {
				switch {
				case v.Start != nil:
					for _, h := range v.Start.HParams {
						params[h.Name] = h.Value
					}
				case v.End != nil:
					status = v.End.Status
				default:
					scalars[fmt.Sprintf("%s %d", v.Tag, e.Step)] = float64(v.Scalar)
				}
			}
		}
		n := a.Net(want.Network)
		if params["depth"] != n.Depth || params["width"] != n.Width || params["resolution"] != float64(n.Resolution) || params["phase"] != string(want.Phase) {
			t.Errorf("%s: hyperparameters %v", id, params)
		}
		if want.Outcome == nil {
			if status != tfevents.Failure || len(scalars) > 0 {
				t.Errorf("%s failed, its session has status %d and %v", id, status, scalars)
			}
			continue
		}
		if status != tfevents.Success {
			t.Errorf("%s: status %d", id, status)
		}
		expect := map[string]float64{fmt.Sprintf("%s %d", finalTag, want.Epochs): want.Outcome.Validation.Accuracy()}
		if s := want.Outcome.Test; s != nil {
			expect[fmt.Sprintf("%s %d", testTag, want.Epochs)] = s.Accuracy()
		}
		for _, p := range want.Outcome.Curve {
			expect[fmt.Sprintf("%s %d", validationTag, p.Epoch)] = p.Accuracy
			expect[fmt.Sprintf("%s %d", lossTag, p.Epoch)] = p.Loss
		}
		if len(scalars) != len(expect) {
			t.Errorf("%s: %d scalars, want %d", id, len(scalars), len(expect))
		}
		for k, v := range expect {
			if math.Abs(scalars[k]-v) > 1e-6 {
				t.Errorf("%s: %s is %v, want %v", id, k, scalars[k], v)
			}
		}
	}
	// A second export changes no file: a TensorBoard that watches stays calm.
	before := stamps(t, out)
	if _, err := Write(out, a); err != nil {
		t.Fatal(err)
	}
	if after := stamps(t, out); after != before {
		t.Errorf("event files were written again:\n%s\n%s", before, after)
	}
}

// stamps lists the event files with their times.
func stamps(t *testing.T, dir string) string {
	names, err := filepath.Glob(filepath.Join(dir, TensorBoardFolder, "*", "*"))
	if err != nil || len(names) == 0 {
		t.Fatal(err, names)
	}
	var b strings.Builder
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, name, info.ModTime().UnixNano())
	}
	return b.String()
}
