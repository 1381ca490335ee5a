// Package jpeg decodes JPEG files to the samples that libjpeg, and with it
// every program built on libjpeg, decodes them to, bit for bit. The standard
// library's inverse cosine transform rounds otherwise, by one step in one of
// thirty samples, which moves a network's logits in the third digit.
//
// Baseline, extended and progressive files of 8 bits with Huffman coding are
// read; arithmetic coding, 12 bits and lossless files are not. See ITU-T T.81,
// whose section numbers the comments give.
package jpeg

import (
	"errors"
	"fmt"
	"io"
)

// Space says what the planes of an image are.
type Space uint8

const (
	Grey  Space = iota // one plane
	YCbCr              // JFIF's
	RGB
	CMYK // as stored: Adobe stores ink inverted, 255 for none
	YCCK // YCbCr of the stored CMY inverted, and K
)

// Image is a decoded file.
type Image struct {
	W, H   int
	Space  Space
	Planes []Plane
}

// Plane holds the samples of one component, W x H of them in rows of Stride;
// behind W and below H lies what fills up blocks.
type Plane struct {
	Pix          []byte
	W, H, Stride int
	SX, SY       int // pixels that a sample spans
}

// Config is what the header says.
type Config struct{ W, H, Components int }

// UnsupportedError is a valid file of a kind that is not read.
type UnsupportedError string

func (e UnsupportedError) Error() string { return string(e) + " is not supported" }

func invalid(format string, args ...any) error { return fmt.Errorf(format, args...) }

// Markers, B.1.1.3.
const (
	sof0 = 0xc0 // baseline
	sof1 = 0xc1 // extended sequential
	sof2 = 0xc2 // progressive
	dht  = 0xc4
	dac  = 0xcc
	rst0 = 0xd0
	rst7 = 0xd7
	soi  = 0xd8
	eoi  = 0xd9
	sos  = 0xda
	dqt  = 0xdb
	dnl  = 0xdc
	dri  = 0xdd
	app0 = 0xe0
	appE = 0xee
)

// component is one plane on its way.
type component struct {
	id     byte
	h, v   int // sampling factors
	tq     byte
	quant  *[64]int32 // in zigzag order; of the first scan
	bw, bh int        // blocks that hold samples of the image
	stride int        // blocks in a row, filled up to whole MCUs
	rows   int
	coeffs []int16 // progressive: 64 of each block, in natural order
	pix    []byte  // stride*8 x rows*8
}

type decoder struct {
	data []byte
	pos  int

	w, h        int
	progressive bool
	comps       []component
	maxH, maxV  int
	mcusX       int
	mcusY       int

	quant    [4]*[64]int32
	dc, ac   [4]*huffman
	interval int // MCUs between restart markers; 0 for none

	jfif  bool
	adobe int // transform; -1 without the marker

	bits   bits
	eobRun int

	stop func() error
}

// stopped is what stop says.
func (d *decoder) stopped() error {
	if d.stop == nil {
		return nil
	}
	return d.stop()
}

// DecodeConfig reads up to the frame's header.
func DecodeConfig(data []byte) (Config, error) {
	d := &decoder{data: data, adobe: -1}
	if err := d.run(true); err != nil {
		return Config{}, err
	}
	return Config{d.w, d.h, len(d.comps)}, nil
}

// Decode decodes a file. One that ends early is an error.
func Decode(data []byte) (*Image, error) { return DecodeUntil(data, nil) }

// DecodeUntil is Decode that asks stop, if it is not nil, row after row of
// blocks whether to go on, and ends with its error.
func DecodeUntil(data []byte, stop func() error) (*Image, error) {
	d := &decoder{data: data, adobe: -1, stop: stop}
	if err := d.run(false); err != nil {
		return nil, err
	}
	return d.image()
}

