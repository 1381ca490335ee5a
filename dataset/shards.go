package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"effnet/imageprep"
)

// A data set of shards is a folder of tar files, a pattern of their names, or
// one file. The part that a shard belongs to is a word of its name, as in
// train-000000.tar, or its folder's: train/000000.tar. classes.txt beside the
// shards names the classes that their numbers stand for, one a line.

const (
	shardExtension = ".tar"
	classesFile    = "classes.txt"
	maxClasses     = 100_000
)

// compressedShards are extensions of tar files that cannot be read.
var compressedShards = []string{".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".tbz2", ".tar.lz4"}

// isShard reports whether a file is one by its name.
func isShard(name string) bool { return strings.EqualFold(filepath.Ext(name), shardExtension) }

func isCompressedShard(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(compressedShards, func(ext string) bool { return strings.HasSuffix(name, ext) })
}

// shardStore reads images from shards. Files are opened when they are read, so
// that their number is not bound by that of open files.
type shardStore struct{ paths []string }

func (s *shardStore) where(im *encodedImage) string {
	return s.paths[im.shard] + ": " + short(im.name)
}

func (s *shardStore) read(im *encodedImage, lim imageprep.Limits) ([]byte, error) {
	if err := lim.CheckBytes(im.size); err != nil {
		return nil, err
	}
	f, err := os.Open(s.paths[im.shard])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, im.size)
	if n, err := f.ReadAt(data, im.offset); n < len(data) {
		if err == io.EOF {
			err = errors.New("the shard has become shorter since it was opened")
		}
		return nil, err
	}
	return data, nil
}

// shardFile is a shard and its part.
type shardFile struct {
	path string
	part int // an index into shardParts
}

var shardParts = [][]string{trainNames, valNames, testNames}

// partOf is the part that a word of the name stands for, -1 for none.
func partOf(name string) int {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !(r >= 'a' && r <= 'z') })
	for part, names := range shardParts {
		if slices.ContainsFunc(words, func(w string) bool { return slices.Contains(names, w) }) {
			return part
		}
	}
	return -1
}

// hasShards reports whether a folder holds shards: tar files and no folders,
// itself or in its folder of the training part.
func hasShards(dir string) bool {
	for _, sub := range append([]string{"."}, trainNames...) {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			continue
		}
		tars, folders := 0, 0
		for _, e := range entries {
			switch name := e.Name(); {
			case strings.HasPrefix(name, "."):
			case e.IsDir():
				folders++
			case isShard(name), isCompressedShard(name):
				tars++
			}
		}
		if tars > 0 && folders == 0 {
			return true
		}
	}
	return false
}

// shardsIn lists the shards of a folder.
func shardsIn(dir string) ([]shardFile, error) {
	files, err := tarFiles(dir)
	if err != nil {
		return nil, err
	}
	if len(files) > 0 {
		return shardsOf(files)
	}
	var shards []shardFile
	for part, names := range shardParts {
		for _, name := range names {
			sub := filepath.Join(dir, name)
			files, err := tarFiles(sub)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if len(files) == 0 {
				return nil, fmt.Errorf("dataset: %s has no .tar files", sub)
			}
			for _, f := range files {
				shards = append(shards, shardFile{f, part})
			}
			break
		}
	}
	return shards, nil
}

// tarFiles lists the tar files of a folder, sorted.
func tarFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."):
		case isCompressedShard(name):
			return nil, fmt.Errorf("dataset: %s is compressed; unpack it to a plain .tar, whose images can be read in any order", filepath.Join(dir, name))
		case isShard(name):
			files = append(files, filepath.Join(dir, name))
		}
	}
	return files, nil
}

// shardsOf sorts files into parts by their names.
func shardsOf(files []string) ([]shardFile, error) {
	var shards []shardFile
	named := ""
	for _, f := range files {
		part := partOf(filepath.Base(f))
		if part == 0 && named == "" {
			named = f
		}
		shards = append(shards, shardFile{f, part})
	}
	for i := range shards {
		if shards[i].part >= 0 {
			continue
		}
		if named != "" {
			return nil, fmt.Errorf("dataset: the name of %s says no part, that of %s does; want %s, %s or %s in each", shards[i].path, named, trainNames[0], valNames[0], testNames[0])
		}
		shards[i].part = 0
	}
	return shards, nil
}

// openPattern opens the shards that a pattern with braces names.
func openPattern(ctx context.Context, pattern string, opt Options) (*Data, error) {
	files, err := expandBraces(pattern)
	if err != nil {
		return nil, &SpecError{pattern, err.Error()}
	}
	for _, f := range files {
		if !isShard(f) {
			return nil, &SpecError{pattern, "want names that end in " + shardExtension}
		}
	}
	shards, err := shardsOf(files)
	if err != nil {
		return nil, err
	}
	return openShards(ctx, pattern, shards, filepath.Dir(files[0]), opt)
}

