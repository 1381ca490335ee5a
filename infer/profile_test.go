package infer

import (
	"slices"
	"testing"

	"effnet/arch"
	"effnet/internal/kernel"
	"effnet/weights"
)

// TestSteps holds what steps say of themselves against the graph: all products
// and swishes once, and bytes of what each reads and writes.
func TestSteps(t *testing.T) {
	s := spec(t, 32, 3, 64, "ds_r1_k3_s1_e1_c8_se0.25", "ir_r2_k5_s2_e4_c24_se0.25")
	g := graph(t, s)
	for _, threads := range []int{1, 2} {
		p, err := Compile(g, weights.Init(g, 1), Options{Threads: threads, Kernel: "go"})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var flops, swishes int64
		var stem, classifier Step
		for _, st := range p.Steps() {
			flops += st.FLOPs
			if st.Done != st.FLOPs {
				t.Errorf("%s does %d of %d FLOPs", st.Name, st.Done, st.FLOPs)
			}
			swishes += st.Swish
			switch st.Name {
			case "conv_stem":
				stem = st
			case "classifier":
				classifier = st
			}
			if st.Bytes < 4*int64(st.In.Elems()) || st.Bytes > 1<<20 {
				t.Errorf("%s: %d bytes with an input of %d values", st.Name, st.Bytes, st.In.Elems())
			}
		}
		if want := 2 * g.Cost().MACs; flops != want {
			t.Errorf("%d FLOPs, the graph has %d", flops, want)
		}
		want := int64(0)
		for _, op := range g.Ops {
			if op.Kind == arch.OpActivation && op.Act == arch.ActSwish {
				want += int64(op.Shape.Elems())
			}
		}
		if swishes != want {
			t.Errorf("%d swishes, the graph has %d", swishes, want)
		}
		// Image, weight, shift, output.
		if want := int64(4 * (32*32*3 + 27*8 + 8 + 16*16*8)); stem.Bytes != want {
			t.Errorf("the stem moves %d bytes, want %d", stem.Bytes, want)
		}
		// 10 columns are packed as 12.
		if want := int64(4 * (64 + 64*12 + 10 + 10)); classifier.Bytes != want {
			t.Errorf("the classifier moves %d bytes, want %d", classifier.Bytes, want)
		}
	}
}

// TestStepsWinograd: tiles of 2x2 pixels take 16 products of 36, and 29 x 29
// pixels as many tiles as 30 x 30.
func TestStepsWinograd(t *testing.T) {
	g := graph(t, spec(t, 58, 3, 0, "cn_r2_k3_s1_c40"))
	for _, row := range kernel.Table() {
		if !row.Supported {
			continue
		}
		p, err := Compile(g, weights.Init(g, 1), Options{Threads: 1, Kernel: row.Impl.Name})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		steps := p.Steps()
		st := steps[slices.IndexFunc(steps, func(s Step) bool { return s.Name == "blocks.0.1.conv" })]
		want := st.FLOPs
		if row.Impl.MinWinograd <= 40 {
			want = 2 * 16 * 15 * 15 * 40 * 40
		}
		if st.FLOPs != 2*29*29*9*40*40 || st.Done != want {
			t.Errorf("kernels %s: %d of %d FLOPs, want %d", row.Impl.Name, st.Done, st.FLOPs, want)
		}
	}
}
