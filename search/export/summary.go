package export

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"strconv"

	"effnet/search"
)

// summary is a table of the networks with the names and units of timm's result
// files: accuracies and errors in per cent, parameters, multiply-accumulates
// and activations in millions and billions, times in milliseconds. A step is a
// batch, here of one image; only a search whose budget or a limit is in latency
// times its networks. top1 is on
// the test images; networks that were not scored on them have none. Columns
// that timm does not have come after those it has. No value is an empty field.
func summary(a *search.Analysis) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{
		"model", "top1", "top1_err", "param_count", "img_size", "infer_gmacs", "infer_macts", "infer_step_time", "infer_batch_size",
		"val_top1", "val_top1_err", "val_seeds", "val_epochs", "test_seeds", "depth", "width", "cost_ratio", "role",
	})
	for i := range a.Nets {
		n := &a.Nets[i]
		test, testErr, val, valErr := "", "", "", ""
		if n.Test.N > 0 {
			test, testErr = percent(n.Test.Mean), percent(1-n.Test.Mean)
		}
		if n.Validation.N > 0 {
			val, valErr = percent(n.Validation.Mean), percent(1-n.Validation.Mean)
		}
		epochs := 0
		for _, t := range a.TrialsOf(n.ID, "") {
			epochs = max(epochs, t.Epochs)
		}
		batch := "" // of the step that was timed
		if n.Latency > 0 {
			batch = "1"
		}
		w.Write([]string{
			n.ID, test, testErr, number(float64(n.Params) / 1e6), fmt.Sprint(n.Resolution),
			number(float64(n.MACs) / 1e9), number(float64(n.Activations) / 1e6), milliseconds(n.Latency), batch,
			val, valErr, fmt.Sprint(n.Validation.N), fmt.Sprint(epochs), fmt.Sprint(n.Test.N),
			number(n.Depth), number(n.Width), number(n.CostRatio), string(n.Role),
		})
	}
	w.Flush() // a buffer takes everything
	return b.Bytes()
}

// percent is a share in per cent with the three decimals that timm has.
func percent(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return fmt.Sprintf("%.3f", 100*x)
}

// number is x with six digits, without an exponent: small networks have few
// of timm's units.
func number(x float64) string {
	digits := 5
	if x != 0 {
		digits -= int(math.Floor(math.Log10(math.Abs(x))))
	}
	scale := math.Pow(10, float64(digits))
	return strconv.FormatFloat(math.Round(x*scale)/scale, 'f', -1, 64)
}

// milliseconds is a time in seconds that was measured; 0 if it was not.
func milliseconds(s float64) string {
	if s == 0 {
		return ""
	}
	return number(1000 * s)
}
