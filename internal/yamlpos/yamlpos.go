// Package yamlpos says where in a YAML file something is wrong, in one line.
package yamlpos

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// Error is an error at a place in a file. Lines and columns count from 1.
type Error struct {
	File         string
	Line, Column int
	Msg          string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg) }

// At is an error about the value of a key, as "recipe.epochs" or
// "points[2].cost"; without a place where src has no such key.
func At(file string, src []byte, key, msg string) error {
	if f, err := parser.ParseBytes(src, 0); err == nil {
		if p, err := yaml.PathString("$." + key); err == nil {
			if node, err := p.FilterFile(f); err == nil && node != nil {
				pos := node.GetToken().Position
				return &Error{file, pos.Line, pos.Column, msg}
			}
		}
	}
	return fmt.Errorf("%s: %s", file, msg)
}

// From is a decoder's error as one line that starts with the position.
func From(file string, err error) error {
	var ye yaml.Error
	if errors.As(err, &ye) && ye.GetToken() != nil {
		pos := ye.GetToken().Position
		return &Error{file, pos.Line, pos.Column, oneLine(ye.GetMessage())}
	}
	return fmt.Errorf("%s: %s", file, oneLine(err.Error()))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
