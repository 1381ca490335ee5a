package search

import (
	"fmt"
	"reflect"
	"strings"
)

// differs names the first field in which a resumed search is asked for
// something else.
func (c *Config) differs(now *Config) error {
	a, b := reflect.ValueOf(*c), reflect.ValueOf(*now)
	for i := range a.NumField() {
		was, is := a.Field(i).Interface(), b.Field(i).Interface()
		if reflect.DeepEqual(was, is) || a.Field(i).Kind() == reflect.Slice && a.Field(i).Len() == 0 && b.Field(i).Len() == 0 {
			continue
		}
		name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
		if s, ok := was.(string); ok && strings.Contains(s, "\n") {
			return fmt.Errorf("the search there has another %s; resume with the same, or search into another folder\n%s", name, firstDifference(s, is.(string)))
		}
		if was == "" {
			was = "unset"
		} else if is == "" {
			is = "unset"
		}
		return fmt.Errorf("the search there has %s %v, now it is %v; resume with the same, or search into another folder", name, was, is)
	}
	return nil
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(was, is string) string {
	a, b := strings.Split(was, "\n"), strings.Split(is, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d was %q, now it is %q", i+1, strings.TrimSpace(x), strings.TrimSpace(y))
		}
	}
	return ""
}
