package train

import (
	"cmp"
	"slices"

	"effnet/internal/kernel"
)

// Sizes of tiles, in floats. They decide rounding, so they are fixed numbers
// and not this machine's caches.
const (
	tileFloats = 96 << 10 // what one tile of images reads and writes in a node
	rowFloats  = 48 << 10 // what one chunk of rows does
	memoFloats = 1 << 20  // a value of one image larger than this is made again instead of kept
	chunkStep  = 48       // rows: a multiple of every kernel's tile
	maxChunk   = 960
	// Lanes of a pass over vectors alone, whose products are worth the more the
	// more images they have.
	vectorLanes = 2
)

// chunkRows is how many rows of the given width make a chunk.
func chunkRows(width int) int {
	return min(max(rowFloats/width/chunkStep, 1)*chunkStep, maxChunk)
}

// order settles in which pass each node goes backward, which gradients share
// memory, who writes one first, and how long they live.
func (pl *planner) order() ([]*pass, error) {
	if err := pl.finishes(); err != nil {
		return nil, err
	}
	passes := make([]*pass, pl.pass+1)
	for i := range passes {
		passes[i] = &pass{}
	}
	slices.SortFunc(pl.nodes, func(a, b node) int {
		p, q := pl.places[a], pl.places[b]
		return cmp.Or(cmp.Compare(p.pass, q.pass), cmp.Compare(p.index, q.index))
	})
	pl.gradients()
	for _, n := range slices.Backward(pl.nodes) {
		p := passes[pl.places[n].pass]
		goes := target(n).needsGrad && pl.planBackward(n)
		if goes {
			p.back = append(p.back, n)
		}
		if _, onDemand := n.(*activation); goes || !onDemand {
			p.nodes = append(p.nodes, n)
		}
	}
	for _, p := range passes {
		slices.Reverse(p.nodes)
		slices.Reverse(p.back)
	}
	for _, b := range pl.norms {
		made, done := passes[pl.places[b.out.src.maker].pass], passes[b.out.finish]
		made.norms = append(made.norms, b)
		if b.out.needsGrad {
			done.grads = append(done.grads, b)
		}
	}
	for i, p := range passes {
		pl.tiles(p, i == len(passes)-1)
		p.reductions()
	}
	return passes, nil
}

// back is the time at which pass p goes backward. The last pass does so as
// soon as a tile has gone forward.
func (pl *planner) back(p int) int { return 2*pl.pass - p }

// finishes finds for every value the earliest pass that reads it: in backward
// that is the last to add to its gradient. Values made on demand get the node
// that takes their gradient on from there.
func (pl *planner) finishes() error {
	seen := map[*value]bool{}
	for i := len(pl.values) - 1; i >= 0; i-- {
		v := pl.values[i]
		if seen[v] || pl.under[v] {
			continue // a batch norm's value, met as its activation, or a convolution whose gradient follows from it
		}
		seen[v] = true
		if len(v.readers) == 0 {
			return pl.fail(v.op, "nothing reads its value")
		}
		v.finish = pl.pass
		for _, n := range v.readers {
			v.finish = min(v.finish, pl.places[n].pass)
		}
		switch {
		case v.gate != nil:
			for n, at := range pl.places {
				if g, ok := n.(*gate); ok && g.out == v {
					pl.places[n] = place{v.finish, at.index}
				}
			}
		case v.src != nil:
			n := &activation{v: v}
			pl.nodes = append(pl.nodes, n)
			pl.places[n] = place{v.finish, i}
			v.src.readers = append(v.src.readers, n)
		}
	}
	return nil
}

// gradients makes buffers for the gradients of values.
func (pl *planner) gradients() {
	for _, v := range pl.values {
		if v.grad != nil || !v.needsGrad || pl.under[v] {
			continue
		}
		v.grad = &buffer{elems: v.elems(), first: pl.back(v.finish), last: pl.back(v.finish)}
	}
}

// contribute notes that a node of pass p writes v's gradient, and reports
// whether it has to add to what is there.
func (pl *planner) contribute(v *value, p int) (acc bool) {
	acc = v.touched
	v.touched = true
	if v.grad != nil {
		v.grad.live(pl.back(p))
	}
	return acc
}

