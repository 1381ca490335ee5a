package dataset

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cifar is one of the two CIFAR sets in their binary version: records of one
// or two label bytes and 32x32 pixels in three planes.
type cifar struct {
	name    string
	folder  string // in which the archive keeps its files
	archive remoteFile
	train   []string
	test    string
	names   string // file of class names, one a line
	labels  int    // label bytes a record; the last one counts
	classes int
}

const (
	cifarSite  = "https://www.cs.toronto.edu/~kriz/"
	cifarSide  = 32
	cifarPlane = cifarSide * cifarSide
)

var cifar10 = &cifar{
	name:    "cifar10",
	folder:  "cifar-10-batches-bin",
	archive: remoteFile{"cifar-10-binary.tar.gz", 170052171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
	train:   []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
	test:    "test_batch.bin",
	names:   "batches.meta.txt",
	labels:  1,
	classes: 10,
}

var cifar100 = &cifar{
	name:    "cifar100",
	folder:  "cifar-100-binary",
	archive: remoteFile{"cifar-100-binary.tar.gz", 168513733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"},
	train:   []string{"train.bin"},
	test:    "test.bin",
	names:   "fine_label_names.txt",
	labels:  2,
	classes: 100,
}

func (v *cifar) record() int { return v.labels + 3*cifarPlane }

// in reports whether dir holds the set: its files, the folder of its archive,
// or the archive itself.
func (v *cifar) in(dir string) bool {
	for _, name := range []string{v.test, filepath.Join(v.folder, v.test), v.archive.name} {
		if st, err := os.Stat(filepath.Join(dir, name)); err == nil && st.Mode().IsRegular() {
			return true
		}
	}
	return false
}

func openCIFAR(ctx context.Context, v *cifar, opt Options) (*Data, error) {
	search, download, err := folders(v.name)
	for _, dir := range search {
		if v.in(dir) {
			return v.open(ctx, dir)
		}
	}
	if err != nil {
		return nil, err
	}
	if opt.Offline {
		return nil, fmt.Errorf("dataset: %s is not on this machine; put %s or its folder %s into %s, or allow a download", v.name, v.archive.name, v.folder, search[0])
	}
	if err := fetch(ctx, cifarSite, []remoteFile{v.archive}, download, opt); err != nil {
		return nil, err
	}
	return v.open(ctx, download)
}

// open reads the set from dir.
func (v *cifar) open(ctx context.Context, dir string) (*Data, error) {
	read := v.readFolder
	where := dir
	switch {
	case isFile(filepath.Join(dir, v.test)):
	case isFile(filepath.Join(dir, v.folder, v.test)):
		where = filepath.Join(dir, v.folder)
	default:
		where, read = filepath.Join(dir, v.archive.name), v.readArchive
	}
	files, err := read(ctx, where)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", where, err)
	}
	classes, err := v.classNames(files[v.names])
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %s: %w", where, v.names, err)
	}
	part := func(names ...string) (*memorySet, error) {
		s := &memorySet{h: cifarSide, w: cifarSide, c: 3, classes: classes}
		for _, name := range names {
			if err := v.parse(s, files[name]); err != nil {
				return nil, fmt.Errorf("dataset: %s: %s: %w", where, name, err)
			}
			files[name] = nil
		}
		return s, nil
	}
	train, err := part(v.train...)
	if err != nil {
		return nil, err
	}
	test, err := part(v.test)
	if err != nil {
		return nil, err
	}
	return &Data{
		Name: v.name, Train: train, Test: test,
		Classes: classes, Channels: 3, Checksum: checksum(train, test),
	}, nil
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// wanted lists the files to read, with the most bytes each may have.
func (v *cifar) wanted() map[string]int64 {
	m := map[string]int64{v.names: 1 << 16, v.test: 100_000 * int64(v.record())}
	for _, name := range v.train {
		m[name] = 100_000 * int64(v.record())
	}
	return m
}

func (v *cifar) readFolder(ctx context.Context, dir string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for name, limit := range v.wanted() {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		data, err := readAtMost(f, limit)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = data
	}
	return files, nil
}

func (v *cifar) readArchive(ctx context.Context, path string) (map[string][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, err
	}
	files, wanted := make(map[string][]byte), v.wanted()
	for tr := tar.NewReader(z); len(files) < len(wanted); {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		name := filepath.Base(h.Name)
		limit, ok := wanted[name]
		if !ok || h.Typeflag != tar.TypeReg {
			continue
		}
		if files[name], err = readAtMost(tr, limit); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for name := range wanted {
		if files[name] == nil {
			return nil, fmt.Errorf("archive has no %s", name)
		}
	}
	return files, nil
}

// readAtMost reads all of r, and fails when that is more than limit bytes.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return data, err
}

// classNames splits the file of names.
func (v *cifar) classNames(data []byte) ([]string, error) {
	names := strings.Fields(string(data))
	if len(names) != v.classes {
		return nil, fmt.Errorf("%d names, want %d", len(names), v.classes)
	}
	return names, nil
}

// parse appends the records of one file to s, planes made pixels.
func (v *cifar) parse(s *memorySet, data []byte) error {
	n := v.record()
	if len(data) == 0 || len(data)%n != 0 {
		return fmt.Errorf("%d bytes, want a multiple of %d", len(data), n)
	}
	count := len(data) / n
	s.labels = slices.Grow(s.labels, count)
	at := len(s.pix)
	s.pix = append(s.pix, make([]byte, count*3*cifarPlane)...)
	for to := s.pix[at:]; len(data) > 0; data, to = data[n:], to[3*cifarPlane:] {
		label := data[v.labels-1]
		if int(label) >= v.classes {
			return fmt.Errorf("label of image %d is %d, there are %d classes", len(s.labels), label, v.classes)
		}
		s.labels = append(s.labels, label)
		for i, planes := 0, data[v.labels:n]; i < cifarPlane; i++ {
			to[3*i], to[3*i+1], to[3*i+2] = planes[i], planes[cifarPlane+i], planes[2*cifarPlane+i]
		}
	}
	return nil
}
