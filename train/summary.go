package train

import (
	"bytes"
	"encoding/csv"
	"strconv"

	"effnet/internal/atomicfile"
)

// summaryColumns are those of summary.csv: timm's names where timm has them.
// Losses and learning rate are as in metrics.jsonl, top1 is in percent.
var summaryColumns = []struct {
	name  string
	value func(e *EpochRecord) string
}{
	{"epoch", func(e *EpochRecord) string { return strconv.Itoa(e.Epoch) }},
	{"train_loss", func(e *EpochRecord) string { return figure(e.TrainLoss) }},
	{"eval_loss", func(e *EpochRecord) string { return optional(e.ValLoss, 1) }},
	{"eval_top1", func(e *EpochRecord) string { return optional(e.ValAccuracy, 100) }},
	{"lr", func(e *EpochRecord) string { return figure(e.LR) }},
	{"train_top1", func(e *EpochRecord) string { return figure(100 * e.TrainAccuracy) }},
	{"step", func(e *EpochRecord) string { return strconv.Itoa(e.Step) }},
	{"resolution", func(e *EpochRecord) string { return strconv.Itoa(e.Resolution) }},
	{"images_per_second", func(e *EpochRecord) string { return figure(e.ImagesPerSecond) }},
	{"data_wait", func(e *EpochRecord) string { return figure(e.DataWait) }},
	{"elapsed_s", func(e *EpochRecord) string { return figure(e.ElapsedSeconds) }},
}

func figure(x float64) string { return strconv.FormatFloat(x, 'g', 10, 64) }

func optional(x *float64, scale float64) string {
	if x == nil {
		return ""
	}
	return figure(*x * scale)
}

// writeSummary makes summary.csv: a row for each of the epochs.
func (f *folder) writeSummary(epochs []EpochRecord) error {
	if f == nil {
		return nil
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	row := make([]string, len(summaryColumns))
	for i, c := range summaryColumns {
		row[i] = c.name
	}
	w.Write(row)
	for i := range epochs {
		for k, c := range summaryColumns {
			row[k] = c.value(&epochs[i])
		}
		w.Write(row)
	}
	w.Flush()
	return atomicfile.WriteBytes(f.path(SummaryFile), b.Bytes())
}