// openShards opens the data set that spec, a folder, a pattern or a file,
// names.
func openShards(ctx context.Context, spec string, shards []shardFile, dir string, opt Options) (*Data, error) {
	if alone := shards[0].part; !slices.ContainsFunc(shards, func(f shardFile) bool { return f.part != alone }) {
		for i := range shards {
			shards[i].part = 0 // whatever it is called, it is all there is
		}
	}
	o := &shardOpener{store: &shardStore{}, room: newCacheRoom(opt)}
	for i, f := range shards {
		o.store.paths = append(o.store.paths, f.path)
		if err := o.shard(ctx, i, f); err != nil {
			return nil, err
		}
	}
	if len(o.samples[0]) == 0 {
		return nil, fmt.Errorf("dataset: %s has no training images", spec)
	}
	classes, err := o.classes(dir)
	if err != nil {
		return nil, err
	}
	p := &encodedParts{where: spec, valName: valNames[0]}
	for part, to := range []**encodedSet{&p.train, &p.val, &p.test} {
		if len(o.samples[part]) == 0 {
			continue
		}
		s := newEncodedSet(o.store, classes.names, opt, o.room)
		for _, sample := range o.samples[part] {
			im := sample.image
			if im.label, err = classes.label(sample.class); err != nil {
				return nil, fmt.Errorf("dataset: %s: %w", o.store.where(&im), err)
			}
			s.images = append(s.images, im)
		}
		*to = s
	}
	d, err := p.data(ctx, &Data{Name: filepath.Base(filepath.Clean(spec))}, opt)
	if err != nil {
		return nil, err
	}
	if o.strays > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("left out %d files of the shards that belong to no image", o.strays))
	}
	if n := classes.unused(p.train); n > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d classes have no training images", n))
	}
	return d, nil
}

// shardOpener is the state of opening shards.
type shardOpener struct {
	store   *shardStore
	room    *cacheRoom
	samples [3][]tarSample // by part
	strays  int
}

// shard indexes one file.
func (o *shardOpener) shard(ctx context.Context, i int, f shardFile) error {
	st, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("dataset: %s is not a regular file", f.path)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	defer file.Close()
	samples, strays, err := indexTar(ctx, file, st.Size())
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("dataset: %s: %w", f.path, err)
	}
	for k := range samples {
		samples[k].image.shard = int32(i)
	}
	o.samples[f.part] = append(o.samples[f.part], samples...)
	o.strays += strays
	return nil
}

// shardClasses maps what samples say of their class to labels.
type shardClasses struct {
	names   []string
	numbers bool // samples have numbers, not names
	index   map[string]int32
}

// classes settles what the classes are: those of classes.txt in dir, else
// numbers from 0 to the largest, else the names in the training part, sorted.
func (o *shardOpener) classes(dir string) (*shardClasses, error) {
	c := &shardClasses{numbers: true, index: make(map[string]int32)}
	most, seen := int64(-1), make(map[string]bool)
	for part := range o.samples {
		for i := range o.samples[part] {
			text := o.samples[part][i].class
			if n, err := strconv.ParseUint(text, 10, 31); err == nil {
				most = max(most, int64(n))
			} else {
				c.numbers = false
			}
			if part == 0 {
				seen[text] = true
			}
		}
	}
	names, err := readClasses(filepath.Join(dir, classesFile))
	switch {
	case err == nil:
		c.names = names
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("dataset: %w", err)
	case c.numbers && most >= maxClasses, len(seen) > maxClasses:
		return nil, fmt.Errorf("dataset: %s: more than %d classes", dir, maxClasses)
	case c.numbers:
		for n := range most + 1 {
			c.names = append(c.names, strconv.FormatInt(n, 10))
		}
	default:
		for text := range seen {
			c.names = append(c.names, text)
		}
		slices.Sort(c.names)
	}
	for i, name := range c.names {
		c.index[name] = int32(i)
	}
	return c, nil
}

// label is the class of a sample.
func (c *shardClasses) label(text string) (int32, error) {
	if c.numbers {
		n, err := strconv.Atoi(text)
		if err != nil || n >= len(c.names) {
			return 0, fmt.Errorf("the class is %s, %s has %d", text, classesFile, len(c.names))
		}
		return int32(n), nil
	}
	n, ok := c.index[text]
	if !ok {
		return 0, fmt.Errorf("the class %q is neither in %s nor in the training part", text, classesFile)
	}
	return n, nil
}

// unused counts the classes without images.
func (c *shardClasses) unused(s *encodedSet) int {
	used := make([]bool, len(c.names))
	n := len(used)
	for i := range s.images {
		if l := s.images[i].label; !used[l] {
			used[l] = true
			n--
		}
	}
	return n
}

// readClasses reads class names, one a line.
func readClasses(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readAtMost(f, maxClasses*(maxClassName+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var names []string
	seen := make(map[string]bool)
	for line := range strings.Lines(string(data)) {
		name := strings.TrimSpace(line)
		if err := checkClassName(name); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, len(names)+1, err)
		}
		if seen[name] {
			return nil, fmt.Errorf("%s: line %d: class %q is there twice", path, len(names)+1, name)
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, nil
}
