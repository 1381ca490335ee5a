package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"effnet/arch"
	"effnet/search"
	"effnet/train"
)

// liveStatus is a search of n networks with two seeds, the first done trials
// of which have ended; the one after runs.
func liveStatus(n, done int) *search.Status {
	st := &search.Status{Total: 2 * n, Done: done, Elapsed: 90 * time.Second, Left: 30 * time.Second}
	for seed := uint64(1); seed <= 2; seed++ {
		for i := range n {
			t := search.TrialStatus{
				ID: fmt.Sprintf("x2-%02d-s%d", i, seed), Seed: seed,
				Network: &search.Network{ID: fmt.Sprintf("x2-%02d", i), Depth: 1.5, Width: 1, Resolution: 28, CostRatio: 2},
			}
			switch k := len(st.Trials); {
			case k < done:
				t.State, t.Accuracy = search.Finished, 0.9
			case k == done:
				t.State, t.Progress, t.Accuracy = search.Running, search.Progress{Done: 0.5}, 0.8
			}
			st.Trials = append(st.Trials, t)
		}
	}
	return st
}

func TestLiveTable(t *testing.T) {
	l := newSearchLive(&bytes.Buffer{}, &search.Config{}, &arch.Spec{})
	got := strings.Join(l.lines(liveStatus(3, 4), 24), "\n")
	want := `network  depth  width  px   cost  accuracy on validation images, by seed
  x2-00   1.50   1.00  28  2.00x  90.00  90.00
> x2-01   1.50   1.00  28  2.00x  90.00    50% (80.0)
  x2-02   1.50   1.00  28  2.00x  90.00      ·

[####################----------] 4 of 6 trials, 1m30s elapsed, 30s left`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// A table higher than the terminal keeps what runs.
	for _, height := range []int{5, 10, 20, 50} {
		lines := l.lines(liveStatus(30, 40), height)
		if len(lines) > height {
			t.Errorf("%d lines in %d", len(lines), height)
		}
		if !strings.Contains(strings.Join(lines, "\n"), "> x2-10") {
			t.Errorf("%d lines leave out the running network:\n%s", height, strings.Join(lines, "\n"))
		}
	}
	if s := clip("Größe 12345", 8); s != "Größe 1…" || utf8.RuneCountInString(s) != 8 {
		t.Errorf("clipped to %q", s)
	}
}

// TestLivePlain: elsewhere than on a terminal, a line for every trial, once.
func TestLivePlain(t *testing.T) {
	var b bytes.Buffer
	l := newSearchLive(&b, &search.Config{}, &arch.Spec{})
	for done := range 4 {
		l.status(liveStatus(2, done))
		l.status(liveStatus(2, done))
	}
	l.note("something %s", "odd")
	l.close()
	want := `[1/4] x2-00-s1              90.00 % on validation images, 30s left
[2/4] x2-01-s1              90.00 % on validation images, 30s left
[3/4] x2-00-s2              90.00 % on validation images, 30s left
note: something odd
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestRecipeText(t *testing.T) {
	for _, name := range train.RecipeNames() {
		r, err := train.LookupRecipe(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := recipeText(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseRecipeText(text)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := recipeText(back); again != text {
			t.Errorf("%s: %s becomes %s", name, text, again)
		}
	}
	if _, err := parseRecipeText(`{"batchsize": 3}`); err == nil {
		t.Error("an unknown field passes")
	}
}
