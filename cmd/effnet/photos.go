package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"effnet/arch"
	"effnet/imageprep"
)

// photo is an image that an argument names: a file, or standard input.
type photo struct {
	name string
	err  error // why the argument names none
}

// photosOf lists what IMAGE arguments name: files, folders with all below
// them, patterns such as 'photos/*.jpg' for shells that leave them alone, and
// "-", standard input.
func photosOf(args []string) []photo {
	var list []photo
	for _, arg := range args {
		list = append(list, photosAt(arg)...)
	}
	return list
}

func photosAt(arg string) []photo {
	if arg == "-" {
		return []photo{{name: arg}}
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return photosIn(arg)
	case err == nil:
		return []photo{{name: arg}}
	case !errors.Is(err, fs.ErrNotExist) || !strings.ContainsAny(arg, "*?["):
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = fmt.Errorf("%s: %w", arg, pe.Err)
		}
		return []photo{{arg, err}}
	}
	matches, err := filepath.Glob(arg)
	if !strings.HasPrefix(filepath.Base(arg), ".") { // as for a shell
		matches = slices.DeleteFunc(matches, func(m string) bool { return strings.HasPrefix(filepath.Base(m), ".") })
	}
	if err == nil && len(matches) == 0 {
		err = errors.New("no file matches")
	}
	if err != nil {
		return []photo{{arg, fmt.Errorf("%s: %w", arg, err)}}
	}
	var list []photo
	for _, m := range matches {
		list = append(list, photosAt(m)...)
	}
	return list
}

var photoEndings = []string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp"}

// photosIn lists the image files below a folder, hidden ones aside, in order of
// their names.
func photosIn(folder string) []photo {
	var list []photo
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := path != folder && strings.HasPrefix(d.Name(), "."); hidden {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.IsDir() && slices.Contains(photoEndings, strings.ToLower(filepath.Ext(path))) {
			list = append(list, photo{name: path})
		}
		return nil
	})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%s: no images in this folder", folder)
	}
	if err != nil {
		list = append(list, photo{folder, err})
	}
	return list
}

// read decodes the image.
func (p photo) read(stdin io.Reader) (imageprep.Image, error) {
	if p.err != nil {
		return imageprep.Image{}, p.err
	}
	var lim imageprep.Limits
	if p.name != "-" {
		return imageprep.ReadFile(p.name, lim)
	}
	im, err := imageprep.DecodeReader(stdin, lim)
	if err != nil {
		err = fmt.Errorf("standard input: %w", err)
	}
	return im, err
}

// prepFlags change how images are prepared.
type prepFlags struct {
	resolution int
	crop       float64
	filter     filterFlag
}

// filterFlag is the value of --filter; 0 for none.
type filterFlag arch.Filter

func (f *filterFlag) Type() string { return "name" }

func (f *filterFlag) String() string {
	if *f == 0 {
		return ""
	}
	return arch.Filter(*f).String()
}

func (f *filterFlag) Set(text string) error {
	for known := arch.Bilinear; known <= arch.TFBicubic; known++ {
		if text == known.String() {
			*f = filterFlag(known)
			return nil
		}
	}
	return errors.New("want bilinear, bicubic or tf_bicubic")
}

func (f *prepFlags) register(fs *pflag.FlagSet) {
	fs.IntVar(&f.resolution, "resolution", 0, "`pixels` a side that the network sees (default: the network's)")
	fs.Float64Var(&f.crop, "crop", 0, "`share` of an image's short side that is kept (default: the network's)")
	fs.Var(&f.filter, "filter", "how images are resized: bilinear, bicubic or tf_bicubic (default: the network's)")
}

// apply changes s as the flags of a command say.
func (f *prepFlags) apply(command string, s *arch.Spec) error {
	if f.crop < 0 || f.crop > 1 || math.IsNaN(f.crop) {
		return usagef("%s: --crop is %g, want above 0, at most 1", command, f.crop)
	}
	if f.crop > 0 {
		s.Prep.Crop = f.crop
	}
	if f.filter != 0 {
		s.Prep.Filter = arch.Filter(f.filter)
	}
	if f.resolution != 0 {
		s.Resolution = f.resolution
		if _, err := s.CostAt(f.resolution); err != nil {
			return usagef("%s: --resolution %d: %w", command, f.resolution, err)
		}
	}
	return nil
}
