package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"effnet/arch"
	searchreport "effnet/report"
)

// netReport is a network's cost as JSON.
type netReport struct {
	Name          string        `json:"name"`
	Resolution    int           `json:"resolution"`
	Channels      int           `json:"channels"`
	Classes       int           `json:"classes"`
	Params        int64         `json:"params"`
	BNStats       int64         `json:"bn_stats"`
	MACs          int64         `json:"macs"`
	DepthwiseMACs int64         `json:"depthwise_macs"`
	Activations   int64         `json:"activations"`
	WeightBytes   int64         `json:"weight_bytes"`
	PeakBytes     int64         `json:"peak_activation_bytes"`
	TrainBytes    int64         `json:"train_bytes_per_image"`
	Stages        []stageReport `json:"stages"`
	Layers        []layerReport `json:"layers,omitempty"`
}

type stageReport struct {
	Stage    string `json:"stage"`
	Operator string `json:"operator"`
	Block    string `json:"block,omitempty"` // block string of the row
	Input    [3]int `json:"input"`           // height, width, channels
	Channels int    `json:"channels"`        // that leave the stage
	Layers   int    `json:"layers"`
	Stride   int    `json:"stride"`
	Params   int64  `json:"params"`
	MACs     int64  `json:"macs"`
}

type layerReport struct {
	Name        string `json:"name"`
	Op          string `json:"op"`
	Output      [3]int `json:"output"`
	Kernel      int    `json:"kernel,omitempty"`
	Stride      int    `json:"stride,omitempty"`
	Groups      int    `json:"groups,omitempty"`
	Params      int64  `json:"params"`
	MACs        int64  `json:"macs"`
	Activations int64  `json:"activations"`
	Bytes       int64  `json:"bytes"` // read and written
}

func newShowCmd() *cobra.Command {
	var asJSON, layers, svg bool
	var out string
	var resolution pixels
	c := &cobra.Command{
		Use:   "show NET",
		Short: "Show a network's stages and what it costs",
		Long: `Show prints a network stage by stage, as the EfficientNet paper's Table 1, and
what it costs. NET is a zoo name ('effnet models') or a spec file.

  parameters    trainable numbers; weights add the batch-norm statistics
  MACs          multiply-accumulates of convolutions and the classifier
  activations   elements of all convolution outputs, which run time follows
  memory        float32: the most that is alive at once while one image is
                classified, and an estimate of what one image of a training
                batch needs (docs/scaling.md)

-o draws the stages and what each costs; --svg prints the drawing instead.`,
		Example: `  effnet show b0
  effnet show net.yaml --resolution 32 --layers
  effnet show b0 -o b0.svg`,
		Args:              exactly("NET"),
		ValidArgsFunction: completeNet,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case svg && (asJSON || layers || out != ""):
				return usagef("show: --svg is for standard output, without --json, --layers and -o")
			case out != "":
				if err := checkFigure("show: -o", out); err != nil {
					return err
				}
			}
			s, err := loadNet(args[0])
			if err != nil {
				return err
			}
			if resolution > 0 {
				s.Resolution = int(resolution)
			}
			g, err := s.Graph()
			if err != nil {
				return err
			}
			if svg {
				_, err := c.OutOrStdout().Write(searchreport.ArchitectureSVG(g))
				return err
			}
			if out != "" {
				if err := searchreport.WriteArchitecture(out, g); err != nil {
					return err
				}
			}
			if asJSON {
				r := report(g, g.Cost())
				if layers {
					r.Layers = layerReports(g)
				}
				return writeJSON(c.OutOrStdout(), r)
			}
			_, err = io.WriteString(c.OutOrStdout(), showText(g, layers))
			return err
		},
	}
	c.Flags().SortFlags = false
	c.Flags().Var(&resolution, "resolution", "count at another input size")
	c.Flags().BoolVar(&layers, "layers", false, "list every op, too")
	c.Flags().BoolVar(&svg, "svg", false, "print a drawing, SVG")
	c.Flags().StringVarP(&out, "out", "o", "", "`FIGURE` to draw beside the text, .svg or .png")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func report(g *arch.Graph, c *arch.Cost) netReport {
	s := &g.Spec
	r := netReport{
		Name: s.Name, Resolution: s.Resolution, Channels: s.Channels, Classes: s.Classes,
		Params: c.Params, BNStats: c.Buffers, MACs: c.MACs, DepthwiseMACs: c.DepthwiseMACs, Activations: c.Activations,
		WeightBytes: c.WeightBytes(), PeakBytes: c.PeakBytes, TrainBytes: c.TrainBytes,
	}
	for i, st := range c.Stages {
		sr := stageReport{
			Stage: st.Name, Operator: st.Operator, Input: [3]int{st.In.H, st.In.W, st.In.C},
			Channels: st.Width, Layers: st.Layers, Stride: st.Stride, Params: st.Params, MACs: st.MACs,
		}
		if i > 0 && i <= len(s.Stages) {
			sr.Block = s.Stages[i-1].String()
		}
		r.Stages = append(r.Stages, sr)
	}
	return r
}

