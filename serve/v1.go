package serve

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"effnet"
	"effnet/weights"
)

// receive reads a /v1 request.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, l *lease) (q *request, err error) {
	q = &request{}
	if err := q.parameters(r.URL.Query()); err != nil {
		return nil, err
	}
	// What cannot be served is refused before its body is read.
	if q.Model != "" || len(s.names()) == 1 {
		var c *call
		if c, err = s.begin(r.Context(), q.Model, string(q.Version), noteOf(r)); err != nil {
			return nil, err
		}
		c.release()
		defer func() {
			if err != nil {
				c.l.slot.metrics.ended(c.start, err)
			}
		}()
	}
	body, err := s.readBody(w, r, l)
	if err != nil {
		return nil, err
	}
	if kind := r.Header.Get("Content-Type"); strings.HasPrefix(kind, "multipart/") || strings.HasPrefix(kind, "application/json") {
		if err := l.take(int64(len(body))); err != nil { // the pictures are copied out of it
			return nil, err
		}
	}
	return q, q.parse(r, body)
}

// inference is the part that /v1/classify and /v1/embed share: each picture's
// job is given to each, whose answers become the results.
func (s *Server) inference(w http.ResponseWriter, r *http.Request, each func(q *request, l *loaded, j *job, name string) (any, error)) (err error) {
	mem := &lease{b: &s.body}
	defer mem.free()
	q, err := s.receive(w, r, mem)
	if err != nil {
		return err
	}
	c, err := s.begin(r.Context(), q.Model, string(q.Version), noteOf(r))
	if err != nil {
		return err
	}
	defer func() { c.end(err) }()
	jobs, t, err := c.images(q.uploads)
	if err != nil {
		return err
	}
	results := make([]any, len(jobs))
	for i, j := range jobs {
		if results[i], err = each(q, c.l, j, q.uploads[i].name); err != nil {
			return err
		}
	}
	c.finish(func() {
		answer(w, http.StatusOK, map[string]any{
			"model": c.l.slot.Name, "version": c.l.slot.Version, "results": results, "timing": t,
		})
	})
	return nil
}

func (s *Server) classify(w http.ResponseWriter, r *http.Request) error {
	type result struct {
		Image       string              `json:"image,omitempty"`
		Predictions []effnet.Prediction `json:"predictions"`
	}
	return s.inference(w, r, func(q *request, l *loaded, j *job, name string) (any, error) {
		top := 5
		if q.Top != nil {
			top = *q.Top
		}
		if top < 1 {
			return nil, errorf(http.StatusBadRequest, "top is %d, want at least 1", top)
		}
		best, err := effnet.Top(j.logits, top, l.Labels)
		return result{name, best}, err
	})
}

func (s *Server) embed(w http.ResponseWriter, r *http.Request) error {
	type result struct {
		Image     string    `json:"image,omitempty"`
		Embedding []float32 `json:"embedding"`
	}
	return s.inference(w, r, func(_ *request, _ *loaded, j *job, name string) (any, error) {
		for _, v := range j.embedding {
			if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, effnet.ErrNotFinite
			}
		}
		return result{name, j.embedding}, nil
	})
}

// card is what people want to know of a model.
type card struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Versions []string `json:"versions"`
	Network  string   `json:"network"`
	Loaded   string   `json:"loaded"` // when, RFC 3339

	Resolution  int       `json:"resolution"`
	Channels    int       `json:"channels"`
	Classes     int       `json:"classes"`
	Embedding   int       `json:"embedding"`
	Parameters  int64     `json:"parameters"`
	MACs        int64     `json:"macs"`
	Activations int64     `json:"activations"`
	WeightBytes int64     `json:"weight_bytes"`
	PeakBytes   int64     `json:"peak_activation_bytes"` // of one picture
	Crop        float64   `json:"crop"`
	Filter      string    `json:"filter"`
	Squash      bool      `json:"squash"`
	Mean        []float64 `json:"mean"`
	Std         []float64 `json:"std"`

	Stages []stageCard       `json:"stages,omitempty"` // of one model
	Labels []string          `json:"labels,omitempty"`
	Meta   map[string]string `json:"meta,omitempty"` // of its file: accuracy and the like
}

