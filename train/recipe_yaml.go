package train

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// A recipe file is YAML with the fields of Recipe. The named recipe it starts
// from is "base" (the default one when left out); what the file leaves out
// keeps the base's value:
//
//	base: quick
//	epochs: 40
//	optimizer: sgd
//	lr: 0.2

// ParseRecipe reads a recipe file. Errors name the file, line and column.
func ParseRecipe(file string, src []byte) (Recipe, error) {
	var head struct {
		Base      string `yaml:"base"`
		Optimizer string `yaml:"optimizer"`
	}
	if err := yaml.Unmarshal(src, &head); err != nil {
		return Recipe{}, yamlError(file, err)
	}
	var doc any
	if err := yaml.Unmarshal(src, &doc); err == nil && doc == nil {
		return LookupRecipe("")
	}
	r, err := LookupRecipe(head.Base)
	if err != nil {
		return Recipe{}, positioned(file, src, "base", err.Error())
	}
	if head.Optimizer != "" {
		if err := r.SetOptimizer(head.Optimizer); err != nil {
			return Recipe{}, positioned(file, src, "optimizer", err.Error())
		}
	}
	body := struct {
		Base   string `yaml:"base"`
		Recipe `yaml:",inline"`
	}{Recipe: r}
	if err := yaml.UnmarshalWithOptions(src, &body, yaml.Strict()); err != nil {
		return Recipe{}, yamlError(file, err)
	}
	r = body.Recipe
	var bad *FieldError
	if err := r.Validate(); errors.As(err, &bad) {
		return Recipe{}, positioned(file, src, bad.Field, err.Error())
	}
	return r, nil
}

// positioned is an error about the value of one top-level key.
func positioned(file string, src []byte, key, msg string) error {
	if f, err := parser.ParseBytes(src, 0); err == nil {
		if p, err := yaml.PathString("$." + key); err == nil {
			if node, err := p.FilterFile(f); err == nil && node != nil {
				pos := node.GetToken().Position
				return fmt.Errorf("%s:%d:%d: %s", file, pos.Line, pos.Column, msg)
			}
		}
	}
	return fmt.Errorf("%s: %s", file, msg)
}

// yamlError is a decoder's error as one line that starts with the position.
func yamlError(file string, err error) error {
	var ye yaml.Error
	if errors.As(err, &ye) && ye.GetToken() != nil {
		pos := ye.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", file, pos.Line, pos.Column, oneLine(ye.GetMessage()))
	}
	return fmt.Errorf("%s: %s", file, oneLine(err.Error()))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
