package serve

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"effnet"
)

// The Open Inference Protocol, version 2, as KServe states it for REST, with the
// extension for binary tensors. A model has one input, prepared pictures
//
//	input      FP32 [-1, channels, height, width]
//
// as an ONNX file of 'effnet export' has it, and two outputs
//
//	logits     FP32 [-1, classes]
//	embedding  FP32 [-1, width]

// oipServer is the server's metadata.
func (s *Server) oipServer(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, map[string]any{"name": "effnet", "version": "2", "extensions": []string{"binary_tensor_data"}})
	return nil
}

// health answers with a status alone: 200 is yes, 4xx no.
func health(w http.ResponseWriter, yes bool) error {
	if !yes {
		w.WriteHeader(http.StatusBadRequest)
	}
	return nil
}

func (s *Server) oipLive(w http.ResponseWriter, _ *http.Request) error { return health(w, true) }

func (s *Server) oipReady(w http.ResponseWriter, _ *http.Request) error {
	return health(w, !s.draining.Load())
}

func (s *Server) oipModelReady(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.slot(r.PathValue("model"), r.PathValue("version")); err != nil {
		return err
	}
	return health(w, !s.draining.Load())
}

// tensorSpec is a tensor of a model's metadata.
type tensorSpec struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
}

func inputSpec(l *loaded) tensorSpec {
	in := l.Graph().Ops[0].Shape
	return tensorSpec{"input", "FP32", []int{-1, in.C, in.H, in.W}}
}

func outputSpecs(l *loaded) []tensorSpec {
	return []tensorSpec{{"logits", "FP32", []int{-1, l.Classes()}}, {"embedding", "FP32", []int{-1, l.Width()}}}
}

// oipModel is a model's metadata.
func (s *Server) oipModel(w http.ResponseWriter, r *http.Request) error {
	sl, err := s.slot(r.PathValue("model"), r.PathValue("version"))
	if err != nil {
		return err
	}
	l, release, err := sl.use()
	if err != nil {
		return err
	}
	defer release()
	answer(w, http.StatusOK, map[string]any{
		"name": sl.Name, "versions": s.versions(sl.Name), "platform": "effnet",
		"inputs": []tensorSpec{inputSpec(l)}, "outputs": outputSpecs(l),
	})
	return nil
}

// oipRequest is the JSON of an inference request.
type oipRequest struct {
	ID         string         `json:"id"`
	Parameters map[string]any `json:"parameters"`
	Inputs     []oipTensor    `json:"inputs"`
	Outputs    []oipOutput    `json:"outputs"`
}

// oipOutput is an output that a request asks for.
type oipOutput struct {
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters"`
}

