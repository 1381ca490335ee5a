package dataset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"effnet/imageprep"
)

// A folder of images is class/image, or train/class/image with test/ or val/
// beside train/. Classes are the names of the folders, sorted by their bytes.
// Names that start with a dot are left out, and so are files whose extension
// is not that of an image, which the notes count. Symbolic links are followed
// only inside the folder.

// partNames are the folders that hold a part instead of a class. The first
// one present is taken.
var (
	trainNames = []string{"train", "training"}
	valNames   = []string{"val", "valid", "validation"}
	testNames  = []string{"test", "testing"}
)

var imageExtensions = []string{".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp"}

// maxHashed bounds the bytes of images that identify a folder by content; a
// larger folder is identified by its names and sizes.
const maxHashed = 256 << 20

const (
	defaultCacheBytes   = 512 << 20
	defaultTestFraction = 0.2
)

// folderSet is images decoded from files when they are asked for.
type folderSet struct {
	root      *os.Root
	files     []imageFile
	classes   []string
	limits    imageprep.Limits
	shortSide int

	// Decoded images, first come first kept: epochs visit images in random
	// order, which leaves nothing to gain from replacing one by another.
	mu    sync.RWMutex
	cache map[int]imageprep.Image
	room  *cacheRoom // shared by the parts
}

type imageFile struct {
	name  string // slash-separated, within the root
	size  int64
	label int32
}

// cacheRoom is the bytes left for decoded images.
type cacheRoom struct {
	mu   sync.Mutex
	left int64
}

// take reserves n bytes if they are there.
func (c *cacheRoom) take(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > c.left {
		return false
	}
	c.left -= n
	return true
}

func (s *folderSet) Len() int          { return len(s.files) }
func (s *folderSet) Label(i int) int32 { return s.files[i].label }
func (s *folderSet) Classes() []string { return s.classes }

