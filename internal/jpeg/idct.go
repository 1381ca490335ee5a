package jpeg

import "encoding/binary"

// The inverse DCT of libjpeg's jidctint.c, called islow there, after Loeffler,
// Ligtenberg and Moschytz, "Practical Fast 1-D DCT Algorithms with 11
// Multiplications" (1989). Numbers have 13 bits of fraction; after the columns,
// 2 of them are kept.
const (
	constBits = 13
	passBits  = 2

	fix0298 = 2446  // 0.298631336
	fix0390 = 3196  // 0.390180644
	fix0541 = 4433  // 0.541196100
	fix0765 = 6270  // 0.765366865
	fix0899 = 7373  // 0.899976223
	fix1175 = 9633  // 1.175875602
	fix1501 = 12299 // 1.501321110
	fix1847 = 15137 // 1.847759065
	fix1961 = 16069 // 1.961570560
	fix2053 = 16819 // 2.053119869
	fix2562 = 20995 // 2.562915447
	fix3072 = 25172 // 3.072711026
)

// idct1 transforms eight numbers; the results have constBits more of fraction.
func idct1(x0, x1, x2, x3, x4, x5, x6, x7 int32) (y0, y1, y2, y3, y4, y5, y6, y7 int32) {
	// Even part.
	z := (x2 + x6) * fix0541
	t2, t3 := z-x6*fix1847, z+x2*fix0765
	t0, t1 := (x0+x4)<<constBits, (x0-x4)<<constBits
	e0, e3, e1, e2 := t0+t3, t0-t3, t1+t2, t1-t2
	// Odd part.
	z1, z2, z3, z4 := x7+x1, x5+x3, x7+x3, x5+x1
	z5 := (z3 + z4) * fix1175
	z1, z2 = -z1*fix0899, -z2*fix2562
	z3, z4 = z5-z3*fix1961, z5-z4*fix0390
	o0, o1 := x7*fix0298+z1+z3, x5*fix2053+z2+z4
	o2, o3 := x3*fix3072+z2+z3, x1*fix1501+z1+z4
	return e0 + o3, e1 + o2, e2 + o1, e3 + o0, e3 - o0, e2 - o1, e1 - o2, e0 - o3
}

// flat is idct of a block that has only a DC.
func flat(pix []byte, stride int, dc int32) {
	const s = constBits + passBits + 3
	v := uint64(sample((dc<<passBits+1<<(s-1-constBits))<<constBits>>s)) * 0x0101010101010101
	for r := range 8 {
		binary.LittleEndian.PutUint64(pix[r*stride:], v)
	}
}

// idct writes the 8x8 samples of a block of coefficients q, in natural order, to
// pix, whose rows lie stride apart. It leaves other numbers in q.
func idct(pix []byte, stride int, q *[64]int32) {
	const s1 = constBits - passBits
	for c := range 8 {
		if q[8+c]|q[16+c]|q[24+c]|q[32+c]|q[40+c]|q[48+c]|q[56+c] == 0 {
			dc := q[c] << passBits
			q[c], q[8+c], q[16+c], q[24+c], q[32+c], q[40+c], q[48+c], q[56+c] = dc, dc, dc, dc, dc, dc, dc, dc
			continue
		}
		y0, y1, y2, y3, y4, y5, y6, y7 := idct1(q[c], q[8+c], q[16+c], q[24+c], q[32+c], q[40+c], q[48+c], q[56+c])
		const half = 1 << (s1 - 1)
		q[c], q[8+c], q[16+c], q[24+c] = (y0+half)>>s1, (y1+half)>>s1, (y2+half)>>s1, (y3+half)>>s1
		q[32+c], q[40+c], q[48+c], q[56+c] = (y4+half)>>s1, (y5+half)>>s1, (y6+half)>>s1, (y7+half)>>s1
	}
	const s2 = constBits + passBits + 3
	const half = 1 << (s2 - 1 - constBits) // comes out as half of what is shifted off
	for r := range 8 {
		x := q[8*r : 8*r+8 : 8*r+8]
		y0, y1, y2, y3, y4, y5, y6, y7 := idct1(x[0]+half, x[1], x[2], x[3], x[4], x[5], x[6], x[7])
		p := pix[r*stride : r*stride+8 : r*stride+8]
		p[0], p[1], p[2], p[3] = sample(y0>>s2), sample(y1>>s2), sample(y2>>s2), sample(y3>>s2)
		p[4], p[5], p[6], p[7] = sample(y4>>s2), sample(y5>>s2), sample(y6>>s2), sample(y7>>s2)
	}
}

// sample shifts a level to 0..255 and clips it.
func sample(v int32) byte { return byte(min(max(v+128, 0), 255)) }
