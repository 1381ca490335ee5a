package weights

import "strings"

// sharedPrefixes are what common wrappers put before every name.
var sharedPrefixes = []string{"module.", "_orig_mod.", "model.", "net."}

// firstTensors name the first convolution, and a tensor behind it, in each
// layout.
var firstTensors = [][2]string{
	{"conv_stem.weight", "bn1.weight"},
	{"_conv_stem.weight", "_bn0.weight"},
	{"features.0.0.weight", "features.0.1.weight"},
	{"conv1.weight", "layer1.0.conv1.weight"},
}

// unwrap returns what wrappers of a network put before the names of its
// tensors, given n names of which nameAt returns the i-th. Tensors without it are the wrappers' own: a loss's, a counter.
func unwrap(n int, nameAt func(i int) string) string {
	names := make([]string, n)
	for i := range names {
		names[i] = nameAt(i)
	}
	prefix := ""
	for {
		p := wrapper(names)
		if p == "" {
			return prefix
		}
		prefix += p
		var inner []string
		for _, name := range names {
			if rest, ok := strings.CutPrefix(name, p); ok {
				inner = append(inner, rest)
			}
		}
		names = inner
	}
}

// wrapper is the outermost part of unwrap's prefix, or more of it: the one
// under which a network starts, or a common one that all names have. "" if
// there is none, or several networks.
func wrapper(names []string) string {
	has := make(map[string]bool, len(names))
	for _, name := range names {
		has[name] = true
	}
	var starts []string
	for _, name := range names {
		for _, first := range firstTensors {
			if p, ok := strings.CutSuffix(name, first[0]); ok && (p == "" || strings.HasSuffix(p, ".")) && has[p+first[1]] {
				starts = append(starts, p)
			}
		}
	}
	if len(starts) == 1 {
		return starts[0]
	}
	for _, p := range sharedPrefixes {
		if len(names) > 0 && countPrefix(names, p) == len(names) {
			return p
		}
	}
	return ""
}

// countPrefix counts the names that go on after a prefix.
func countPrefix(names []string, prefix string) int {
	n := 0
	for _, name := range names {
		if len(name) > len(prefix) && strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}
