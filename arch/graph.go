package arch

import "fmt"

// Kind is the type of an op. The set is closed: every reader of a graph is
// one switch over it, and a test walks kinds and readers.
type Kind uint8

const (
	OpInput      Kind = iota // the image, no inputs
	OpConv                   // y = conv(x) (+ bias); Groups == C of x is depthwise
	OpBatchNorm              // per channel, running statistics at inference
	OpActivation             // elementwise Op.Act
	OpMaxPool                // maximum over windows of Kernel x Kernel, what Pad adds left out
	OpGlobalPool             // mean over H and W: [H,W,C] -> [1,1,C]
	OpGate                   // In[0] [H,W,C] times In[1] [1,1,C]: the excite of SE
	OpAdd                    // In[0] (the branch, dropped at rate DropPath in training) + In[1] (the shortcut)
	OpDropout                // zeroes elements at rate Rate in training, identity at inference
	OpLinear                 // [1,1,C] -> [1,1,classes], with bias

	NumKinds = iota
)

var kindNames = [NumKinds]string{"input", "conv", "batchnorm", "activation", "maxpool", "globalpool", "gate", "add", "dropout", "linear"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", k)
}

// Shape is the shape of one image's tensor; the batch dimension is outside
// the graph. Memory order is height, width, channel, channel innermost.
type Shape struct{ H, W, C int }

// Elems is the number of elements of one image's tensor.
func (s Shape) Elems() int { return s.H * s.W * s.C }

func (s Shape) tooLarge() bool { return float64(s.H)*float64(s.W)*float64(s.C) > maxElems }

// Pad is the zeros around a convolution's input.
type Pad struct{ Top, Left, Bottom, Right int }

// Op is one step of a graph and the value it makes. In holds indices of
// earlier ops of the same graph; the fields that do not apply to Kind are zero.
type Op struct {
	Kind  Kind
	Name  string // timm's module path ("blocks.1.0.conv_pw"); where timm has no module, a name in the same style
	In    []int
	Shape Shape // of the value this op makes
	Stage int   // index into Spec.Stages; -1 for the stem, len(Stages) for the head
	Block int   // global block index over all stages; -1 outside blocks

	Kernel int // OpConv, OpMaxPool
	Stride int
	Pad    Pad
	Groups int // OpConv: 1 dense, C of the input depthwise
	Bias   bool

	Eps      float64 // OpBatchNorm
	Momentum float64

	Act      Act     // OpActivation
	DropPath float64 // OpAdd
	Rate     float64 // OpDropout

	Params []Param // tensors of this op, in the order of timm's state dict
}

// Depthwise reports whether a convolution has one filter per channel.
func (o *Op) Depthwise() bool { return o.Kind == OpConv && o.Groups > 1 && o.Groups == o.Shape.C }

// Role says what a parameter is, which decides its initialiser, its weight
// decay and whether gradients reach it.
type Role uint8

const (
	ConvWeight      Role = iota + 1 // [Cout, Cin, k, k]
	DepthwiseWeight                 // [C, 1, k, k]
	LinearWeight                    // [out, in]
	BiasVector                      // [out], of a convolution or linear layer
	BNGamma                         // [C]
	BNBeta                          // [C]
	BNMean                          // [C], a buffer: running mean
	BNVar                           // [C], a buffer: running variance
)

// Trainable reports whether a parameter of this role has a gradient.
func (r Role) Trainable() bool { return r != BNMean && r != BNVar }

// Param is one named tensor of a network, in PyTorch's layout.
type Param struct {
	Name  string
	Shape []int
	Role  Role
}

// Elems is the number of elements of the tensor.
func (p Param) Elems() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Graph is a network resolved for one input resolution.
type Graph struct {
	Spec Spec
	Ops  []Op // Ops[0] is the input; the last op makes the logits

	HeadMap  int   // op whose value is the map before global pooling: features of the class activation map
	Features int   // op whose value is the pooled embedding, before dropout
	Taps     []int // reduction_i: the last value at each spatial resolution below the image's, of the stem or a block
}

// Params lists every tensor of the network, buffers included, in the order
// of timm's state dict.
func (g *Graph) Params() []Param {
	var ps []Param
	for i := range g.Ops {
		ps = append(ps, g.Ops[i].Params...)
	}
	return ps
}

// Output is the op that makes the logits.
func (g *Graph) Output() int { return len(g.Ops) - 1 }

// maxElems bounds every tensor and every weight of a graph, so that no reader
// needs its own overflow check: a 1x1 convolution between tensors and with a
// weight of that size has at most 2^47 MACs, and with the limit on blocks all
// sums stay below 2^61.
const maxElems = 1 << 31

// Graph resolves s at its own resolution.
func (s Spec) Graph() (*Graph, error) { return s.GraphAt(s.Resolution) }

