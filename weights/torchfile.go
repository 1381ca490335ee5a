package weights

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
)

// A file of torch.save is a pickle of anything, in which each tensor is a
// view of a storage: type, offset, shape and strides. The storages' bytes lie
// outside the pickle, in one of two containers:
//
//	zip     since PyTorch 1.6: NAME/data.pkl, NAME/data/KEY for each storage,
//	        stored without compression; see torchfile_zip.go
//	legacy  before: five pickles in a row, then the storages; see
//	        torchfile_legacy.go

// torchFile is a file being read.
type torchFile struct {
	r         io.ReaderAt
	size      int64
	bigEndian bool
	storages  map[string]*storage
	checksums map[*storage]uint32 // CRC-32 of storages, where the container has them
	legacy    bool
	locate    func(s *storage) error // checks that a storage is in the file
}

func newTorchFile(r io.ReaderAt, size int64) *torchFile {
	return &torchFile{r: r, size: size, storages: map[string]*storage{}, checksums: map[*storage]uint32{}}
}

func torchError(format string, args ...any) error {
	return &FormatError{Format: pytorch, Msg: fmt.Sprintf(format, args...)}
}

// readAny reads a file of any kind, told by how it starts.
func readAny(r io.ReaderAt, size int64) (*Set, error) {
	head := make([]byte, min(max(size, 0), 512))
	if err := readAt(r, head, 0); err != nil {
		return nil, err
	}
	is := func(at int, magic string) bool {
		return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
	}
	switch {
	case len(head) == 0:
		return nil, &UnsupportedError{Msg: "the file is empty"}
	case is(8, "{"): // where a zip file has its method and a legacy file its magic number
	case is(0, zipLocal), is(0, "\x80\x02"), is(0, "\x80\x03"), is(0, "\x80\x04"), is(0, "\x80\x05"):
		return ReadTorch(r, size)
	case is(257, "ustar"):
		return nil, &UnsupportedError{Msg: "a tar file, as PyTorch wrote before 0.2; load and save it again in Python"}
	case is(0, "\x89HDF\r\n\x1a\n"):
		return nil, &UnsupportedError{Msg: "an HDF5 file, as Keras writes; convert it with scripts/keras-to-safetensors.py"}
	case is(4, "TFL3"):
		return nil, &UnsupportedError{Msg: "a TensorFlow Lite file, want safetensors or what torch.save wrote"}
	case is(0, "\x93NUMPY"):
		return nil, &UnsupportedError{Msg: "a NumPy array, want the weights of a network"}
	case is(0, "\x1f\x8b"):
		return nil, &UnsupportedError{Msg: "a gzip file; unpack it first"}
	case is(0, "version https://git-lfs"):
		return nil, &UnsupportedError{Msg: "a pointer of Git LFS instead of the file itself; 'git lfs pull' fetches it"}
	case is(0, "<"):
		return nil, &UnsupportedError{Msg: "a web page, want safetensors or what torch.save wrote"}
	case len(head) > 3 && head[0] == 8 && head[1] < 32 && head[2]&7 == 2: // version, then a text or message
		return nil, &UnsupportedError{Msg: "an ONNX file, which is written but not read"}
	default:
		return nil, &UnsupportedError{Msg: "neither a safetensors file nor one of torch.save"}
	}
	return Read(r, size)
}

// ReadTorch reads a file of size bytes that torch.save wrote: a state dict, or
// a checkpoint that holds one (see stateDict). Names are as in the file, less
// a prefix such as "module." that all share; values become float32. The pickle
// inside only builds data: a name it asks for that this package does not know
// gives a [*GlobalError]. A broken file gives a [*FormatError], one over the
// limits of this package an [*UnsupportedError].
func ReadTorch(r io.ReaderAt, size int64) (*Set, error) {
	f := newTorchFile(r, size)
	var head [4]byte
	if size >= 4 {
		if err := readAt(r, head[:], 0); err != nil {
			return nil, err
		}
	}
	read := f.readLegacy
	if string(head[:]) == zipLocal {
		read = f.readZip
	}
	root, err := read()
	if err != nil {
		return nil, err
	}
	dict, meta, err := stateDict(root)
	if err != nil {
		return nil, err
	}
	return f.set(dict, meta)
}

// stateKeys are the keys under which checkpoints keep their weights, the
// better choice first: of averaged and plain weights, the averaged ones.
var stateKeys = []string{"state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict"}

