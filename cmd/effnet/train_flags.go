package main

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"effnet/train"
)

// recipeFlags choose a recipe and change single values of it.
type recipeFlags struct {
	set       *pflag.FlagSet
	recipe    string
	optimizer string
	values    []recipeFlag
}

// recipeFlag is a flag that stands for one value of a recipe.
type recipeFlag struct {
	key   string // of the value in YAML
	apply func(r *train.Recipe)
}

// flagNames are the flags that are not called as their value in YAML is, but
// for hyphens.
var flagNames = map[string]string{"warmup_epochs": "warmup", "ema_decay": "ema"}

// flagName is the flag of the value of a recipe that YAML calls key.
func flagName(key string) string {
	if name, ok := flagNames[key]; ok {
		return name
	}
	return strings.ReplaceAll(key, "_", "-")
}

// register adds the flags to fs. The flags named in except are left out, for
// commands that have their own of that name.
func (f *recipeFlags) register(fs *pflag.FlagSet, except ...string) {
	f.set = fs
	fs.StringVar(&f.recipe, "recipe", train.RecipeNames()[0], "how to train: "+strings.Join(train.RecipeNames(), ", ")+", or a YAML `FILE`")
	type r = train.Recipe
	skip := func(name string) bool { return slices.Contains(except, name) }
	bind(f, skip, "epochs", "passes over the training images", fs.IntVar, func(r *r) *int { return &r.Epochs })
	bind(f, skip, "batch", "images a step", fs.IntVar, func(r *r) *int { return &r.Batch })
	bind(f, skip, "seed", "seed of weights, order, augmentation and dropout", fs.Uint64Var, func(r *r) *uint64 { return &r.Seed })
	if !skip("optimizer") {
		fs.StringVar(&f.optimizer, "optimizer", "", train.OptimizerChoices()+", with its usual constants")
	}
	bind(f, skip, "momentum", "of sgd, rmsprop and muon", fs.Float64Var, func(r *r) *float64 { return &r.Momentum })
	bind(f, skip, "rms_decay", "of rmsprop's mean square", fs.Float64Var, func(r *r) *float64 { return &r.RMSDecay })
	bind(f, skip, "beta1", "of adamw and muon", fs.Float64Var, func(r *r) *float64 { return &r.Beta1 })
	bind(f, skip, "beta2", "of adamw and muon", fs.Float64Var, func(r *r) *float64 { return &r.Beta2 })
	bind(f, skip, "eps", "of rmsprop, adamw and muon", fs.Float64Var, func(r *r) *float64 { return &r.Eps })
	bind(f, skip, "weight_decay", "L2 in the loss; decoupled for adamw and muon", fs.Float64Var, func(r *r) *float64 { return &r.WeightDecay })
	bind(f, skip, "decay_rule", "what weight decay reaches: all (but batch norm) or weights (no biases)", fs.StringVar, func(r *r) *string { return (*string)(&r.Decay) })
	bind(f, skip, "lr", "peak learning rate (default: the recipe's for this batch)", fs.Float64Var, func(r *r) *float64 { return &r.LR })
	bind(f, skip, "lr_per_256", "peak learning rate for a batch of 256, in proportion for others", fs.Float64Var, func(r *r) *float64 { return &r.LRPer256 })
	bind(f, skip, "schedule", "of the learning rate: constant, cosine or exponential", fs.StringVar, func(r *r) *string { return (*string)(&r.Schedule) })
	bind(f, skip, "warmup_epochs", "`epochs` over which the learning rate rises from 0", fs.Float64Var, func(r *r) *float64 { return &r.WarmupEpochs })
	bind(f, skip, "decay_rate", "exponential: factor of each step down", fs.Float64Var, func(r *r) *float64 { return &r.DecayRate })
	bind(f, skip, "decay_epochs", "exponential: `epochs` between steps down", fs.Float64Var, func(r *r) *float64 { return &r.DecayEpochs })
	bind(f, skip, "label_smoothing", "share of the target spread over all classes", fs.Float64Var, func(r *r) *float64 { return &r.LabelSmoothing })
	bind(f, skip, "ema_decay", "`decay` of the moving average of the weights, 0 for none", fs.Float64Var, func(r *r) *float64 { return &r.EMADecay })
	bind(f, skip, "dropout", "`rate` before the classifier (default: the network's)", fs.Float64Var, func(r *r) *float64 { r.Dropout = new(float64); return r.Dropout })
	bind(f, skip, "drop_path", "`rate` of the last block (default: the network's)", fs.Float64Var, func(r *r) *float64 { r.DropPath = new(float64); return r.DropPath })
	bind(f, skip, "flip", "mirror training images every other epoch", fs.BoolVar, func(r *r) *bool { return &r.Flip })
	bind(f, skip, "pad_crop", "shift training images by up to this many `pixels`", fs.IntVar, func(r *r) *int { return &r.PadCrop })
	bind(f, skip, "min_area", "random crops of at least this `share` of a training image, 0 for none", fs.Float64Var, func(r *r) *float64 { return &r.MinArea })
	bind(f, skip, "auto_augment", "`policy` that changes training images: v0 (AutoAugment), or RandAugment such as rand-m9-n2-mstd0.5", fs.StringVar, func(r *r) *string { return &r.AutoAugment })
	bind(f, skip, "erasing", "`probability` that a box of a training image becomes noise", fs.Float64Var, func(r *r) *float64 { return &r.Erasing })
	bind(f, skip, "mixup", "mix the images of a batch, with shares from Beta(`alpha`,alpha), 0 for none", fs.Float64Var, func(r *r) *float64 { return &r.Mixup })
	bind(f, skip, "progressive", "train in so many `stages` whose images and regularisation grow, 0 for none", fs.IntVar, func(r *r) *int { return &r.Progressive })
	bind(f, skip, "first_resolution", "of the first stage: `pixels`, or up to 1 a share of the network's (default: half)", fs.Float64Var, func(r *r) *float64 { return &r.FirstResolution })
	bind(f, skip, "first_dropout", "`rate` in the first stage (default: as in the last)", fs.Float64Var, func(r *r) *float64 { r.FirstDropout = new(float64); return r.FirstDropout })
	bind(f, skip, "first_drop_path", "`rate` in the first stage (default: as in the last)", fs.Float64Var, func(r *r) *float64 { r.FirstDropPath = new(float64); return r.FirstDropPath })
	bind(f, skip, "first_magnitude", "of RandAugment in the first stage (default: as in the last)", fs.IntVar, func(r *r) *int { r.FirstMagnitude = new(int); return r.FirstMagnitude })
	bind(f, skip, "first_mixup", "`alpha` in the first stage (default: as in the last)", fs.Float64Var, func(r *r) *float64 { r.FirstMixup = new(float64); return r.FirstMixup })
	bind(f, skip, "validation", "`share` of the training images held out", fs.Float64Var, func(r *r) *float64 { return &r.Validation })
}

