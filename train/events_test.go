package train

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"effnet/internal/tfevents"
)

// readEvents reads the one event file of a run.
func readEvents(t *testing.T, dir string) []tfevents.Event {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*tfevents*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("event files %v, %v, want one", names, err)
	}
	f, err := os.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	events, err := tfevents.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// checkDerived holds summary.csv and the event file of an ended run against its
// metrics.jsonl, and wants nothing half-written beside them.
func checkDerived(t *testing.T, dir string) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(dir, MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, SummaryFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows[0][:5], ","); got != "epoch,train_loss,eval_loss,eval_top1,lr" {
		t.Errorf("columns of %s are %s", SummaryFile, got)
	}
	events := readEvents(t, dir)
	if last := events[len(events)-1]; len(last.Values) != 1 || last.Values[0].End == nil || last.Values[0].End.Status != tfevents.Success {
		t.Errorf("the last event is %+v, want the end of the session", last)
	}
	events = events[:len(events)-1]
	if events[0].Version != tfevents.Version || events[1].Values[0].Start == nil || events[2].Values[0].Image == nil {
		t.Fatalf("the first events are %+v, want version, start of the session, image", events[:3])
	}
	events, rows = events[3:], rows[1:]
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6*math.Abs(want) {
			t.Errorf("%s is %v, %s has %v", what, got, MetricsFile, want)
		}
	}
	for line := range bytes.Lines(src) {
		var want map[string]any
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 || float64(events[0].Step) != want["step"] {
			t.Fatalf("%d events left for %s", len(events), line)
		}
		seen := 0
		for _, v := range events[0].Values {
			kind, name, _ := strings.Cut(v.Tag, "/")
			if kind != want["type"] {
				t.Errorf("tag %s for %s", v.Tag, line)
			}
			near(v.Tag, float64(v.Scalar), want[name].(float64))
			seen++
		}
		if seen+4 != len(want) { // type, step, epoch, elapsed_s
			t.Errorf("%d scalars for %s", seen, line)
		}
		events = events[1:]
		if want["type"] != "epoch" {
			continue
		}
		if len(rows) == 0 {
			t.Fatalf("no row for %s", line)
		}
		for i, name := range []string{"epoch", "train_loss", "val_loss", "val_accuracy", "lr"} {
			x, ok := want[name].(float64)
			if !ok {
				if rows[0][i] != "" {
					t.Errorf("%s is %q, want nothing", name, rows[0][i])
				}
				continue
			}
			if name == "val_accuracy" {
				x *= 100
			}
			got, err := strconv.ParseFloat(rows[0][i], 64)
			if err != nil {
				t.Fatal(err)
			}
			near(name, got, x)
		}
		rows = rows[1:]
	}
	if len(events) > 0 || len(rows) > 0 {
		t.Errorf("%d events and %d rows more than in %s", len(events), len(rows), MetricsFile)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if isLeftover(e.Name()) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// TestSession looks at the start of an event file and at the end of one whose
// run diverged.
func TestSession(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	_, err := runFake(t.Context(), fakeJob(t, dir), &fakeEngine{onStep: func(step int64) error {
		if step == 7 {
			return &NonFiniteError{Step: step, Loss: math.Inf(1)}
		}
		return nil
	}})
	if !errors.Is(err, ErrDiverged) {
		t.Fatal(err)
	}
	events := readEvents(t, dir)
	got := map[string]any{}
	for _, h := range events[1].Values[0].Start.HParams {
		got[h.Name] = h.Value
	}
	for name, want := range map[string]any{
		"batch": 4.0, "optimizer": "rmsprop", "flip": true, "network": "small_300k", "resolution": 28.0, "train_images": 22.0, "recipe": "quick", "start": "random weights",
	} {
		if got[name] != want {
			t.Errorf("hyperparameter %s is %v, want %v", name, got[name], want)
		}
	}
	if last := events[len(events)-1]; last.Step != 7 || last.Values[0].End == nil || last.Values[0].End.Status != tfevents.Failure {
		t.Errorf("the last event is %+v, want a failure at step 7", last)
	}
}

// TestPicture draws three images of 2x2 pixels beside each other.
func TestPicture(t *testing.T) {
	x := []float32{
		0, 1, 2, 3, // black, a third, two thirds, white with mean 0 and standard deviation 1/3
		3, 3, 3, 3,
		-9, 0, 0, 99,
	}
	const w = 255 // white between and around
	img, err := picture(x, 3, 1, []float64{0}, []float64{1. / 3})
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := png.Decode(bytes.NewReader(img.PNG))
	if err != nil {
		t.Fatal(err)
	}
	box := decoded.Bounds()
	if box.Dx() != img.Width || box.Dy() != img.Height || img.Channels != 1 {
		t.Fatalf("%dx%d with %d channels is told of %v", img.Width, img.Height, img.Channels, box)
	}
	var got [][]int
	for y := range box.Dy() {
		var row []int
		for x := range box.Dx() {
			r, _, _, _ := decoded.At(x, y).RGBA()
			row = append(row, int(r>>8))
		}
		got = append(got, row)
	}
	want := [][]int{
		{0, 85, w, w, 255, 255, w, w, 0, 0},
		{170, 255, w, w, 255, 255, w, w, 0, 255},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if img, err := picture(make([]float32, 40*3*16), 40, 3, nil, nil); err != nil || img.Channels != 3 || img.Width != 8*4+7*2 || img.Height != 4*4+3*2 {
		t.Errorf("40 colour images: %v, %v, want 8 beside each other in 4 rows", img, err)
	}
	if _, err := picture(x[:11], 3, 1, nil, nil); err == nil {
		t.Error("no error for images that are no squares")
	}
}
