package dataset

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A shard is a plain tar file in WebDataset's layout: the files of a sample
// follow each other, and their names are equal up to the first dot of the base
// name, the sample's key: 000017.jpg and 000017.cls.
//
// The class is the text of KEY.cls, a number or a name; else "label", "class"
// or "cls" of KEY.json; else the text of KEY.txt. Other files are of no
// interest.

// tarSample is a sample of a shard.
type tarSample struct {
	image encodedImage // without its label
	class string       // its number or name
}

const (
	maxMemberName = 4096
	maxClassText  = 1 << 10 // bytes of KEY.cls or KEY.txt
	maxClassJSON  = 1 << 20 // bytes of KEY.json
)

// indexTar lists the samples of a shard of size bytes in their order, and
// counts the files without an image that are no part of a sample either. Next
// to the headers it only reads classes.
func indexTar(ctx context.Context, file io.ReaderAt, size int64) (samples []tarSample, strays int, err error) {
	x := &tarIndexer{r: io.NewSectionReader(file, 0, size), size: size, seen: make(map[string]bool)}
	if err := x.checkPlain(); err != nil {
		return nil, 0, err
	}
	tr := tar.NewReader(x.r)
	for {
		if ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, 0, errors.New("the file ends early")
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // names are not used as paths
			return nil, 0, err
		}
		if err := x.member(h, tr); err != nil {
			return nil, 0, err
		}
	}
	// Without this a file cut between two members would pass for a short one.
	if at, _ := x.r.Seek(0, io.SeekCurrent); at < x.end+tarBlock {
		return nil, 0, errors.New("the file ends early, without a tar file's end mark")
	}
	if err := x.endSample(); err != nil {
		return nil, 0, err
	}
	return x.samples, x.strays, nil
}

// tarBlock is what members of a tar file are padded to.
const tarBlock = 512

// tarIndexer is the state of indexTar.
type tarIndexer struct {
	r       *io.SectionReader
	size    int64
	end     int64 // of the last member
	samples []tarSample
	strays  int

	key   string // of the current sample
	image encodedImage
	texts [len(classExtensions)]string // by the extension
	files int
	seen  map[string]bool // keys
}

// classExtensions are the files that may hold a class, the best first.
var classExtensions = [...]string{"cls", "json", "txt"}

// compressions are how tar files are usually compressed.
var compressions = []struct{ name, magic string }{
	{"gzip", "\x1f\x8b"}, {"zstd", "\x28\xb5\x2f\xfd"}, {"xz", "\xfd7zXZ\x00"}, {"bzip2", "BZh"}, {"lz4", "\x04\x22\x4d\x18"},
}

// checkPlain refuses what is no tar file by its first bytes.
func (x *tarIndexer) checkPlain() error {
	head := make([]byte, 8)
	n, err := x.r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	if n == 0 {
		return errors.New("the file is empty")
	}
	for _, c := range compressions {
		if bytes.HasPrefix(head[:n], []byte(c.magic)) {
			return fmt.Errorf("it is compressed by %s; unpack it to a plain tar file, whose images can be read in any order", c.name)
		}
	}
	return nil
}