// bind defines the flag of one value. define is the method of fs for its type;
// field points at the value in a recipe.
func bind[T any](f *recipeFlags, skip func(string) bool, key, usage string, define func(p *T, name string, value T, usage string), field func(*train.Recipe) *T) {
	if skip(flagName(key)) {
		return
	}
	var zero T
	v := new(T)
	define(v, flagName(key), zero, usage)
	f.values = append(f.values, recipeFlag{key, func(r *train.Recipe) { *field(r) = *v }})
}

// load reads the recipe that --recipe names and applies the other flags.
func (f *recipeFlags) load() (train.Recipe, error) {
	r, err := f.named()
	if err != nil {
		return r, err
	}
	if err := f.override(&r); err != nil {
		return r, err
	}
	if err := r.Validate(); err != nil {
		return r, &usageError{err}
	}
	return r, nil
}

func (f *recipeFlags) named() (train.Recipe, error) {
	r, err := train.ReadRecipe(f.recipe)
	if err != nil && !errors.As(err, new(*fs.PathError)) {
		err = &usageError{err}
	}
	return r, err
}

// override applies the flags that were given. The optimizer comes first, as it
// brings constants that other flags may change.
func (f *recipeFlags) override(r *train.Recipe) error {
	if f.set.Changed("optimizer") {
		if err := r.SetOptimizer(f.optimizer); err != nil {
			return &usageError{err}
		}
	}
	for _, v := range f.values {
		if f.set.Changed(flagName(v.key)) {
			v.apply(r)
		}
	}
	r.Replace(func(key string) bool { return f.set.Changed(flagName(key)) })
	return nil
}
