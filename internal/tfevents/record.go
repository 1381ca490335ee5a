package tfevents

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

var (
	ErrTruncated = errors.New("tfevents: the file ends within a record")
	ErrDamaged   = errors.New("tfevents: a record is damaged")
)

// maxRecord bounds a record that is read, in bytes.
const maxRecord = 64 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mask is how TFRecord keeps checksums, so that the checksum of data that holds
// checksums is no special case: rotated right by 15 bits, plus a constant.
func mask(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// WriteRecord appends a TFRecord to w in one write:
//
//	length    uint64, little-endian
//	checksum  uint32, little-endian: masked CRC-32C of the length's 8 bytes
//	data      length bytes
//	checksum  uint32, little-endian: masked CRC-32C of the data
func WriteRecord(w io.Writer, data []byte) error {
	b := make([]byte, 0, 16+len(data))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, mask(b))
	b = append(b, data...)
	b = binary.LittleEndian.AppendUint32(b, mask(data))
	_, err := w.Write(b)
	return err
}

// ReadRecord reads what WriteRecord wrote; io.EOF at the end of the file.
func ReadRecord(r io.Reader) ([]byte, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err == io.ErrUnexpectedEOF {
		return nil, ErrTruncated
	} else if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(head[:8])
	if got := binary.LittleEndian.Uint32(head[8:]); got != mask(head[:8]) {
		return nil, fmt.Errorf("%w: its length does not match its checksum", ErrDamaged)
	}
	if n > maxRecord {
		return nil, fmt.Errorf("%w: it would have %d bytes, at most %d are read", ErrDamaged, n, maxRecord)
	}
	// Grown as it is read: the length alone allocates nothing.
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, int64(n)+4); err == io.EOF {
		return nil, ErrTruncated
	} else if err != nil {
		return nil, err
	}
	data, sum := b.Bytes()[:n], b.Bytes()[n:]
	if binary.LittleEndian.Uint32(sum) != mask(data) {
		return nil, fmt.Errorf("%w: its data does not match its checksum", ErrDamaged)
	}
	return data, nil
}