func (s *folderSet) Image(i int) (imageprep.Image, error) {
	s.mu.RLock()
	im, ok := s.cache[i]
	s.mu.RUnlock()
	if ok {
		return im, nil
	}
	f, err := s.root.Open(s.files[i].name)
	if err != nil {
		return imageprep.Image{}, fmt.Errorf("dataset: %s: %w", s.root.Name(), err)
	}
	defer f.Close()
	im, err = imageprep.DecodeFile(f, s.limits)
	if err != nil {
		return imageprep.Image{}, fmt.Errorf("dataset: %w", err)
	}
	if s.shortSide > 0 && min(im.H, im.W) > s.shortSide {
		h, w := imageprep.ShortSide(im.H, im.W, s.shortSide)
		im = imageprep.Resize(nil, im, h, w, imageprep.Bicubic)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.cache[i]; !ok && s.room.take(int64(len(im.Pix))) {
		s.cache[i] = im
	}
	return im, nil
}

func openFolder(ctx context.Context, dir string, opt Options) (*Data, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	o := &folderOpener{ctx: ctx, root: root, dir: dir, opt: opt}
	d, err := o.open()
	if err != nil {
		root.Close()
		return nil, err
	}
	return d, nil
}

// folderOpener is the state of opening one folder.
type folderOpener struct {
	ctx     context.Context
	root    *os.Root
	dir     string
	opt     Options
	room    cacheRoom
	skipped []string // files that are not images
}

func (o *folderOpener) open() (*Data, error) {
	folders, loose, err := o.list(".")
	if err != nil {
		return nil, err
	}
	if len(folders) == 0 {
		if len(loose) > 0 {
			return nil, fmt.Errorf("dataset: %s holds files but no folders; want one folder a class: %s", o.dir, filepath.Join(o.dir, "CLASS", loose[0]))
		}
		return nil, fmt.Errorf("dataset: %s is empty; want one folder of images a class", o.dir)
	}
	o.room.left = cmp.Or(o.opt.CacheBytes, defaultCacheBytes)

	d := &Data{Name: filepath.Base(filepath.Clean(o.dir))}
	var train, val, test *folderSet
	trainFolder, valFolder, testFolder := first(folders, trainNames), first(folders, valNames), first(folders, testNames)
	switch {
	case trainFolder != "" && o.holdsFolders(trainFolder):
		for _, f := range folders {
			if f != trainFolder && f != valFolder && f != testFolder {
				return nil, fmt.Errorf("dataset: %s: unexpected folder %s beside %s; want only %s and %s", o.dir, f, trainFolder, testNames[0], valNames[0])
			}
		}
		if train, err = o.part(trainFolder, nil); err != nil {
			return nil, err
		}
		if valFolder != "" {
			if val, err = o.part(valFolder, train.classes); err != nil {
				return nil, err
			}
		}
		if testFolder != "" {
			if test, err = o.part(testFolder, train.classes); err != nil {
				return nil, err
			}
		}
	default:
		if train, err = o.part(".", nil); err != nil {
			return nil, err
		}
	}
	if len(train.classes) < 2 {
		return nil, fmt.Errorf("dataset: %s has one class, %s; want at least two", o.dir, train.classes[0])
	}
	d.Train, d.Classes = train, train.classes
	parts := []*folderSet{train}
	switch {
	case test != nil && val != nil:
		d.Val, d.Test = val, test
		parts = append(parts, val, test)
	case test != nil:
		d.Test = test
		parts = append(parts, test)
	case val != nil:
		d.Test = val
		parts = append(parts, val)
		d.Notes = append(d.Notes, fmt.Sprintf("no test part: %s/ is the test part", valFolder))
	default:
		fraction := cmp.Or(o.opt.TestFraction, defaultTestFraction)
		if !(fraction > 0 && fraction < 1) {
			return nil, fmt.Errorf("dataset: test fraction is %g, want a number between 0 and 1", fraction)
		}
		rest, held := Split(train, fraction, o.opt.SplitSeed)
		if held.Len() == 0 {
			return nil, fmt.Errorf("dataset: %s: too few images (%d) to hold out %g of each class for the test", o.dir, train.Len(), fraction)
		}
		d.Train, d.Test = rest, held
		d.Notes = append(d.Notes, fmt.Sprintf("no test part: %g of every class held out by seed %d", fraction, o.opt.SplitSeed))
	}
	if n := len(o.skipped); n > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("left out %d files that are not JPEG, PNG, GIF, WebP or BMP by name, such as %s", n, o.skipped[0]))
	}
	if d.Checksum, err = o.checksum(parts); err != nil {
		return nil, err
	}
	d.Channels, err = o.channels(train)
	return d, err
}

// first returns the first of names that is in folders, or "".
func first(folders, names []string) string {
	for _, n := range names {
		if slices.Contains(folders, n) {
			return n
		}
	}
	return ""
}

// list returns the folders and the files of a folder, both sorted, without
// hidden ones.
func (o *folderOpener) list(name string) (folders, files []string, err error) {
	if o.ctx.Err() != nil {
		return nil, nil, context.Cause(o.ctx)
	}
	f, err := o.root.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("dataset: %s: %w", o.dir, err)
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, nil, fmt.Errorf("dataset: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		mode := e.Type()
		if mode&fs.ModeSymlink != 0 {
			st, err := o.root.Stat(path.Join(name, e.Name()))
			if err != nil {
				return nil, nil, fmt.Errorf("dataset: %s: symbolic link: %w", o.dir, err)
			}
			mode = st.Mode().Type()
		}
		switch {
		case mode.IsDir():
			folders = append(folders, e.Name())
		case mode.IsRegular():
			files = append(files, e.Name())
		default:
			return nil, nil, fmt.Errorf("dataset: %s is neither a file nor a folder", filepath.Join(o.dir, name, e.Name()))
		}
	}
	slices.Sort(folders)
	slices.Sort(files)
	return folders, files, nil
}

