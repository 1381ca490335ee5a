package train

// whole is the gradient of a pointwise weight that is large beside the rows of
// a batch: dw [cout,cin] is one product of dy [m,cout] and x [m,cin], made
// after the pass's backward, some rows of dw a job. Lanes that summed it each
// in memory of their own would move more than both factors are.
type whole struct {
	*pointwise
	// Where both are gathered in the stash, in floats of an image; -1: they are
	// kept anyway.
	x, dy int
}

// wholeRows is how many rows of a weight's gradient are a job.
const wholeRows = 2 * chunkStep

// panelFloats is the weight that does not stay in a core's own cache while a
// lane's few rows meet it backwards.
const panelFloats = 1 << 18

// planWhole chooses the way for n, which goes backward in pass p over batch
// images.
func (n *pointwise) planWhole(p *pass, batch int) {
	f := n.f
	rows := batch * n.in.hw()
	if f.frozen || rows*(f.cin+f.cout) > maxLanes*f.cin*f.cout {
		return
	}
	if f.bwd != nil && len(f.w) >= panelFloats {
		f.packBwd()
	}
	g := &whole{pointwise: n, x: -1, dy: -1}
	f.whole = g
	if n.in.store == nil {
		g.x = p.stash
		p.stash += align(n.in.elems())
	}
	if n.bn != nil {
		g.dy = p.stash
		p.stash += align(n.out.elems())
	}
	for r := 0; r < f.cout; r += wholeRows {
		p.jobs = append(p.jobs, wholeJob{g, r})
	}
	p.heavy = true
}

// stashed is the stash from what is at in one image.
func (e *engine) stashed(at int) []float32 { return e.stash[at*e.micro:] }

// gather keeps rows [a,b) of both factors and returns those of dy.
func (g *whole) gather(e *engine, w *worker, a, b int) (dy []float32) {
	if g.x >= 0 {
		w.load(e.stashed(g.x)[a*g.f.cin:b*g.f.cin], g.in, a, b)
	}
	if g.dy < 0 {
		return g.out.gradAt(a, b)
	}
	dy = e.stashed(g.dy)[a*g.f.cout : b*g.f.cout]
	g.bn.backward(w, dy, a, b)
	return dy
}

// wholeJob makes the rows of a weight's gradient from the given one on.
type wholeJob struct {
	*whole
	row int
}

func (j wholeJob) run(e *engine) {
	f := j.f
	m := e.part * j.in.hw()
	end := min(j.row+wholeRows, f.cout)
	var x, dy []float32
	if j.x >= 0 {
		x = e.stashed(j.x)
	} else {
		x = j.in.at(0, m)
	}
	if j.dy >= 0 {
		dy = e.stashed(j.dy)
	} else {
		dy = j.out.gradAt(0, m)
	}
	e.k.Gemm(end-j.row, f.cin, m, dy[j.row:], 1, f.cout, x, f.cin, f.dw[j.row*f.cin:], f.cin, e.first > 0, nil)
}
