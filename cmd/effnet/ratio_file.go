package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"effnet/arch"
	"effnet/internal/atomicfile"
	"effnet/search"
)

// writeRatio writes what a search has found to its run folder.
func writeRatio(dir string, a *search.Analysis) (path string, err error) {
	r, err := a.Ratio()
	if r == nil || err != nil {
		return "", err
	}
	path = filepath.Join(dir, search.RatioName)
	return path, atomicfile.WriteBytes(path, r.YAML())
}

// growth says how to grow.
func growth(a *search.Analysis) string {
	shares, role := a.Growth()
	if role != search.RoleCompound {
		return string(role) + " alone"
	}
	return fmt.Sprintf("depth %.2f, width %.2f, resolution %.2f of the growth", shares.D, shares.W, shares.R)
}

// readRatio reads a ratio given as depth:width:resolution or as a ratio file,
// or a run folder with one. file is nil for the first.
func readRatio(text string) (shares arch.Shares, file *search.Ratio, err error) {
	shares, err = arch.ParseShares(text)
	if err == nil {
		return shares, nil, nil
	}
	path := text
	info, statErr := os.Stat(path)
	switch {
	case statErr != nil && strings.Contains(text, ":"):
		return shares, nil, &usageError{err}
	case statErr == nil && info.IsDir():
		path = filepath.Join(path, search.RatioName)
	}
	data, err := readSmall(path, search.MaxRatio)
	if err != nil {
		return shares, nil, usagef("--ratio wants depth:width:resolution such as 1:1:1, or a search's %s: %w", search.RatioName, err)
	}
	file, err = search.ParseRatio(path, data)
	if err != nil {
		return shares, nil, err
	}
	return file.Shares, file, nil
}

// noteRatio says where a ratio is used otherwise than it was found; grows
// tells whether networks are to get larger.
func noteRatio(w io.Writer, r *search.Ratio, base string, grows bool) {
	if r.Base != base {
		fmt.Fprintf(w, "note: the ratio was found for %s, not for %s\n", r.Base, base)
	}
	if r.Factor > 1 != grows {
		how := [2]string{"growing", "shrinking"}
		if r.Factor < 1 {
			how[0], how[1] = how[1], how[0]
		}
		fmt.Fprintf(w, "note: the ratio was found for %s; for %s another may be best\n", how[0], how[1])
	}
}
