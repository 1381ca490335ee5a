package search

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sampleEvents has an event of most kinds.
func sampleEvents() []*record {
	return []*record{
		{Kind: kindSearch, Config: &Config{Data: "a \"quoted\" name\n", Factor: 2}},
		{Kind: kindSession, Session: &Session{Workers: 2, Threads: 1}},
		{Kind: kindPlan, Plan: &Plan{FreshSeeds: []uint64{1, 2}}},
		{Kind: kindStart, Trial: "x2-depth-e2-s1", Attempt: 1},
		{Kind: kindFinish, Trial: "x2-depth-e2-s1", Attempt: 1, Seconds: 0.25,
			Outcome: &Outcome{Validation: Score{9, 10}, TestHits: []byte{1, 2}, SHA256: "ab"}},
		{Kind: kindFail, Trial: "x2-width-e2-s1", Attempt: 1, Error: "loss is NaN"},
		{Kind: kindDone},
	}
}

func writeLedger(t *testing.T, dir string, events []*record) {
	t.Helper()
	l, old, err := openLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(old) != 0 {
		t.Fatalf("a new ledger holds %d events", len(old))
	}
	for _, e := range events {
		if err := l.append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLedgerRoundTrip(t *testing.T) {
	dir := t.TempDir()
	want := sampleEvents()
	writeLedger(t, dir, want)
	got, whole, err := readLedger(filepath.Join(dir, LedgerName))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-wrote +read):\n%s", diff)
	}
	if info, _ := os.Stat(filepath.Join(dir, LedgerName)); info.Size() != whole {
		t.Errorf("whole lines are %d bytes of %d", whole, info.Size())
	}
}

// TestLedgerTorn cuts the file at every byte: what is read is the lines that
// are whole, and appending goes on after them.
func TestLedgerTorn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeLedger(t, dir, sampleEvents())
	path := filepath.Join(dir, LedgerName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(data) {
		if err := os.WriteFile(path, data[:cut], 0o666); err != nil {
			t.Fatal(err)
		}
		want := bytes.Count(data[:cut], []byte("\n"))
		if cut%97 != 0 {
			got, _, err := readLedger(path)
			if err != nil || len(got) != want {
				t.Fatalf("cut at %d: %d events, error %v, want %d events", cut, len(got), err, want)
			}
			continue
		}
		l, got, err := openLedger(dir)
		if err != nil || len(got) != want {
			t.Fatalf("cut at %d: %d events, error %v, want %d events", cut, len(got), err, want)
		}
		e := &record{Kind: kindStart, Trial: "again", Attempt: 2}
		if want == 0 {
			e = &record{Kind: kindSearch, Config: &Config{}}
		}
		if err := l.append(e); err != nil {
			t.Fatal(err)
		}
		l.Close()
		got, _, err = readLedger(path)
		if err != nil || len(got) != want+1 {
			t.Fatalf("cut at %d, one appended: %d events, error %v", cut, len(got), err)
		}
	}
}

// TestLedgerCorrupt changes every byte of a whole ledger in turn: never is the
// change overlooked, and the line is named.
func TestLedgerCorrupt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeLedger(t, dir, sampleEvents())
	path := filepath.Join(dir, LedgerName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := 1
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 4
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		_, _, err := readLedger(path)
		switch {
		case i == len(data)-1:
			// The last newline: the line counts as torn.
			if err != nil {
				t.Errorf("last newline changed: %v", err)
			}
		case err == nil:
			t.Fatalf("byte %d changed from %q to %q: not noticed", i, data[i], bad[i])
		case !strings.Contains(err.Error(), " line "+string(rune('0'+line))+" ") && !strings.Contains(err.Error(), " line "+string(rune('0'+line))+":"):
			t.Fatalf("byte %d of line %d changed: %v", i, line, err)
		}
		if data[i] == '\n' {
			line++
		}
	}
}