func layerReports(g *arch.Graph) []layerReport {
	var list []layerReport
	for i, oc := range g.Cost().Ops {
		op := &g.Ops[i]
		list = append(list, layerReport{
			op.Name, opText(op), [3]int{op.Shape.H, op.Shape.W, op.Shape.C}, op.Kernel, op.Stride, op.Groups, oc.Params, oc.MACs, oc.Activations, oc.Bytes,
		})
	}
	return list
}

// opText is an op's kind in a word or two.
func opText(op *arch.Op) string {
	switch {
	case op.Kind == arch.OpConv && op.Depthwise():
		return "depthwise conv"
	case op.Kind == arch.OpActivation:
		return op.Act.String()
	}
	return op.Kind.String()
}

func showText(g *arch.Graph, layers bool) string {
	s, c := &g.Spec, g.Cost()
	var b strings.Builder
	blocks := 0
	for _, st := range s.Stages {
		blocks += st.Repeats
	}
	fmt.Fprintf(&b, "%s: %dx%dx%d images, %d classes, %d blocks, %s, %s padding, BN eps %g\n\n",
		s.Name, s.Resolution, s.Resolution, s.Channels, s.Classes, blocks, s.Act, s.Padding, s.BN.Eps)
	tab := newTable("stage", "operator", ">input", ">channels", ">layers", ">stride", ">parameters", ">MACs", ">share")
	for _, st := range c.Stages {
		tab.add(st.Name, st.Operator, fmt.Sprintf("%dx%dx%d", st.In.H, st.In.W, st.In.C), fmt.Sprint(st.Width),
			fmt.Sprint(st.Layers), fmt.Sprint(st.Stride), thousands(st.Params), thousands(st.MACs), percent(st.MACs, c.MACs))
	}
	b.WriteString(tab.String() + "\n")
	if layers {
		tab = newTable("layer", "op", ">output", ">kernel", ">parameters", ">MACs")
		for i, oc := range c.Ops {
			op := &g.Ops[i]
			kernel, params, macs := "", "", ""
			if op.Kind == arch.OpConv || op.Kind == arch.OpMaxPool {
				kernel = fmt.Sprintf("%dx%d/%d", op.Kernel, op.Kernel, op.Stride)
			}
			if oc.Params > 0 {
				params = thousands(oc.Params)
			}
			if oc.MACs > 0 {
				macs = thousands(oc.MACs)
			}
			tab.add(op.Name, opText(op), fmt.Sprintf("%dx%dx%d", op.Shape.H, op.Shape.W, op.Shape.C), kernel, params, macs)
		}
		b.WriteString(tab.String() + "\n")
	}
	tab = newTable("", ">", ">")
	tab.rows = nil
	for _, r := range totalRows(&c.Totals) {
		tab.add(r.name, thousands(r.n), r.text)
	}
	b.WriteString(tab.String())
	return b.String()
}

// totalRow is one line of a network's totals.
type totalRow struct {
	name string
	n    int64
	text string // n for people
}

func totalRows(t *arch.Totals) []totalRow {
	return []totalRow{
		{"parameters", t.Params, short(t.Params)},
		{"MACs", t.MACs, short(t.MACs)},
		{"activations", t.Activations, short(t.Activations)},
		{"weight bytes", t.WeightBytes(), size(t.WeightBytes())},
		{"peak activation bytes", t.PeakBytes, size(t.PeakBytes)},
		{"training bytes per image", t.TrainBytes, size(t.TrainBytes)},
	}
}

func percent(part, whole int64) string {
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(whole))
}
