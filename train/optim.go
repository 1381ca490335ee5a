package train

import (
	"cmp"
	"fmt"

	"effnet/arch"
)

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
	// Muon moves the weights of convolutions that mix channels along the
	// orthogonalised average of their gradients; everything else is AdamW's.
	Muon OptimizerKind = "muon"
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
	Momentum    float64 // RMSPropTF, SGD, Muon
	Eps         float64 // RMSPropTF, AdamW, Muon
	Beta1       float64 // AdamW, Muon
	Beta2       float64
	WeightDecay float64 // of sum(p^2)/2 in the loss; AdamW, Muon: decoupled
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
	case Muon:
		o.Momentum, o.Beta1, o.Beta2, o.Eps, o.WeightDecay = 0.95, 0.9, 0.999, 1e-8, 0.01
	default:
		return o, fmt.Errorf("train: unknown optimizer %q, have %q, %q, %q and %q", kind, RMSPropTF, SGD, AdamW, Muon)
	}
	return o, nil
}

func (o *Optimizer) check() error {
	unit := func(name string, v float64) error {
		if !(v >= 0 && v < 1) {
			return fmt.Errorf("train: %s: %s is %v, want 0 to below 1", o.Kind, name, v)
		}
		return nil
	}
	var err error
	switch o.Kind {
	case RMSPropTF:
		err = cmp.Or(unit("alpha", o.Alpha), unit("momentum", o.Momentum))
	case SGD:
		err = unit("momentum", o.Momentum)
	case AdamW:
		err = cmp.Or(unit("beta1", o.Beta1), unit("beta2", o.Beta2))
	case Muon:
		err = cmp.Or(unit("momentum", o.Momentum), unit("beta1", o.Beta1), unit("beta2", o.Beta2))
	default:
		_, err = DefaultOptimizer(o.Kind)
	}
	switch {
	case err != nil:
		return err
	case o.Kind != SGD && !(o.Eps > 0 && o.Eps < 1):
		return fmt.Errorf("train: %s: eps is %v, want above 0, below 1", o.Kind, o.Eps)
	case !(o.WeightDecay >= 0 && o.WeightDecay < 1):
		return fmt.Errorf("train: %s: weight decay is %v, want 0 to below 1", o.Kind, o.WeightDecay)
	case o.Decay != DecayAll && o.Decay != DecayWeights:
		return fmt.Errorf("train: %s: unknown decay rule %q, have %q and %q", o.Kind, o.Decay, DecayAll, DecayWeights)
	}
	return nil
}

// slots names the optimiser's memory per parameter, and what it starts at.
func (o *Optimizer) slots() (names []string, start []float32) {
	switch o.Kind {
	case RMSPropTF:
		return []string{"square", "momentum"}, []float32{1, 0}
	case SGD:
		return []string{"momentum"}, []float32{0}
	case AdamW, Muon:
		return []string{"mean", "square"}, []float32{0, 0}
	}
	return nil, nil
}

// reaches reports whether weight decay applies to a parameter.
func (d DecayRule) reaches(r arch.Role) bool {
	switch r {
	case arch.ConvWeight, arch.DepthwiseWeight, arch.LinearWeight:
		return true
	case arch.BiasVector:
		return d == DecayAll
	}
	return false
}
