package train

import (
	"cmp"
	"slices"
)

// Where memory is short, a kept value can be dropped once forward has read it
// last, and made again by the nodes that made it, just before backward wants
// it. Batch norms know their moments by then, so it comes out the same to the
// bit, and with it every gradient.

// kept is a value of the whole micro-batch, and what is known of its life.
type kept struct {
	v       *value
	maker   node
	sources []int // the kept values that its maker reads

	made, read int     // the passes that make it, and read it last, in forward
	high, low  int     // the passes whose backward touches it first and last; -1: none
	cost       float64 // of making it again, in multiply-adds of an image

	dropped bool
	again   int // of a dropped one: the pass before whose backward it is made again
	// The passes before whose backward dropped values are made from it.
	wantHigh, wantLow int
}

// lives is the plan of how long the buffers of a network live.
type lives struct {
	kept  []kept // in order of ops
	grads []*buffer
	last  int   // pass
	used  []int // by time: floats of an image; scratch of excess
}

// newLives finds the lives of a network whose passes are in order.
func newLives(pl *planner, passes []*pass) *lives {
	l := &lives{last: pl.pass, used: make([]int, 2*pl.pass+2)}
	makers := map[*value]node{}
	for _, n := range pl.nodes {
		switch n.(type) {
		case *activation, *crossEntropy: // they make no value
		default:
			makers[target(n)] = n
		}
	}
	derived := map[*value][]*value{}
	seen := map[*value]bool{}
	at := map[*value]int{} // index in kept
	for _, v := range pl.values {
		if seen[v] || v == pl.input {
			continue
		}
		seen[v] = true
		if v.src != nil {
			derived[v.src] = append(derived[v.src], v)
		}
		if v.gate != nil {
			derived[v.gate] = append(derived[v.gate], v)
		}
		if v.store != nil {
			at[v] = len(l.kept)
			l.kept = append(l.kept, kept{v: v, maker: makers[v], made: v.store.first, high: -1, low: -1})
		}
	}
	for i := range l.kept {
		k := &l.kept[i]
		k.touch(passes, k.made)
		var reads func(v *value)
		reads = func(v *value) {
			for _, n := range v.readers {
				k.touch(passes, pl.places[n].pass)
			}
			for _, d := range derived[v] {
				reads(d)
			}
		}
		reads(k.v)
		inputs, cost := forwardOf(k.maker)
		k.cost = cost
		var resolve func(v *value)
		resolve = func(v *value) {
			switch {
			case v == pl.input:
			case v.store != nil:
				k.sources = append(k.sources, at[v])
			default:
				resolve(v.src)
				if v.gate != nil {
					resolve(v.gate)
				}
			}
		}
		for _, v := range inputs {
			resolve(v)
		}
	}
	out := &l.kept[at[pl.values[pl.g.Output()]]]
	out.low = 0 // logits stay readable after the step
	seenGrad := map[*buffer]bool{nil: true}
	for _, v := range pl.values {
		if !seenGrad[v.grad] {
			seenGrad[v.grad] = true
			l.grads = append(l.grads, v.grad)
		}
	}
	return l
}

// touch notes that pass p reads or makes the value.
func (k *kept) touch(passes []*pass, p int) {
	k.read = max(k.read, p)
	if len(passes[p].back) == 0 {
		return
	}
	k.high = max(k.high, p)
	if k.low < 0 || p < k.low {
		k.low = p
	}
}

// What a pixel's channel costs to read or write, and a depthwise
// multiply-add, in multiply-adds of a matrix product.
const (
	touchCost     = 20
	depthwiseCost = 4
)

// forwardOf is what a node reads, and what an image costs it.
func forwardOf(n node) (in []*value, cost float64) {
	product := func(in, out *value, f *filter, weight int) float64 {
		return float64(out.elems())*float64(f.k2*f.cin*weight) + touchCost*float64(in.elems()+out.elems())
	}
	switch n := n.(type) {
	case *pointwise:
		return []*value{n.in}, product(n.in, n.out, n.f, 1)
	case *dense:
		return []*value{n.in}, product(n.in, n.out, n.f, 1)
	case *winograd:
		return []*value{n.in}, product(n.in, n.out, n.f, 1)
	case *depthwise:
		return []*value{n.in}, product(n.in, n.out, n.f, depthwiseCost)
	case *add:
		return []*value{n.branch, n.short}, touchCost * 3 * float64(n.out.elems())
	case *pool:
		return []*value{n.in}, touchCost * float64(n.in.elems())
	case *maxPool:
		return []*value{n.in}, touchCost * float64(n.in.elems()+n.out.elems())
	case *dropout:
		return []*value{n.in}, touchCost * float64(n.in.elems()+n.out.elems())
	}
	panic("train: a node of an unknown kind makes a kept value")
}

// back is the time at which pass p goes backward.
func (l *lives) back(p int) int { return 2*l.last - p }

