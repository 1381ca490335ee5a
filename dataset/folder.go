package dataset

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"effnet/imageprep"
)

// A folder of images is class/image, or train/class/image with test/ or val/
// beside train/. Classes are the names of the folders, sorted by their bytes.
// Names that start with a dot are left out, and so are files whose extension
// is not that of an image, which the notes count. Symbolic links are followed
// only inside the folder.

// folderStore reads the images of a folder.
type folderStore struct{ root *os.Root }

func (s folderStore) where(im *encodedImage) string {
	return filepath.Join(s.root.Name(), filepath.FromSlash(im.name))
}

func (s folderStore) read(im *encodedImage, lim imageprep.Limits) ([]byte, error) {
	f, err := s.root.Open(im.name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return imageprep.ReadBytes(f, lim)
}

func openFolder(ctx context.Context, dir string, opt Options) (*Data, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	o := &folderOpener{ctx: ctx, root: root, dir: dir, opt: opt, room: newCacheRoom(opt)}
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
	room    *cacheRoom
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

	p := &encodedParts{where: o.dir}
	trainFolder, valFolder, testFolder := first(folders, trainNames), first(folders, valNames), first(folders, testNames)
	if trainFolder == "" || !o.holdsFolders(trainFolder) {
		trainFolder, valFolder, testFolder = ".", "", ""
	} else {
		for _, f := range folders {
			if f != trainFolder && f != valFolder && f != testFolder {
				return nil, fmt.Errorf("dataset: %s: unexpected folder %s beside %s; want only %s and %s", o.dir, f, trainFolder, testNames[0], valNames[0])
			}
		}
	}
	if p.train, err = o.part(trainFolder, nil); err != nil {
		return nil, err
	}
	if valFolder != "" {
		p.valName = valFolder + "/"
		if p.val, err = o.part(valFolder, p.train.classes); err != nil {
			return nil, err
		}
	}
	if testFolder != "" {
		if p.test, err = o.part(testFolder, p.train.classes); err != nil {
			return nil, err
		}
	}
	d, err := p.data(o.ctx, &Data{Name: filepath.Base(filepath.Clean(o.dir))}, o.opt)
	if err != nil {
		return nil, err
	}
	if n := len(o.skipped); n > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("left out %d files that are not JPEG, PNG, GIF, WebP or BMP by name, such as %s", n, o.skipped[0]))
	}
	return d, nil
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
func (o *folderOpener) part(dir string, known []string) (*encodedSet, error) {
	classes, _, err := o.list(dir)
	if err != nil {
		return nil, err
	}
	s := newEncodedSet(folderStore{o.root}, known, o.opt, o.room)
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
	if len(s.images) == 0 {
		return nil, fmt.Errorf("dataset: %s has no class folders", filepath.Join(o.dir, dir))
	}
	return s, nil
}

// class adds the images of one class folder to s.
func (o *folderOpener) class(s *encodedSet, dir string, label int32) error {
	folders, files, err := o.list(dir)
	if err != nil {
		return err
	}
	if len(folders) > 0 {
		return fmt.Errorf("dataset: %s is a folder inside a class; want images there", filepath.Join(o.dir, dir, folders[0]))
	}
	before := len(s.images)
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
		s.images = append(s.images, encodedImage{name: file, size: st.Size(), label: label})
	}
	if len(s.images) == before {
		return fmt.Errorf("dataset: %s has no JPEG, PNG, GIF, WebP or BMP images", filepath.Join(o.dir, dir))
	}
	return nil
}
