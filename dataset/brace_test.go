package dataset

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpandBraces(t *testing.T) {
	for _, c := range []struct{ pattern, want, err string }{
		{"a.tar", "a.tar", ""},
		{"a-{0..2}.tar", "a-0.tar a-1.tar a-2.tar", ""},
		{"a-{008..011}.tar", "a-008.tar a-009.tar a-010.tar a-011.tar", ""},
		{"a-{8..11}", "a-8 a-9 a-10 a-11", ""},
		{"{train,val}-{0..1}.tar", "train-0.tar train-1.tar val-0.tar val-1.tar", ""},
		{"{,x}a", "a xa", ""},
		{"{a", "", "without its }"},
		{"a}", "", "without its {"},
		{"{a}", "", "neither a range"},
		{"{}", "", "neither a range"},
		{"{a..c}", "", "no range of numbers"},
		{"{3..1}", "", "no range of numbers"},
		{"{-1..1}", "", "no range of numbers"},
		{"{{0..1}}", "", "braces in braces"},
		{"{0..999999999}", "", "more than 100000 files"},
		{"{0..999}{0..999}", "", "more than 100000 files"},
		{"{0..99999999999999999999}", "", "no range of numbers"},
	} {
		got, err := expandBraces(c.pattern)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error is %v, want %q", c.pattern, err, c.err)
			}
			continue
		}
		if d := cmp.Diff(strings.Fields(c.want), got); d != "" || err != nil {
			t.Errorf("%s: %v %s", c.pattern, err, d)
		}
	}
}
