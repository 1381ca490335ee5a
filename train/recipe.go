package train

import (
	"fmt"
	"math"
	"slices"

	"effnet/autoaugment"
	"effnet/internal/words"
)

// Recipe is everything about a training run that changes its result, besides
// the network, the data and the kernels. [Recipe.Resolve] fills what is left
// open; only a resolved recipe trains.
type Recipe struct {
	Name   string `yaml:"name" json:"name"`     // of the named recipe it started from
	Epochs int    `yaml:"epochs" json:"epochs"` // passes over the training images
	Batch  int    `yaml:"batch" json:"batch"`   // images a step
	Seed   uint64 `yaml:"seed" json:"seed"`     // of initial weights, order, augmentation, dropout

	Optimizer   string    `yaml:"optimizer" json:"optimizer"` // one of OptimizerChoices
	Momentum    float64   `yaml:"momentum,omitempty" json:"momentum,omitempty"`
	RMSDecay    float64   `yaml:"rms_decay,omitempty" json:"rms_decay,omitempty"` // of RMSProp's mean square
	Beta1       float64   `yaml:"beta1,omitempty" json:"beta1,omitempty"`         // of AdamW, Muon
	Beta2       float64   `yaml:"beta2,omitempty" json:"beta2,omitempty"`
	Eps         float64   `yaml:"eps,omitempty" json:"eps,omitempty"`
	WeightDecay float64   `yaml:"weight_decay" json:"weight_decay"` // L2 in the loss; decoupled for AdamW and Muon
	Decay       DecayRule `yaml:"decay_rule" json:"decay_rule"`     // what it reaches: all (but batch norm) or weights (no biases)

	LR           float64      `yaml:"lr,omitempty" json:"lr,omitempty"`                 // peak; 0: LRPer256*Batch/256
	LRPer256     float64      `yaml:"lr_per_256,omitempty" json:"lr_per_256,omitempty"` // peak for a batch of 256
	Schedule     ScheduleKind `yaml:"schedule" json:"schedule"`                         // constant, cosine or exponential
	WarmupEpochs float64      `yaml:"warmup_epochs" json:"warmup_epochs"`               // linear from 0
	DecayRate    float64      `yaml:"decay_rate,omitempty" json:"decay_rate,omitempty"` // exponential: the factor ...
	DecayEpochs  float64      `yaml:"decay_epochs,omitempty" json:"decay_epochs,omitempty"`

	LabelSmoothing float64  `yaml:"label_smoothing" json:"label_smoothing"`
	EMADecay       float64  `yaml:"ema_decay" json:"ema_decay"`                     // 0: none
	Dropout        *float64 `yaml:"dropout,omitempty" json:"dropout,omitempty"`     // nil: the network's
	DropPath       *float64 `yaml:"drop_path,omitempty" json:"drop_path,omitempty"` // nil: the network's

	Flip    bool    `yaml:"flip" json:"flip"`         // mirror images every other epoch
	PadCrop int     `yaml:"pad_crop" json:"pad_crop"` // shift by up to this many pixels of the source
	MinArea float64 `yaml:"min_area" json:"min_area"` // random crop of this share of the image or more; 0: none

	AutoAugment string  `yaml:"auto_augment,omitempty" json:"auto_augment,omitempty"` // policy as package autoaugment reads it; "": none
	Erasing     float64 `yaml:"erasing,omitempty" json:"erasing,omitempty"`           // probability of random erasing
	Mixup       float64 `yaml:"mixup,omitempty" json:"mixup,omitempty"`               // alpha of the mixing of images; 0: none

	Progressive     int      `yaml:"progressive,omitempty" json:"progressive,omitempty"`           // stages of images and regularisation that grow; 0, 1: none
	FirstResolution float64  `yaml:"first_resolution,omitempty" json:"first_resolution,omitempty"` // of the first stage: pixels, or up to 1 a share of the network's; 0: half
	FirstDropout    *float64 `yaml:"first_dropout,omitempty" json:"first_dropout,omitempty"`       // of the first stage; nil: Dropout
	FirstDropPath   *float64 `yaml:"first_drop_path,omitempty" json:"first_drop_path,omitempty"`   // of the first stage; nil: DropPath
	FirstMagnitude  *int     `yaml:"first_magnitude,omitempty" json:"first_magnitude,omitempty"`   // of RandAugment in the first stage; nil: AutoAugment's
	FirstMixup      *float64 `yaml:"first_mixup,omitempty" json:"first_mixup,omitempty"`           // of the first stage; nil: Mixup

	Validation float64 `yaml:"validation" json:"validation"` // share of the training images held out
}