// GraphAt resolves s for images of resolution x resolution pixels.
func (s Spec) GraphAt(resolution int) (*Graph, error) {
	s.Resolution = resolution
	return s.GraphFor(resolution, resolution)
}

// GraphFor resolves s for images of h x w pixels. The graph's Spec keeps the
// resolution that s has.
func (s Spec) GraphFor(h, w int) (*Graph, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if min(h, w) < 1 || max(h, w) > maxResolution {
		return nil, &FieldError{s.Name, "resolution", -1, fmt.Sprintf("images are %dx%d pixels, want 1 to %d", h, w, maxResolution)}
	}
	b := builder{spec: s, g: &Graph{Spec: s}, block: -1, stage: -1}
	b.build(h, w)
	if b.err != nil {
		return nil, b.err
	}
	return b.g, nil
}

// builder appends ops; stage and block tag what it appends.
type builder struct {
	spec         Spec
	g            *Graph
	stage, block int
	err          error // the first one
}

// fail records what is wrong with the layer being built.
func (b *builder) fail(format string, args ...any) {
	if b.err != nil {
		return
	}
	e := &FieldError{b.spec.Name, "blocks", b.stage, fmt.Sprintf(format, args...)}
	switch b.stage {
	case -1:
		e.Field = "stem"
	case len(b.spec.Stages):
		e.Field, e.Stage = "head", -1
	}
	b.err = e
}

func (b *builder) add(op Op) int {
	op.Stage, op.Block = b.stage, b.block
	if s := op.Shape; s.tooLarge() {
		b.fail("%s: the tensor would be %dx%dx%d, over the limit of %d elements", op.Name, s.H, s.W, s.C, int64(maxElems))
	}
	b.g.Ops = append(b.g.Ops, op)
	return len(b.g.Ops) - 1
}

func (b *builder) shape(i int) Shape { return b.g.Ops[i].Shape }

// pad places the zeros along one axis of length n; total is their number.
func (r PaddingRule) pad(n, kernel, stride int) (before, after, out int) {
	if r == PadSame {
		out = (n + stride - 1) / stride
		total := max((out-1)*stride+kernel-n, 0)
		return total / 2, total - total/2, out
	}
	p := (kernel - 1) / 2
	return p, p, (n+2*p-kernel)/stride + 1
}

func (b *builder) conv(x int, name string, width, kernel, stride int, depthwise, bias bool) int {
	in := b.shape(x)
	top, bottom, h := b.spec.Padding.pad(in.H, kernel, stride)
	left, right, w := b.spec.Padding.pad(in.W, kernel, stride)
	op := Op{
		Kind: OpConv, Name: name, In: []int{x}, Shape: Shape{h, w, width},
		Kernel: kernel, Stride: stride, Pad: Pad{top, left, bottom, right}, Groups: 1, Bias: bias,
	}
	weight := Param{name + ".weight", []int{width, in.C, kernel, kernel}, ConvWeight}
	if depthwise {
		op.Groups = in.C
		weight.Shape[1] = 1
		weight.Role = DepthwiseWeight
	}
	if float64(width)*float64(weight.Shape[1])*float64(kernel*kernel) > maxElems {
		b.fail("%s: the weight would be %v, over the limit of %d elements", name, weight.Shape, int64(maxElems))
	}
	op.Params = []Param{weight}
	if bias {
		op.Params = append(op.Params, Param{name + ".bias", []int{width}, BiasVector})
	}
	return b.add(op)
}

func (b *builder) bn(x int, name string) int {
	c := b.shape(x).C
	return b.add(Op{
		Kind: OpBatchNorm, Name: name, In: []int{x}, Shape: b.shape(x),
		Eps: b.spec.BN.Eps, Momentum: b.spec.BN.Momentum,
		Params: []Param{
			{name + ".weight", []int{c}, BNGamma},
			{name + ".bias", []int{c}, BNBeta},
			{name + ".running_mean", []int{c}, BNMean},
			{name + ".running_var", []int{c}, BNVar},
		},
	})
}

func (b *builder) act(x int, name string, a Act) int {
	if a == ActIdentity {
		return x
	}
	return b.add(Op{Kind: OpActivation, Name: name, In: []int{x}, Shape: b.shape(x), Act: a})
}

// poolStride is the stride of the stem's max pool.
const poolStride = 2

func (b *builder) maxPool(x int, name string, kernel int) int {
	in := b.shape(x)
	top, bottom, h := b.spec.Padding.pad(in.H, kernel, poolStride)
	left, right, w := b.spec.Padding.pad(in.W, kernel, poolStride)
	return b.add(Op{
		Kind: OpMaxPool, Name: name, In: []int{x}, Shape: Shape{h, w, in.C},
		Kernel: kernel, Stride: poolStride, Pad: Pad{top, left, bottom, right},
	})
}

