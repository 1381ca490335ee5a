package report

import (
	"fmt"

	"effnet/arch"
)

// Networks compares what networks cost.
type Networks struct {
	Machine string // where times were measured; "" without times
	List    []NetworkCost
}

// NetworkCost is what one network costs.
type NetworkCost struct {
	Name       string
	Resolution int
	Totals     arch.Totals
	Seconds    float64 // of one image; 0: not measured
}

// Write draws n into a file, in the format that its name ends in: a panel of
// bars for each cost, with the factor over the first network.
func (n *Networks) Write(path string) error {
	s, err := n.draw()
	if err != nil {
		return err
	}
	return s.write(path)
}

// networkInks are the colours of networks; more of them begin again.
var networkInks = []ink{inkFaint, inkDepth, inkWidth, inkResolution, inkCompound}

const (
	networkPanel = 340.0 // pixels of a panel's width
	networkBar   = 22.0  // of a bar and the room around it
	networkName  = 128.0
	networkHead  = 58.0
)

// networkCosts are the panels.
var networkCosts = []struct {
	name string
	of   func(*NetworkCost) float64
	text func(float64) string
}{
	{"multiply-accumulates", func(n *NetworkCost) float64 { return float64(n.Totals.MACs) }, count},
	{"parameters", func(n *NetworkCost) float64 { return float64(n.Totals.Params) }, count},
	{"activations", func(n *NetworkCost) float64 { return float64(n.Totals.Activations) }, count},
	{"memory of one image at inference, weights included", func(n *NetworkCost) float64 { return float64(n.Totals.InferenceBytes()) }, byteCount},
	{"time of one image", func(n *NetworkCost) float64 { return n.Seconds }, seconds},
}

// byteCount is a number of bytes with a unit.
func byteCount(x float64) string {
	unit := 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for x >= 1023.5 && unit < len(units)-1 {
		x, unit = x/1024, unit+1
	}
	return trim(x) + " " + units[unit]
}

func (n *Networks) draw() (*scene, error) {
	if len(n.List) == 0 {
		return nil, fmt.Errorf("report: no networks to compare")
	}
	costs := networkCosts
	for i := range n.List {
		if n.List[i].Seconds == 0 {
			costs = networkCosts[:len(networkCosts)-1]
		}
	}
	height := 44 + networkBar*float64(len(n.List)) + 12
	rows := (len(costs) + 1) / 2
	s := &scene{w: 2*networkPanel + 16, h: networkHead + height*float64(rows) + 8, title: "What networks cost: " + n.List[0].Name}
	for i := range n.List[1:] {
		s.title += ", " + n.List[1+i].Name
	}
	s.boldLabel(8, 22, "What the networks cost", 16, anchorStart, inkText)
	s.label(8, 42, clipText("one image at each network's resolution; × is over "+n.List[0].Name, 12, false, s.w-16), 12, anchorStart, inkMuted)
	for i, c := range costs {
		x, y := 8+networkPanel*float64(i%2), networkHead+height*float64(i/2)
		heading := c.name
		if c.name == "time of one image" {
			heading += ", " + n.Machine
		}
		s.boldLabel(x, y+18, clipText(heading, 12, true, networkPanel-12), 12, anchorStart, inkText)
		most := 0.0
		for j := range n.List {
			most = max(most, c.of(&n.List[j]))
		}
		first := c.of(&n.List[0])
		const room = networkPanel - networkName - 12 - 92 // of a bar, before its number
		for j := range n.List {
			v := c.of(&n.List[j])
			top := y + 30 + networkBar*float64(j)
			text := c.text(v)
			if j > 0 && first > 0 {
				text += fmt.Sprintf("  ×%s", trim(v/first))
			}
			tip := fmt.Sprintf("%s, %d pixels: %s", n.List[j].Name, n.List[j].Resolution, text)
			w := max(1, room*v/max(most, 1e-300))
			left := x + networkName
			s.label(left-6, top+14, clipText(n.List[j].Name, 12, false, networkName-10), 12, anchorEnd, inkText)
			s.add(item{kind: shapeArea, pts: []point{{left, top + 3}, {left + w, top + 3}, {left + w, top + networkBar - 4}, {left, top + networkBar - 4}},
				fill: networkInks[j%len(networkInks)], tip: tip})
			s.label(left+w+6, top+14, text, 12, anchorStart, inkMuted)
		}
	}
	return s, nil
}