// optimizers are the update rules a recipe can name, with a learning rate
// that usually works for a batch of 256.
var optimizers = []struct {
	name     string
	kind     OptimizerKind
	lrPer256 float64
}{
	{"sgd", SGD, 0.1},
	{"rmsprop", RMSPropTF, 0.016},
	{"adamw", AdamW, 0.004},
	{"muon", Muon, 0.004},
}

// OptimizerChoices names the optimizers that a recipe can have: "sgd, rmsprop or ...".
func OptimizerChoices() string {
	var names []string
	for _, o := range optimizers {
		names = append(names, o.name)
	}
	return words.Or(names)
}

// SetOptimizer changes the optimizer, and with it the values that only make
// sense together with it: momenta, epsilon, weight decay, learning rate.
func (r *Recipe) SetOptimizer(name string) error {
	if name == r.Optimizer {
		return nil
	}
	kind, lrPer256, err := optimizerNamed(name)
	if err != nil {
		return err
	}
	d, err := DefaultOptimizer(kind)
	if err != nil {
		return err
	}
	r.Optimizer, r.Momentum, r.RMSDecay, r.Beta1, r.Beta2 = name, d.Momentum, d.Alpha, d.Beta1, d.Beta2
	r.Eps, r.WeightDecay, r.Decay = d.Eps, d.WeightDecay, d.Decay
	r.LR, r.LRPer256 = 0, lrPer256
	return nil
}

func optimizerNamed(name string) (kind OptimizerKind, lrPer256 float64, err error) {
	for _, o := range optimizers {
		if o.name == name {
			return o.kind, o.lrPer256, nil
		}
	}
	return "", 0, &FieldError{"optimizer", fmt.Sprintf("is %q, want %s", name, OptimizerChoices())}
}

// UsualOptimizer is the optimizer that a recipe names, one of
// OptimizerChoices, with its usual constants.
func UsualOptimizer(name string) (Optimizer, error) {
	kind, _, err := optimizerNamed(name)
	if err != nil {
		return Optimizer{}, err
	}
	return DefaultOptimizer(kind)
}

// Replace ends a change of some values over those of another recipe: where two
// values exclude each other, the one that was given (by its name in YAML) drops
// the other, which was not.
func (r *Recipe) Replace(given func(key string) bool) {
	only := func(key, other string) bool { return given(key) && !given(other) }
	if only("lr_per_256", "lr") {
		r.LR = 0
	}
	if _, ok := r.magnitude(); only("auto_augment", "first_magnitude") && !ok {
		r.FirstMagnitude = nil
	}
	switch {
	case only("min_area", "pad_crop") && r.MinArea > 0:
		r.PadCrop = 0
	case only("pad_crop", "min_area") && r.PadCrop > 0:
		r.MinArea = 0
	}
}

// engineOptimizer is the update rule as the engine takes it.
func (r *Recipe) engineOptimizer() Optimizer {
	o := Optimizer{
		Alpha: r.RMSDecay, Momentum: r.Momentum, Eps: r.Eps, Beta1: r.Beta1, Beta2: r.Beta2,
		WeightDecay: r.WeightDecay, Decay: r.Decay,
	}
	o.Kind, _, _ = optimizerNamed(r.Optimizer) // Validate says so where there is none
	return o
}

// schedule is the learning rate over the steps of a resolved recipe.
func (r *Recipe) schedule(stepsPerEpoch int) Schedule {
	total := int64(r.Epochs) * int64(stepsPerEpoch)
	return Schedule{
		Kind: r.Schedule, Base: r.LR,
		Warmup: min(int64(math.Round(r.WarmupEpochs*float64(stepsPerEpoch))), total/2),
		Total:  total,
		Rate:   r.DecayRate, Every: r.DecayEpochs * float64(stepsPerEpoch),
	}
}