// only reports whether v is read by the given nodes and no others.
func (v *value) only(ns ...node) bool {
	for _, r := range v.readers {
		if !slices.Contains(ns, r) {
			return false
		}
	}
	return true
}

// target is the value whose gradient a node takes on.
func target(n node) *value {
	switch n := n.(type) {
	case *pointwise:
		return n.out
	case *depthwise:
		return n.out
	case *dense:
		return n.out
	case *winograd:
		return n.out
	case *activation:
		return n.v
	case *pool:
		return n.out
	case *maxPool:
		return n.out
	case *gate:
		return n.out
	case *add:
		return n.out
	case *dropout:
		return n.out
	case *crossEntropy:
		return n.logits
	}
	panic("train: a node of an unknown kind")
}

// planBackward is called for nodes in the order of their backward. It reports
// whether the node has anything to do.
func (pl *planner) planBackward(n node) bool {
	p := pl.places[n].pass
	switch n := n.(type) {
	case *crossEntropy:
		pl.contribute(n.logits, p)
	case *pointwise:
		n.acc = pl.contribute(n.in, p)
		pl.readGrad(n.out, n.bn, p)
	case *depthwise:
		pl.planWindow(&n.window, n.f, n, p)
		pl.readGrad(n.out, n.bn, p)
	case *dense:
		pl.planWindow(&n.window, n.f, n, p)
		pl.readGrad(n.out, n.bn, p)
	case *winograd:
		pl.planWindow(&n.window, n.f, n, p)
		pl.readGrad(n.out, n.bn, p)
	case *activation:
		v := n.v
		if v.bn == nil {
			n.acc = pl.contribute(v.src, p)
		} else if w, ok := v.readers[0].(interface{ undoes() bool }); ok && w.undoes() {
			return false
		}
	case *pool:
		n.out.grad.live(pl.back(p))
		if n.gate == nil {
			n.acc = pl.contribute(n.in, p)
		}
	case *maxPool:
		n.out.grad.live(pl.back(p))
		n.acc = pl.contribute(n.in, p)
	case *gate:
		pl.planGate(n, p)
	case *add:
		pl.planAdd(n, p)
	case *dropout:
		n.out.grad.live(pl.back(p))
		n.acc = pl.contribute(n.in, p)
	}
	return true
}

// readGrad notes that the maker of y, in pass p, reads its gradient.
func (pl *planner) readGrad(y *value, bn *batchNorm, p int) {
	if bn != nil {
		y = bn.out
	}
	y.grad.live(pl.back(p))
}

func (pl *planner) planWindow(g *window, f *filter, n node, p int) {
	g.fused = g.in.bn != nil && g.in.grad != nil && g.in.only(n)
	g.slopes = g.fused && g.in.swishes() && g.reachesAll() && !f.frozen
	g.acc = pl.contribute(g.in, p)
}

// undoes reports whether the node goes back through its input's activation.
func (g *window) undoes() bool { return g.fused }

// planGate lets the pool of a squeeze-and-excite complete the gradient of the
// map that both read, in the memory of the gated map's gradient.
func (pl *planner) planGate(n *gate, p int) {
	n.vecAcc = pl.contribute(n.vec, p)
	n.out.grad.live(pl.back(p))
	v := n.in
	if v.grad != nil && !v.touched && v.bn != nil {
		for _, r := range v.readers {
			if q, ok := r.(*pool); ok && v.only(n, q) && pl.places[r].pass == p {
				v.grad = n.out.grad
				v.touched = true
				n.pooled, q.gate = true, n
				return
			}
		}
	}
	n.inAcc = pl.contribute(v, p)
}

