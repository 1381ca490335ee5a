package train

import "effnet/arch"

// RunConfig is all that decides the result of a run, and the content of its
// config.yaml.
type RunConfig struct {
	Spec   arch.Spec // with the recipe's dropout and drop path in force
	Recipe Recipe    // resolved
	Data   DataID
	Kernel string // implementation of the arithmetic, by name: others round differently
}

// DataID identifies training data.
type DataID struct {
	Source     string `yaml:"source" json:"source"`         // where to open it again
	Checksum   string `yaml:"checksum" json:"checksum"`     // of the content
	SplitSeed  uint64 `yaml:"split_seed" json:"split_seed"` // of the validation part
	Train      int    `yaml:"train" json:"train"`           // images
	Validation int    `yaml:"validation" json:"validation"` // images
}
