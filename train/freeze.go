package train

import (
	"fmt"
	"strconv"
	"strings"

	"effnet/arch"
)

// Freeze is the parts of a network that keep their weights.
type Freeze struct {
	stem, head bool
	stages     []bool
}

// ParseFreeze reads a list such as "stem,1-3,head" for a network of so many
// stages, which count from 1. "all" is everything but the classifier, which is
// never frozen; "" is nothing.
func ParseFreeze(list string, stages int) (*Freeze, error) {
	f := &Freeze{stages: make([]bool, stages)}
	if list == "" {
		return f, nil
	}
	for _, word := range strings.Split(list, ",") {
		a, b := 1, stages
		switch word = strings.TrimSpace(word); word {
		case "stem":
			f.stem = true
			continue
		case "head":
			f.head = true
			continue
		case "all":
			f.stem, f.head = true, true
		default:
			lo, hi, isRange := strings.Cut(word, "-")
			if !isRange {
				hi = lo
			}
			var err1, err2 error
			a, err1 = strconv.Atoi(lo)
			b, err2 = strconv.Atoi(hi)
			if err1 != nil || err2 != nil || a < 1 || b < a || b > stages {
				return nil, fmt.Errorf("freeze: %q is no part of the network, want stem, stages such as 2 or 1-%d, head, or all", word, stages)
			}
		}
		for i := a; i <= b; i++ {
			f.stages[i-1] = true
		}
	}
	return f, nil
}

// Covers reports whether an op is in a frozen part.
func (f *Freeze) Covers(op *arch.Op) bool {
	switch {
	case op.Kind == arch.OpLinear:
		return false
	case op.Stage < 0:
		return f.stem
	case op.Stage < len(f.stages):
		return f.stages[op.Stage]
	}
	return f.head
}
