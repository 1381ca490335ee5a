package arch

// CostAt is the totals of s for images of resolution x resolution pixels,
// without building the graph: it costs microseconds and allocates nothing, so
// that a search can look at thousands of networks. It fails where GraphAt does.
func (s *Spec) CostAt(resolution int) (Totals, error) {
	if t, ok := s.quick(resolution); ok {
		return t, nil
	}
	_, err := s.GraphAt(resolution)
	return Totals{}, err
}

// counter walks a network's layers keeping sums. Only the first two blocks of
// a stage differ, so the rest are the second one times a number.
type counter struct {
	Totals
	bad     bool  // over a limit of the graph
	peak    int64 // elements
	stored  int64
	working int64
}

// conv counts n equal convolutions from [h,w,in] to [oh,ow,out] with batch
// norm, or with bias and none, and returns the elements of the output. sum is
// the elements of the residual sum that the block ends in, 0 for none.
func (c *counter) conv(n, px, in, opx, out, kernel int, depthwise, bias bool, sum int64) int64 {
	fan := int64(in)
	if depthwise {
		fan = 1
	}
	if float64(out)*float64(fan)*float64(kernel*kernel) > maxElems || (Shape{opx, opx, out}).tooLarge() {
		c.bad = true
		return 0
	}
	params := int64(out) * fan * int64(kernel*kernel)
	elems := int64(opx) * int64(opx) * int64(out)
	macs := params * int64(opx) * int64(opx)
	if bias {
		params += int64(out)
	} else {
		params += 2 * int64(out)
		c.Buffers += int64(n) * 2 * int64(out)
	}
	c.Params += int64(n) * params
	c.MACs += int64(n) * macs
	if depthwise && in > 1 {
		c.DepthwiseMACs += int64(n) * macs
	}
	c.Activations += int64(n) * elems
	c.stored += int64(n) * elems
	c.working = max(c.working, elems+2*int64(px)*int64(px)*int64(in)+sum)
	return elems
}

// block counts n equal blocks.
func (c *counter) block(s *Spec, st *Stage, n, px, in, stride int) {
	l := s.layout(st, in, stride)
	opx := ceilDiv(px, stride)
	x, y := int64(px)*int64(px)*int64(in), int64(opx)*int64(opx)*int64(st.Width)
	var held, sum int64 // what waits for the shortcut beside the branch, and the sum's elements
	if l.skip || l.project {
		held, sum = x, y
	}
	c.stored += int64(n) * x
	at, cur, width := px, x, in // what enters the next convolution
	for i, k := range l.layers[:l.n] {
		if i == l.n-1 && l.squeeze > 0 {
			c.stored += int64(n) * int64(width)
			c.conv(n, 1, width, 1, l.squeeze, 1, false, true, sum)
			c.conv(n, 1, l.squeeze, 1, width, 1, false, true, sum)
			c.peak = max(c.peak, cur+int64(width)+int64(l.squeeze)+held)
		}
		to := ceilDiv(at, k.stride)
		next := c.conv(n, at, width, to, k.width, k.kernel, k.depthwise, false, sum)
		if i == 0 {
			c.peak = max(c.peak, x+next)
		} else {
			c.peak = max(c.peak, cur+next+held)
		}
		at, cur, width = to, next, k.width
	}
	if l.project {
		c.conv(n, px, in, opx, st.Width, 1, false, false, sum)
		c.peak = max(c.peak, x+2*y)
	}
}

// quick reports false where s or its graph is not valid.
func (s *Spec) quick(resolution int) (Totals, bool) {
	valid := *s
	valid.Resolution = resolution
	if valid.Validate() != nil {
		return Totals{}, false
	}
	var c counter
	px := resolution
	image := int64(px) * int64(px) * int64(s.Channels)
	c.stored = image
	if image > maxElems || !strideFits(px, s.Stem.Stride) {
		return Totals{}, false
	}
	opx := ceilDiv(px, s.Stem.Stride)
	c.peak = image + c.conv(1, px, s.Channels, opx, s.Stem.Width, s.Stem.Kernel, false, false, 0)
	px = opx
	width := s.Stem.Width
	if s.Stem.Pool > 0 {
		if !strideFits(px, poolStride) {
			return Totals{}, false
		}
		opx = ceilDiv(px, poolStride)
		c.peak = max(c.peak, int64(width)*(int64(px)*int64(px)+int64(opx)*int64(opx)))
		px = opx
	}
	for i := range s.Stages {
		st := &s.Stages[i]
		if !strideFits(px, st.Stride) {
			return Totals{}, false
		}
		c.block(s, st, 1, px, width, st.Stride)
		px, width = ceilDiv(px, st.Stride), st.Width
		if st.Repeats > 1 {
			c.block(s, st, st.Repeats-1, px, width, 1)
		}
		if c.bad {
			return Totals{}, false
		}
	}
	x := int64(px) * int64(px) * int64(width)
	if s.Head > 0 {
		y := c.conv(1, px, width, px, s.Head, 1, false, false, 0)
		c.peak = max(c.peak, x+y)
		x, width = y, s.Head
	}
	classes := int64(s.Classes)
	if c.bad || float64(width)*float64(classes) > maxElems {
		return Totals{}, false
	}
	c.peak = max(c.peak, x+int64(width), int64(width)+classes)
	c.stored += int64(width) + classes
	c.MACs += int64(width) * classes
	c.Params += int64(width)*classes + classes
	c.PeakBytes = 4 * c.peak
	c.TrainBytes = 4 * (c.stored + c.working)
	return c.Totals, true
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
