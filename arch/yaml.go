package arch

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
)

// A spec file is one YAML mapping. name and blocks must be there; whatever
// else it leaves out is as in fileDefaults. docs/spec.md describes the format
// for its users.

// MaxSpecFile is the largest spec file that is read, in bytes.
const MaxSpecFile = 16 << 10

// maxSpecTokens bounds the YAML parser's work, which grows faster than the
// file where values nest. The largest network takes a tenth of it.
const maxSpecTokens = 4000

// fileDefaults is what a spec file need not say: EfficientNet's conventions,
// and parts that are absent unless written. Mean and Std follow the channels.
func fileDefaults() Spec {
	return Spec{
		Resolution: 224, Channels: 3, Classes: 1000,
		Stem:    Stem{Width: 32, Kernel: 3, Stride: 2},
		Act:     ActSwish,
		Padding: PadSame,
		BN:      BatchNormConfig{Eps: 1e-3, Momentum: 0.1},
		Rule:    Rule{WidthDivisor: 8, WidthLimit: 0.9, Depth: RoundUp},
		Prep:    Prep{Crop: 1, Filter: Bicubic},
	}
}

// defaultPrep fills in ImageNet's mean and spread for colour, a half for all else.
func (s *Spec) defaultPrep() {
	fill := func(x, colour []float64) []float64 {
		switch {
		case x != nil:
			return x
		case s.Channels == 3:
			return slices.Clone(colour)
		}
		return slices.Repeat([]float64{0.5}, max(0, min(s.Channels, 1024)))
	}
	s.Prep.Mean = fill(s.Prep.Mean, imagenetMean)
	s.Prep.Std = fill(s.Prep.Std, imagenetStd)
}

// completePrep reports values that Validate takes for not set.
func (s *Spec) completePrep() error {
	bad := func(field, format string, args ...any) error {
		return &FieldError{s.Name, field, -1, fmt.Sprintf(format, args...)}
	}
	switch p := &s.Prep; {
	case p.Crop == 0:
		return bad("preprocessing.crop", "crop is 0, want above 0, at most 1")
	case len(p.Mean) == 0:
		return bad("preprocessing.mean", "mean has no numbers, want one for each of %d channels", s.Channels)
	case len(p.Std) == 0:
		return bad("preprocessing.std", "std has no numbers, want one for each of %d channels", s.Channels)
	}
	return nil
}

// SpecError is what is wrong with a spec file, and where. Line and Column
// count from 1, columns in characters.
type SpecError struct {
	File         string
	Line, Column int
	Msg          string
}

func (e *SpecError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

type position struct{ line, column int }

func at(n ast.Node) position {
	p := n.GetToken().Position
	return position{p.Line, p.Column}
}

// ParseSpec reads a spec file's text; file is its name for errors, which are
// [*SpecError]s. The network that comes out is valid at its resolution.
func ParseSpec(file string, data []byte) (Spec, error) {
	p := &specParser{file: file, spec: fileDefaults(), pos: map[string]position{}}
	if err := p.parse(data); err != nil {
		return Spec{}, err
	}
	p.spec.defaultPrep()
	s := p.spec
	err := s.completePrep()
	if err == nil {
		_, err = s.CostAt(s.Resolution)
	}
	if err == nil {
		return s, nil
	}
	var fe *FieldError
	if !errors.As(err, &fe) {
		return Spec{}, p.errorf(position{1, 1}, "%v", err)
	}
	return Spec{}, p.errorf(p.find(fe), "%s", fe.Msg)
}

type specParser struct {
	file string
	spec Spec
	pos  map[string]position // of values, by path
}

func (p *specParser) errorf(at position, format string, args ...any) error {
	return &SpecError{p.file, at.line, at.column, fmt.Sprintf(format, args...)}
}

// find is the place in the file that a field's value comes from: the value,
// else what encloses it, else the blocks, which no file goes without.
func (p *specParser) find(fe *FieldError) position {
	field := fe.Field
	if fe.Stage >= 0 {
		field = fmt.Sprintf("blocks.%d", fe.Stage)
	}
	for {
		if at, ok := p.pos[field]; ok {
			return at
		}
		i := strings.LastIndexByte(field, '.')
		if i < 0 {
			break
		}
		field = field[:i]
	}
	if at, ok := p.pos["blocks"]; ok {
		return at
	}
	return position{1, 1}
}

func (p *specParser) parse(data []byte) error {
	if len(data) > MaxSpecFile {
		return p.errorf(position{1, 1}, "the file is larger than %d bytes", MaxSpecFile)
	}
	if !utf8.Valid(data) {
		for i, text := range bytes.Split(data, []byte("\n")) {
			if !utf8.Valid(text) {
				return p.errorf(position{i + 1, 1}, "the line is not UTF-8 text")
			}
		}
	}
	tokens := lexer.Tokenize(string(data))
	if len(tokens) > maxSpecTokens {
		at := tokens[maxSpecTokens].Position
		return p.errorf(position{at.Line, at.Column}, "the file has more than %d words and marks", maxSpecTokens)
	}
	f, err := parser.Parse(tokens, 0)
	if err != nil {
		var ye yaml.Error
		if errors.As(err, &ye) && ye.GetToken() != nil {
			at := ye.GetToken().Position
			return p.errorf(position{max(at.Line, 1), max(at.Column, 1)}, "%s", oneLine(ye.GetMessage()))
		}
		return p.errorf(position{1, 1}, "%s", oneLine(err.Error()))
	}
	var body ast.Node
	for _, d := range f.Docs {
		_, directive := d.Body.(*ast.DirectiveNode)
		switch {
		case d.Body == nil:
		case directive:
			return p.wrongKind(d.Body, "", "")
		case body != nil:
			return p.errorf(at(d.Body), "a spec file is one YAML document, this starts another")
		default:
			body = d.Body
		}
	}
	if body == nil {
		return p.errorf(position{1, 1}, "the file is empty, want at least name and blocks")
	}
	if err := p.mapping(body, "", p.fields()); err != nil {
		return err
	}
	for _, key := range []string{"name", "blocks"} {
		if _, ok := p.pos[key]; !ok {
			return p.errorf(position{1, 1}, "the network has no %s", key)
		}
	}
	return nil
}

// oneLine keeps a message of the YAML parser to a line of bearable length.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return s
}

