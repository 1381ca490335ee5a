package weights

import (
	"fmt"
	"math/bits"
)

// A legacy file is
//
//	pickle   the magic number
//	pickle   the version of the protocol, 1001
//	pickle   the machine: {"little_endian": True, ...}
//	pickle   what was saved
//	pickle   the keys of the storages, a list
//	storages in the order of the keys: the number of elements, 8 bytes, then the elements

// legacyMagic is the magic number 0x1950a86a20f9469cfc6c.
const legacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

const legacyProtocol = 1001

func (f *torchFile) readLegacy() (any, error) {
	f.legacy = true
	src := newByteReader(f.r, 0, f.size)
	noID := func(any) (any, error) { return nil, torchError("a storage outside of what was saved") }
	magic, err := unpickle(src, noID)
	if err != nil {
		return nil, err
	}
	if m, ok := magic.(bigInt); !ok || string(m) != legacyMagic {
		return nil, torchError("the file starts with %s, want PyTorch's magic number", pythonType(magic))
	}
	version, err := unpickle(src, noID)
	if err != nil {
		return nil, err
	}
	if version != any(int64(legacyProtocol)) {
		return nil, &UnsupportedError{Msg: fmt.Sprintf("the file has PyTorch's protocol %s, want %d", number(version), legacyProtocol)}
	}
	machine, err := unpickle(src, noID)
	if err != nil {
		return nil, err
	}
	info, ok := machine.(*pyDict)
	if !ok {
		return nil, torchError("the machine is described by %s, want a dict", pythonType(machine))
	}
	if little, _ := info.get("little_endian"); little == false {
		f.bigEndian = true
	}
	root, err := unpickle(src, f.storage)
	if err != nil {
		return nil, err
	}
	keys, err := unpickle(src, noID)
	if err != nil {
		return nil, err
	}
	order, ok := keys.(*pyList)
	if !ok {
		return nil, torchError("the keys of the storages are %s, want a list", pythonType(keys))
	}
	return root, f.placeStorages(order.items, src.at)
}

// placeStorages finds the storages from byte at to the end of the file.
func (f *torchFile) placeStorages(keys []any, at int64) error {
	placed := map[*storage]bool{}
	for _, k := range keys {
		key, _ := k.(string)
		s := f.storages[key]
		if s == nil || placed[s] {
			return torchError("the list of storages has %s, which no tensor uses or which is listed before", quote(key))
		}
		placed[s] = true
		if f.size-at < 8 {
			return torchError("cut short: storage %s would start at byte %d of %d", quote(key), at, f.size)
		}
		n, err := f.le64(at)
		if err != nil {
			return err
		}
		if f.bigEndian {
			n = bits.ReverseBytes64(n)
		}
		at += 8
		if n != uint64(s.elems) {
			return torchError("storage %s has %d elements, the pickle says %d", quote(key), n, s.elems)
		}
		if s.bytes() > f.size-at {
			return torchError("cut short: storage %s has %d bytes at byte %d of %d", quote(key), s.bytes(), at, f.size)
		}
		s.at = at
		at += s.bytes()
	}
	if at != f.size {
		return torchError("%d bytes follow the last storage", f.size-at)
	}
	f.locate = func(s *storage) error {
		if !placed[s] {
			return torchError("storage %s is missing", quote(s.key))
		}
		return nil
	}
	return nil
}
