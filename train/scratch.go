package train

// scratchOf is the most floats that a worker takes for a tile of the pass. The
// memory that a limit leaves to the arena follows from it.
func scratchOf(p *pass) int {
	rows := func(v *value) int { // of a tile
		if p.chunk > 0 {
			return p.chunk
		}
		return p.group * v.hw()
	}
	memos := 0
	for _, v := range p.memos {
		memos += align(rows(v)*v.c) + loadScratch(v, rows(v))
		if v.slopes {
			memos += align(rows(v) * v.c)
		}
	}
	most := 0
	for _, n := range p.nodes {
		most = max(most, nodeScratch(n, rows))
	}
	return memos + most
}

// rowsScratch is what worker.rows takes, loadScratch what worker.load does.
func rowsScratch(v *value, rows int) int {
	if v.store != nil {
		return 0
	}
	return align(rows*v.c) + loadScratch(v, rows)
}

func loadScratch(v *value, rows int) int {
	if v.gate == nil {
		return 0
	}
	return rowsScratch(v.src, rows) + rowsScratch(v.gate, 1)
}

func nodeScratch(n node, tile func(*value) int) int {
	switch n := n.(type) {
	case *pointwise:
		return rowsScratch(n.in, n.chunk) + align(n.chunk*n.out.c) + align(2*n.out.c)
	case *depthwise:
		in := n.reach(n.rows()) * n.rowFloats()
		s := n.slopeScratch(n.reach(n.rows())) + align(in) + align(n.rows()*n.outW*n.out.c) + max(n.edge(), align(2*n.out.c))
		if n.in.grad != nil {
			s += align(n.backRows(n.rows())*n.rowFloats()) + align(max(0, n.kernel-n.stride)*n.rowFloats())
		}
		return s
	case *dense:
		return n.slopeScratch(n.in.h) + 2*align(n.elems()) + n.edge() + align(n.chunk*n.f.k2*n.in.c) + align(n.chunk*n.out.c) + align(2*n.out.c)
	case *winograd:
		images := min(n.images, tile(n.out)/n.out.hw())
		most := n.most(images)
		inner := max(n.edge(), align(n.back.band()*n.outW*n.out.c), align(4*most*n.in.c)+align(2*n.in.c), align(2*n.out.c))
		return n.slopeScratch(images*n.in.h) + align(n.elems()) + align(images*n.back.elems()) + align(16*most*n.in.c) + align(16*most*n.out.c) + inner
	case *activation:
		s := align(2 * n.v.c)
		if n.pool != nil {
			return s + nodeScratch(n.pool, tile)
		}
		return s + align(sumRows*n.v.c)
	case *add:
		return rowsScratch(n.short, tile(n.out)) + loadScratch(n.branch, tile(n.out)) + 2*align(n.out.c)
	case *pool:
		s := rowsScratch(n.in, sumRows) + 2*align(n.in.c)
		if n.gate != nil {
			s += rowsScratch(n.gate.vec, 1)
		}
		return s
	case *maxPool:
		return rowsScratch(n.in, n.in.hw())
	case *gate:
		return rowsScratch(n.in, sumRows) + align(n.in.elems()) + rowsScratch(n.vec, 1)
	case *dropout:
		return loadScratch(n.in, n.in.hw())
	case *crossEntropy:
		return 0
	}
	panic("train: a node of an unknown kind")
}

// slopeScratch is what takeSlopes takes.
func (g *window) slopeScratch(rows int) int {
	if !g.slopes {
		return 0
	}
	return align(rows * g.in.w * g.in.c)
}

// edge is a band of rows on the way into the padded image or out of it.
func (g *window) edge() int {
	band := g.band() * g.in.w
	return max(rowsScratch(g.in, band), align(2*g.in.c)+align(band*g.in.c))
}