// holdsFolders reports whether a folder holds folders: then it is a part, not
// a class that happens to be called train.
func (o *folderOpener) holdsFolders(name string) bool {
	folders, _, err := o.list(name)
	return err == nil && len(folders) > 0
}

// part reads the class folders in a folder. Classes must be among known, if
// that is given.
func (o *folderOpener) part(dir string, known []string) (*folderSet, error) {
	classes, _, err := o.list(dir)
	if err != nil {
		return nil, err
	}
	s := &folderSet{
		root: o.root, classes: known, limits: o.opt.Limits, shortSide: o.opt.ShortSide,
		cache: make(map[int]imageprep.Image), room: &o.room,
	}
	if known == nil {
		s.classes = classes
	}
	for _, class := range classes {
		label := slices.Index(s.classes, class)
		if label < 0 {
			return nil, fmt.Errorf("dataset: %s is not a class of the training part", filepath.Join(o.dir, dir, class))
		}
		if err := o.class(s, path.Join(dir, class), int32(label)); err != nil {
			return nil, err
		}
	}
	if len(s.files) == 0 {
		return nil, fmt.Errorf("dataset: %s has no class folders", filepath.Join(o.dir, dir))
	}
	return s, nil
}

// class adds the images of one class folder to s.
func (o *folderOpener) class(s *folderSet, dir string, label int32) error {
	folders, files, err := o.list(dir)
	if err != nil {
		return err
	}
	if len(folders) > 0 {
		return fmt.Errorf("dataset: %s is a folder inside a class; want images there", filepath.Join(o.dir, dir, folders[0]))
	}
	before := len(s.files)
	for _, name := range files {
		file := path.Join(dir, name)
		if !slices.Contains(imageExtensions, strings.ToLower(path.Ext(name))) {
			o.skipped = append(o.skipped, file)
			continue
		}
		st, err := o.root.Stat(file)
		if err != nil {
			return fmt.Errorf("dataset: %s: %w", o.dir, err)
		}
		s.files = append(s.files, imageFile{file, st.Size(), label})
	}
	if len(s.files) == before {
		return fmt.Errorf("dataset: %s has no JPEG, PNG, GIF, WebP or BMP images", filepath.Join(o.dir, dir))
	}
	return nil
}

// checksum identifies the files by name, size and, while they are not too
// large, content.
func (o *folderOpener) checksum(parts []*folderSet) (string, error) {
	var total int64
	for _, s := range parts {
		for _, f := range s.files {
			total += f.size
		}
	}
	h := sha256.New()
	for _, s := range parts {
		for _, f := range s.files {
			fmt.Fprintf(h, "%q %d %d\n", f.name, f.label, f.size)
			if total > maxHashed {
				continue
			}
			if err := o.hash(h, f.name); err != nil {
				return "", err
			}
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func (o *folderOpener) hash(w io.Writer, name string) error {
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	f, err := o.root.Open(name)
	if err != nil {
		return fmt.Errorf("dataset: %s: %w", o.dir, err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	return nil
}

// channels looks at the headers of a sample of the images. A file that cannot
// be read says nothing here; it is an error when its turn comes.
func (o *folderOpener) channels(s *folderSet) (int, error) {
	const sample = 64
	k := min(len(s.files), sample)
	read := 0
	var lastErr error
	for j := range k {
		f, err := o.root.Open(s.files[j*len(s.files)/k].name)
		if err != nil {
			lastErr = err
			continue
		}
		cfg, err := imageprep.ConfigOfFile(f, o.opt.Limits)
		f.Close()
		if err != nil {
			lastErr = err
			continue
		}
		read++
		if cfg.C == 3 {
			return 3, nil
		}
	}
	if read == 0 {
		return 0, fmt.Errorf("dataset: none of %d images looked at can be read: %w", k, lastErr)
	}
	return 1, nil
}
