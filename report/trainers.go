package report

import (
	"fmt"
	"strings"

	"effnet/search"
)

// trainerFacts say who trained with what, and warn where that was unlike.
func trainerFacts(a *search.Analysis) []fact {
	kernels := a.Kernels("")
	if len(kernels) == 0 {
		return []fact{{"Kernels", a.Config.Kernel}}
	}
	facts := []fact{{"Kernels", list(kernels)}}
	if trainers := a.Trainers(); len(trainers) > 1 || trainers[0].Worker != "" {
		var parts []string
		for _, t := range trainers {
			parts = append(parts, fmt.Sprintf("%s: %s in %s with %s", workerName(t.Worker), several(len(t.Trials), "training"), seconds(t.Seconds), kernelName(t.Kernel)))
		}
		facts = append(facts, fact{"Trained by", strings.Join(parts, "; ")})
	}
	if len(kernels) > 1 {
		facts = append(facts, fact{"Warning", mixedWarning(a)})
	}
	return facts
}

func workerName(worker string) string {
	if worker == "" {
		return "the searching process"
	}
	return worker
}

func kernelName(kernel string) string {
	if kernel == "" {
		return "kernels that were not recorded"
	}
	return kernel
}

// mixedWarning says what kernels of several classes have touched.
func mixedWarning(a *search.Analysis) string {
	text := "kernels of unlike classes round differently, so that a training on one is another on the other. The table of networks says which trained what"
	mixed := 0
	for i := range a.Compare {
		if len(a.Compare[i].Kernels) > 1 {
			mixed++
		}
	}
	if mixed > 0 {
		text += fmt.Sprintf("; %d of %s on test images are of networks that were trained with unlike ones", mixed, several(len(a.Compare), "comparison"))
	}
	return text + "."
}

// trainersCell is with what a network was trained, and on hover each training.
func trainersCell(a *search.Analysis, id string) cell {
	var tips []string
	for _, t := range a.TrialsOf(id, "") {
		tips = append(tips, fmt.Sprintf("%s: %s, %s", t.ID, kernelName(t.Outcome.Kernel), workerName(t.Outcome.Worker)))
	}
	if len(tips) == 0 {
		return cell{Text: "–"}
	}
	kernels := a.Kernels(id)
	c := cell{Text: strings.Join(kernels, ", "), Tip: strings.Join(tips, "\n")}
	if len(kernels) > 1 {
		c.Ink = string(inkStop)
	}
	return c
}