// field is one key of a mapping and what reads its value.
type field struct {
	key string
	set func(n ast.Node, path string) error
}

// fields is the format, key by key.
func (p *specParser) fields() []field {
	s := &p.spec
	return []field{
		{"name", p.text(&s.Name)},
		{"resolution", p.int(&s.Resolution)},
		{"channels", p.int(&s.Channels)},
		{"classes", p.int(&s.Classes)},
		{"stem", p.group(
			field{"width", p.int(&s.Stem.Width)},
			field{"kernel", p.int(&s.Stem.Kernel)},
			field{"stride", p.int(&s.Stem.Stride)},
			field{"pool", p.int(&s.Stem.Pool)},
		)},
		{"blocks", p.blocks},
		{"head", p.int(&s.Head)},
		{"act", choice(p, &s.Act, actWords)},
		{"padding", choice(p, &s.Padding, paddingWords)},
		{"bn", p.group(
			field{"eps", p.float(&s.BN.Eps)},
			field{"momentum", p.float(&s.BN.Momentum)},
		)},
		{"se", p.group(
			field{"base", choice(p, &s.SE.FromExpanded, squeezeWords)},
			field{"divisor", p.int(&s.SE.Divisor)},
			field{"act", choice(p, &s.SE.Act, seActWords)},
			field{"gate", choice(p, &s.SE.Gate, gateWords)},
		)},
		{"dropout", p.float(&s.Dropout)},
		{"drop_path", p.float(&s.DropPath)},
		{"scaling", p.group(
			field{"depth", choice(p, &s.Rule.Depth, roundingWords)},
			field{"width_divisor", p.int(&s.Rule.WidthDivisor)},
			field{"width_limit", p.float(&s.Rule.WidthLimit)},
			field{"fix_stem", choice(p, &s.Rule.FixStem, boolWords)},
			field{"fix_head", choice(p, &s.Rule.FixHead, boolWords)},
			field{"fix_ends", choice(p, &s.Rule.FixEnds, boolWords)},
			field{"min_head", p.int(&s.Rule.MinHead)},
		)},
		{"preprocessing", p.group(
			field{"crop", p.float(&s.Prep.Crop)},
			field{"squash", choice(p, &s.Prep.Squash, boolWords)},
			field{"filter", choice(p, &s.Prep.Filter, filterWords)},
			field{"mean", p.floats(&s.Prep.Mean)},
			field{"std", p.floats(&s.Prep.Std)},
		)},
	}
}

// mapping reads a YAML mapping key by key.
func (p *specParser) mapping(n ast.Node, path string, fields []field) error {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return p.wrongKind(n, path, "a mapping such as "+fields[0].key+": ...")
	}
	for _, kv := range m.Values {
		key, ok := kv.Key.(*ast.StringNode)
		var f *field
		if ok {
			for i := range fields {
				if fields[i].key == key.Value {
					f = &fields[i]
				}
			}
		}
		if f == nil {
			return p.unknownKey(kv.Key, path, fields)
		}
		full := f.key
		if path != "" {
			full = path + "." + f.key
		}
		p.pos[full] = at(kv.Value)
		if err := f.set(kv.Value, full); err != nil {
			return err
		}
	}
	return nil
}

