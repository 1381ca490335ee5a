package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"effnet/search"
	"effnet/search/live"
)

// view is a search with n running trials.
func view(n int) *live.View {
	v := &live.View{
		Run: "run", Base: "tiny", Data: "photos", State: live.Running, Ended: 10, Total: 40, Spent: 600, Left: 1800, Budget: 3600,
		Parts: []live.Part{{Name: "noise", Ended: 5, Total: 5}, {Name: "rung 1 of 2 (3 epochs)", Ended: 5, Total: 20}},
		Best:  &live.Best{Network: "x2-width", Accuracy: 0.9123, Trials: 2},
	}
	for i := range n {
		v.Running = append(v.Running, live.Trial{
			ID: "x2-0" + string(rune('1'+i)) + "-e3-s1", Phase: "rung 1", Epochs: 3, Epoch: 2, Done: 0.75, Accuracy: 0.9, Left: 61,
			Curve: []search.Point{{Epoch: 1, Accuracy: 0.5}, {Epoch: 2, Accuracy: 0.9}},
		})
	}
	return v
}

func TestWatchLines(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got := strings.Join(watchLines(view(2), 100, 30, now), "\n")
	want := `running  tiny on photos, budget 1h00m
[#######-----------------------] 10 of 40 trials, 10m00s elapsed, 30m00s left, ends 03:34

phase                                           trials
noise                   [####################]     5/5
rung 1 of 2 (3 epochs)  [#####---------------]    5/20

best so far  x2-width, 91.23 % on validation images (2 trials)

running      for                         epoch  accuracy  curve   left
x2-01-e3-s1  rung 1  [############----]    3/3   90.00 %  ▁█     1m01s
x2-02-e3-s1  rung 1  [############----]    3/3   90.00 %  ▁█     1m01s`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, height := range []int{2, 8, 12, 20} {
		for _, width := range []int{20, 79, 200} {
			lines := watchLines(view(9), width, height, now)
			if len(lines) > height {
				t.Errorf("%d lines in %d", len(lines), height)
			}
			for _, l := range lines {
				if utf8.RuneCountInString(l) > width-1 {
					t.Errorf("a line of %d characters in %d: %s", utf8.RuneCountInString(l), width, l)
				}
			}
		}
	}
	if all := strings.Join(watchLines(view(9), 100, 15, now), "\n"); !strings.Contains(all, "and 5 more") {
		t.Errorf("trials that do not fit are not counted:\n%s", all)
	}
	t.Setenv("NO_COLOR", "")
	if l := watchLines(view(1), 100, 30, now)[0]; l != "\x1b[1mrunning\x1b[0m  tiny on photos, budget 1h00m" {
		t.Errorf("with colour: %q", l)
	}
	t.Setenv("NO_COLOR", "1")
	planned := &live.View{Base: "tiny", Data: "photos", State: live.Planning, Doing: "timing networks, 3 of 12"}
	if got := strings.Join(watchLines(planned, 80, 20, now), "\n"); !strings.HasPrefix(got, "planning  tiny on photos\ntiming networks, 3 of 12\n") {
		t.Errorf("a search that is planned:\n%s", got)
	}
}

func TestSparkline(t *testing.T) {
	var curve []search.Point
	for i := range 20 {
		curve = append(curve, search.Point{Accuracy: float64(i) / 20})
	}
	for _, c := range []struct {
		curve []search.Point
		want  string
	}{{nil, ""}, {curve[:1], "▁"}, {curve[:8], "▁▂▃▄▅▆▇█"}, {[]search.Point{{Accuracy: 0.5}, {Accuracy: 0.5}}, "▁▁"}} {
		if got := sparkline(c.curve, 16); got != c.want {
			t.Errorf("%v: %s, want %s", c.curve, got, c.want)
		}
	}
	if n := utf8.RuneCountInString(sparkline(curve, 16)); n != 16 {
		t.Errorf("%d blocks, want the last 16", n)
	}
}

// TestWatchPlain: a line for every trial that ends, once, and for a pause.
func TestWatchPlain(t *testing.T) {
	var b bytes.Buffer
	c := newWatchCmd()
	c.SetOut(&b)
	w := &watch{Command: c, run: "run", screen: newScreen(&b), said: map[string]bool{}}
	r := &search.Result{Trials: map[string]*search.TrialResult{
		"x2-01-e3-s1": {Outcome: &search.Outcome{Validation: search.Score{Correct: 5, Total: 10}}},
		"x2-02-e3-s1": {},
	}}
	v := view(1)
	w.plain(r, v)
	w.plain(r, v)
	r.Trials["x2-02-e3-s1"].Outcome = &search.Outcome{Validation: search.Score{Correct: 9, Total: 10}, Stopped: 2}
	r.Trials["x2-03-e3-s1"] = &search.TrialResult{Error: "loss is NaN"}
	v.Ended = 12
	w.plain(r, v)
	v.State = live.Paused
	w.plain(r, v)
	w.plain(r, v)
	v.State = live.Running
	w.plain(r, v)
	want := `tiny on photos: running, 10 of 40 trials
[12/40] x2-02-e3-s1             90.00 % on validation images, given up after epoch 2, 30m00s left
[12/40] x2-03-e3-s1            failed: loss is NaN, 30m00s left
paused
running
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestParseControl(t *testing.T) {
	for _, c := range []struct {
		args string
		want search.Command
		says string
	}{
		{"pause", search.Command{Op: search.OpPause}, ""},
		{"resume", search.Command{Op: search.OpResume}, ""},
		{"stop x2-01-e3-s1", search.Command{Op: search.OpStop, Trial: "x2-01-e3-s1"}, ""},
		{"extend 1h30m", search.Command{Op: search.OpExtend, Seconds: 5400}, ""},
		{"stop", search.Command{}, "stop wants the name of a trial"},
		{"extend", search.Command{}, "extend wants a time"},
		{"extend 30", search.Command{}, `extend by "30": want a time above 0, such as 30m or 1h30m`},
		{"extend -5m", search.Command{}, `extend by "-5m"`},
		{"pause now", search.Command{}, `pause: unexpected "now"`},
		{"stop a b", search.Command{}, `stop: unexpected "b"`},
		{"halt", search.Command{}, `unknown command "halt", want pause, resume, stop TRIAL or extend TIME`},
	} {
		got, err := parseControl(strings.Fields(c.args))
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) || c.says == "" && (err != nil || got != c.want) {
			t.Errorf("%s: %+v, %v, want %+v, %q", c.args, got, err, c.want, c.says)
		}
	}
}
