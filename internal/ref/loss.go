package ref

import "math"

// CrossEntropy is the mean over the batch of the softmax cross-entropy with
// label smoothing, and its gradient with respect to logits [N, classes]. The
// target of an image has 1-smoothing on its label plus smoothing/classes on
// every class.
func CrossEntropy(logits []float64, labels []int, smoothing float64) (loss float64, dLogits []float64) {
	n, classes := len(labels), len(logits)/len(labels)
	dLogits = make([]float64, len(logits))
	for i, label := range labels {
		row := logits[i*classes:][:classes]
		top := row[0]
		for _, v := range row {
			top = max(top, v)
		}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(v - top)
		}
		for c, v := range row {
			target := smoothing / float64(classes)
			if c == label {
				target += 1 - smoothing
			}
			logp := v - top - math.Log(sum)
			loss -= target * logp / float64(n)
			dLogits[i*classes+c] = (math.Exp(logp) - target) / float64(n)
		}
	}
	return loss, dLogits
}
