package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"effnet/arch"
)

// Adapt makes starting weights of g, a network like m's but for its image
// channels and classes, from m's: the stem's weight by [AdaptStem], and a
// classifier that starts anew from seed unless it is to be kept: uniform in
// +-1/sqrt(features), as PyTorch's, so that the large features of a trained
// network do not make large logits. m stays as it is.
func (m *Model) Adapt(g *arch.Graph, keepClassifier bool, seed uint64) (*Set, error) {
	fresh := Init(g, seed)
	stem, classifier := ends(g)
	if t := fresh.Tensors[classifier+".weight"]; len(t.Shape) == 2 {
		shrink := math.Sqrt(float64(t.Shape[0]) / float64(t.Shape[1])) // Init's range is +-1/sqrt(classes)
		for i, v := range t.Data {
			t.Data[i] = float32(shrink * float64(v))
		}
	}
	s := &Set{Tensors: map[string]Tensor{}, Meta: map[string]string{}}
	for _, p := range g.Params() {
		t, ok := m.Set.Tensors[p.Name]
		switch {
		case !keepClassifier && (p.Name == classifier+".weight" || p.Name == classifier+".bias"):
			t = fresh.Tensors[p.Name]
		case ok && p.Name == stem && len(t.Shape) == 4:
			t = AdaptStem(t, p.Shape[1])
		}
		if ok && slices.Equal(t.Shape, p.Shape) {
			t.Data = slices.Clone(t.Data)
		}
		if ok {
			s.Tensors[p.Name] = t
		}
	}
	if err := s.fits(g); err != nil {
		return nil, fmt.Errorf("weights: from %s: %w", m.Spec.Name, err)
	}
	return s, nil
}

// AdaptStem makes the weight [Cout, n, k, k] of a first convolution for n image
// channels from one for another number of them. One channel gets the sum of
// all, so that grey images answer as they did with their one channel repeated.
// More channels repeat the old ones in order, scaled by old/new, so that the
// answer keeps its size.
func AdaptStem(w Tensor, n int) Tensor {
	cout, cin, k2 := w.Shape[0], w.Shape[1], w.Shape[2]*w.Shape[3]
	if n == cin {
		return w
	}
	a := Tensor{Shape: []int{cout, n, w.Shape[2], w.Shape[3]}, Data: make([]float32, cout*n*k2)}
	for o := range cout {
		old, now := w.Data[o*cin*k2:][:cin*k2], a.Data[o*n*k2:][:n*k2]
		if n == 1 {
			for i := range now {
				sum := 0.0
				for c := range cin {
					sum += float64(old[c*k2+i])
				}
				now[i] = float32(sum)
			}
			continue
		}
		for i := range now {
			now[i] = float32(float64(old[i/k2%cin*k2+i%k2]) * float64(cin) / float64(n))
		}
	}
	return a
}

// Checksum is the SHA-256, in hexadecimal, of the safetensors file that s makes
// without its metadata.
func (s *Set) Checksum() (string, error) {
	h := sha256.New()
	if err := (&Set{Tensors: s.Tensors}).Write(h); err != nil {
		return "", fmt.Errorf("weights: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
