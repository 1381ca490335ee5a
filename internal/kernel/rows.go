package kernel

import "fmt"

// rowsOf is the shape of a matrix of rows with as many channels as coef; no
// rows if there is nothing to do.
func rowsOf(x, coef []float32, act Act) (rows, channels int) {
	if act >= numActs {
		panic(fmt.Sprintf("kernel: activation %d", act))
	}
	if len(coef) == 0 {
		return 0, 0
	}
	return len(x) / len(coef), len(coef)
}

// need is s[:n], which must be within its length.
func need(s []float32, n int) []float32 {
	if n > len(s) {
		panic(fmt.Sprintf("kernel: a slice of %d elements where %d are needed", len(s), n))
	}
	return s[:n]
}

func scaleActGo(dst, src, scale, shift []float32, act Act) {
	m, c := rowsOf(dst, scale, act)
	src, shift = need(src, m*c), need(shift, c)
	for r := 0; r < m*c; r += c {
		d, s := dst[r:r+c], src[r:r+c]
		for i, v := range s {
			d[i] = scale[i]*v + shift[i]
		}
		applyGo(d, d, act)
	}
}

func momentsGo(x, center, sum, sumsq []float32) {
	m, c := rowsOf(x, center, 0)
	sum, sumsq = need(sum, c), need(sumsq, c)
	for r := 0; r < m*c; r += c {
		for i, v := range x[r : r+c] {
			d := v - center[i]
			sum[i] += d
			sumsq[i] += d * d
		}
	}
}

func actBackwardGo(g, dz, y, scale, shift, center []float32, act Act, sumG, sumGY []float32) {
	m, c := rowsOf(g, scale, act)
	dz, y, shift, center, sumG, sumGY = need(dz, m*c), need(y, m*c), need(shift, c), need(center, c), need(sumG, c), need(sumGY, c)
	for r := 0; r < m*c; r += c {
		g, dz, y := g[r:r+c], dz[r:r+c], y[r:r+c]
		for i, v := range y {
			d := dz[i] * actGradGo(scale[i]*v+shift[i], act)
			g[i] = d
			sumG[i] += d
			sumGY[i] += d * (v - center[i])
		}
	}
}

func swishSlopeGo(dst, slope, src, scale, shift []float32) {
	m, c := rowsOf(dst, scale, Swish)
	slope, src, shift = need(slope, m*c), need(src, m*c), need(shift, c)
	for r := 0; r < m*c; r += c {
		dst, slope := dst[r:r+c], slope[r:r+c]
		for i, v := range src[r : r+c] {
			u := scale[i]*v + shift[i]
			dst[i], slope[i] = swish(u), actGradGo(u, Swish)
		}
	}
}

func slopeBackwardGo(g, dz, slope, y, center, sumG, sumGY []float32) {
	m, c := rowsOf(g, center, Swish)
	dz, slope, y, sumG, sumGY = need(dz, m*c), need(slope, m*c), need(y, m*c), need(sumG, c), need(sumGY, c)
	for r := 0; r < m*c; r += c {
		g, dz, slope := g[r:r+c], dz[r:r+c], slope[r:r+c]
		for i, v := range y[r : r+c] {
			d := dz[i] * slope[i]
			g[i] = d
			sumG[i] += d
			sumGY[i] += d * (v - center[i])
		}
	}
}

func gatedBackwardGo(g, slope, y, gate, shift, center, sumG, sumGY []float32) {
	scaleActGo(g, g, gate, shift, Identity)
	slopeBackwardGo(g, g, slope, y, center, sumG, sumGY)
}

func affine2Go(dst, g, y, a, b, c []float32) {
	m, n := rowsOf(dst, a, 0)
	g, y, b, c = need(g, m*n), need(y, m*n), need(b, n), need(c, n)
	for r := 0; r < m*n; r += n {
		dst, g, y := dst[r:r+n], g[r:r+n], y[r:r+n]
		for i, v := range y {
			dst[i] = a[i]*g[i] + b[i]*v + c[i]
		}
	}
}

func sumRowsGo(x, sum []float32) {
	m, c := rowsOf(x, sum, 0)
	for r := 0; r < m*c; r += c {
		addGo(sum, x[r:])
	}
}

func dotRowsGo(x, y, sum []float32) {
	m, c := rowsOf(x, sum, 0)
	y = need(y, m*c)
	for r := 0; r < m*c; r += c {
		x, y := x[r:r+c], y[r:r+c]
		for i, v := range x {
			sum[i] += v * y[i]
		}
	}
}

func addGo(dst, src []float32) {
	for i, v := range need(src, len(dst)) {
		dst[i] += v
	}
}

func axpyGo(alpha float32, dst, src []float32) {
	for i, v := range need(src, len(dst)) {
		dst[i] += alpha * v
	}
}
