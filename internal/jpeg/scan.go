package jpeg

// zigzag maps the order of coefficients in a file to rows, A.3.6. The entries
// at the end catch runs beyond the last coefficient.
var zigzag = [64 + 16]uint8{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
	63, 63, 63, 63, 63, 63, 63, 63,
	63, 63, 63, 63, 63, 63, 63, 63,
}

// part is a component's part in a scan.
type part struct {
	*component
	dc, ac *huffman
	pred   int32 // the last DC
}

// spectrum is what of the coefficients a scan holds, B.2.3.
type spectrum struct {
	start, end int // in zigzag order
	high, low  int // successive approximation: bits of the scan before, of this one
}

// scan reads a scan header and its data.
func (d *decoder) scan(seg []byte) error {
	if d.comps == nil {
		return invalid("a scan comes before the frame")
	}
	if len(seg) < 1 || len(seg) != 4+2*int(seg[0]) || seg[0] < 1 || int(seg[0]) > len(d.comps) {
		return invalid("the scan's header has %d bytes", len(seg))
	}
	n := int(seg[0])
	tail := seg[1+2*n:]
	sp := spectrum{int(tail[0]), int(tail[1]), int(tail[2] >> 4), int(tail[2] & 15)}
	if !d.progressive {
		sp = spectrum{0, 63, 0, 0} // what a file says is to be ignored
	}
	if sp.start > sp.end || sp.end > 63 || sp.start == 0 && sp.end != 0 && d.progressive ||
		sp.start > 0 && n != 1 || sp.high != 0 && sp.high != sp.low+1 || sp.low > 13 {
		return invalid("a scan of coefficients %d to %d, bits %d to %d, of %d components", sp.start, sp.end, sp.high, sp.low, n)
	}
	parts := make([]part, n)
	for i := range parts {
		id, tables := seg[1+2*i], seg[2+2*i]
		for j := range d.comps {
			if c := &d.comps[j]; c.id == id {
				parts[i].component = c
			}
		}
		p := &parts[i]
		if p.component == nil {
			return invalid("a scan of component %d, which the frame has not", id)
		}
		for _, other := range parts[:i] {
			if other.component == p.component {
				return invalid("a scan has component %d twice", id)
			}
		}
		if tables>>4 > 3 || tables&15 > 3 {
			return invalid("a scan with Huffman tables %d and %d", tables>>4, tables&15)
		}
		p.dc, p.ac = d.dc[tables>>4], d.ac[tables&15]
		if sp.start == 0 && sp.high == 0 && p.dc == nil || sp.end > 0 && p.ac == nil {
			return invalid("a scan without its Huffman table")
		}
		if p.quant == nil {
			if p.quant = d.quant[p.tq]; p.quant == nil {
				return invalid("component %d without its quantisation table", id)
			}
		}
	}
	d.bits = bits{data: d.data}
	d.bits.start(d.pos)
	d.eobRun = 0
	if err := d.mcus(parts, sp); err != nil {
		return err
	}
	d.pos = d.bits.pos // the bits never read past a marker
	return nil
}

// mcus reads all MCUs of a scan, A.2.
func (d *decoder) mcus(parts []part, sp spectrum) error {
	w, h := d.mcusX, d.mcusY
	single := len(parts) == 1
	if single { // an MCU is a block, and there are none but the image's
		w, h = parts[0].bw, parts[0].bh
	}
	left := d.interval
	for y := range h {
		if err := d.stopped(); err != nil {
			return err
		}
		for x := range w {
			if d.interval > 0 && left == 0 {
				if err := d.restart(parts, (y*w+x)/d.interval-1); err != nil {
					return err
				}
				left = d.interval
			}
			left--
			for i := range parts {
				p := &parts[i]
				if single {
					if err := d.block(p, sp, y*p.stride+x); err != nil {
						return err
					}
					continue
				}
				for v := range p.v {
					for u := range p.h {
						if err := d.block(p, sp, (y*p.v+v)*p.stride+x*p.h+u); err != nil {
							return err
						}
					}
				}
			}
			if d.bits.overrun() {
				return errShort
			}
		}
	}
	return nil
}

// restart passes restart marker number n.
func (d *decoder) restart(parts []part, n int) error {
	d.pos = d.bits.pos
	m, err := d.marker()
	if err != nil {
		return err
	}
	if int(m) != rst0+n%8 {
		return invalid("restart marker %d is missing", n%8)
	}
	d.bits.start(d.pos)
	d.eobRun = 0
	for i := range parts {
		parts[i].pred = 0
	}
	return nil
}

