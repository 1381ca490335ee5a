package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	lib "effnet"
	"effnet/dataset"
	"effnet/explain"
	searchreport "effnet/report"
	"effnet/search"
)

// Class activation maps of a search: so many test images, each of a class of
// its own where there are as many.
const (
	mapImages   = 4
	mapFileName = "cam.png"
)

// drawMaps draws what the base and its networks at the largest factor see in a
// few test images, a row an image, for the report. It draws nothing before the
// comparison has ended, nor where models are not in the run folder, as after
// trials on other machines they may not be.
func drawMaps(ctx context.Context, dir string, a *search.Analysis, test dataset.Set, threads int) error {
	nets := mappedNetworks(a)
	if len(nets) < 2 {
		return nil
	}
	var models []lib.Named
	defer func() {
		for _, m := range models {
			m.Close()
		}
	}()
	for _, n := range nets {
		t := a.TrialsOf(n.ID, search.PhaseFinal)[0]
		path := filepath.Join(dir, search.TrialsFolder, t.ID, t.Outcome.Model)
		if _, err := os.Stat(path); err != nil {
			return nil
		}
		m, err := lib.OpenWith(path, lib.Options{Threads: threads, Kernel: a.Config.Kernel, Explain: true})
		if err != nil {
			return err
		}
		name := string(n.Role)
		if n.Role != search.RoleBase {
			name += fmt.Sprintf(" %.3g×", n.CostRatio)
		}
		models = append(models, lib.Named{Name: name, Model: m})
	}
	var samples []explain.Sample
	for _, i := range mappedImages(test) {
		im, err := test.Image(i)
		if err != nil {
			return err
		}
		panels, err := lib.ExplainRow(ctx, models, im, lib.Best)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("test image %d", i)
		if classes := test.Classes(); classes != nil {
			name = classes[test.Label(i)]
		}
		samples = append(samples, explain.Sample{Picture: im, Name: printable(name), Panels: panels})
	}
	folder := filepath.Join(dir, searchreport.FiguresFolder)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	return savePNG(filepath.Join(folder, mapFileName), explain.Rows(samples))
}

// mappedNetworks are the base, the single dimensions and the chosen ratio at
// the largest factor compared at.
func mappedNetworks(a *search.Analysis) []*search.NetworkResult {
	if a.Plan == nil || a.Choice == nil || len(a.Plan.Finals) == 0 {
		return nil
	}
	last := &a.Plan.Finals[len(a.Plan.Finals)-1]
	at := map[string]bool{a.Choice.Compound(last.Factor): true}
	for i := range last.Networks {
		at[last.Networks[i].ID] = true
	}
	var nets []*search.NetworkResult
	for _, role := range []search.Role{search.RoleBase, search.RoleDepth, search.RoleWidth, search.RoleResolution, search.RoleCompound} {
		for i := range a.Nets {
			n := &a.Nets[i]
			if n.Role == role && (role == search.RoleBase || at[n.ID]) && len(a.TrialsOf(n.ID, search.PhaseFinal)) > 0 {
				nets = append(nets, n)
				break
			}
		}
	}
	return nets
}

// mappedImages are the first images of as many classes as there are rows, or
// the first images where there are fewer classes.
func mappedImages(test dataset.Set) []int {
	var first, rest []int
	seen := map[int32]bool{}
	for i := 0; i < test.Len() && len(first) < mapImages; i++ {
		if label := test.Label(i); !seen[label] {
			seen[label] = true
			first = append(first, i)
		} else if len(rest) < mapImages {
			rest = append(rest, i)
		}
	}
	return append(first, rest[:min(len(rest), mapImages-len(first))]...)
}
