package main

import (
	"errors"
	"fmt"
	"runtime/debug"

	"effnet/arch"
	"effnet/dataset"
	"effnet/train"
)

// What a process that trains holds beside the trainer's plan, bytes. These are
// fixed numbers, as the micro-batch, which is part of the result, follows from
// them.
const (
	programMemory = 20 << 20 // code and tables of the program
	garbageMemory = 36 << 20 // stacks, what is not collected yet, images being decoded
	batchesMemory = 32 << 20 // batches that are prepared, the one in use included: at most maxBatches, but two
	maxBatches    = 5
)

// batchBytes is what a training batch of images takes.
func batchBytes(s *arch.Spec, batch int) int64 {
	return 4 * int64(batch) * int64(s.Channels*s.Resolution*s.Resolution)
}

// batchesWithin is how many batches are prepared where memory is short.
func batchesWithin(s *arch.Spec, batch int) int {
	return max(2, min(maxBatches, int(batchesMemory/batchBytes(s, batch))))
}

// validationBytes is what the network takes on validation images, for which the
// trainer makes room: its packed weights, a batch's activations, and images
// that are prepared.
func validationBytes(g *arch.Graph) int64 {
	cost := g.Cost()
	return cost.WeightBytes() + int64(smallBatch(g))*(cost.PeakBytes+maxBatches*4*int64(g.Ops[0].Shape.Elems()))
}

// besideTrainer is what the process of a job holds apart from its trainer.
func (job *trainJob) besideTrainer(cfg *train.RunConfig, g *arch.Graph) int64 {
	s, batch := &cfg.Spec, cfg.Recipe.Batch
	n := programMemory + garbageMemory + int64(batchesWithin(s, batch))*batchBytes(s, batch)
	if job.Start != nil { // the weights, which the trainer has copied
		n += g.Cost().WeightBytes()
	}
	for _, s := range []dataset.Set{job.Data.Train, job.Data.Val, job.Data.Test} {
		if s != nil {
			n += dataset.HeldBytes(s)
		}
	}
	return n
}

// plan settles how the job stays within its memory: the micro-batch, which
// becomes part of cfg, and the limit of the trainer. Without a limit that is 0.
func (job *trainJob) plan(cfg *train.RunConfig, g *arch.Graph, threads int) (limit int64, err error) {
	how, err := cfg.Trainer(len(g.Spec.Stages))
	if err != nil {
		return 0, err
	}
	how.Threads = threads
	beside := job.besideTrainer(cfg, g)
	if cfg.Memory > 0 {
		how.Memory = max(1, cfg.Memory-beside)
	}
	m, err := train.Plan(g, how)
	if err != nil {
		return 0, limitError(err, cfg.Memory, beside)
	}
	if least := m.Parameters + m.Optimizer + validationBytes(g); cfg.Memory > 0 && how.Memory < least {
		return 0, limitError(&train.LimitError{Network: cfg.Spec.Name, Batch: cfg.Recipe.Batch, Least: least}, cfg.Memory, beside)
	}
	if job.Alone {
		setCollector(cfg.Memory, m.Total()+beside)
	}
	if cfg.Memory == 0 {
		return 0, nil
	}
	if m.MicroBatch < cfg.Recipe.Batch {
		cfg.MicroBatch = m.MicroBatch
	}
	if note := job.Observer.Note; note != nil {
		note(memoryNote(m, cfg, beside))
	}
	return how.Memory, nil
}

// limitError speaks of the limit of the process, of which so much is beside the
// trainer.
func limitError(err error, limit, beside int64) error {
	if short := (*train.LimitError)(nil); errors.As(err, &short) {
		short.Limit, short.Least = limit, short.Least+beside
		return &usageError{err}
	}
	return err
}

// memoryNote says what a limit made of the training.
func memoryNote(m train.Memory, cfg *train.RunConfig, beside int64) string {
	s := fmt.Sprintf("memory: %s of %s", size(m.Total()+beside), size(cfg.Memory))
	if m.Remade > 0 {
		s += fmt.Sprintf("; %d of %d maps are made again in backward, %.0f %% more work forward", m.Remade, m.Maps, 100*m.Extra)
	}
	if m.MicroBatch < cfg.Recipe.Batch {
		s += fmt.Sprintf("; the batch of %d goes through in parts of at most %d, which batch norm normalises apart", cfg.Recipe.Batch, m.MicroBatch)
	}
	if m.Remade == 0 && m.MicroBatch == cfg.Recipe.Batch {
		s += "; nothing had to change"
	}
	return s
}

// setCollector keeps garbage to tens of megabytes, however much is held: the
// collector's own rule allows as much garbage as there is memory in use.
func setCollector(limit, held int64) {
	if limit > 0 {
		debug.SetMemoryLimit(max(limit-programMemory, 1))
	}
	debug.SetGCPercent(int(min(100, max(1, 100*garbageMemory/held))))
}
