// Package imagenet names the 1000 classes of ImageNet-1k (ILSVRC 2012), in
// the order in which every published network has them.
package imagenet

import (
	_ "embed"
	"strings"
	"sync"
)

// Classes is the number of classes.
const Classes = 1000

// classes.txt is a line per class: its WordNet synset, then a short name.
//
//go:embed classes.txt
var classes string

var parse = sync.OnceValues(func() (names, synsets []string) {
	for line := range strings.Lines(classes) {
		synset, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		synsets, names = append(synsets, synset), append(names, name)
	}
	return names, synsets
})

// Names are short English names, unlike each other: "tench". The slice is
// shared and not to be written to.
func Names() []string {
	names, _ := parse()
	return names
}

// Synsets are the WordNet identifiers, by which ImageNet's folders are named:
// "n01440764". The slice is shared and not to be written to.
func Synsets() []string {
	_, synsets := parse()
	return synsets
}