// planAdd hands the memory of the sum's gradient on to its inputs where no
// write to one can come before the last read of another.
func (pl *planner) planAdd(n *add, p int) {
	g := n.out.grad
	g.live(pl.back(p))
	b, s := n.branch, n.short
	sameBranch := b.needsGrad && b.bn != nil && b.act == kernel.Identity && n.rate == 0 && b.only(n) && b != s
	readUntil := p // the lowest pass in which the branch reads g
	if sameBranch {
		readUntil = pl.places[b.src.maker].pass
	}
	sameShort := s.grad != nil && s.gate == nil && b != s && !s.touched && (!sameBranch || s.finish < readUntil)
	for _, r := range s.readers {
		if r != n && sameBranch && pl.places[r].pass >= readUntil {
			sameShort = false
		}
	}
	if sameBranch {
		b.grad, n.branchSame = g, true
	}
	n.branchAcc = pl.contribute(b, p)
	if sameShort {
		s.grad, n.shortSame = g, true
	}
	n.shortAcc = pl.contribute(s, p)
}

// tiles chooses how a pass cuts its work.
func (pl *planner) tiles(p *pass, last bool) {
	pointwiseOnly, vectors := !last, true
	width, image := 0, 0
	hws := map[int]bool{}
	p.lanes = maxLanes
	readers := map[*value]int{}
	for _, n := range p.nodes {
		var in, out *value
		switch n := n.(type) {
		case *pointwise:
			in, out = n.in, n.out
			n.chunk = chunkRows(in.c + out.c)
			n.planWhole(p, pl.batch)
		case *add:
			in, out = n.branch, n.out
		case *activation:
			in, out = n.v, n.v
		case *dense:
			in, out = n.in, n.out
			n.chunk = chunkRows(n.f.k2*in.c + out.c)
		case *winograd:
			in, out = n.in, n.out
		case *depthwise:
			in, out = n.in, n.out
		case *pool:
			in, out = n.in, n.out
		case *maxPool:
			in, out = n.in, n.out
		case *gate:
			in, out = n.in, n.out
		case *dropout:
			in, out = n.in, n.out
		case *crossEntropy:
			in, out = n.logits, n.logits
		}
		switch n.(type) {
		case *pointwise, *add, *activation:
			hws[out.hw()] = true
		default:
			pointwiseOnly = false
		}
		vectors = vectors && in.hw() == 1 && out.hw() == 1
		width = max(width, in.c+out.c)
		image = max(image, in.elems()+out.elems())
		if in.store == nil {
			readers[in]++
		}
	}
	if pointwiseOnly && len(hws) == 1 {
		p.chunk = chunkRows(width)
		for hw := range hws {
			p.hw = hw
		}
		return
	}
	if vectors {
		p.lanes = vectorLanes
	}
	p.group = max(1, tileFloats/image)
	for _, n := range p.nodes {
		if g, ok := n.(*gate); ok && readers[g.in] > 1 && g.in.elems() <= memoFloats && !slices.Contains(p.memos, g.in) {
			p.memos = append(p.memos, g.in)
			p.shareSlopes(g.in)
		}
	}
}

// shareSlopes has the activation of v, which a gate reads, made once for its value
// and its slope, if this is the pass that takes its gradient on. A pool that would
// complete that gradient leaves it to the activation.
func (p *pass) shareSlopes(v *value) {
	for _, n := range p.back {
		a, ok := n.(*activation)
		if !ok || a.v != v || !v.swishes() {
			continue
		}
		v.slopes = true
		p.back = slices.DeleteFunc(p.back, func(n node) bool {
			q, ok := n.(*pool)
			if !ok || q.in != v || q.gate == nil {
				return false
			}
			a.pool = q
			return true
		})
		return
	}
}

// reductions lays out a lane's block of gradients and the jobs that sum them.
func (p *pass) reductions() {
	for _, n := range p.nodes {
		var f *filter
		switch n := n.(type) {
		case *pointwise:
			f = n.f
		case *depthwise:
			f = n.f
		case *dense:
			f = n.f
		case *winograd:
			f = n.f
		default:
			continue
		}
		for _, q := range f.partials() {
			q.off = p.block
			p.block += align(q.rows * q.cols)
			for j := range q.jobs() {
				p.jobs = append(p.jobs, reduction{q, j})
			}
		}
	}
	p.heavy = p.heavy || p.block*p.lanes >= 4*reduceElems
}