// oipTensor is a tensor of a request or an answer.
type oipTensor struct {
	Name       string          `json:"name"`
	Shape      []int           `json:"shape"`
	Datatype   string          `json:"datatype"`
	Parameters map[string]any  `json:"parameters,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

// headerLength is the header that says how much of a body is JSON: binary
// tensors follow.
const headerLength = "Inference-Header-Content-Length"

func (s *Server) oipInfer(w http.ResponseWriter, r *http.Request) (err error) {
	c, err := s.begin(r.Context(), r.PathValue("model"), r.PathValue("version"), noteOf(r))
	if err != nil {
		return err
	}
	defer func() { c.end(err) }()
	mem := &lease{b: &s.body}
	defer mem.free()
	body, err := s.readBody(w, r, mem)
	if err != nil {
		return err
	}
	c.start = time.Now()
	start := c.start
	q, binary, err := splitBody(r, body)
	if err != nil {
		return err
	}
	in := inputSpec(c.l)
	n, err := q.check(in, c.l)
	if err != nil {
		return err
	}
	if err := c.admit(n, n); err != nil {
		return err
	}
	elems := c.l.InputElems()
	if err := mem.take(8 * int64(n) * int64(elems)); err != nil {
		return err
	}
	x, err := q.Inputs[0].floats(n*elems, binary)
	if err != nil {
		return err
	}
	if err := inRange(in.Name, x); err != nil {
		return err
	}
	most := s.cfg.QueueTimeout
	if us, ok := q.Parameters["timeout"].(float64); ok && us > 0 {
		most = min(most, time.Duration(min(us, 1e12))*time.Microsecond)
	}
	turn, cancel := c.turn(c.ctx, most)
	defer cancel()
	jobs := make([]*job, n)
	channels, pixels := in.Shape[1], in.Shape[2]*in.Shape[3]
	for i := range jobs {
		jobs[i] = c.job(turn, make([]float32, elems))
		effnet.FromNCHW(jobs[i].x, x[i*elems:][:elems], pixels, channels)
	}
	c.l.slot.metrics.input.Add(micros(time.Since(start)))
	c.put(jobs, false)
	for _, j := range jobs { // all are waited for: none is to be in a batch any more
		if e := c.l.await(j); e != nil && err == nil {
			err = e
		}
	}
	if err != nil {
		return c.late(err)
	}
	c.timing(jobs)
	c.finish(func() { err = q.respond(w, c.l, jobs) })
	return err
}

// splitBody reads the JSON of a request and finds the binary data behind it.
func splitBody(r *http.Request, body []byte) (*oipRequest, []byte, error) {
	var binary []byte
	if text := r.Header.Get(headerLength); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > len(body) {
			return nil, nil, errorf(http.StatusBadRequest, "%s is %q, the body has %d bytes", headerLength, text, len(body))
		}
		body, binary = body[:n], body[n:]
	}
	q := &oipRequest{}
	if err := json.Unmarshal(body, q); err != nil {
		return nil, nil, errorf(http.StatusBadRequest, "the request is not the JSON that is wanted: %v", err)
	}
	return q, binary, nil
}

// check says how many pictures a request has, if it is one that the model can
// answer.
func (q *oipRequest) check(want tensorSpec, l *loaded) (int, error) {
	if len(q.Inputs) != 1 || q.Inputs[0].Name != want.Name {
		return 0, errorf(http.StatusBadRequest, "the request has %d inputs, want one, %q", len(q.Inputs), want.Name)
	}
	in := &q.Inputs[0]
	if in.Datatype != want.Datatype {
		return 0, errorf(http.StatusBadRequest, "%s has datatype %q, want %s", in.Name, in.Datatype, want.Datatype)
	}
	if len(in.Shape) != len(want.Shape) || in.Shape[0] < 1 || !slices.Equal(in.Shape[1:], want.Shape[1:]) {
		return 0, errorf(http.StatusBadRequest, "%s has shape %v, want %v with at least 1 first", in.Name, in.Shape, want.Shape)
	}
	for _, o := range q.Outputs {
		if !slices.ContainsFunc(outputSpecs(l), func(t tensorSpec) bool { return t.Name == o.Name }) {
			return 0, errorf(http.StatusBadRequest, "there is no output %q, there are logits and embedding", o.Name)
		}
		if o.Parameters["classification"] != nil {
			return 0, errorf(http.StatusBadRequest, "the classification extension is not supported; /v1/classify gives classes")
		}
	}
	return in.Shape[0], nil
}

// respond answers with the outputs that are asked for, all if none are named.
func (q *oipRequest) respond(w http.ResponseWriter, l *loaded, jobs []*job) error {
	type wanted struct {
		tensorSpec
		binary bool
	}
	all, _ := q.Parameters["binary_data_output"].(bool)
	var outputs []wanted
	for _, spec := range outputSpecs(l) {
		out := wanted{spec, all}
		i := slices.IndexFunc(q.Outputs, func(o oipOutput) bool { return o.Name == spec.Name })
		if i < 0 && q.Outputs != nil {
			continue
		}
		if i >= 0 {
			if b, ok := q.Outputs[i].Parameters["binary_data"].(bool); ok {
				out.binary = b
			}
		}
		outputs = append(outputs, out)
	}
	type response struct {
		Model   string      `json:"model_name"`
		Version string      `json:"model_version"`
		ID      string      `json:"id,omitempty"`
		Outputs []oipTensor `json:"outputs"`
	}
	a := response{Model: l.slot.Name, Version: l.slot.Version, ID: q.ID, Outputs: []oipTensor{}}
	var binary []byte
	for _, o := range outputs {
		t := oipTensor{Name: o.Name, Datatype: o.Datatype, Shape: []int{len(jobs), o.Shape[1]}}
		values := make([]float32, 0, len(jobs)*o.Shape[1])
		for _, j := range jobs {
			if o.Name == "logits" {
				values = append(values, j.logits...)
			} else {
				values = append(values, j.embedding...)
			}
		}
		if o.binary {
			t.Parameters = map[string]any{"binary_data_size": 4 * len(values)}
			binary = appendFloats(binary, values)
		} else {
			data, err := json.Marshal(values)
			if err != nil {
				return errorf(http.StatusInternalServerError, "%s is not finite; the weights are broken", o.Name)
			}
			t.Data = data
		}
		a.Outputs = append(a.Outputs, t)
	}
	if binary == nil {
		answer(w, http.StatusOK, a)
		return nil
	}
	head, err := json.Marshal(a)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set(headerLength, strconv.Itoa(len(head)))
	h.Set("Content-Length", strconv.Itoa(len(head)+len(binary)))
	_, _ = w.Write(head)
	_, _ = w.Write(binary)
	return nil
}
