// Package report draws a search: figures as SVG and PNG, and one HTML page
// that needs nothing but itself. Everything comes from the analysis of a
// ledger, so that a report can be made again at any time. It also draws how
// fast a network runs: see [Roofline].
package report

import (
	"fmt"
	"os"
	"path/filepath"

	"effnet/internal/atomicfile"
	"effnet/search"
)

// Names of what Write makes in a run folder.
const (
	PageName      = "report.html"
	FiguresFolder = "figures"
)

// Write makes the figures and the page of a search in the folder dir, and
// returns the page's path. Pictures that others left in its folder of figures
// are shown on the page: see [CAMPattern].
func Write(dir string, a *search.Analysis) (string, error) {
	if a.Plan == nil {
		return "", noPlan(dir)
	}
	figs := figures(a)
	html, err := page(dir, a, figs)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(dir, FiguresFolder)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return "", err
	}
	for _, f := range figs {
		if err := f.sheet().both(filepath.Join(folder, f.name)); err != nil {
			return "", err
		}
	}
	if s := overview(a, figs); s != nil {
		if err := s.both(filepath.Join(folder, "overview")); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, PageName)
	return path, atomicfile.WriteBytes(path, html)
}

// both writes the scene as SVG and as PNG.
func (s *scene) both(base string) error {
	for _, ext := range FigureFormats {
		if err := s.write(base + ext); err != nil {
			return err
		}
	}
	return nil
}

// noPlan is the error for a search of which there is nothing to show.
func noPlan(dir string) error {
	return fmt.Errorf("report: %s: the search there has no plan yet, so there is nothing to show", dir)
}
