package report

import (
	"path/filepath"
	"strings"
	"testing"

	"effnet/arch"
)

// Every network of the zoo can be drawn, and what its stages cost adds up.
func TestArchitecture(t *testing.T) {
	for _, name := range arch.Names() {
		g, err := arch.MustLookup(name).Graph()
		if err != nil {
			t.Fatal(err)
		}
		c := g.Cost()
		var macs, params, activations int64
		stages := drawnStages(g)
		for _, s := range stages {
			macs, params, activations = macs+s.MACs, params+s.Params, activations+s.activations
		}
		if macs != c.MACs || params != c.Params || activations != c.Activations {
			t.Errorf("%s: the stages have %d MACs, %d parameters, %d activations; the network %s", name, macs, params, activations, &c.Totals)
		}
		if last := stages[len(stages)-1].out; last != g.Ops[g.Output()].Shape {
			t.Errorf("%s: the last stage gives %v", name, last)
		}
		fits(t, name, drawArchitecture(g))
		wellFormed(t, name, string(ArchitectureSVG(g)))
	}
}

func TestNetworks(t *testing.T) {
	n := &Networks{}
	for _, name := range []string{"efficientnet_b0", "efficientnet_b1"} {
		g, err := arch.MustLookup(name).Graph()
		if err != nil {
			t.Fatal(err)
		}
		n.List = append(n.List, NetworkCost{Name: name + " <&>", Resolution: g.Spec.Resolution, Totals: g.Cost().Totals})
	}
	s, err := n.draw()
	if err != nil {
		t.Fatal(err)
	}
	svg := string(s.svg(false))
	fits(t, "networks", s)
	wellFormed(t, "networks", svg)
	if !strings.Contains(svg, "687M  ×1.78") || strings.Contains(svg, "time of one image") {
		t.Error("the MACs of B1 are not drawn, or times that nobody measured")
	}
	n.Machine, n.List[0].Seconds, n.List[1].Seconds = "a machine", 0.01, 0.025
	if s, err = n.draw(); err != nil || !strings.Contains(string(s.svg(false)), "25 ms  ×2.5") {
		t.Errorf("times are not drawn: %v", err)
	}
	if err := (&Networks{}).Write(filepath.Join(t.TempDir(), "none.svg")); err == nil {
		t.Error("no networks are drawn")
	}
}
