package train

import "fmt"

// OptimizerKind names an update rule.
type OptimizerKind string

const (
	// RMSPropTF is TensorFlow's RMSProp: v += (1-alpha)(g^2 - v) from v = 1,
	// m = momentum*m + lr*g/sqrt(v+eps), p -= m.
	RMSPropTF OptimizerKind = "rmsprop-tf"
	// SGD is PyTorch's: m = momentum*m + g, p -= lr*m.
	SGD OptimizerKind = "sgd"
	// AdamW decays weights apart from the gradient: p -= lr*decay*p.
	AdamW OptimizerKind = "adamw"
)

// DecayRule says which parameters weight decay reaches.
type DecayRule string

const (
	// DecayAll is EfficientNet V1's: everything trainable except batch-norm
	// gamma and beta, biases included.
	DecayAll DecayRule = "all"
	// DecayWeights is V2's: weights of convolutions and linear layers only.
	DecayWeights DecayRule = "weights"
)

// Optimizer is an update rule with its constants. Those that do not apply to
// Kind are ignored.
type Optimizer struct {
	Kind        OptimizerKind
	Alpha       float64 // RMSPropTF: decay of the squared gradients
	Momentum    float64 // RMSPropTF, SGD
	Eps         float64 // RMSPropTF, AdamW
	Beta1       float64 // AdamW
	Beta2       float64
	WeightDecay float64 // of sum(p^2)/2 in the loss; AdamW: decoupled
	Decay       DecayRule
}

// DefaultOptimizer has the usual constants of a kind; for RMSPropTF those of
// EfficientNet.
func DefaultOptimizer(kind OptimizerKind) (Optimizer, error) {
	o := Optimizer{Kind: kind, Decay: DecayAll}
	switch kind {
	case RMSPropTF:
		o.Alpha, o.Momentum, o.Eps, o.WeightDecay = 0.9, 0.9, 1e-3, 1e-5
	case SGD:
		o.Momentum, o.WeightDecay = 0.9, 1e-4
	case AdamW:
		o.Beta1, o.Beta2, o.Eps, o.WeightDecay = 0.9, 0.999, 1e-8, 0.01
	default:
		return o, fmt.Errorf("train: unknown optimizer %q, have %q, %q and %q", kind, RMSPropTF, SGD, AdamW)
	}
	return o, nil
}
