package weights

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// A zip file is, from its end,
//
//	22+ bytes  the end record: where the directory is, and how long; its zip64
//	           form lies before it where numbers do not fit
//	           the directory: one record an entry, with the entry's place
//	           the entries: a local record each, then the bytes
//
// PyTorch stores entries without compression, so that a file cannot unfold to
// more than its size unless entries overlap: that is refused.

const (
	zipLocal     = "PK\x03\x04"
	zipDirectory = "PK\x01\x02"
	zipEnd       = "PK\x05\x06"
	zip64Locator = "PK\x06\x07"
	zip64End     = "PK\x06\x06"

	maxZipDirectory = 8 << 20 // bytes
)

// zipEntry is one file in a zip file.
type zipEntry struct {
	name  string
	local int64 // of its local record
	at    int64 // of its bytes
	size  int64
	crc   uint32
	plain bool // its bytes are as they were, not compressed
}

// use makes sure that an entry can be read as it lies.
func (e *zipEntry) use() error {
	if !e.plain {
		return &UnsupportedError{Msg: fmt.Sprintf("%s is compressed, which PyTorch does not do", quote(e.name))}
	}
	return nil
}

func (f *torchFile) readZip() (any, error) {
	entries, err := f.zipEntries()
	if err != nil {
		return nil, err
	}
	var prefix string
	byName := make(map[string]*zipEntry, len(entries))
	pickles := 0
	for i := range entries {
		e := &entries[i]
		if byName[e.name] != nil {
			return nil, torchError("the zip file has two entries %s", quote(e.name))
		}
		byName[e.name] = e
		if dir, ok := strings.CutSuffix(e.name, "data.pkl"); ok && strings.Count(dir, "/") == 1 && strings.HasSuffix(dir, "/") {
			prefix = dir
			pickles++
		}
	}
	switch {
	case pickles == 0:
		return nil, &UnsupportedError{Msg: "a zip file without NAME/data.pkl, which is not PyTorch's"}
	case pickles > 1:
		return nil, torchError("the zip file has %d pickles, want one", pickles)
	case byName[prefix+"constants.pkl"] != nil:
		return nil, &UnsupportedError{Msg: "a TorchScript program; save the model's state_dict() with torch.save instead"}
	}
	if e := byName[prefix+"byteorder"]; e != nil {
		order, err := f.text(e)
		if err != nil {
			return nil, err
		}
		switch order {
		case "little":
		case "big":
			f.bigEndian = true
		default:
			return nil, torchError("the byte order is %s, want little or big", quote(order))
		}
	}
	f.locate = func(s *storage) error {
		e := byName[prefix+"data/"+s.key]
		if e == nil {
			return torchError("storage %s is missing", quote(s.key))
		}
		if err := e.use(); err != nil {
			return err
		}
		if e.size != s.bytes() {
			return torchError("storage %s has %d bytes, want %d for %d elements of %s", quote(s.key), e.size, s.bytes(), s.elems, s.dtype.name)
		}
		s.at = e.at
		if e.crc != 0 { // 0: torch.save was told to leave checksums out
			f.checksums[s] = e.crc
		}
		return nil
	}
	program := byName[prefix+"data.pkl"]
	if err := program.use(); err != nil {
		return nil, err
	}
	if program.crc != 0 {
		if err := f.checksum(program.name, program.at, program.size, program.crc, make([]byte, 1<<16)); err != nil {
			return nil, err
		}
	}
	return unpickle(newByteReader(f.r, program.at, program.size), f.storage)
}

// text reads a short entry.
func (f *torchFile) text(e *zipEntry) (string, error) {
	if err := e.use(); err != nil {
		return "", err
	}
	if e.size > 100 {
		return "", torchError("%s has %d bytes, want at most 100", quote(e.name), e.size)
	}
	b := make([]byte, e.size)
	err := readAt(f.r, b, e.at)
	return string(b), err
}

// zipEntries reads the directory and checks it against the local records.
func (f *torchFile) zipEntries() ([]zipEntry, error) {
	at, size, count, err := f.zipDirectory()
	if err != nil {
		return nil, err
	}
	if count > maxTensors || size > maxZipDirectory {
		return nil, &UnsupportedError{Msg: fmt.Sprintf("the zip directory has %d entries in %d bytes, want at most %d in %d", count, size, maxTensors, maxZipDirectory)}
	}
	if size < 46*count {
		return nil, torchError("the zip directory has %d entries in %d bytes", count, size)
	}
	entries := make([]zipEntry, count)
	src := newByteReader(f.r, at, size)
	for i := range entries {
		if err := entries[i].read(src); err != nil {
			return nil, err
		}
	}
	if src.left > 0 {
		return nil, torchError("%d bytes follow the %d entries of the zip directory", src.left, count)
	}
	slices.SortFunc(entries, func(a, b zipEntry) int { return cmp.Compare(a.local, b.local) })
	next := int64(0)
	for i := range entries {
		e := &entries[i]
		if e.local < next {
			return nil, torchError("%s overlaps another entry of the zip file", quote(e.name))
		}
		if err := f.readLocal(e, at); err != nil {
			return nil, err
		}
		next = e.at + e.size
	}
	return entries, nil
}