// stateDict finds the weights in what a file holds. Beside them, a
// checkpoint's name of its network becomes metadata.
func stateDict(root any) (*pyDict, map[string]string, error) {
	meta := map[string]string{}
	d, ok := root.(*pyDict)
	if !ok {
		return nil, nil, &UnsupportedError{Msg: fmt.Sprintf("the file holds %s, want a state dict", pythonType(root))}
	}
	for range 4 {
		if name, ok := d.get("arch"); ok && meta["arch"] == "" {
			if name, ok := name.(string); ok {
				meta["arch"] = name
			}
		}
		var inner *pyDict
		for _, key := range stateKeys {
			v, _ := d.get(key)
			if v, ok := v.(*pyDict); ok {
				inner = v
				break
			}
		}
		if inner == nil {
			inner = d.onlyWeights()
		}
		if inner == nil {
			break
		}
		d = inner
	}
	return d, meta, nil
}

// onlyWeights is the one dict with tensors in a dict without; nil if there are
// more or none.
func (d *pyDict) onlyWeights() *pyDict {
	var only *pyDict
	for _, p := range d.pairs {
		switch v := p.value.(type) {
		case *tensorRef:
			return nil
		case *pyDict:
			if !slices.ContainsFunc(v.pairs, func(p pyPair) bool { _, ok := p.value.(*tensorRef); return ok }) {
				continue
			}
			if only != nil {
				return nil
			}
			only = v
		}
	}
	return only
}

// namedRef is a tensor by its name.
type namedRef struct {
	name string
	*tensorRef
}

// tensors lists the tensors of a dict that a network could want.
func tensors(d *pyDict) ([]namedRef, error) {
	at := map[string]int{}
	var list []namedRef
	for _, p := range d.pairs {
		name, ok1 := p.key.(string)
		t, ok2 := p.value.(*tensorRef)
		if !ok1 || !ok2 || strings.HasSuffix(name, counter) {
			continue
		}
		if i, ok := at[name]; ok { // set again
			list[i].tensorRef = t
			continue
		}
		at[name] = len(list)
		list = append(list, namedRef{name, t})
	}
	if len(list) == 0 {
		var keys []string
		for _, p := range d.pairs {
			if k, ok := p.key.(string); ok && len(keys) < 8 {
				keys = append(keys, quote(k))
			}
		}
		return nil, &UnsupportedError{Msg: fmt.Sprintf("no tensors found; the file's dict has %d keys: %s", len(d.pairs), strings.Join(keys, ", "))}
	}
	if len(list) > maxTensors {
		return nil, &UnsupportedError{Msg: fmt.Sprintf("the file has more than %d tensors", maxTensors)}
	}
	prefix := unwrap(len(list), func(i int) string { return list[i].name })
	list = slices.DeleteFunc(list, func(t namedRef) bool { return !strings.HasPrefix(t.name, prefix) })
	for i := range list {
		list[i].name = list[i].name[len(prefix):]
	}
	return list, nil
}

// expansion is how many bytes of memory the tensors of a file may take beyond
// twice its size.
const expansion = 8 << 20

// set reads the tensors of a dict.
func (f *torchFile) set(d *pyDict, meta map[string]string) (*Set, error) {
	list, err := tensors(d)
	if err != nil {
		return nil, err
	}
	// Everything is checked before anything is allocated. Tensors may share
	// storages, or repeat one element.
	var total, scratch int64
	limit := 2*f.size + expansion
	for _, t := range list {
		if t.storage.dtype.convert == nil {
			return nil, &UnsupportedError{t.name, fmt.Sprintf("has dtype %s, want one of F32 F16 BF16 F64 I64 I32 I16", t.storage.dtype.name)}
		}
		if !t.contiguous() {
			scratch = max(scratch, t.span*int64(t.storage.dtype.bits/8))
		}
		if t.elems > limit/4 || total+4*t.elems > limit-scratch {
			return nil, &UnsupportedError{t.name, fmt.Sprintf("the tensors would take more than twice the file's %d bytes", f.size)}
		}
		total += 4 * t.elems
	}
	for _, t := range list {
		if err := f.locate(t.storage); err != nil {
			return nil, err
		}
	}
	s := &Set{Tensors: make(map[string]Tensor, len(list)), Meta: meta}
	buf := make([]byte, max(1<<16, scratch))
	for _, t := range list {
		if err := f.verify(t.storage, buf[:1<<16]); err != nil {
			return nil, err
		}
		data, err := f.values(t.tensorRef, buf)
		if err != nil {
			return nil, err
		}
		s.Tensors[t.name] = Tensor{Shape: t.shape, Data: data}
	}
	return s, nil
}