// Resolve returns the recipe for images training images: the learning rate
// worked out, the batch at most the images there are, a warm-up no longer than
// half the run, at most a stage an epoch and no first stage with more
// regularisation than the last. dropout and dropPath are the network's own rates.
func (r Recipe) Resolve(images int, dropout, dropPath float64) (Recipe, error) {
	if images < 1 {
		return r, fmt.Errorf("recipe: there are no training images")
	}
	if err := r.Validate(); err != nil {
		return r, err
	}
	r.Batch = min(r.Batch, images)
	if r.LR == 0 {
		r.LR = r.LRPer256 * float64(r.Batch) / 256
	}
	r.LRPer256 = 0
	r.WarmupEpochs = min(r.WarmupEpochs, float64(r.Epochs)/2)
	if r.Schedule == Exponential {
		if r.DecayRate == 0 {
			r.DecayRate = 0.97
		}
		if r.DecayEpochs == 0 {
			r.DecayEpochs = 2.4
		}
	} else {
		r.DecayRate, r.DecayEpochs = 0, 0
	}
	if r.Dropout == nil {
		r.Dropout = &dropout
	}
	if r.DropPath == nil {
		r.DropPath = &dropPath
	}
	r.resolveStages()
	return r, r.Validate()
}

// resolveStages settles progressive learning: at most a stage an epoch, and
// nothing that shrinks.
func (r *Recipe) resolveStages() {
	r.Progressive = min(r.Progressive, r.Epochs)
	if r.Progressive < 2 {
		r.Progressive, r.FirstResolution = 0, 0
		r.FirstDropout, r.FirstDropPath, r.FirstMagnitude, r.FirstMixup = nil, nil, nil, nil
		return
	}
	if r.FirstResolution == 0 {
		r.FirstResolution = 0.5
	}
	r.FirstDropout, r.FirstDropPath = atMost(r.FirstDropout, *r.Dropout), atMost(r.FirstDropPath, *r.DropPath)
	r.FirstMixup = atMost(r.FirstMixup, r.Mixup)
	if last, ok := r.magnitude(); ok {
		r.FirstMagnitude = atMost(r.FirstMagnitude, last)
	}
}

// atMost is first, or last where that is less.
func atMost[T int | float64](first *T, last T) *T {
	if first == nil || *first <= last {
		return first
	}
	return &last
}

// magnitude is RandAugment's, of a valid recipe; ok is false where it has none.
func (r *Recipe) magnitude() (m int, ok bool) {
	p, err := autoaugment.Parse(r.AutoAugment)
	if err != nil {
		return 0, false
	}
	return p.Magnitude()
}

// StepsPerEpoch is the number of steps of an epoch over images: a last,
// partial batch is left out, as the next epoch's order brings its images back.
func (r *Recipe) StepsPerEpoch(images int) int { return images / r.Batch }

// FieldError is a value of a recipe that makes no sense. Field is its name in
// YAML.
type FieldError struct{ Field, Msg string }

func (e *FieldError) Error() string { return "recipe: " + e.Field + " " + e.Msg }