// block reads one block.
func (d *decoder) block(p *part, sp spectrum, b int) error {
	if !d.progressive {
		var q [64]int32
		last, err := d.sequential(p, &q)
		if err != nil {
			return err
		}
		if last == 0 {
			flat(p.block(b), 8*p.stride, q[0])
		} else {
			idct(p.block(b), 8*p.stride, &q)
		}
		return nil
	}
	coeffs := (*[64]int16)(p.coeffs[64*b:])
	switch {
	case sp.start == 0 && sp.high == 0:
		diff, err := d.difference(p)
		p.pred += diff
		coeffs[0] = int16(p.pred << sp.low)
		return err
	case sp.start == 0:
		coeffs[0] |= int16(d.bits.take(1) << sp.low)
		return nil
	case sp.high == 0:
		return d.acFirst(p, sp, coeffs)
	}
	return d.acRefine(p, sp, coeffs)
}

// difference reads a DC difference, F.2.2.1.
func (d *decoder) difference(p *part) (int32, error) {
	s := d.bits.code(p.dc)
	if s < 0 || s > 15 {
		return 0, invalid("a broken Huffman code")
	}
	return d.bits.extend(s), nil
}

// sequential reads a block of a baseline or extended file, F.2.2, into q, which
// is zero: coefficients in natural order times their quantisers. last is the
// position in zigzag order of the last one that is there.
func (d *decoder) sequential(p *part, q *[64]int32) (last int, err error) {
	diff, err := d.difference(p)
	if err != nil {
		return 0, err
	}
	p.pred += diff
	q[0] = int32(int16(p.pred)) * p.quant[0]
	b, h, quant := &d.bits, p.ac, p.quant
	acc, n := b.acc, b.n
	for k := 1; k < 64; k++ {
		if n < 32 { // a code of 16 bits and a number of 15
			b.n = n
			b.fill()
			acc, n = b.acc, b.n
		}
		next := acc >> (n - lookup) & (1<<lookup - 1)
		if e := h.number[next]; e != 0 {
			n -= int(e & 0xff)
			k += int(e >> 8 & 15)
			last = min(k, 63)
			q[zigzag[k]] = e >> 16 * quant[last]
			continue
		}
		rs := 0
		if e := h.short[next]; e != 0 {
			n -= int(e & 0xff)
			rs = int(e >> 8)
		} else {
			b.n = n
			if rs = b.long(h); rs < 0 {
				return 0, invalid("a broken Huffman code")
			}
			n = b.n
		}
		r, s := rs>>4, rs&15
		if s == 0 {
			if r != 15 {
				break
			}
			k += 15
			continue
		}
		k += r
		n -= s
		last = min(k, 63)
		q[zigzag[k]] = signed(int32(acc>>n)&(1<<s-1), s) * quant[last]
	}
	b.n = n
	return last, nil
}

// acFirst reads a block's first AC scan, G.1.2.2.
func (d *decoder) acFirst(p *part, sp spectrum, coeffs *[64]int16) error {
	if d.eobRun > 0 {
		d.eobRun--
		return nil
	}
	b := &d.bits
	for k := sp.start; k <= sp.end; k++ {
		rs := b.code(p.ac)
		if rs < 0 {
			return invalid("a broken Huffman code")
		}
		r, s := rs>>4, rs&15
		if s == 0 {
			if r != 15 {
				d.eobRun = 1<<r + int(b.take(r)) - 1
				break
			}
			k += 15
			continue
		}
		k += r
		coeffs[zigzag[k]] = int16(b.extend(s) << sp.low)
	}
	return nil
}

// acRefine reads a later AC scan, G.1.2.3: a bit for each coefficient that is
// not zero, and those that become so.
func (d *decoder) acRefine(p *part, sp spectrum, coeffs *[64]int16) error {
	b := &d.bits
	bit := int16(1) << sp.low
	// correct reads the bit of a coefficient.
	correct := func(c *int16) {
		if b.take(1) != 0 && *c&bit == 0 {
			if *c > 0 {
				*c += bit
			} else {
				*c -= bit
			}
		}
	}
	k := sp.start
	if d.eobRun == 0 {
		for ; k <= sp.end; k++ {
			rs := b.code(p.ac)
			if rs < 0 {
				return invalid("a broken Huffman code")
			}
			r, s := rs>>4, rs&15
			var value int16
			switch {
			case s == 1:
				if value = -bit; b.take(1) != 0 {
					value = bit
				}
			case s != 0:
				return invalid("a broken refinement")
			case r != 15:
				d.eobRun = 1<<r + int(b.take(r))
			}
			if s == 0 && r != 15 {
				break
			}
			// Pass r zeros, and correct what lies between.
			for ; k <= sp.end; k++ {
				c := &coeffs[zigzag[k]]
				if *c != 0 {
					correct(c)
					continue
				}
				if r == 0 {
					break
				}
				r--
			}
			if value != 0 && k <= sp.end {
				coeffs[zigzag[k]] = value
			}
		}
	}
	if d.eobRun > 0 {
		for ; k <= sp.end; k++ {
			if c := &coeffs[zigzag[k]]; *c != 0 {
				correct(c)
			}
		}
		d.eobRun--
	}
	return nil
}
