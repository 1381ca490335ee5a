package report

import (
	"fmt"
	"path/filepath"
	"strings"

	"effnet/internal/atomicfile"
)

// FigureFormats are the endings of the names of figures.
var FigureFormats = []string{".svg", ".png"}

// write makes a file of the scene, in the format that its name ends in.
func (s *scene) write(path string) error {
	switch ext := filepath.Ext(path); ext {
	case ".svg":
		return atomicfile.WriteBytes(path, s.svg(false))
	case ".png":
		img, err := s.png()
		if err != nil {
			return err
		}
		return atomicfile.WriteBytes(path, img)
	default:
		return fmt.Errorf("report: %s: no format for the ending %q, have %s", path, ext, strings.Join(FigureFormats, " and "))
	}
}