// deref is *p, or 0.
func deref[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

// Validate reports the first value that makes no sense, as a [*FieldError].
func (r *Recipe) Validate() error {
	rate := func(x float64) bool { return x >= 0 && x < 1 }
	positive := func(x float64) bool { return x > 0 && !math.IsInf(x, 0) }
	for _, c := range []struct {
		field string
		ok    bool
		value any
		want  string
	}{
		{"epochs", r.Epochs >= 1 && r.Epochs <= 100000, r.Epochs, "1 to 100000"},
		{"batch", r.Batch >= 1 && r.Batch <= 1<<16, r.Batch, "1 to 65536"},
		{"optimizer", r.engineOptimizer().Kind != "", fmt.Sprintf("%q", r.Optimizer), OptimizerChoices()},
		{"momentum", rate(r.Momentum), r.Momentum, "0 to below 1"},
		{"rms_decay", rate(r.RMSDecay), r.RMSDecay, "0 to below 1"},
		{"beta1", rate(r.Beta1), r.Beta1, "0 to below 1"},
		{"beta2", rate(r.Beta2), r.Beta2, "0 to below 1"},
		{"eps", r.Eps >= 0 && r.Eps <= 1 && (r.Eps > 0 || r.Optimizer == "sgd"), r.Eps, "above 0, at most 1"},
		{"weight_decay", r.WeightDecay >= 0 && r.WeightDecay <= 1, r.WeightDecay, "0 to 1"},
		{"decay_rule", r.Decay == DecayAll || r.Decay == DecayWeights, fmt.Sprintf("%q", r.Decay), "all or weights"},
		{"lr", r.LR == 0 && positive(r.LRPer256) || positive(r.LR), r.LR, "above 0"},
		{"lr_per_256", r.LRPer256 == 0 || positive(r.LRPer256), r.LRPer256, "above 0"},
		{"schedule", slices.Contains([]ScheduleKind{Constant, Cosine, Exponential}, r.Schedule), fmt.Sprintf("%q", r.Schedule), "constant, cosine or exponential"},
		{"warmup_epochs", r.WarmupEpochs >= 0 && !math.IsInf(r.WarmupEpochs, 0), r.WarmupEpochs, "0 or above"},
		{"decay_rate", r.DecayRate >= 0 && r.DecayRate <= 1, r.DecayRate, "above 0, at most 1"},
		{"decay_epochs", r.DecayEpochs == 0 || positive(r.DecayEpochs), r.DecayEpochs, "above 0"},
		{"label_smoothing", rate(r.LabelSmoothing), r.LabelSmoothing, "0 to below 1"},
		{"ema_decay", rate(r.EMADecay), r.EMADecay, "0 (none) to below 1"},
		{"dropout", rate(deref(r.Dropout)), deref(r.Dropout), "0 to below 1"},
		{"drop_path", rate(deref(r.DropPath)), deref(r.DropPath), "0 to below 1"},
		{"pad_crop", r.PadCrop >= 0 && r.PadCrop <= 1024, r.PadCrop, "0 to 1024"},
		{"min_area", r.MinArea >= 0 && r.MinArea <= 1, r.MinArea, "0 (none) to 1"},
		{"min_area", r.MinArea == 0 || r.PadCrop == 0, r.MinArea, fmt.Sprintf("0, or pad_crop 0 instead of %d: they exclude each other", r.PadCrop)},
		{"erasing", r.Erasing >= 0 && r.Erasing <= 1, r.Erasing, "0 to 1"},
		{"mixup", r.Mixup == 0 || r.Mixup >= 0.01 && r.Mixup <= 100, r.Mixup, "0 (none), or 0.01 to 100"},
		{"progressive", r.Progressive >= 0 && r.Progressive <= 1000, r.Progressive, "0 (none) to 1000 stages"},
		{"first_resolution", r.FirstResolution >= 0 && (r.FirstResolution <= 1 || r.FirstResolution <= 1<<16 && r.FirstResolution == math.Trunc(r.FirstResolution)), r.FirstResolution, "a share of the network's up to 1, or whole pixels"},
		{"first_dropout", rate(deref(r.FirstDropout)), deref(r.FirstDropout), "0 to below 1"},
		{"first_magnitude", r.FirstMagnitude == nil || *r.FirstMagnitude >= 0 && *r.FirstMagnitude <= 100, deref(r.FirstMagnitude), "0 to 100"},
		{"first_mixup", deref(r.FirstMixup) == 0 || deref(r.FirstMixup) >= 0.01 && deref(r.FirstMixup) <= 100, deref(r.FirstMixup), "0 (none), or 0.01 to 100"},
		{"first_drop_path", rate(deref(r.FirstDropPath)), deref(r.FirstDropPath), "0 to below 1"},
		{"validation", r.Validation >= 0 && r.Validation <= 0.9, r.Validation, "0 to 0.9"},
	} {
		if !c.ok {
			return &FieldError{c.field, fmt.Sprintf("is %v, want %s", c.value, c.want)}
		}
	}
	if _, err := autoaugment.Parse(r.AutoAugment); err != nil {
		return &FieldError{"auto_augment", err.Error()}
	}
	if _, ok := r.magnitude(); !ok && r.FirstMagnitude != nil {
		return &FieldError{"first_magnitude", fmt.Sprintf("is %d, but auto_augment is %q, which has no magnitude, want RandAugment such as rand-m9", *r.FirstMagnitude, r.AutoAugment)}
	}
	return nil
}
