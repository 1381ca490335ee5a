package dataset

import "slices"

// mix mixes the images of b with each other: see Augment.Mixup. lambda depends
// on the seed, the epoch and the batch's index.
func (p *Pipeline) mix(b *Batch, epoch int) {
	r := newRNG(forMixup, p.Seed, uint64(epoch), uint64(b.Index))
	b.Share = r.beta(p.Augment.Mixup)
	b.Others = append(b.Others[:0], b.Labels...)
	slices.Reverse(b.Others)
	own, other := float32(b.Share), float32(1-b.Share)
	n := p.size()
	for i, j := 0, b.N-1; i < j; i, j = i+1, j-1 {
		x, y := b.X[i*n:(i+1)*n], b.X[j*n:(j+1)*n]
		for k, v := range x {
			w := y[k]
			x[k] = float32(own*v) + float32(other*w)
			y[k] = float32(own*w) + float32(other*v)
		}
	}
}