// run reads segments until the end, or with header until the frame is known.
func (d *decoder) run(header bool) error {
	if len(d.data) < 2 || d.data[0] != 0xff || d.data[1] != soi {
		return invalid("it does not start with the marker of an image")
	}
	d.pos = 2
	scans := 0
	for {
		m, err := d.marker()
		if err != nil {
			return err
		}
		if m == eoi {
			if d.comps == nil || scans == 0 {
				return invalid("the file has no image")
			}
			return nil
		}
		if m >= rst0 && m <= rst7 || m == 0x01 {
			continue // stray markers without a length
		}
		seg, err := d.segment()
		if err != nil {
			return err
		}
		switch m {
		case sof0, sof1, sof2:
			err = d.frame(seg, m == sof2, header)
			if header || err != nil {
				return err
			}
		case dht:
			err = d.huffmanTables(seg)
		case dqt:
			err = d.quantTables(seg)
		case dri:
			if len(seg) != 2 {
				return invalid("the restart interval has %d bytes", len(seg))
			}
			d.interval = int(seg[0])<<8 | int(seg[1])
		case sos:
			scans++
			err = d.scan(seg)
		case app0:
			d.jfif = d.jfif || len(seg) >= 5 && string(seg[:5]) == "JFIF\x00"
		case appE:
			if len(seg) >= 12 && string(seg[:5]) == "Adobe" {
				d.adobe = int(seg[11])
			}
		case dac:
			return UnsupportedError("arithmetic coding")
		case dnl:
			return UnsupportedError("a height given after the image")
		case soi:
			return invalid("an image starts inside another")
		default:
			if m >= 0xc0 && m <= 0xcf {
				return UnsupportedError(fmt.Sprintf("the kind of JPEG of marker %#x", m))
			}
			// Application data, comments and what nobody knows.
		}
		if err != nil {
			return err
		}
	}
}