// values reads one tensor. buf holds the span of one that is not contiguous.
func (f *torchFile) values(t *tensorRef, buf []byte) ([]float32, error) {
	data := make([]float32, t.elems)
	width := int64(t.storage.dtype.bits / 8)
	at := t.storage.at + t.offset*width
	if !t.contiguous() {
		raw := buf[:t.span*width]
		if err := f.readRaw(raw, at, int(width)); err != nil {
			return nil, err
		}
		t.gather(data, raw)
		return data, nil
	}
	for dst := data; len(dst) > 0; {
		n := min(len(dst), len(buf)/int(width))
		raw := buf[:n*int(width)]
		if err := f.readRaw(raw, at, int(width)); err != nil {
			return nil, err
		}
		t.storage.dtype.convert(dst[:n], raw)
		dst, at = dst[n:], at+int64(len(raw))
	}
	return data, nil
}

// gather puts the elements of a span in the order of the tensor's indices.
func (t *tensorRef) gather(dst []float32, span []byte) {
	width := int64(t.storage.dtype.bits / 8)
	convert := t.storage.dtype.convert
	index := make([]int, len(t.shape))
	var from int64
	for i := range dst {
		convert(dst[i:i+1], span[from*width:])
		for d := len(index) - 1; d >= 0; d-- {
			index[d]++
			from += t.stride[d]
			if index[d] < t.shape[d] {
				break
			}
			from -= int64(index[d]) * t.stride[d]
			index[d] = 0
		}
	}
}

// readRaw reads elements of a number of bytes each, little-endian.
func (f *torchFile) readRaw(dst []byte, at int64, width int) error {
	if err := readAt(f.r, dst, at); err != nil {
		return err
	}
	if f.bigEndian {
		for i := 0; i < len(dst); i += width {
			slices.Reverse(dst[i : i+width])
		}
	}
	return nil
}

// verify holds a storage's bytes to its checksum, once.
func (f *torchFile) verify(s *storage, buf []byte) error {
	want, ok := f.checksums[s]
	if !ok {
		return nil
	}
	delete(f.checksums, s)
	return f.checksum("storage "+quote(s.key), s.at, s.bytes(), want, buf)
}

func (f *torchFile) checksum(what string, at, size int64, want uint32, buf []byte) error {
	sum := uint32(0)
	for size > 0 {
		n := min(size, int64(len(buf)))
		if err := readAt(f.r, buf[:n], at); err != nil {
			return err
		}
		sum = crc32.Update(sum, crc32.IEEETable, buf[:n])
		at, size = at+n, size-n
	}
	if sum != want {
		return torchError("%s: CRC-32 is %08x, want %08x", what, sum, want)
	}
	return nil
}

func (s *storage) bytes() int64 { return s.elems * int64(s.dtype.bits/8) }

// storage is what the id of a storage stands for:
//
//	("storage", class, key, device, elements)        zip
//	("storage", class, key, device, elements, view)  legacy, view None or (key, offset, elements)
func (f *torchFile) storage(id any) (any, error) {
	t, ok := id.(*pyTuple)
	n := 5
	if f.legacy {
		n = 6
	}
	if !ok || len(t.items) != n || t.items[0] != "storage" {
		return nil, torchError("a persistent id is not that of a storage")
	}
	class, ok1 := t.items[1].(*global)
	key, ok2 := t.items[2].(string)
	elems, ok3 := t.items[4].(int64)
	if !ok1 || !ok2 || !ok3 || class.means != isStorage || elems < 0 {
		return nil, torchError("the id of a storage is (%s, %s, %s)", pythonType(t.items[1]), pythonType(t.items[2]), number(t.items[4]))
	}
	if elems > f.size/int64(class.dtype.bits/8) {
		return nil, torchError("storage %s would have %d elements of %s, the file has %d bytes", quote(key), elems, class.dtype.name, f.size)
	}
	s := f.storages[key]
	if s == nil {
		s = &storage{key: key, dtype: class.dtype, elems: elems}
		f.storages[key] = s
	}
	if s.dtype != class.dtype || s.elems != elems {
		return nil, torchError("storage %s is given as %d of %s and as %d of %s", quote(key), s.elems, s.dtype.name, elems, class.dtype.name)
	}
	view := storageView{s, 0, elems}
	if n == 6 && t.items[5] != nil {
		v, ok := t.items[5].(*pyTuple)
		if !ok || len(v.items) != 3 {
			return nil, torchError("storage %s has a view that is %s, want None or a tuple of 3", quote(key), pythonType(t.items[5]))
		}
		first, ok1 := v.items[1].(int64)
		count, ok2 := v.items[2].(int64)
		if !ok1 || !ok2 || first < 0 || count < 0 || first > elems || count > elems-first {
			return nil, torchError("storage %s has a view of %s elements at %s, which is not within its %d", quote(key), number(v.items[2]), number(v.items[1]), elems)
		}
		view.first, view.elems = first, count
	}
	return view, nil
}

// le64 reads a number of the file.
func (f *torchFile) le64(at int64) (uint64, error) {
	var b [8]byte
	if err := readAt(f.r, b[:], at); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}
