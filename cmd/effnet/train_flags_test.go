package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"effnet/train"
)

// TestEveryValueHasAFlag: the flag of each value of a recipe changes that value
// and no other.
func TestEveryValueHasAFlag(t *testing.T) {
	words := map[string]string{"decay_rule": "weights", "schedule": "constant", "auto_augment": "v0"}
	typ := reflect.TypeFor[train.Recipe]()
	for i := range typ.NumField() {
		field := typ.Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if key == "" {
			t.Errorf("%s has no name in YAML", field.Name)
		}
		switch key {
		case "name": // --recipe
			continue
		case "optimizer": // changes others, too: TestSetOptimizer in train
			continue
		}
		var f recipeFlags
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		f.register(fs)
		if fs.Lookup(flagName(key)) == nil {
			t.Errorf("%s has no flag --%s", key, flagName(key))
			continue
		}
		kind := field.Type.Kind()
		if kind == reflect.Pointer {
			kind = field.Type.Elem().Kind()
		}
		value := map[reflect.Kind]string{reflect.Int: "3", reflect.Uint64: "3", reflect.Float64: "0.125", reflect.Bool: "true", reflect.String: words[key]}[kind]
		if err := fs.Set(flagName(key), value); err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		var r train.Recipe
		if err := f.override(&r); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		v := reflect.ValueOf(&r).Elem().Field(i)
		if v.IsZero() {
			t.Errorf("--%s does not change %s", flagName(key), key)
		}
		v.SetZero()
		if d := cmp.Diff(train.Recipe{}, r); d != "" {
			t.Errorf("--%s changes more than %s: %s", flagName(key), key, d)
		}
	}
}
