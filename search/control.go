package search

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"effnet/internal/atomicfile"
)

// ControlFolder is where, in a run folder, commands wait for the process that
// searches: one file each, which appears whole. The process writes a command
// to the ledger, acts on it and removes the file; one that is in the ledger
// already is removed without a second effect.
const ControlFolder = "control"

// Command steps into a search.
type Command struct {
	Op      Op      `json:"op"`
	Trial   string  `json:"trial,omitempty"`   // OpStop
	Seconds float64 `json:"seconds,omitempty"` // OpExtend: added to the budget
	ID      string  `json:"id"`                // tells commands apart
}

// Op is what a command does.
type Op string

const (
	OpPause  Op = "pause"  // running trials save their state and rest
	OpResume Op = "resume" // they go on
	OpStop   Op = "stop"   // a trial ends without an outcome, as if it had diverged
	OpExtend Op = "extend" // the budget grows
)

// Control asks the process that searches in the folder dir for c, whose ID is
// given here. It returns when the command cannot be lost any more; it takes
// effect within a second where a process searches, and otherwise when one goes
// on. A command that makes no sense for the search is an error.
func Control(dir string, c Command) error {
	res, err := Load(dir)
	if err != nil {
		return err
	}
	if res.Done {
		return errors.New("search: it has ended: there is nothing to control")
	}
	if err := c.check(res); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	c.ID = rand.Text()
	data, err := json.Marshal(&c)
	if err != nil {
		return err
	}
	folder := filepath.Join(dir, ControlFolder)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	name := time.Now().UTC().Format("20060102T150405.000000000") + "-" + c.ID + commandSuffix
	return atomicfile.WriteBytes(filepath.Join(folder, name), append(data, '\n'))
}

const commandSuffix = ".json"

// check reports a command that cannot be carried out.
func (c *Command) check(r *Result) error {
	switch c.Op {
	case OpPause, OpResume:
	case OpExtend:
		switch {
		case !(c.Seconds > 0 && c.Seconds <= maxBudget):
			return fmt.Errorf("the budget cannot be extended by %v seconds, want above 0, at most %g", c.Seconds, float64(maxBudget))
		case r.Config.BudgetSeconds == 0:
			return errors.New("the search has no budget that could be extended")
		}
	case OpStop:
		if r.Trials[c.Trial].Ended() {
			return fmt.Errorf("trial %s has ended", c.Trial)
		}
		if !r.knows(c.Trial) {
			return fmt.Errorf("there is no trial %q to stop", c.Trial)
		}
	default:
		return fmt.Errorf("unknown command %q, want %s, %s, %s or %s", c.Op, OpPause, OpResume, OpStop, OpExtend)
	}
	return nil
}

// pending is a command that waits in a file.
type pending struct {
	Command
	path string
	err  error // why the file holds none
}

// commandFiles lists the commands that wait in the run folder dir, oldest first.
func commandFiles(dir string) (paths []string, err error) {
	folder := filepath.Join(dir, ControlFolder)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), commandSuffix) && !strings.HasPrefix(e.Name(), ".") {
			paths = append(paths, filepath.Join(folder, e.Name()))
		}
	}
	return paths, err
}

// ControlWaits reports whether a command in the run folder dir has not been
// taken yet.
func ControlWaits(dir string) bool {
	paths, _ := commandFiles(dir)
	return len(paths) > 0
}

// pendingCommands reads what waits in the run folder dir, oldest first.
func pendingCommands(dir string) ([]pending, error) {
	paths, err := commandFiles(dir)
	if err != nil {
		return nil, err
	}
	var out []pending
	for _, path := range paths {
		p := pending{path: path}
		data, err := os.ReadFile(p.path)
		if err == nil {
			err = json.Unmarshal(data, &p.Command)
		}
		if err == nil && p.ID == "" {
			err = errors.New("the command has no ID")
		}
		p.err = err
		out = append(out, p)
	}
	return out, nil
}
