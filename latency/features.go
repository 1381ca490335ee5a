package latency

import "effnet/arch"

// Features are the amounts of work, for one image, that latency is taken to
// be a sum of, each times what it costs on one machine. Along a line of
// networks that grows in depth, width and resolution none of them shrinks.
// Channels count in whole vectors.
type Features [numFeatures]float64

const (
	pointwiseMACs = iota // of 1x1 convolutions and the linear layer: matrix products
	denseMACs            // of all other full convolutions
	depthwiseMACs
	activations // elements that convolutions write
	layers      // convolutions and linear layers: what each costs whatever its size
	weightBytes
	numFeatures
)

// vector is the number of channels that the widest kernels compute at once.
const vector = 16

// FeaturesOf counts the work of g.
func FeaturesOf(g *arch.Graph) Features {
	var f Features
	for i := range g.Ops {
		op := &g.Ops[i]
		for _, p := range op.Params {
			f[weightBytes] += 4 * float64(p.Elems())
		}
		if op.Kind != arch.OpConv && op.Kind != arch.OpLinear {
			continue
		}
		elems := float64(op.Shape.H*op.Shape.W) * float64((op.Shape.C+vector-1)/vector*vector)
		in := float64(g.Ops[op.In[0]].Shape.C)
		area := float64(op.Kernel * op.Kernel)
		switch {
		case op.Kind == arch.OpLinear, op.Kernel == 1 && op.Groups == 1:
			f[pointwiseMACs] += elems * in
		case op.Depthwise():
			f[depthwiseMACs] += elems * area
		default:
			f[denseMACs] += elems * area * in / float64(op.Groups)
		}
		f[activations] += elems
		f[layers]++
	}
	return f
}
