package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// CAMPattern matches the files, in a run folder, of class activation maps:
// each is a row with one picture seen by the base, by a network of every
// single dimension and by the compound one.
const CAMPattern = FiguresFolder + "/cam*.png"

// mostCAMs and largestCAM limit what a page takes up.
const (
	mostCAMs   = 8
	largestCAM = 2 << 20 // bytes
)

// picture is an image on the page.
type picture struct {
	Name string
	URI  template.URL
}

// camFigure shows the rows that are in the folder dir; nil where there are
// none.
func camFigure(dir string) (*figure, error) {
	paths, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(CAMPattern)))
	if err != nil || len(paths) == 0 {
		return nil, err
	}
	slices.Sort(paths)
	f := &figure{
		name: "cam", nav: "What they see", title: "What the networks look at",
		see:     "The same test image, seen by the base and by networks that grew in one dimension and in all: yellow is where most speaks for the class, dark blue where least.",
		caption: "Class activation maps (Zhou et al. 2016).",
	}
	for _, path := range paths[:min(len(paths), mostCAMs)] {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.Size() > largestCAM {
			return nil, fmt.Errorf("report: %s has %d bytes, want at most %d", path, info.Size(), largestCAM)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if _, err := png.DecodeConfig(bytes.NewReader(data)); err != nil {
			return nil, fmt.Errorf("report: %s is no PNG: %v", path, err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".png")
		f.images = append(f.images, picture{name, template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(data))})
	}
	return f, nil
}