// tap notes x as the last value at its resolution.
func (b *builder) tap(x int) {
	if b.shape(x).H < b.g.Ops[0].Shape.H {
		b.g.Taps = append(b.g.Taps, x)
	}
}

func (b *builder) build(h, w int) {
	s := &b.spec
	x := b.add(Op{Kind: OpInput, Name: "input", Shape: Shape{h, w, s.Channels}})
	if !b.fits("the stem", b.shape(x), s.Stem.Stride) {
		return
	}
	stem, block, first, classifier := "conv_stem", "blocks.%d.%d", 0, "classifier"
	if s.resnet() {
		stem, block, first, classifier = "conv1", "layer%d.%d", 1, "fc"
	}
	x = b.conv(x, stem, s.Stem.Width, s.Stem.Kernel, s.Stem.Stride, false, false)
	x = b.act(b.bn(x, "bn1"), "act1", s.Act)
	if s.Stem.Pool > 0 {
		if !b.fits("the stem's pool", b.shape(x), poolStride) {
			return
		}
		b.tap(x)
		x = b.maxPool(x, "maxpool", s.Stem.Pool)
	}
	blocks := 0
	for _, st := range s.Stages {
		blocks += st.Repeats
	}
	for i := range s.Stages {
		st := &s.Stages[i]
		b.stage = i
		for j := range st.Repeats {
			b.block++
			stride := 1
			if j == 0 {
				stride = st.Stride
			}
			if !b.fits(fmt.Sprintf("stage %d (%s)", i+1, st), b.shape(x), stride) {
				return
			}
			if stride > 1 {
				b.tap(x)
			}
			x = b.blockOps(x, st, fmt.Sprintf(block, first+i, j), stride, s.DropPath*float64(b.block)/float64(blocks))
			if b.err != nil {
				return
			}
		}
	}
	b.tap(x)
	b.stage, b.block = len(s.Stages), -1
	if s.Head > 0 {
		x = b.conv(x, "conv_head", s.Head, 1, 1, false, false)
		x = b.act(b.bn(x, "bn2"), "act2", s.Act)
	}
	b.g.HeadMap = x
	x = b.add(Op{Kind: OpGlobalPool, Name: "global_pool", In: []int{x}, Shape: Shape{1, 1, b.shape(x).C}})
	b.g.Features = x
	if s.Dropout > 0 {
		x = b.add(Op{Kind: OpDropout, Name: "drop", In: []int{x}, Shape: b.shape(x), Rate: s.Dropout})
	}
	c := b.shape(x).C
	if float64(c)*float64(s.Classes) > maxElems {
		b.fail("%s: the weight would be [%d %d], over the limit of %d elements", classifier, s.Classes, c, int64(maxElems))
	}
	b.add(Op{
		Kind: OpLinear, Name: classifier, In: []int{x}, Shape: Shape{1, 1, s.Classes}, Bias: true,
		Params: []Param{
			{classifier + ".weight", []int{s.Classes, c}, LinearWeight},
			{classifier + ".bias", []int{s.Classes}, BiasVector},
		},
	})
}

// fits rejects a stride that would shrink a map already smaller than it: such
// a layer sees mostly padding.
func (b *builder) fits(where string, in Shape, stride int) bool {
	if !strideFits(min(in.H, in.W), stride) {
		advice := fmt.Sprintf("use at least %d pixels", b.spec.MinResolution())
		if b.spec.MinResolution() > maxResolution {
			advice = "use fewer strides"
		}
		resolution := fmt.Sprint(b.g.Ops[0].Shape.H)
		if s := b.g.Ops[0].Shape; s.H != s.W {
			resolution = fmt.Sprintf("%dx%d", s.H, s.W)
		}
		b.err = &FieldError{b.spec.Name, "resolution", -1, fmt.Sprintf(
			"resolution %s is too small for the strides: %s has stride %d but its input is %dx%d; %s",
			resolution, where, stride, in.H, in.W, advice)}
		return false
	}
	return true
}

func strideFits(n, stride int) bool { return stride == 1 || n >= stride }

// MinResolution is the smallest resolution at which every stride finds a map
// at least as large as itself; above 1<<14 there is none.
func (s *Spec) MinResolution() int {
	n := 1
	// A strided layer gives n pixels from stride*(n-1)+1 on.
	before := func(stride int) {
		if stride > 1 && n <= maxResolution {
			n = max(stride, stride*(n-1)+1)
		}
	}
	for i := len(s.Stages) - 1; i >= 0; i-- {
		before(s.Stages[i].Stride)
	}
	if s.Stem.Pool > 0 {
		before(poolStride)
	}
	before(s.Stem.Stride)
	return n
}