func (p *specParser) unknownKey(n ast.Node, path string, fields []field) error {
	key := n.GetToken().Value
	where := ""
	if path != "" {
		where = " in " + path
	}
	best, distance := "", min(3, len(key)/2+1)
	var known []string
	for _, f := range fields {
		known = append(known, f.key)
		if len(key) < maxName {
			if d := editDistance(key, f.key); d < distance {
				best, distance = f.key, d
			}
		}
	}
	if best != "" {
		return p.errorf(at(n), "unknown key %s%s; did you mean %s?", quote(key), where, best)
	}
	return p.errorf(at(n), "unknown key %s%s, want one of %s", quote(key), where, strings.Join(known, " "))
}

func quote(s string) string {
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "..."
	}
	return strconv.Quote(s)
}

// wrongKind says what a value is instead of what was wanted.
func (p *specParser) wrongKind(n ast.Node, path, want string) error {
	got := ""
	switch n := n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode, *ast.DirectiveNode:
		return p.errorf(at(n), "a spec file has no anchors, aliases, tags or directives")
	case *ast.NullNode:
		got = "is empty"
	case *ast.MappingNode:
		got = "is a mapping"
	case *ast.SequenceNode:
		got = "is a list"
	default:
		got = "is " + quote(n.GetToken().Value)
	}
	what := path
	if path == "" {
		what = "the file"
	}
	return p.errorf(at(n), "%s %s, want %s", what, got, want)
}

// scalar is the text of a plain or quoted value.
func scalar(n ast.Node) (text string, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func (p *specParser) text(dst *string) func(ast.Node, string) error {
	return func(n ast.Node, path string) error {
		s, ok := scalar(n)
		if !ok {
			return p.wrongKind(n, path, "a word")
		}
		*dst = s
		return nil
	}
}

func (p *specParser) int(dst *int) func(ast.Node, string) error {
	return func(n ast.Node, path string) error {
		s, ok := scalar(n)
		x, err := strconv.Atoi(s)
		if !ok || err != nil {
			return p.wrongKind(n, path, "a whole number")
		}
		*dst = x
		return nil
	}
}

func (p *specParser) number(n ast.Node, path string) (float64, error) {
	s, ok := scalar(n)
	x, err := strconv.ParseFloat(s, 64)
	if !ok || err != nil || strings.ContainsAny(s, "xXpP_nN") {
		return 0, p.wrongKind(n, path, "a number")
	}
	return x, nil
}

func (p *specParser) float(dst *float64) func(ast.Node, string) error {
	return func(n ast.Node, path string) (err error) {
		*dst, err = p.number(n, path)
		return err
	}
}

func (p *specParser) floats(dst *[]float64) func(ast.Node, string) error {
	return func(n ast.Node, path string) error {
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			return p.wrongKind(n, path, "a list of numbers such as [0.5, 0.5, 0.5]")
		}
		*dst = []float64{}
		for _, v := range list.Values {
			x, err := p.number(v, path)
			if err != nil {
				return err
			}
			*dst = append(*dst, x)
		}
		return nil
	}
}

func choice[T comparable](p *specParser, dst *T, words []word[T]) func(ast.Node, string) error {
	return func(n ast.Node, path string) error {
		s, _ := scalar(n)
		var texts []string
		for _, w := range words {
			if w.text == s {
				*dst = w.value
				return nil
			}
			texts = append(texts, w.text)
		}
		return p.wrongKind(n, path, strings.Join(texts, " or "))
	}
}

func (p *specParser) group(fields ...field) func(ast.Node, string) error {
	return func(n ast.Node, path string) error { return p.mapping(n, path, fields) }
}

func (p *specParser) blocks(n ast.Node, path string) error {
	const want = "a list of block strings such as - ir_r2_k3_s2_e6_c24_se0.25"
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return p.wrongKind(n, path, want)
	}
	if len(list.Values) > maxStages {
		return p.errorf(at(list.Values[maxStages]), "there are %d stages, at most %d are allowed", len(list.Values), maxStages)
	}
	for i, v := range list.Values {
		s, ok := v.(*ast.StringNode)
		if !ok {
			return p.wrongKind(v, fmt.Sprintf("block %d", i+1), "a block string such as ir_r2_k3_s2_e6_c24_se0.25")
		}
		pos := at(v)
		st, err := ParseStage(s.Value)
		if err != nil {
			var be *BlockError
			if errors.As(err, &be) {
				if text := strings.TrimSpace(v.GetToken().Origin); strings.Contains(text, s.Value) { // no escapes
					pos.column += strings.Index(text, s.Value) + be.Column - 1
				}
				return p.errorf(pos, "block %s: %s", quote(be.Block), be.Msg)
			}
			return p.errorf(pos, "%v", err)
		}
		p.pos[fmt.Sprintf("blocks.%d", i)] = pos
		p.spec.Stages = append(p.spec.Stages, st)
	}
	return nil
}
