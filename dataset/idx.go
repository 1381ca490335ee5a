package dataset

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// IDX is the format of MNIST and its relatives: two zero bytes, the type of
// the elements (8: unsigned byte), the number of dimensions, each dimension as
// a big-endian 32-bit number, then the elements. Files may be gzipped.

const (
	maxSetBytes = 8 << 30 // of decoded pixels in memory
	// maxDeflate bounds how much longer the content of a gzip file may be than
	// the file.
	maxDeflate = 1032
)

// idx is the content of one file.
type idx struct {
	dims []int
	data []byte
}

// readIDX parses a file of size bytes. wantDims is the least and the greatest
// number of dimensions.
func readIDX(r io.Reader, size int64, gzipped bool, leastDims, mostDims int) (*idx, error) {
	limit := size // bytes of content that a file of this size can hold
	if gzipped {
		z, err := gzip.NewReader(bufio.NewReaderSize(r, 1<<16))
		if err != nil {
			return nil, fmt.Errorf("not gzip: %w", noEOF(err))
		}
		r, limit = z, size*maxDeflate
	}
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return nil, fmt.Errorf("header: %w", noEOF(err))
	}
	if magic[0] != 0 || magic[1] != 0 {
		return nil, fmt.Errorf("not an IDX file: starts with % x", magic)
	}
	if magic[2] != 8 {
		return nil, fmt.Errorf("elements have type %#02x, want 0x08 (unsigned bytes)", magic[2])
	}
	n := int(magic[3])
	if n < leastDims || n > mostDims {
		return nil, fmt.Errorf("%d dimensions, want %d to %d", n, leastDims, mostDims)
	}
	f := &idx{dims: make([]int, n)}
	header := make([]byte, 4*n)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, fmt.Errorf("header: %w", noEOF(err))
	}
	total := int64(1)
	for i := range f.dims {
		d := binary.BigEndian.Uint32(header[4*i:])
		if d == 0 {
			return nil, fmt.Errorf("dimension %d is 0", i)
		}
		if int64(d) > maxSetBytes/total {
			return nil, fmt.Errorf("more than %d bytes of elements", int64(maxSetBytes))
		}
		total *= int64(d)
		f.dims[i] = int(d)
	}
	headerSize := int64(4 + 4*n)
	if !gzipped && size != headerSize+total {
		return nil, fmt.Errorf("file has %d bytes, %v elements need %d", size, f.dims, headerSize+total)
	}
	if total > limit {
		return nil, fmt.Errorf("cut short: %d bytes cannot hold %v elements", size, f.dims)
	}
	f.data = make([]byte, total)
	if _, err := io.ReadFull(r, f.data); err != nil {
		return nil, fmt.Errorf("elements: %w", noEOF(err))
	}
	// Reading to the end also checks gzip's own checksum.
	switch n, err := io.ReadFull(r, magic[:1]); {
	case n > 0:
		return nil, fmt.Errorf("data after %v elements", f.dims)
	case err != io.EOF:
		return nil, err
	}
	return f, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// openIDXFile reads base, or base with .gz, in dir.
func openIDXFile(dir, base string, leastDims, mostDims int) (*idx, error) {
	path, gzipped := findIDX(dir, base)
	if path == "" {
		return nil, fmt.Errorf("dataset: %s: no %s or %s.gz", dir, base, base)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	x, err := readIDX(f, st.Size(), gzipped, leastDims, mostDims)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", path, err)
	}
	return x, nil
}

// findIDX returns the path of base in dir: as it is, gzipped, or with the dot
// that some copies have in place of the dash.
func findIDX(dir, base string) (path string, gzipped bool) {
	dotted := base[:len(base)-len("-idx3-ubyte")] + "." + base[len(base)-len("idx3-ubyte"):]
	for _, name := range []string{base, dotted} {
		for _, ext := range []string{"", ".gz"} {
			p := filepath.Join(dir, name+ext)
			if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
				return p, ext != ""
			}
		}
	}
	return "", false
}