// zipDirectory finds the directory: its place, its bytes, its entries.
func (f *torchFile) zipDirectory() (at, size, count int64, err error) {
	const record, comment = 22, 1<<16 - 1
	from := max(0, f.size-record-comment)
	tail := make([]byte, f.size-from)
	if err := readAt(f.r, tail, from); err != nil {
		return 0, 0, 0, err
	}
	end := -1
	for i := len(tail) - record; i >= 0; i-- {
		if string(tail[i:i+4]) == zipEnd && int(binary.LittleEndian.Uint16(tail[i+20:])) == len(tail)-i-record {
			end = i
			break
		}
	}
	if end < 0 {
		return 0, 0, 0, torchError("cut short: the zip file has no end record")
	}
	le := binary.LittleEndian
	r := tail[end:]
	disks := le.Uint16(r[4:]) | le.Uint16(r[6:])
	count, size, at = int64(le.Uint16(r[10:])), int64(le.Uint32(r[12:])), int64(le.Uint32(r[16:]))
	same := le.Uint16(r[8:]) == le.Uint16(r[10:])
	endAt := from + int64(end)
	if endAt >= 20 {
		var loc [20]byte
		if err := readAt(f.r, loc[:], endAt-20); err != nil {
			return 0, 0, 0, err
		}
		if string(loc[:4]) == zip64Locator {
			endAt = int64(le.Uint64(loc[8:]))
			if endAt < 0 || endAt > f.size-56 {
				return 0, 0, 0, torchError("the zip64 end record would start at byte %d of %d", uint64(endAt), f.size)
			}
			var r [56]byte
			if err := readAt(f.r, r[:], endAt); err != nil {
				return 0, 0, 0, err
			}
			if string(r[:4]) != zip64End {
				return 0, 0, 0, torchError("no zip64 end record at byte %d", endAt)
			}
			disks = uint16(le.Uint32(r[16:]) | le.Uint32(r[20:]))
			count, size, at = int64(le.Uint64(r[32:])), int64(le.Uint64(r[40:])), int64(le.Uint64(r[48:]))
			same = le.Uint64(r[24:]) == le.Uint64(r[32:])
		}
	}
	if disks != 0 || !same {
		return 0, 0, 0, &UnsupportedError{Msg: "a zip file in several parts"}
	}
	if count < 0 || size < 0 || at < 0 || at > endAt || size > endAt-at {
		return 0, 0, 0, torchError("the zip directory of %d bytes at byte %d does not lie before its end record at %d", uint64(size), uint64(at), endAt)
	}
	return at, size, count, nil
}

// read reads one record of the directory.
func (e *zipEntry) read(src *byteReader) error {
	le := binary.LittleEndian
	var r [46]byte
	if err := src.read(r[:]); err != nil {
		return err
	}
	if string(r[:4]) != zipDirectory {
		return torchError("no zip directory entry at byte %d", src.at-int64(len(r)))
	}
	rest := make([]byte, int(le.Uint16(r[28:]))+int(le.Uint16(r[30:]))+int(le.Uint16(r[32:])))
	if err := src.read(rest); err != nil {
		return err
	}
	nameLen := int(le.Uint16(r[28:]))
	e.name = string(rest[:nameLen])
	flags, method := le.Uint16(r[8:]), le.Uint16(r[10:])
	e.crc = le.Uint32(r[16:])
	// Sizes and place, in the order in which zip64 repeats them.
	numbers := [3]uint64{uint64(le.Uint32(r[24:])), uint64(le.Uint32(r[20:])), uint64(le.Uint32(r[42:]))}
	for extra := rest[nameLen:][:le.Uint16(r[30:])]; len(extra) >= 4; {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			return torchError("%s has a broken extra field in the zip directory", quote(e.name))
		}
		if id == 1 {
			field := extra[:n]
			for i := range numbers {
				if numbers[i] == 1<<32-1 && len(field) >= 8 {
					numbers[i] = le.Uint64(field)
					field = field[8:]
				}
			}
		}
		extra = extra[n:]
	}
	const limit = 1 << 62
	switch {
	case flags&1 != 0:
		return &UnsupportedError{Msg: fmt.Sprintf("%s is encrypted", quote(e.name))}
	case method == 0 && numbers[0] != numbers[1]:
		return torchError("%s is stored, but has %d bytes for %d", quote(e.name), numbers[1], numbers[0])
	case numbers[1] > limit || numbers[2] > limit:
		return torchError("%s would have %d bytes at byte %d", quote(e.name), numbers[1], numbers[2])
	}
	e.size, e.local, e.plain = int64(numbers[1]), int64(numbers[2]), method == 0
	return nil
}

// readLocal finds the bytes of an entry, which must end before the directory.
func (f *torchFile) readLocal(e *zipEntry, directory int64) error {
	outside := func() error {
		return torchError("%s has %d bytes at byte %d, which do not lie before the zip directory at %d", quote(e.name), e.size, e.local, directory)
	}
	var r [30]byte
	if e.local > directory-int64(len(r)) {
		return outside()
	}
	if err := readAt(f.r, r[:], e.local); err != nil {
		return err
	}
	le := binary.LittleEndian
	if string(r[:4]) != zipLocal {
		return torchError("%s has no local record at byte %d", quote(e.name), e.local)
	}
	name := make([]byte, le.Uint16(r[26:]))
	e.at = e.local + int64(len(r)) + int64(len(name)) + int64(le.Uint16(r[28:]))
	if e.at > directory || e.size > directory-e.at {
		return outside()
	}
	if err := readAt(f.r, name, e.local+int64(len(r))); err != nil {
		return err
	}
	if string(name) != e.name {
		return torchError("%s is called %s in its local record", quote(e.name), quote(string(name)))
	}
	const sizesFollow = 1 << 3
	size := uint64(le.Uint32(r[22:]))
	if le.Uint16(r[6:])&sizesFollow == 0 && size != 1<<32-1 && size != uint64(e.size) {
		return torchError("%s has %d bytes in the zip directory and %d in its local record", quote(e.name), e.size, size)
	}
	return nil
}
