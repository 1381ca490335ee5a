package train

import (
	"strings"
	"testing"

	"effnet/arch"
)

func TestParseFreeze(t *testing.T) {
	g, err := arch.MustLookup("tf_efficientnet_lite0").Graph()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ list, want string }{ // what is frozen: s, stages, h, c for the classifier
		{"", ""}, {"stem", "s"}, {"head", "h"}, {"3", "3"}, {"stem,1-3", "s123"}, {" 7, 2-2 ,stem", "s27"}, {"all", "s1234567h"}, {"1-7,1", "1234567"},
	} {
		f, err := ParseFreeze(c.list, 7)
		if err != nil {
			t.Errorf("%q: %v", c.list, err)
			continue
		}
		got := ""
		for i := range g.Ops {
			op := &g.Ops[i]
			if len(op.Params) == 0 || !f.Covers(op) {
				continue
			}
			part := "s12345678"[op.Stage+1 : op.Stage+2]
			if op.Stage == 7 {
				part = "h"
			}
			if op.Kind == arch.OpLinear {
				part = "c"
			}
			if !strings.HasSuffix(got, part) {
				got += part
			}
		}
		if got != c.want {
			t.Errorf("%q freezes %q, want %q", c.list, got, c.want)
		}
	}
	for _, bad := range []string{",", "stem,", "0", "8", "1-8", "3-2", "-1", "1-", "1-2-3", "classifier", "Stem", "99999999999999999999"} {
		if _, err := ParseFreeze(bad, 7); err == nil || !strings.Contains(err.Error(), "want stem, stages such as 2 or 1-7, head, or all") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