// droppable reports whether dropping k can free memory.
func (l *lives) droppable(k *kept) bool {
	return k.v.hw() > 1 && k.high >= 0 && k.high < l.last && k.read < l.last
}

// spans settles when dropped values are made again, and calls f with every
// life of every kept value.
func (l *lives) spans(f func(k *kept, again bool, first, last int)) {
	for i := range l.kept {
		l.kept[i].wantHigh, l.kept[i].wantLow = -1, l.last+1
	}
	for i := len(l.kept) - 1; i >= 0; i-- { // sources come before what is made from them
		k := &l.kept[i]
		last := k.read
		if k.high >= 0 {
			last = max(last, l.back(k.low))
		}
		if k.wantHigh >= 0 {
			last = max(last, l.back(k.wantLow))
		}
		if !k.dropped {
			f(k, false, k.made, last)
			continue
		}
		k.again = max(k.high, k.wantHigh)
		for _, s := range k.sources {
			src := &l.kept[s]
			src.wantHigh, src.wantLow = max(src.wantHigh, k.again), min(src.wantLow, k.again)
		}
		f(k, false, k.made, k.read)
		f(k, true, l.back(k.again), last)
	}
}

// excess sums over time what an image holds beyond most floats.
func (l *lives) excess(most int) (sum int) {
	clear(l.used)
	hold := func(elems, first, last int) {
		l.used[first] += elems
		l.used[last+1] -= elems
	}
	for _, b := range l.grads {
		hold(b.elems, b.first, b.last)
	}
	l.spans(func(k *kept, _ bool, first, last int) { hold(k.v.elems(), first, last) })
	now := 0
	for _, d := range l.used {
		now += d
		sum += max(0, now-most)
	}
	return sum
}

// drop drops values so that an image never holds more than most floats, the
// cheapest for what they free first. It reports whether it could.
func (l *lives) drop(most int) bool {
	type candidate struct {
		k     *kept
		score float64 // excess that its drop removes, for its cost
		fresh bool    // score is of the present state
	}
	var list []candidate
	for i := range l.kept {
		k := &l.kept[i]
		k.dropped = false
		if l.droppable(k) {
			list = append(list, candidate{k: k})
		}
	}
	excess := l.excess(most)
	gain := func(k *kept) int {
		k.dropped = true
		g := excess - l.excess(most)
		k.dropped = false
		return g
	}
	for i := range list {
		list[i].score, list[i].fresh = float64(gain(list[i].k))/list[i].k.cost, true
	}
	for excess > 0 {
		best := -1
		for i := range list {
			if best < 0 || list[i].score > list[best].score {
				best = i
			}
		}
		if best < 0 {
			return false
		}
		c := &list[best]
		if !c.fresh {
			c.score, c.fresh = float64(gain(c.k))/c.k.cost, true
			continue
		}
		if c.score <= 0 {
			return false
		}
		c.k.dropped = true
		excess = l.excess(most)
		list = slices.Delete(list, best, best+1)
		for i := range list {
			list[i].fresh = false
		}
	}
	l.restore(most)
	return true
}

// restore takes back the drops that are not needed for what was reached, the
// dearest first.
func (l *lives) restore(most int) {
	var dropped []*kept
	for i := range l.kept {
		if l.kept[i].dropped {
			dropped = append(dropped, &l.kept[i])
		}
	}
	slices.SortStableFunc(dropped, func(a, b *kept) int { return cmp.Compare(b.cost, a.cost) })
	for _, k := range dropped {
		k.dropped = false
		if l.excess(most) > 0 {
			k.dropped = true
		}
	}
}

// cost is that of an image's forward, and of what is made again.
func (l *lives) cost() (forward, again float64) {
	for i := range l.kept {
		k := &l.kept[i]
		forward += k.cost
		if k.dropped {
			again += k.cost
		}
	}
	return forward, again
}

// settle gives all buffers their lives and returns them.
func (l *lives) settle() []*buffer {
	bufs := slices.Clone(l.grads)
	l.spans(func(k *kept, again bool, first, last int) {
		b := k.v.store
		if again {
			b.again = &buffer{elems: b.elems}
			b = b.again
		} else {
			b.again = nil
		}
		b.first, b.last = first, last
		bufs = append(bufs, b)
	})
	return bufs
}

// remakes gives the passes what they have to make again, and lists it.
func (l *lives) remakes(passes []*pass) (remade []*value) {
	for _, p := range passes {
		p.again = nil
	}
	for i := range l.kept {
		k := &l.kept[i]
		if !k.dropped {
			continue
		}
		remade = append(remade, k.v)
		p, made := passes[k.again], passes[k.made]
		i := slices.IndexFunc(p.again, func(q *pass) bool { return q.of == made })
		if i < 0 {
			i = len(p.again)
			p.again = append(p.again, &pass{of: made, chunk: made.chunk, hw: made.hw, group: made.group, lanes: made.lanes})
		}
		q := p.again[i]
		q.nodes = append(q.nodes, k.maker)
		q.makes = append(q.makes, k.v)
	}
	return remade
}
