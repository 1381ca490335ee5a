package jpeg

import "encoding/binary"

// lookup is the number of bits that one step of decoding looks at.
const lookup = 10

// huffman is a decoding table, C.2 and F.2.2.3.
type huffman struct {
	short [1 << lookup]uint16 // by the next bits: value<<8 | length of the code; 0 for longer ones
	// The same where the value is one of an AC coefficient, run<<4 | size, and
	// the bits hold its number, too: number<<16 | run<<8 | length of both; else 0.
	number [1 << lookup]int32
	// By the length of a code: the largest one, -1 for none, and what to add to
	// a code for the index of its value.
	largest [17]int32
	offset  [17]int32
	values  []byte
}

// huffmanTables reads Huffman tables, B.2.4.2.
func (d *decoder) huffmanTables(seg []byte) error {
	for len(seg) > 0 {
		class, th := seg[0]>>4, seg[0]&15
		if class > 1 || th > 3 || len(seg) < 17 {
			return invalid("a broken Huffman table")
		}
		n := 0
		for _, c := range seg[1:17] {
			n += int(c)
		}
		if n > 256 || len(seg) < 17+n {
			return invalid("a Huffman table of %d codes", n)
		}
		h, err := newHuffman(seg[1:17], seg[17:17+n])
		if err != nil {
			return err
		}
		if class == 0 {
			d.dc[th] = h
		} else {
			d.ac[th] = h
		}
		seg = seg[17+n:]
	}
	return nil
}

// newHuffman makes the table of counts codes of 1, 2, ... bits.
func newHuffman(counts, values []byte) (*huffman, error) {
	h := &huffman{values: append([]byte{}, values...)}
	code, k := int32(0), int32(0)
	for i, count := range counts {
		length := i + 1
		h.largest[length], h.offset[length] = -1, k-code
		if code+int32(count) > 1<<length {
			return nil, invalid("a Huffman table has more codes than there are")
		}
		for range count {
			if length <= lookup {
				first := code << (lookup - length)
				for j := range int32(1) << (lookup - length) {
					h.short[first+j] = uint16(values[k])<<8 | uint16(length)
				}
			}
			h.largest[length] = code
			code++
			k++
		}
		code <<= 1
	}
	for bits, e := range h.short {
		length, run, size := int(e&0xff), int32(e>>12), int(e>>8&15)
		if rest := lookup - length - size; e != 0 && size > 0 && rest >= 0 {
			v := signed(int32(bits)>>rest&(1<<size-1), size)
			h.number[bits] = v<<16 | run<<8 | int32(length+size)
		}
	}
	return h, nil
}

// bits reads the bits of a scan: stuffed zeros are taken out, and behind the
// end, a marker, come zeros, so that reading needs no check.
type bits struct {
	data []byte
	pos  int
	acc  uint64 // the lowest n bits are next
	n    int
	pad  int // of n, those behind the end
}

// fill makes at least 57 bits ready.
func (b *bits) fill() {
	if b.pos+8 <= len(b.data) {
		v := binary.BigEndian.Uint64(b.data[b.pos:])
		const low, high = 0x0101010101010101, 0x8080808080808080
		if (^v-low)&v&high == 0 { // no byte is 0xff
			k := (64 - b.n) / 8
			b.acc = b.acc<<(8*k) | v>>(64-8*k)
			b.pos += k
			b.n += 8 * k
			return
		}
	}
	for b.n <= 56 {
		c, step := byte(0), 0
		if b.pos < len(b.data) {
			if c = b.data[b.pos]; c != 0xff {
				step = 1
			} else if b.pos+1 < len(b.data) && b.data[b.pos+1] == 0 {
				step = 2
			}
		}
		if step == 0 {
			c = 0
			b.pad += 8
		}
		b.pos += step
		b.acc = b.acc<<8 | uint64(c)
		b.n += 8
	}
}

// overrun reports whether bits behind the end were used.
func (b *bits) overrun() bool { return b.pad > b.n }

// start begins at the next byte, as after a restart marker.
func (b *bits) start(pos int) { b.pos, b.acc, b.n, b.pad = pos, 0, 0, 0 }

// take reads n bits, at most 16.
func (b *bits) take(n int) int32 {
	if b.n < n {
		b.fill()
	}
	b.n -= n
	return int32(b.acc>>b.n) & (1<<n - 1)
}

// extend reads a number of n bits, F.2.2.1.
func (b *bits) extend(n int) int32 {
	if n == 0 {
		return 0
	}
	return signed(b.take(n), n)
}

// signed is the number that n bits stand for, n above 0.
func signed(v int32, n int) int32 {
	if v < 1<<(n-1) {
		v += -1<<n + 1
	}
	return v
}

// code reads a Huffman code's value; one that does not exist is -1.
func (b *bits) code(h *huffman) int {
	if b.n < 16 {
		b.fill()
	}
	if e := h.short[b.acc>>(b.n-lookup)&(1<<lookup-1)]; e != 0 {
		b.n -= int(e & 0xff)
		return int(e >> 8)
	}
	return b.long(h)
}

// long reads a code that h.short does not have; 16 bits are ready.
func (b *bits) long(h *huffman) int {
	for length := lookup + 1; length <= 16; length++ {
		if code := int32(b.acc>>(b.n-length)) & (1<<length - 1); code <= h.largest[length] {
			b.n -= length
			return int(h.values[code+h.offset[length]])
		}
	}
	return -1
}
