package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"effnet/internal/yamlpos"
)

// A recipe file is YAML with the fields of Recipe. "base" is the recipe it starts
// from: a named one (the default one when left out), another file by its path
// from this one's folder, or "none" to start from nothing. What the file leaves
// out keeps the base's value:
//
//	base: quick
//	epochs: 40
//	optimizer: sgd
//	lr: 0.2

// noBase is the base of a file that says everything itself.
const noBase = "none"

// ReadRecipe reads the recipe of a name or, where the name ends in .yaml or .yml
// or has a folder in it, of a file. Errors about a file's content name the file,
// line and column.
func ReadRecipe(name string) (Recipe, error) { return readRecipe(name, nil) }

// ParseRecipe reads a recipe file. Errors name the file, line and column.
func ParseRecipe(file string, src []byte) (Recipe, error) { return parseRecipe(file, src, nil) }

// readRecipe is ReadRecipe for the base of the last of some files, each the base
// of the one before.
func readRecipe(name string, above []string) (Recipe, error) {
	if !strings.ContainsRune(name, filepath.Separator) && filepath.Ext(name) != ".yaml" && filepath.Ext(name) != ".yml" {
		r, err := LookupRecipe(name)
		if err != nil {
			return r, fmt.Errorf("%w, or a .yaml file", err)
		}
		return r, nil
	}
	src, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Recipe{}, fmt.Errorf("recipe: no file %s; the named recipes are %s", name, strings.Join(recipeNames, ", "))
	}
	if err != nil {
		return Recipe{}, err
	}
	return parseRecipe(name, src, above)
}

func parseRecipe(file string, src []byte, above []string) (Recipe, error) {
	var head struct {
		Base      string `yaml:"base"`
		Optimizer string `yaml:"optimizer"`
	}
	if err := yaml.Unmarshal(src, &head); err != nil {
		return Recipe{}, yamlpos.From(file, err)
	}
	r, err := baseRecipe(file, head.Base, above)
	if err != nil {
		if at := (*yamlpos.Error)(nil); errors.As(err, &at) {
			return r, err // in the base
		}
		return r, yamlpos.At(file, src, "base", err.Error())
	}
	var given map[string]any
	if err := yaml.Unmarshal(src, &given); err != nil {
		return r, yamlpos.From(file, err)
	}
	if given == nil {
		return r, nil // an empty file
	}
	if head.Optimizer != "" {
		if err := r.SetOptimizer(head.Optimizer); err != nil {
			return r, yamlpos.At(file, src, "optimizer", err.Error())
		}
	}
	body := struct {
		Base   string `yaml:"base"`
		Recipe `yaml:",inline"`
	}{Recipe: r}
	if err := yaml.UnmarshalWithOptions(src, &body, yaml.Strict()); err != nil {
		return r, yamlpos.From(file, err)
	}
	r = body.Recipe
	r.Replace(func(key string) bool { _, ok := given[key]; return ok })
	var bad *FieldError
	if err := r.Validate(); errors.As(err, &bad) {
		return r, yamlpos.At(file, src, bad.Field, err.Error())
	}
	return r, nil
}

// baseRecipe is the recipe that a file starts from.
func baseRecipe(file, base string, above []string) (Recipe, error) {
	if base == noBase {
		return Recipe{}, nil
	}
	if strings.ContainsRune(base, filepath.Separator) || filepath.Ext(base) != "" {
		if !filepath.IsAbs(base) {
			base = filepath.Join(filepath.Dir(file), base)
		}
		above = append(above, filepath.Clean(file))
		if slices.Contains(above, filepath.Clean(base)) {
			return Recipe{}, fmt.Errorf("recipe: base leads back to %s", base)
		}
	}
	return readRecipe(base, above)
}
