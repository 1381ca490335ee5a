package weights

import (
	"strings"
	"testing"
)

func TestUnwrap(t *testing.T) {
	for _, c := range []struct{ names, want string }{
		{"", ""},
		{"conv_stem.weight bn1.weight classifier.bias", ""},
		{"module.conv_stem.weight module.bn1.weight", "module."},
		{"module.a module.b", "module."},
		{"module._orig_mod.a module._orig_mod.b", "module._orig_mod."},
		{"module. module.b", ""},
		{"module.a b", ""},
		{"n_averaged module.conv_stem.weight module.bn1.weight", "module."},
		{"backbone.conv_stem.weight backbone.bn1.weight head.weight", "backbone."},
		{"model.backbone._conv_stem.weight model.backbone._bn0.weight loss.weight", "model.backbone."},
		{"module.model.features.0.0.weight module.model.features.0.1.weight n", "module.model."},
		{"enc.conv1.weight enc.layer1.0.conv1.weight enc.layer1.0.bn1.weight", "enc."},
		{"student.conv_stem.weight student.bn1.weight teacher.conv_stem.weight teacher.bn1.weight", ""},
		{"module.s.conv_stem.weight module.s.bn1.weight module.t.conv_stem.weight module.t.bn1.weight", "module."},
		{"block.conv1.weight block.conv2.weight", ""},
		{"my_conv_stem.weight mybn1.weight", ""},
	} {
		names := strings.Fields(c.names)
		if got := unwrap(len(names), func(i int) string { return names[i] }); got != c.want {
			t.Errorf("%s: prefix is %q, want %q", c.names, got, c.want)
		}
	}
}

// TestReadWrapped reads a wrapped network from safetensors.
func TestReadWrapped(t *testing.T) {
	one := Tensor{[]int{1}, []float32{1}}
	s, err := parse(encode(t, &Set{Tensors: map[string]Tensor{
		"a.b.conv_stem.weight": one, "a.b.bn1.weight": one, "a.b.bn1.bias": one, "a.loss.weight": one,
	}}))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Names(), " "); got != "bn1.bias bn1.weight conv_stem.weight" {
		t.Errorf("read %s", got)
	}
}
