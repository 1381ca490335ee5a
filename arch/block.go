package arch

import (
	"fmt"
	"strconv"
	"strings"
)

// A block string is one row of a network in timm's notation: tokens joined by
// underscores, the block kind first, then in any order
//
//	rN    repeats
//	kN    kernel, odd
//	sN    stride of the first block
//	eX    expand ratio, may be fractional
//	cN    output channels
//	seX   squeeze-and-excite ratio
//	fcN   channels that eX multiplies instead of the block's input, of er
//	nre, nr6, nsw, nhs   activation relu, relu6, swish, hard swish; default the network's
//	skip            a residual where shapes allow one, of cn
//	noskip          no residual, of ds, ir and er, which else have one where shapes allow
//
// as in ir_r2_k3_s2_e6_c24_se0.25. r, s and e default to 1; k and c must be given.
// basic and bottle are named after timm's ByobNet, where a bottle's ratio, here
// e, is likewise that of its middle to its output.

// blockCodes says what each kind of block is called and may have.
var blockCodes = []struct {
	kind    BlockKind
	code    string
	expands string // the kind to use for an expand ratio; "" where this one takes it
	se, fc  bool
	skip    skipRule
}{
	{DepthwiseSeparable, "ds", "ir", true, false, skipUnless},
	{DepthwiseSeparableAct, "dsa", "ir", true, false, skipNever},
	{InvertedResidual, "ir", "", true, false, skipUnless},
	{EdgeResidual, "er", "", true, true, skipUnless},
	{ConvNormAct, "cn", "er", false, false, skipIf},
	{Basic, "basic", "", false, false, skipAlways},
	{Bottleneck, "bottle", "", false, false, skipAlways},
}

// skipRule says which blocks of a kind have a residual.
type skipRule uint8

const (
	skipUnless skipRule = iota // the row says noskip
	skipIf                     // the row says skip
	skipNever
	skipAlways
)

// codes is the row of blockCodes for k, -1 if there is none.
func (k BlockKind) codes() int {
	for i := range blockCodes {
		if blockCodes[i].kind == k {
			return i
		}
	}
	return -1
}

func (k BlockKind) String() string {
	if i := k.codes(); i >= 0 {
		return blockCodes[i].code
	}
	return fmt.Sprintf("BlockKind(%d)", k)
}

var actCodes = []struct {
	act        Act
	code, name string
}{
	{ActReLU, "nre", "relu"},
	{ActReLU6, "nr6", "relu6"},
	{ActSwish, "nsw", "swish"},
	{ActHardSwish, "nhs", "hard_swish"},
	{ActSigmoid, "", "sigmoid"},
	{ActHardSigmoid, "", "hard_sigmoid"},
	{ActIdentity, "", "identity"},
	{ActDefault, "", "default"},
}

func (a Act) String() string {
	for _, c := range actCodes {
		if c.act == a {
			return c.name
		}
	}
	return fmt.Sprintf("Act(%d)", a)
}

// BlockError is a malformed block string. Column counts from 1.
type BlockError struct {
	Block  string
	Column int
	Msg    string
}

func (e *BlockError) Error() string {
	return fmt.Sprintf("arch: block %q, column %d: %s", e.Block, e.Column, e.Msg)
}

// maxBlockString bounds one row's text; a row with every token is below 100.
const maxBlockString = 200

// limits of one row; far above any network trained so far, low enough that
// no product of two of them overflows.
const (
	maxRepeats = 1000
	maxKernel  = 31
	maxStride  = 8
	maxWidth   = 65536
	maxExpand  = 64
)

// ParseStage reads one block string. A malformed one gives a [*BlockError].
func ParseStage(s string) (Stage, error) {
	if len(s) > maxBlockString {
		return Stage{}, &BlockError{s[:20] + "...", maxBlockString, fmt.Sprintf("the string is longer than %d bytes", maxBlockString)}
	}
	st := Stage{Repeats: 1, Stride: 1, Expand: 1}
	seen := map[string]bool{}
	rule := &blockCodes[0]
	col := 1
	for i, tok := range strings.Split(s, "_") {
		bad := func(format string, args ...any) (Stage, error) {
			return Stage{}, &BlockError{s, col, fmt.Sprintf(format, args...)}
		}
		if i == 0 {
			for i, b := range blockCodes {
				if b.code == tok {
					st.Block, rule = b.kind, &blockCodes[i]
				}
			}
			if st.Block == 0 {
				return bad("unknown block kind %q, want %s", tok, codeList())
			}
			st.NoSkip = rule.skip == skipIf || rule.skip == skipNever
			col += len(tok) + 1
			continue
		}
		key, val := splitToken(tok)
		if strings.HasPrefix(tok, "n") || strings.HasPrefix(tok, "skip") {
			key, val = tok, "" // words, not numbers
		}
		slot := key
		switch {
		case key == "noskip":
			slot = "skip"
		case strings.HasPrefix(key, "n"):
			slot = "n"
		}
		if seen[slot] {
			return bad("%q repeats a token given before", tok)
		}
		seen[slot] = true
		var err error
		switch key {
		case "r":
			st.Repeats, err = count(val, 1, maxRepeats)
		case "k":
			st.Kernel, err = count(val, 1, maxKernel)
			if err == nil && st.Kernel%2 == 0 {
				err = fmt.Errorf("kernel %d is even, want an odd one", st.Kernel)
			}
		case "s":
			st.Stride, err = count(val, 1, maxStride)
		case "c":
			st.Width, err = count(val, 1, maxWidth)
		case "e":
			st.Expand, err = ratio(val, maxExpand)
		case "se":
			st.SERatio, err = ratio(val, 1)
		case "fc":
			st.ForceIn, err = count(val, 1, maxWidth)
		case "skip":
			if rule.skip != skipIf {
				return bad("%s blocks take no %q, only cn does", rule.code, tok)
			}
			st.NoSkip = false
		case "noskip":
			if rule.skip == skipAlways {
				return bad("%s blocks always have a shortcut, but %q was given", rule.code, tok)
			}
			st.NoSkip = true
		default:
			a := ActDefault
			for _, c := range actCodes {
				if c.code != "" && c.code == tok {
					a = c.act
				}
			}
			if a == ActDefault {
				return bad("unknown token %q, want one of r k s e c se fc nre nr6 nsw nhs skip noskip", tok)
			}
			st.Act = a
		}
		if err != nil {
			return bad("token %q: %v", tok, err)
		}
		col += len(tok) + 1
	}
	if err := st.check(); err != nil {
		return Stage{}, &BlockError{s, 1, err.Error()}
	}
	return st, nil
}

