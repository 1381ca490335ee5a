package dataset

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"path"
	"path/filepath"
	"strings"

	"effnet/imageprep"
	"effnet/internal/atomicfile"
)

// originals is a Set that has its images as the files that they came in.
type originals interface {
	// original returns a file and its extension, without the dot.
	original(i int) (data []byte, ext string, err error)
}

func (s *encodedSet) original(i int) ([]byte, string, error) {
	data, err := s.read(i)
	return data, strings.ToLower(strings.TrimPrefix(path.Ext(s.images[i].name), ".")), err
}

func (s *subset) original(i int) ([]byte, string, error) { return encoded(s.of, s.idx[i]) }

// encoded returns image i of s as a file, and its extension: the one it came
// in, or a PNG.
func encoded(s Set, i int) ([]byte, string, error) {
	if o, ok := s.(originals); ok {
		return o.original(i)
	}
	im, err := s.Image(i)
	if err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	err = png.Encode(&b, goImage(im))
	return b.Bytes(), "png", err
}

// goImage is im for encoders of the standard library.
func goImage(im imageprep.Image) image.Image {
	if im.C == 1 {
		return &image.Gray{Pix: im.Pix, Stride: im.W, Rect: image.Rect(0, 0, im.W, im.H)}
	}
	m := image.NewNRGBA(image.Rect(0, 0, im.W, im.H))
	for i := range im.H * im.W {
		p := m.Pix[4*i : 4*i+4 : 4*i+4]
		copy(p, im.Pix[3*i:3*i+3])
		p[3] = 255
	}
	return m
}

// WriteShards writes a data set as shards of perShard images into a new folder:
// train-000000.tar, val-000000.tar and so on, and classes.txt. Images that come
// from files keep their bytes, others become PNG. The folder is whole or not
// there. progress, which may be nil, is told of images written.
func WriteShards(ctx context.Context, d *Data, dir string, perShard int, progress func(done int)) error {
	if perShard < 1 {
		return fmt.Errorf("dataset: shards of %d images, want at least 1", perShard)
	}
	var names strings.Builder
	for _, c := range d.Classes {
		if err := checkClassName(c); err != nil {
			return fmt.Errorf("dataset: %w", err)
		}
		fmt.Fprintln(&names, c)
	}
	w := &shardWriter{ctx: ctx, perShard: perShard, progress: progress}
	sets := []Set{d.Train, d.Val, d.Test}
	return atomicfile.Dir(dir, func(dir string) error {
		for part, s := range sets {
			if s == nil {
				continue
			}
			if err := w.part(s, filepath.Join(dir, shardParts[part][0])); err != nil {
				return err
			}
		}
		return atomicfile.WriteBytes(filepath.Join(dir, classesFile), []byte(names.String()))
	})
}

// shardWriter is the state of WriteShards.
type shardWriter struct {
	ctx      context.Context
	perShard int
	done     int
	progress func(done int)
}

// part writes the shards of one part; prefix is what their paths begin with.
func (w *shardWriter) part(s Set, prefix string) error {
	for first := 0; first < s.Len(); first += w.perShard {
		name := fmt.Sprintf("%s-%06d%s", prefix, first/w.perShard, shardExtension)
		err := atomicfile.Write(name, func(out io.Writer) error {
			t := tar.NewWriter(out)
			for i := first; i < min(first+w.perShard, s.Len()); i++ {
				if err := w.sample(t, s, i); err != nil {
					return err
				}
			}
			return t.Close()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sample writes an image and its class.
func (w *shardWriter) sample(t *tar.Writer, s Set, i int) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	data, ext, err := encoded(s, i)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		ext  string
		data []byte
	}{{ext, data}, {classExtensions[0], fmt.Append(nil, s.Label(i))}} {
		h := &tar.Header{Format: tar.FormatUSTAR, Typeflag: tar.TypeReg, Name: fmt.Sprintf("%06d.%s", i, f.ext), Mode: 0o644, Size: int64(len(f.data))}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(f.data); err != nil {
			return err
		}
	}
	w.done++
	if w.progress != nil {
		w.progress(w.done)
	}
	return nil
}
