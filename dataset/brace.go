package dataset

import (
	"fmt"
	"strconv"
	"strings"
)

// maxExpanded bounds the files that a pattern names.
const maxExpanded = 100_000

// expandBraces lists what a pattern of the shell's names, in order:
// train-{000..009}.tar has ten names, numbers padded with zeros where the ends
// are, and {train,val}.tar two. Braces do not nest.
func expandBraces(pattern string) ([]string, error) {
	open := strings.IndexByte(pattern, '{')
	if open < 0 {
		if strings.IndexByte(pattern, '}') >= 0 {
			return nil, fmt.Errorf("a } without its { in %q", pattern)
		}
		return []string{pattern}, nil
	}
	end := strings.IndexByte(pattern[open:], '}')
	if end < 0 {
		return nil, fmt.Errorf("a { without its } in %q", pattern)
	}
	end += open
	inside := pattern[open+1 : end]
	if strings.IndexByte(inside, '{') >= 0 {
		return nil, fmt.Errorf("braces in braces in %q", pattern)
	}
	choices, err := braceChoices(inside)
	if err != nil {
		return nil, err
	}
	rest, err := expandBraces(pattern[end+1:])
	if err != nil {
		return nil, err
	}
	if len(choices)*len(rest) > maxExpanded {
		return nil, fmt.Errorf("%q names more than %d files", pattern, maxExpanded)
	}
	var out []string
	for _, c := range choices {
		for _, r := range rest {
			out = append(out, pattern[:open]+c+r)
		}
	}
	return out, nil
}

// braceChoices is what a pair of braces stands for.
func braceChoices(inside string) ([]string, error) {
	first, last, isRange := strings.Cut(inside, "..")
	if !isRange {
		if choices := strings.Split(inside, ","); len(choices) > 1 {
			return choices, nil
		}
		return nil, fmt.Errorf("{%s} is neither a range such as {000..009} nor a list such as {a,b}", inside)
	}
	a, errA := strconv.ParseUint(first, 10, 31)
	b, errB := strconv.ParseUint(last, 10, 31)
	switch {
	case errA != nil || errB != nil || a > b:
		return nil, fmt.Errorf("{%s} is no range of numbers such as {000..009}", inside)
	case b-a >= maxExpanded:
		return nil, fmt.Errorf("{%s} names more than %d files", inside, maxExpanded)
	}
	width := 0
	if strings.HasPrefix(first, "0") || strings.HasPrefix(last, "0") {
		width = max(len(first), len(last))
	}
	var out []string
	for n := a; n <= b; n++ {
		out = append(out, fmt.Sprintf("%0*d", width, n))
	}
	return out, nil
}