// check reports what single tokens cannot show, and values out of range in a
// stage that was not read from text.
func (st *Stage) check() error {
	i := st.Block.codes()
	if i < 0 {
		return fmt.Errorf("unknown block kind, want %s", codeList())
	}
	rule := &blockCodes[i]
	switch {
	case st.Kernel == 0:
		return fmt.Errorf("no kernel size, add a token such as k3")
	case st.Width == 0:
		return fmt.Errorf("no output channels, add a token such as c24")
	case rule.expands != "" && st.Expand != 1:
		return fmt.Errorf("%s blocks do not expand, but e%s was given; use %s", rule.code, number(st.Expand), rule.expands)
	case st.Block == InvertedResidual && st.Expand == 1:
		return fmt.Errorf("ir with e1 is ambiguous: write ds for a block without an expand convolution")
	case !rule.se && st.SERatio != 0:
		return fmt.Errorf("%s blocks have no squeeze-and-excite, but se%s was given", rule.code, number(st.SERatio))
	case !rule.fc && st.ForceIn != 0:
		return fmt.Errorf("fc%d was given, which only er blocks take", st.ForceIn)
	case st.ForceIn < 0 || st.ForceIn > maxWidth:
		return fmt.Errorf("%d forced channels, want 0 to %d", st.ForceIn, maxWidth)
	case rule.skip == skipAlways && st.NoSkip:
		return fmt.Errorf("%s blocks always have a shortcut", rule.code)
	case st.Repeats < 1 || st.Repeats > maxRepeats:
		return fmt.Errorf("%d repeats, want 1 to %d", st.Repeats, maxRepeats)
	case st.Kernel < 1 || st.Kernel > maxKernel || st.Kernel%2 == 0:
		return fmt.Errorf("kernel %d, want an odd number up to %d", st.Kernel, maxKernel)
	case st.Stride < 1 || st.Stride > maxStride:
		return fmt.Errorf("stride %d, want 1 to %d", st.Stride, maxStride)
	case st.Width < 1 || st.Width > maxWidth:
		return fmt.Errorf("%d channels, want 1 to %d", st.Width, maxWidth)
	case !(st.Expand > 0 && st.Expand <= maxExpand):
		return fmt.Errorf("expand ratio %v, want above 0, at most %d", st.Expand, maxExpand)
	case !(st.SERatio >= 0 && st.SERatio <= 1):
		return fmt.Errorf("squeeze-and-excite ratio %v, want 0 to 1", st.SERatio)
	case st.Act != ActDefault && !st.Act.forBlocks():
		return fmt.Errorf("activation %s is none for blocks, want relu, relu6, swish or hard_swish", st.Act)
	}
	return nil
}

// String is the block string of st, with the tokens in their usual order.
func (st *Stage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s_r%d_k%d_s%d_e%s_c%d", st.Block, st.Repeats, st.Kernel, st.Stride, number(st.Expand), st.Width)
	if st.SERatio > 0 {
		fmt.Fprintf(&b, "_se%s", number(st.SERatio))
	}
	if st.ForceIn > 0 {
		fmt.Fprintf(&b, "_fc%d", st.ForceIn)
	}
	for _, c := range actCodes {
		if c.act == st.Act && c.code != "" {
			b.WriteString("_" + c.code)
		}
	}
	if i := st.Block.codes(); i >= 0 {
		switch rule := blockCodes[i].skip; {
		case rule == skipUnless && st.NoSkip:
			b.WriteString("_noskip")
		case rule == skipIf && !st.NoSkip:
			b.WriteString("_skip")
		}
	}
	return b.String()
}

// splitToken cuts a token at its first digit, sign or dot.
func splitToken(tok string) (key, val string) {
	i := strings.IndexAny(tok, "0123456789.+-")
	if i < 0 {
		return tok, ""
	}
	return tok[:i], tok[i:]
}

func count(s string, lo, hi int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < lo || n > hi || strings.HasPrefix(s, "+") {
		return 0, fmt.Errorf("want a whole number from %d to %d", lo, hi)
	}
	return n, nil
}

func ratio(s string, hi float64) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x > 0 && x <= hi) || strings.ContainsAny(s, "xX+") {
		return 0, fmt.Errorf("want a number above 0, at most %s", number(hi))
	}
	return x, nil
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

func codeList() string {
	var cs []string
	for _, b := range blockCodes {
		cs = append(cs, b.code)
	}
	last := len(cs) - 1
	return strings.Join(cs[:last], ", ") + " or " + cs[last]
}