func TestLedgerLinesMissing(t *testing.T) {
	dir := t.TempDir()
	writeLedger(t, dir, sampleEvents())
	path := filepath.Join(dir, LedgerName)
	data, _ := os.ReadFile(path)
	lines := bytes.SplitAfter(data, []byte("\n"))
	for _, c := range []struct {
		name  string
		lines []int
		want  string
	}{
		{"one removed", []int{0, 1, 2, 4, 5, 6}, "line 4 carries number 5"},
		{"two swapped", []int{0, 1, 3, 2, 4, 5, 6}, "line 3 carries number 4"},
		{"one repeated", []int{0, 1, 1, 2}, "line 3 carries number 2"},
		{"the first removed", []int{1, 2, 3}, "line 1 carries number 2"},
	} {
		var b []byte
		for _, i := range c.lines {
			b = append(b, lines[i]...)
		}
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readLedger(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestLedgerIncompleteEvents(t *testing.T) {
	for _, e := range []*record{
		{Kind: kindSearch},
		{Kind: kindPlan},
		{Kind: kindFinish, Trial: "a", Attempt: 1},
		{Kind: kindStart, Attempt: 1},
		{Kind: kindRung},
		{Kind: "unheard of"},
	} {
		if err := e.check(); err == nil {
			t.Errorf("%+v passes", e)
		}
	}
}

func TestLedgerLock(t *testing.T) {
	dir := t.TempDir()
	l, _, err := openLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := openLedger(dir); err == nil || !strings.Contains(err.Error(), "lock") {
		t.Errorf("a second writer: %v", err)
	}
	l.Close()
	l, _, err = openLedger(dir)
	if err != nil {
		t.Fatalf("after the first was closed: %v", err)
	}
	l.Close()
}

// FuzzLedger gives the reader lines whose checksums are right, whatever they
// hold: it reads them or says what is wrong with them.
func FuzzLedger(f *testing.F) {
	var lines []byte
	for i, e := range sampleEvents() {
		e.Seq = i + 1
		body, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		lines = append(append(lines, body...), '\n')
	}
	f.Add(lines)
	real := f.TempDir()
	runFake(f, real, testFake(), nil)
	data, err := os.ReadFile(filepath.Join(real, LedgerName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(regexp.MustCompile(`,"sum":"[0-9a-f]*"`).ReplaceAll(data, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var signed []byte
		for line := range bytes.Lines(data) {
			body := bytes.TrimSuffix(line, []byte("\n"))
			if !bytes.HasSuffix(body, []byte("}")) {
				signed = append(signed, line...)
				continue
			}
			signed = append(signed, body[:len(body)-1]...)
			signed = append(signed, sumKey+lineSum(body)+"\"}\n"...)
		}
		events, _, err := parseLedger(LedgerName, signed)
		if err != nil || len(events) == 0 {
			return
		}
		r, err := replay(events)
		if err != nil {
			return
		}
		a := r.analyse(4, 4)
		if _, err := json.Marshal(a.Summary()); err != nil {
			t.Error(err)
		}
		r.Ended()
		if r.Plan != nil {
			r.needed(true, func(block) bool { return true })
			r.unknown()
		}
		r.Compute()
	})
}

// TestDecisionsChecked: what a ledger says was decided must follow from the
// outcomes in it.
func TestDecisionsChecked(t *testing.T) {
	dir := t.TempDir()
	runFake(t, dir, testFake(), nil)
	read := func() []*record {
		events, _, err := readLedger(filepath.Join(dir, LedgerName))
		if err != nil {
			t.Fatal(err)
		}
		return events
	}
	if _, err := replay(read()); err != nil {
		t.Fatal(err)
	}
	at := func(events []*record, kind eventKind) int {
		return slices.IndexFunc(events, func(e *record) bool { return e.Kind == kind })
	}
	for _, c := range []struct {
		name   string
		change func(events []*record) []*record
		want   string
	}{
		{"another is promoted", func(e []*record) []*record {
			c := e[at(e, kindRung)].Cut
			c.Promoted[0], c.Dropped[0] = c.Dropped[0], c.Promoted[0]
			return e
		}, "but the outcomes promote"},
		{"a rung ends too early", func(e []*record) []*record {
			i := at(e, kindRung)
			return append([]*record{e[0], e[1], e[2], e[i]}, e[3:]...)
		}, "rung 0 ends before its trials have"},
		{"rungs in another order", func(e []*record) []*record {
			i := at(e, kindRung)
			return append(e[:i:i], e[i+1:]...)
		}, "the end of rung 1 is not its turn"},
		{"another is chosen", func(e []*record) []*record {
			e[at(e, kindChoice)].Choice.Winner = "x2-depth"
			return e
		}, "the choice is x2-depth"},
		{"networks for too few factors", func(e []*record) []*record {
			e[at(e, kindChoice)].Choice.Compounds = nil
			return e
		}, "networks for 0 factors"},
		{"two plans", func(e []*record) []*record {
			i := at(e, kindPlan)
			return append(e[:i+1:i+1], e[i:]...)
		}, "a second plan"},
		{"no plan", func(e []*record) []*record {
			i := at(e, kindPlan)
			return append(e[:i:i], e[i+1:]...)
		}, "before there is a plan"},
		{"a plan of another version", func(e []*record) []*record {
			e[at(e, kindPlan)].Plan.Rungs = nil
			return e
		}, "other versions"},
		{"a trial that ends twice", func(e []*record) []*record {
			i := at(e, kindFinish)
			return append(e[:i+1:i+1], e[i:]...)
		}, "ends a second time"},
		{"a refit without its factors", func(e []*record) []*record {
			return append(e, &record{Kind: kindReplan, Replan: &Replan{}})
		}, "seeds for 0 factors"},
		{"a refit that forgets a trial", func(e []*record) []*record {
			return append(e, &record{Kind: kindReplan, Replan: &Replan{FreshSeeds: []uint64{101, 102}, FinalSeeds: [][]uint64{{201}}}})
		}, "not in the plan"},
	} {
		if _, err := replay(c.change(read())); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}
