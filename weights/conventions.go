package weights

import (
	"strings"

	"effnet/arch"
)

// torchvisionNets is what torchvision does otherwise than timm's network of
// the same shape: the image size and crop of the weights it ships, and the
// epsilon of its batch norm.
var torchvisionNets = map[string]struct {
	bn           arch.BatchNormConfig
	resize, crop int // pixels of the short side, and of what is kept of it
	filter       arch.Filter
}{
	"efficientnet_b0": {bnTorch, 256, 224, arch.Bicubic},
	"efficientnet_b1": {bnTorch, 256, 240, arch.Bicubic},
	"efficientnet_b2": {bnTorch, 288, 288, arch.Bicubic},
	"efficientnet_b3": {bnTorch, 320, 300, arch.Bicubic},
	"efficientnet_b4": {bnTorch, 384, 380, arch.Bicubic},
	"efficientnet_b5": {bnLukemelas, 456, 456, arch.Bicubic},
	"efficientnet_b6": {bnLukemelas, 528, 528, arch.Bicubic},
	"efficientnet_b7": {bnLukemelas, 600, 600, arch.Bicubic},
	"mobilenetv2_100": {bnTorch, 256, 224, arch.Bilinear},
}

// torchvisionV2 starts the zoo's names of torchvision's EfficientNetV2.
const torchvisionV2 = "efficientnet_v2_"

var (
	bnTorch     = arch.BatchNormConfig{Eps: 1e-5, Momentum: 0.1}
	bnLukemelas = arch.BatchNormConfig{Eps: 1e-3, Momentum: 0.01}
)

// conventions is spec as the code that n names have come from runs it. Only a
// network of the zoo changes: a spec of the user's says what it means.
func (n Naming) conventions(spec arch.Spec) arch.Spec {
	if s, err := arch.Lookup(spec.Name); err != nil || string(s.YAML()) != string(spec.YAML()) {
		return spec
	}
	native := strings.TrimPrefix(spec.Name, "tf_")
	switch n {
	case LukemelasNames: // TensorFlow's padding and weights, whose tf_ network is timm's
		if s, err := arch.Lookup("tf_" + native); err == nil {
			return s
		}
		spec.Padding, spec.BN = arch.PadSame, bnLukemelas
	case TorchvisionNames:
		// The zoo has torchvision's own EfficientNetV2.
		if v2, ok := strings.CutPrefix(native, "efficientnetv2_"); ok {
			if s, err := arch.Lookup(torchvisionV2 + v2); err == nil {
				return s
			}
		}
		if strings.HasPrefix(native, torchvisionV2) {
			return spec
		}
		t, ok := torchvisionNets[native]
		s, err := arch.Lookup(native)
		if err != nil || !ok {
			spec.Padding = arch.PadSymmetric
			return spec
		}
		s.BN = t.bn
		s.Resolution = t.crop
		s.Prep.Crop = float64(t.crop) / float64(t.resize)
		s.Prep.Filter = t.filter
		return s
	}
	return spec
}
