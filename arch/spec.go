// Package arch describes networks as data.
//
// A [Spec] is a few rows of text: the stem, one row per stage in timm's
// block-string notation, the head, and every convention that changes a result
// (padding, batch-norm epsilon, squeeze-and-excite rounding, preprocessing).
// [Spec.Scale] makes another Spec; [Spec.Graph] resolves one into a flat slice
// of ops with every shape, pad and parameter name filled in. Cost, the
// reference interpreter, inference, training and export all read that slice;
// nothing else knows what an EfficientNet is.
//
// The package holds no tensors and does no I/O beyond parsing.
package arch

// Spec is one network. The zero value of a field is never a silent default:
// [Spec.Validate] reports what is missing or out of range.
type Spec struct {
	Name       string // zoo name or the user's own
	Resolution int    // height and width of the input image, pixels
	Channels   int    // channels of the input image: 3 colour, 1 grey
	Classes    int    // width of the logits

	Stem   Stem
	Stages []Stage
	Head   int // width of the 1x1 convolution before pooling; 0 for none

	Act     Act         // of stem, blocks and head, unless a row says otherwise
	Padding PaddingRule // of every convolution
	BN      BatchNormConfig
	SE      SEConfig

	Dropout  float64 // rate before the classifier, training only
	DropPath float64 // rate of the hypothetical block after the last; block i of N gets DropPath*i/N

	Rule Rule // how this network scales
	Prep Prep // what the network expects of an image
}

// Stem is the first convolution, kxk from the image to Width channels.
type Stem struct {
	Width  int
	Kernel int
	Stride int
	Pool   int // kernel of a max pool of stride 2 behind it; 0 for none
}

// Stage is one row: Repeats blocks of one kind. The first block carries the
// stride and the change of width, the others have stride 1.
type Stage struct {
	Block   BlockKind
	Repeats int
	Kernel  int     // of the one convolution that is not 1x1 (of both in a basic block)
	Stride  int     // of the first block
	Expand  float64 // width of the middle over the block's input; of basic and bottle, over its output
	Width   int     // output channels
	SERatio float64 // squeeze width over the base chosen by SEConfig; 0 for no squeeze-and-excite
	ForceIn int     // er: Expand multiplies this instead of the block's input; 0 for the input
	NoSkip  bool    // no residual even where shapes allow one; dsa never has one
	Act     Act     // ActDefault: the Spec's
}

// BlockKind is the type of a block, with timm's codes.
type BlockKind uint8

const (
	// DepthwiseSeparable (ds) is dw kxk, BN, act, SE, 1x1 project, BN: MBConv1.
	DepthwiseSeparable BlockKind = iota + 1
	// InvertedResidual (ir) is 1x1 expand, BN, act, dw kxk, BN, act, SE, 1x1
	// project, BN: MBConv with an expand ratio above 1.
	InvertedResidual
	// DepthwiseSeparableAct (dsa) is ds with an activation at its end and never
	// a residual: MobileNetV1.
	DepthwiseSeparableAct
	// EdgeResidual (er) is kxk expand, BN, act, SE, 1x1 project, BN: Fused-MBConv.
	EdgeResidual
	// ConvNormAct (cn) is kxk, BN, act, and then perhaps the residual.
	ConvNormAct
	// Basic (basic) is kxk, BN, act, kxk, BN; sum with the shortcut, act: ResNet-18.
	Basic
	// Bottleneck (bottle) is 1x1, BN, act, kxk, BN, act, 1x1, BN; sum with the
	// shortcut, act: ResNet-50. The shortcut of both is a 1x1 convolution and
	// BN where shapes change, the input elsewhere.
	Bottleneck
)

// Act is an activation function.
type Act uint8

const (
	ActDefault     Act = iota // in a Stage: use the Spec's
	ActIdentity               // y = x
	ActReLU                   // max(x, 0)
	ActReLU6                  // min(max(x, 0), 6)
	ActSwish                  // x * sigmoid(x), also called SiLU
	ActSigmoid                // 1 / (1 + exp(-x)), the gate of squeeze-and-excite
	ActHardSwish              // x * relu6(x+3) / 6
	ActHardSigmoid            // relu6(x+3) / 6
)

// forBlocks reports whether a may follow a convolution's batch norm.
func (a Act) forBlocks() bool {
	return a == ActReLU || a == ActReLU6 || a == ActSwish || a == ActHardSwish
}

// PaddingRule says where the zeros around a convolution's input go.
type PaddingRule uint8

const (
	// PadSymmetric is PyTorch's (k-1)/2 on every side.
	PadSymmetric PaddingRule = iota + 1
	// PadSame is TensorFlow's SAME: output ceil(n/s), the odd row and column
	// of zeros at the bottom and right.
	PadSame
)

// BatchNormConfig travels with the weights: TF-trained ones need 1e-3.
type BatchNormConfig struct {
	Eps      float64
	Momentum float64 // PyTorch's meaning: running = (1-m)*running + m*batch
}

// SEConfig says how the squeeze width follows from Stage.SERatio, and what is
// special about the activations of squeeze-and-excite.
type SEConfig struct {
	FromExpanded bool // base is the expanded width instead of the block's input
	Divisor      int  // round the squeeze width to a multiple of this; 0 or 1: none
	Act          Act  // between the two convolutions; ActDefault: the block's
	Gate         Act  // ActDefault: ActSigmoid; or ActHardSigmoid
}

// Rounding says how a scaled number of repeats becomes an integer.
type Rounding uint8

const (
	RoundUp      Rounding = iota + 1 // ceil: EfficientNet
	RoundNearest                     // max(1, half to even): TinyNet, needed to shrink
)

// Rule is how a network scales: what rounding does and what stays fixed.
type Rule struct {
	WidthDivisor int      // channel counts are multiples of this
	WidthLimit   float64  // add a divisor when rounding lost more than 1-limit (0.9: V1); 0 turns the guard off (V2)
	Depth        Rounding // of repeats
	FixStem      bool     // the stem's width does not scale (Lite, TinyNet)
	FixHead      bool     // the head's width does not scale (Lite)
	MinHead      int      // the head never gets narrower than this (TinyNet)
	FixEnds      bool     // repeats of the first and last stage do not scale (Lite)
}

// Prep is the evaluation preprocessing: resize the short side, take the
// centre crop of the network's resolution, normalise.
type Prep struct {
	Crop   float64 // side of the centre crop over the short side; 1 for none
	Squash bool    // resize both sides, not just the short one, to the resolution over Crop: the aspect is lost
	Filter Filter
	Mean   []float64 // per channel, of pixels in [0,1]
	Std    []float64
}

// Filter is an interpolation kernel for resizing.
type Filter uint8

const (
	Bilinear Filter = iota + 1
	Bicubic
	TFBicubic // of TensorFlow 1, whose evaluation cuts the centre out before it resizes
)