// member takes up one file, which r reads.
func (x *tarIndexer) member(h *tar.Header, r io.Reader) error {
	at, err := x.r.Seek(0, io.SeekCurrent) // tar.Reader reads no further than the header
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeGNUSparse || isSparsePAX(h) {
		return fmt.Errorf("%q is a sparse file, which is not supported", short(h.Name))
	}
	if h.Typeflag != tar.TypeReg {
		x.end = max(x.end, at)
		return nil
	}
	if h.Size > x.size-at {
		return fmt.Errorf("the file ends early: %q has %d bytes, %d are left", short(h.Name), h.Size, x.size-at)
	}
	x.end = at + (h.Size+tarBlock-1)/tarBlock*tarBlock
	if len(h.Name) > maxMemberName {
		return fmt.Errorf("a name of %d bytes, want at most %d: %q", len(h.Name), maxMemberName, short(h.Name))
	}
	base := path.Base(h.Name)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "__") && strings.HasSuffix(base, "__") {
		return nil // hidden, or about the shard
	}
	dot := strings.IndexByte(base, '.')
	if dot < 0 {
		x.strays++
		return nil
	}
	key := h.Name[:len(h.Name)-len(base)+dot]
	if key != x.key {
		if err := x.endSample(); err != nil {
			return err
		}
		if x.seen[key] {
			return fmt.Errorf("the files of %q do not follow each other, or there are two samples of that name", short(key))
		}
		x.seen[key] = true
		x.key = key
	}
	x.files++
	ext := strings.ToLower(base[dot+1:])
	if slices.Contains(imageExtensions, "."+ext) {
		if x.image.name != "" {
			return fmt.Errorf("%q has two images, %q and %q", short(key), short(x.image.name), short(h.Name))
		}
		x.image = encodedImage{name: h.Name, size: h.Size, offset: at}
		return nil
	}
	k := slices.Index(classExtensions[:], ext)
	if k < 0 {
		return nil
	}
	text, err := classText(ext, h.Size, r)
	if err != nil {
		return fmt.Errorf("%q: %w", short(h.Name), err)
	}
	if x.texts[k] != "" {
		return fmt.Errorf("%q is there twice", short(h.Name))
	}
	x.texts[k] = text
	return nil
}

// isSparsePAX reports whether a member is sparse by its extended header.
func isSparsePAX(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// endSample closes the current sample.
func (x *tarIndexer) endSample() error {
	class := ""
	for _, t := range x.texts {
		if class = t; t != "" {
			break
		}
	}
	switch {
	case x.image.name != "" && class == "":
		return fmt.Errorf("%q has no class; want %q, or a .json with a label, or a .txt", short(x.image.name), short(x.key)+".cls")
	case x.image.name != "":
		x.samples = append(x.samples, tarSample{x.image, class})
	case x.texts[0] != "":
		return fmt.Errorf("%q has a class but no JPEG, PNG, GIF, WebP or BMP image", short(x.key))
	default:
		x.strays += x.files
	}
	x.key, x.image, x.files, x.texts = "", encodedImage{}, 0, [len(classExtensions)]string{}
	return nil
}

// classText is the class that a file of size bytes holds: "" if it is a .json
// without one, or a .txt that is no name.
func classText(ext string, size int64, r io.Reader) (string, error) {
	limit := int64(maxClassText)
	if ext == "json" {
		limit = maxClassJSON
	}
	if size > limit {
		if ext == "txt" {
			return "", nil // a caption
		}
		return "", fmt.Errorf("%d bytes, want at most %d", size, limit)
	}
	data, err := readAtMost(r, limit)
	if err != nil {
		return "", err
	}
	if ext == "json" {
		return jsonClass(data)
	}
	text := strings.TrimSpace(string(data))
	err = checkClassName(text)
	if ext == "txt" && err != nil {
		return "", nil
	}
	return text, err
}

// jsonClass is the class in a sample's JSON object; "" if it has none.
func jsonClass(data []byte) (string, error) {
	var o struct{ Label, Class, Cls any }
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		return "", err
	}
	for _, v := range []any{o.Label, o.Class, o.Cls} {
		switch v := v.(type) {
		case json.Number:
			return v.String(), nil
		case string:
			v = strings.TrimSpace(v)
			return v, checkClassName(v)
		case nil:
		default:
			return "", fmt.Errorf("the label is %v; want a number or a name", short(fmt.Sprint(v)))
		}
	}
	return "", nil
}

const maxClassName = 256

func checkClassName(name string) error {
	switch {
	case name == "":
		return errors.New("an empty class")
	case len(name) > maxClassName:
		return fmt.Errorf("a class name of %d bytes, want at most %d", len(name), maxClassName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the class name %q is not one line of text", short(name))
	}
	return nil
}

// short cuts a name from a file for a message.
func short(name string) string {
	const most = 80
	if len(name) > most {
		return name[:most-3] + "..."
	}
	return name
}
