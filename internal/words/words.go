// Package words has what packages that write for people share.
package words

import (
	"fmt"
	"strings"
)

// Plural counts things whose name takes an s: "1 trial", "3 trials".
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Or joins what one may choose from: "a, b or c". There are at least two.
func Or(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