type stageCard struct {
	Stage      string `json:"stage"`
	Operator   string `json:"operator"`
	Input      [3]int `json:"input"`
	Channels   int    `json:"channels"`
	Layers     int    `json:"layers"`
	Stride     int    `json:"stride"`
	Parameters int64  `json:"parameters"`
	MACs       int64  `json:"macs"`
}

// card makes a model's, with or without its long parts.
func (s *Server) card(l *loaded, whole bool) card {
	g := l.Graph()
	spec, cost := &l.Spec, g.Cost()
	c := card{
		Name: l.slot.Name, Version: l.slot.Version, Versions: s.versions(l.slot.Name), Network: spec.Name, Loaded: l.since.UTC().Format(time.RFC3339),
		Resolution: spec.Resolution, Channels: spec.Channels, Classes: spec.Classes, Embedding: l.Width(),
		Parameters: cost.Params, MACs: cost.MACs, Activations: cost.Activations, WeightBytes: cost.WeightBytes(), PeakBytes: cost.PeakBytes,
		Crop: spec.Prep.Crop, Filter: spec.Prep.Filter.String(), Squash: spec.Prep.Squash, Mean: spec.Prep.Mean, Std: spec.Prep.Std,
	}
	if !whole {
		return c
	}
	for _, st := range cost.Stages {
		c.Stages = append(c.Stages, stageCard{st.Name, st.Operator, [3]int{st.In.H, st.In.W, st.In.C}, st.Width, st.Layers, st.Stride, st.Params, st.MACs})
	}
	c.Labels = l.Labels
	for key, value := range l.Meta {
		if key != weights.MetaSpec && key != weights.MetaLabels {
			if c.Meta == nil {
				c.Meta = map[string]string{}
			}
			c.Meta[key] = value
		}
	}
	return c
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) error {
	list := []card{}
	for _, sl := range s.slots {
		if l, release, err := sl.use(); err == nil {
			list = append(list, s.card(l, false))
			release()
		}
	}
	answer(w, http.StatusOK, map[string]any{"models": list})
	return nil
}

// chosen is the model that a path and the query's version mean.
func (s *Server) chosen(r *http.Request) (*slot, error) {
	version := r.PathValue("version")
	for key, values := range r.URL.Query() {
		if key != "version" || version != "" {
			return nil, errorf(http.StatusBadRequest, "unknown parameter %q", key)
		}
		if version = values[len(values)-1]; !validName(version) {
			return nil, badName(key, version)
		}
	}
	return s.slot(r.PathValue("model"), version)
}

func (s *Server) showModel(w http.ResponseWriter, r *http.Request) error {
	sl, err := s.chosen(r)
	if err != nil {
		return err
	}
	l, release, err := sl.use()
	if err != nil {
		return err
	}
	defer release()
	answer(w, http.StatusOK, s.card(l, true))
	return nil
}

func (s *Server) reloadModel(w http.ResponseWriter, r *http.Request) error {
	sl, err := s.chosen(r)
	if err != nil {
		return err
	}
	if err := sl.reload("asked for by request " + noteOf(r).id); err != nil {
		return errorf(http.StatusConflict, "%w", err)
	}
	answer(w, http.StatusOK, map[string]string{"model": sl.Name, "version": sl.Version})
	return nil
}

// classOf is the class of a model that a request means, by name or number; "" is
// the most probable one.
func classOf(l *loaded, text string) (int, error) {
	if text == "" {
		return effnet.Best, nil
	}
	if i := slices.Index(l.Labels, text); i >= 0 {
		return i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, errorf(http.StatusBadRequest, "class is %q, which is no class of %s", text, l.slot.Name)
	}
	if n < 0 || n >= l.Classes() {
		return 0, errorf(http.StatusBadRequest, "class is %d, %s has classes 0 to %d", n, l.slot.Name, l.Classes()-1)
	}
	return n, nil
}
