package kernel

// Ahead is memory that will be read soon. A product that is not short of
// memory's time fetches it into the cache, a little at each of its steps; no
// result depends on it.
type Ahead struct {
	parts [3][]float32
}

// Set makes a the given stretches, three at most, in this order.
func (a *Ahead) Set(parts ...[]float32) {
	a.parts = [3][]float32{}
	copy(a.parts[:], parts)
}

// take gives the next memory for so many steps of stride floats, and the
// stride in bytes: 0 where nothing is left.
func (a *Ahead) take(steps, stride int) (*float32, int) {
	if a == nil {
		return &nothing, 0
	}
	for i, p := range a.parts {
		if len(p) > 0 {
			a.parts[i] = p[min(steps*stride, len(p)):]
			return &p[0], 4 * stride
		}
	}
	return &nothing, 0
}

var nothing float32