// marker finds the next marker, past padding and stray bytes, which libjpeg
// forgives too.
func (d *decoder) marker() (byte, error) {
	for ; d.pos+1 < len(d.data); d.pos++ {
		if d.data[d.pos] == 0xff && d.data[d.pos+1] != 0 && d.data[d.pos+1] != 0xff {
			d.pos += 2
			return d.data[d.pos-1], nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// segment is the bytes that follow a marker.
func (d *decoder) segment() ([]byte, error) {
	if d.pos+2 > len(d.data) {
		return nil, io.ErrUnexpectedEOF
	}
	n := int(d.data[d.pos])<<8 | int(d.data[d.pos+1])
	if n < 2 {
		return nil, invalid("a segment of %d bytes", n)
	}
	if d.pos+n > len(d.data) {
		return nil, io.ErrUnexpectedEOF
	}
	seg := d.data[d.pos+2 : d.pos+n]
	d.pos += n
	return seg, nil
}

// frame reads a frame header, B.2.2.
func (d *decoder) frame(seg []byte, progressive, header bool) error {
	if d.comps != nil {
		return invalid("the file has two frames")
	}
	if len(seg) < 6 || len(seg) != 6+3*int(seg[5]) {
		return invalid("the frame's header has %d bytes", len(seg))
	}
	if seg[0] != 8 {
		return UnsupportedError(fmt.Sprintf("a precision of %d bits", seg[0]))
	}
	d.h, d.w = int(seg[1])<<8|int(seg[2]), int(seg[3])<<8|int(seg[4])
	if d.h == 0 || d.w == 0 {
		return invalid("the size is %dx%d", d.w, d.h)
	}
	n := int(seg[5])
	if n != 1 && n != 3 && n != 4 {
		return UnsupportedError(fmt.Sprintf("an image of %d components", n))
	}
	d.progressive = progressive
	comps := make([]component, n)
	for i := range comps {
		s := seg[6+3*i:]
		c := component{id: s[0], h: int(s[1] >> 4), v: int(s[1] & 15), tq: s[2]}
		for _, other := range comps[:i] {
			if other.id == c.id {
				return invalid("two components are called %d", c.id)
			}
		}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.tq > 3 {
			return invalid("component %d has sampling factors %dx%d and quantisation table %d", c.id, c.h, c.v, c.tq)
		}
		d.maxH, d.maxV = max(d.maxH, c.h), max(d.maxV, c.v)
		comps[i] = c
	}
	blocks := 0 // of an MCU
	for i := range comps {
		c := &comps[i]
		if d.maxH%c.h != 0 || d.maxV%c.v != 0 {
			return UnsupportedError(fmt.Sprintf("sampling of %dx%d for %dx%d", c.h, c.v, d.maxH, d.maxV))
		}
		blocks += c.h * c.v
	}
	if n > 1 && blocks > 10 {
		return invalid("an MCU has %d blocks, at most 10 are allowed", blocks)
	}
	d.comps = comps
	if header {
		return nil
	}
	d.mcusX, d.mcusY = ceilDiv(d.w, 8*d.maxH), ceilDiv(d.h, 8*d.maxV)
	blocks = 0
	for i := range comps {
		c := &comps[i]
		c.bw, c.bh = ceilDiv(d.w*c.h, 8*d.maxH), ceilDiv(d.h*c.v, 8*d.maxV)
		c.stride, c.rows = d.mcusX*c.h, d.mcusY*c.v
		blocks += c.bw * c.bh
	}
	// Before anything of the image's size is allocated: a block has a code for
	// its DC and, but for progressive files, one for the end of its AC.
	least := 2 * blocks
	if progressive {
		least = blocks
	}
	if least > 8*len(d.data) {
		return io.ErrUnexpectedEOF
	}
	for i := range comps {
		c := &comps[i]
		c.pix = make([]byte, 64*c.stride*c.rows)
		if progressive {
			c.coeffs = make([]int16, 64*c.stride*c.rows)
		}
	}
	return nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// quantTables reads quantisation tables, B.2.4.1.
func (d *decoder) quantTables(seg []byte) error {
	for len(seg) > 0 {
		wide, tq := int(seg[0]>>4), seg[0]&15
		n := 64 * (1 + wide)
		if wide > 1 || tq > 3 || len(seg) < 1+n {
			return invalid("a broken quantisation table")
		}
		t := new([64]int32)
		for i := range t {
			if wide == 0 {
				t[i] = int32(seg[1+i])
			} else {
				t[i] = int32(seg[1+2*i])<<8 | int32(seg[2+2*i])
			}
		}
		d.quant[tq] = t
		seg = seg[1+n:]
	}
	return nil
}

// image makes the samples that the scans have not made yet.
func (d *decoder) image() (*Image, error) {
	im := &Image{W: d.w, H: d.h, Space: d.space()}
	for i := range d.comps {
		c := &d.comps[i]
		if c.quant == nil {
			return nil, invalid("component %d has no scan", c.id)
		}
		if c.coeffs != nil {
			var q [64]int32
			for b := range c.stride * c.rows {
				if b%c.stride == 0 {
					if err := d.stopped(); err != nil {
						return nil, err
					}
				}
				for k, v := range c.quant {
					n := zigzag[k]
					q[n] = int32(c.coeffs[64*b+int(n)]) * v
				}
				idct(c.block(b), 8*c.stride, &q)
			}
			c.coeffs = nil
		}
		im.Planes = append(im.Planes, Plane{
			Pix: c.pix, Stride: 8 * c.stride, SX: d.maxH / c.h, SY: d.maxV / c.v,
			W: ceilDiv(d.w*c.h, d.maxH), H: ceilDiv(d.h*c.v, d.maxV),
		})
	}
	return im, nil
}

// block is the samples from block b's first one on.
func (c *component) block(b int) []byte {
	return c.pix[b/c.stride*8*8*c.stride+b%c.stride*8:]
}

// space guesses what the components are as libjpeg does.
func (d *decoder) space() Space {
	switch len(d.comps) {
	case 1:
		return Grey
	case 4:
		if d.adobe > 0 {
			return YCCK
		}
		return CMYK
	}
	id := string([]byte{d.comps[0].id, d.comps[1].id, d.comps[2].id})
	switch {
	case d.jfif:
		return YCbCr
	case d.adobe == 0, d.adobe < 0 && id == "RGB":
		return RGB
	}
	return YCbCr
}

var errShort = errors.New("a scan ends early")
