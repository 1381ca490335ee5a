package serve

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"effnet"
)

// slot is the place of a model under a name and a version.
type slot struct {
	Source
	server  *Server
	metrics *modelMetrics

	reloading sync.Mutex // one reload at a time
	mu        sync.Mutex
	now       *loaded
	file      os.FileInfo // of Path, as it was when now was loaded
}

// loaded is a model that is served, until another takes its place and its last
// request is answered.
type loaded struct {
	*effnet.Model
	*batcher
	slot       *slot
	since      time.Time
	explaining sync.Mutex

	users   int  // under slot.mu
	retired bool // no user comes any more
}

// load opens the model and puts it in the place of the one that is there, which
// stays if that fails.
func (sl *slot) load() error {
	sl.reloading.Lock()
	defer sl.reloading.Unlock()
	var file os.FileInfo
	if sl.Path != "" { // before the model: a change while it loads is seen
		var err error
		if file, err = os.Stat(sl.Path); err != nil {
			return err
		}
	}
	m, err := sl.Open()
	if err == nil {
		err = try(m)
		if err != nil {
			m.Close()
		}
	}
	sl.mu.Lock()
	sl.file = file // also of one that is broken: it is tried again when it changes
	sl.mu.Unlock()
	if err != nil {
		return err
	}
	l := &loaded{Model: m, slot: sl, since: time.Now()}
	l.batcher = newBatcher(m, &sl.server.cfg, sl.server.cores, sl.metrics)
	sl.retire(l)
	return nil
}

// try runs a model once, so that one that cannot run is not served.
func try(m *effnet.Model) error {
	logits, embedding := make([]float32, m.Classes()), make([]float32, m.Width())
	return run(m, make([]float32, m.InputElems()), 1, logits, embedding, true)
}

// retire puts next, or nothing, in the place of the model that is there, which
// ends with its last user.
func (sl *slot) retire(next *loaded) {
	sl.mu.Lock()
	old := sl.now
	sl.now = next
	end := false
	if old != nil {
		old.retired = true
		end = old.users == 0
	}
	sl.mu.Unlock()
	if end {
		old.close()
	}
}

// use takes the model for a request. release gives it back.
func (sl *slot) use() (l *loaded, release func(), err error) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	l = sl.now
	if l == nil {
		return nil, nil, busy(time.Second, "the server is shutting down")
	}
	l.users++
	return l, sync.OnceFunc(func() {
		sl.mu.Lock()
		l.users--
		end := l.retired && l.users == 0
		sl.mu.Unlock()
		if end {
			l.close()
		}
	}), nil
}

func (l *loaded) close() {
	l.Model.Close()
}

// slot finds a model by name and version, which may be "": the newest. The name
// may be "" where there is only one.
func (s *Server) slot(name, version string) (*slot, error) {
	if name == "" {
		if name = s.slots[0].Name; len(s.names()) > 1 {
			return nil, errorf(400, "say which model, one of %v", s.names())
		}
	}
	var found *slot
	for _, sl := range s.slots {
		if sl.Name == name && (version == "" && (found == nil || newer(sl.Version, found.Version)) || version == sl.Version) {
			found = sl
		}
	}
	if found == nil && slices.Contains(s.names(), name) {
		return nil, errorf(404, "no version %q of model %s, there are %v", version, name, s.versions(name))
	}
	if found == nil {
		return nil, errorf(404, "no model %q, there are %v", name, s.names())
	}
	return found, nil
}

// newer compares versions, as numbers where they are.
func newer(a, b string) bool {
	x, errA := strconv.ParseUint(a, 10, 64)
	y, errB := strconv.ParseUint(b, 10, 64)
	if errA == nil && errB == nil {
		return x > y
	}
	return cmp.Compare(a, b) > 0
}

// names are the names of the models, in their order.
func (s *Server) names() []string {
	var names []string
	for _, sl := range s.slots {
		if !slices.Contains(names, sl.Name) {
			names = append(names, sl.Name)
		}
	}
	return names
}

// versions are those of a model, the oldest first.
func (s *Server) versions(name string) []string {
	var list []string
	for _, sl := range s.slots {
		if sl.Name == name {
			list = append(list, sl.Version)
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		switch {
		case a == b:
			return 0
		case newer(a, b):
			return 1
		}
		return -1
	})
	return list
}

// reload loads the model again. The old one stays if that fails.
func (sl *slot) reload(why string) error {
	start := time.Now()
	err := sl.load()
	log := sl.server.cfg.Log.With("model", sl.Name, "version", sl.Version, "why", why, "ms", millis(time.Since(start)))
	if err != nil {
		sl.metrics.reloads.WithLabelValues("failure").Inc()
		log.Error("reload failed, the old model stays", "err", err)
		return fmt.Errorf("%w; the old model stays", err)
	}
	sl.metrics.reloads.WithLabelValues("success").Inc()
	log.Info("reloaded")
	return nil
}

// watch reloads models whose files have changed and since then stayed as they
// are for one look, so that a file that is still being written is left alone.
func (s *Server) watch() {
	tick := time.NewTicker(s.cfg.Watch)
	defer tick.Stop()
	seen := make([]os.FileInfo, len(s.slots))
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		for i, sl := range s.slots {
			if sl.Path == "" {
				continue
			}
			file, err := os.Stat(sl.Path)
			if err != nil { // gone, perhaps for a moment: the model stays
				seen[i] = nil
				continue
			}
			sl.mu.Lock()
			have := sl.file
			sl.mu.Unlock()
			if sameFile(file, have) {
				seen[i] = nil
				continue
			}
			if seen[i] == nil || !sameFile(file, seen[i]) {
				seen[i] = file
				continue
			}
			seen[i] = nil
			_ = sl.reload("the file has changed") // says so itself
		}
	}
}

func sameFile(a, b os.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
