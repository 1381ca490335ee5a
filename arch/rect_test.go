package arch

import (
	"strings"
	"testing"
)

// A graph of h x w pixels has in each direction what the square ones have.
func TestGraphFor(t *testing.T) {
	for _, name := range []string{"efficientnet_b0", "tf_efficientnet_lite0", "small_1m", "resnet18"} {
		s := MustLookup(name)
		tall, err := s.GraphAt(97)
		if err != nil {
			t.Fatal(err)
		}
		wide, err := s.GraphAt(160)
		if err != nil {
			t.Fatal(err)
		}
		g, err := s.GraphFor(97, 160)
		if err != nil {
			t.Fatal(err)
		}
		if g.Spec.Resolution != s.Resolution {
			t.Errorf("%s: resolution became %d", name, g.Spec.Resolution)
		}
		for i, op := range g.Ops {
			h, w := &tall.Ops[i], &wide.Ops[i]
			if want := (Shape{h.Shape.H, w.Shape.W, w.Shape.C}); op.Shape != want {
				t.Errorf("%s: %s makes %v, want %v", name, op.Name, op.Shape, want)
			}
			if want := (Pad{h.Pad.Top, w.Pad.Left, h.Pad.Bottom, w.Pad.Right}); op.Pad != want {
				t.Errorf("%s: %s pads %v, want %v", name, op.Name, op.Pad, want)
			}
		}
	}
	s := MustLookup("efficientnet_b0")
	for _, c := range []struct {
		h, w int
		want string
	}{
		{0, 224, "images are 0x224 pixels, want 1 to 16384"},
		{224, 1 << 20, "images are 224x1048576 pixels"},
		{224, 16, "resolution 224x16 is too small for the strides"},
		{16, 224, "resolution 16x224 is too small for the strides"},
	} {
		if _, err := s.GraphFor(c.h, c.w); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%dx%d: error is %v, want %q", c.h, c.w, err, c.want)
		}
	}
}
