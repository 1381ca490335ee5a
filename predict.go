package effnet

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// Prediction is one class of a picture.
type Prediction struct {
	Class       int     `json:"class"`
	Label       string  `json:"label,omitempty"`
	Probability float64 `json:"probability"`
	Logit       float32 `json:"logit"`
}

// ErrNotFinite is that of a network whose output is no number.
var ErrNotFinite = errors.New("the network's output is not finite; its weights are broken")

// Top lists the n largest logits, the largest first and of equal ones the first
// class, with their softmax. names may be nil.
func Top(logits []float32, n int, names []string) ([]Prediction, error) {
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(logits[b], logits[a]) })
	largest := float64(logits[order[0]])
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - largest)
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil, ErrNotFinite
	}
	best := []Prediction{}
	for _, i := range order[:max(0, min(n, len(order)))] {
		p := Prediction{Class: i, Probability: math.Exp(float64(logits[i])-largest) / sum, Logit: logits[i]}
		if names != nil {
			p.Label = names[i]
		}
		best = append(best, p)
	}
	return best, nil
}