// The four files of an MNIST-like data set.
const (
	trainImages = "train-images-idx3-ubyte"
	trainLabels = "train-labels-idx1-ubyte"
	testImages  = "t10k-images-idx3-ubyte"
	testLabels  = "t10k-labels-idx1-ubyte"
)

func hasIDX(dir string) bool {
	path, _ := findIDX(dir, trainImages)
	return path != ""
}

// openIDX opens a folder of the four files.
func openIDX(ctx context.Context, dir string) (*Data, error) {
	train, err := readIDXPart(dir, trainImages, trainLabels)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	test, err := readIDXPart(dir, testImages, testLabels)
	if err != nil {
		return nil, err
	}
	if test.h != train.h || test.w != train.w || test.c != train.c {
		return nil, fmt.Errorf("dataset: %s: test images are [%d %d %d], training images [%d %d %d]", dir, test.h, test.w, test.c, train.h, train.w, train.c)
	}
	classes := 0
	for _, l := range train.labels {
		classes = max(classes, int(l)+1)
	}
	for i := range classes {
		train.classes = append(train.classes, strconv.Itoa(i))
	}
	test.classes = train.classes
	d := &Data{
		Name: filepath.Base(dir), Train: train, Test: test,
		Classes: train.classes, Channels: train.c, Checksum: checksum(train, test),
	}
	if d.Checksum == fashionChecksum {
		d.Name, d.Classes = "fashion-mnist", fashionClasses
		train.classes, test.classes = fashionClasses, fashionClasses
	}
	return d, test.checkLabels(filepath.Join(dir, testLabels))
}

// readIDXPart reads images [N,H,W] or [N,H,W,C] and their labels [N].
func readIDXPart(dir, images, labels string) (*memorySet, error) {
	x, err := openIDXFile(dir, images, 3, 4)
	if err != nil {
		return nil, err
	}
	y, err := openIDXFile(dir, labels, 1, 1)
	if err != nil {
		return nil, err
	}
	s := &memorySet{pix: x.data, labels: y.data, h: x.dims[1], w: x.dims[2], c: 1}
	if len(x.dims) == 4 {
		s.c = x.dims[3]
	}
	if s.c != 1 && s.c != 3 {
		return nil, fmt.Errorf("dataset: %s: images have %d channels, want 1 or 3", filepath.Join(dir, images), s.c)
	}
	if x.dims[0] != y.dims[0] {
		return nil, fmt.Errorf("dataset: %s: %d images in %s, %d labels in %s", dir, x.dims[0], images, y.dims[0], labels)
	}
	return s, nil
}

var fashionClasses = []string{
	"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
	"Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
}

// fashionChecksum is the checksum of the published images and labels.
const fashionChecksum = "sha256:f21e00d35d4a6ae3cb3b84077858e63aebc06518b5e1eb204f5a195b711377b7"

// fashionSite is the data set's own site, with the files' sizes and digests.
const fashionSite = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

var fashionFiles = []remoteFile{
	{trainImages + ".gz", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
	{trainLabels + ".gz", 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
	{testImages + ".gz", 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
	{testLabels + ".gz", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"},
}

func openFashionMNIST(ctx context.Context, opt Options) (*Data, error) {
	search, download, err := folders("fashion-mnist")
	for _, dir := range search {
		if !hasIDX(dir) {
			continue
		}
		d, err := openIDX(ctx, dir)
		if err == nil && d.Checksum != fashionChecksum {
			err = fmt.Errorf("dataset: %s does not hold Fashion-MNIST: content is %s, want %s; open it by its path to use it as it is", dir, d.Checksum, fashionChecksum)
		}
		return d, err
	}
	if err != nil {
		return nil, err
	}
	if opt.Offline {
		return nil, errors.New("dataset: fashion-mnist is not on this machine; install the Debian package dataset-fashion-mnist, or allow a download")
	}
	if err := fetch(ctx, fashionSite, fashionFiles, download, opt); err != nil {
		return nil, err
	}
	return openIDX(ctx, download)
}
