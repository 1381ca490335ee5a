package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"effnet"
)

// oipAnswer is an answer of infer.
type oipAnswer struct {
	Name    string `json:"model_name"`
	Version string `json:"model_version"`
	ID      string `json:"id"`
	Outputs []struct {
		Name, Datatype string
		Shape          []int
		Parameters     map[string]any
		Data           []float32
	}
	Error string
}

// tensor is n pictures [n,C,H,W] of the test network, and what it makes of them.
func tensor(t *testing.T, n int) (x []float32, logits, embeddings []float32) {
	t.Helper()
	w := testWeights(t, testSpec, 1)
	m, err := effnet.New(w, w.Set, effnet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	elems := m.InputElems()
	x = make([]float32, n*elems)
	for i := range x {
		x[i] = float32(i*7919%4093)/2048 - 1
	}
	nhwc := make([]float32, len(x))
	for i := range n {
		effnet.FromNCHW(nhwc[i*elems:][:elems], x[i*elems:][:elems], elems/3, 3)
	}
	logits, embeddings = make([]float32, n*m.Classes()), make([]float32, n*m.Width())
	if err := m.Run(t.Context(), nhwc, n, logits, embeddings); err != nil {
		t.Fatal(err)
	}
	return x, logits, embeddings
}

func TestOIP(t *testing.T) {
	s, url := newServer(t, Config{})
	for path, want := range map[string]string{
		"/v2":                          `{"extensions":["binary_tensor_data"],"name":"effnet","version":"2"}`,
		"/v2/health/live":              "",
		"/v2/health/ready":             "",
		"/v2/models/small/ready":       "",
		"/v2/models/small":             `{"inputs":[{"name":"input","datatype":"FP32","shape":[-1,3,24,24]}],"name":"small","outputs":[{"name":"logits","datatype":"FP32","shape":[-1,4]},{"name":"embedding","datatype":"FP32","shape":[-1,16]}],"platform":"effnet","versions":["1"]}`,
		"/v2/models/small/versions/1":  "",
		"/v2/models/small/versions/2":  `{"error":"no version \"2\" of model small, there are [1]"}`,
		"/v2/models/large/ready":       `{"error":"no model \"large\", there are [small]"}`,
		"/v2/models/small/versions/1/": `{"error":"nothing is at /v2/models/small/versions/1/; /openapi.json says what is where"}`,
	} {
		resp, data := send(t, "GET", url+path, "", nil)
		if path != "/v2/models/small/versions/1" && strings.TrimSpace(string(data)) != want || (resp.StatusCode == 200) == strings.Contains(want, "error") {
			t.Errorf("%s: %s, %s; want %s", path, resp.Status, data, want)
		}
	}
	s.Drain()
	for _, path := range []string{"/v2/health/ready", "/v2/models/small/ready"} {
		if resp, data := send(t, "GET", url+path, "", nil); resp.StatusCode != 400 || len(data) != 0 {
			t.Errorf("%s of a server that ends: %s, %q", path, resp.Status, data)
		}
	}
	if resp, _ := send(t, "GET", url+"/v2/health/live", "", nil); resp.StatusCode != 200 {
		t.Errorf("a server that ends is not live: %s", resp.Status)
	}
}

func TestInfer(t *testing.T) {
	_, url := newServer(t, Config{})
	x, logits, embeddings := tensor(t, 2)
	flat, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	nested := "[" + strings.ReplaceAll(strings.Trim(string(flat), "[]"), ",", " , ") + "]"
	half := len(x) / 2
	a, _ := json.Marshal(x[:half])
	b, _ := json.Marshal(x[half:])
	binary := appendFloats(nil, x)
	const tensorJSON = `{"name": "input", "shape": [2,3,24,24], "datatype": "FP32", "data": %s}`
	const tensorBinary = `{"name": "input", "shape": [2,3,24,24], "datatype": "FP32", "parameters": {"binary_data_size": 13824}}`
	check := func(how string, a oipAnswer, names ...string) {
		t.Helper()
		if a.Error != "" || len(a.Outputs) != len(names) || a.Name != "small" || a.Version != "1" {
			t.Fatalf("%s: %+v", how, a)
		}
		for i, o := range a.Outputs {
			want, width := logits, 4
			if o.Name == "embedding" {
				want, width = embeddings, 16
			}
			if o.Name != names[i] || o.Datatype != "FP32" || !slices.Equal(o.Shape, []int{2, width}) || !slices.Equal(o.Data, want) {
				t.Errorf("%s: output %+v, want %s %v", how, o, names[i], want)
			}
		}
	}
	for how, body := range map[string]string{
		"flat":   fmt.Sprintf(`{"id": "7", "inputs": [`+tensorJSON+`]}`, flat),
		"nested": fmt.Sprintf(`{"id": "7", "inputs": [`+tensorJSON+`], "outputs": [{"name": "embedding"}, {"name": "logits"}]}`, "[["+nested+"]]"),
		"rows":   fmt.Sprintf(`{"id": "7", "inputs": [`+tensorJSON+`]}`, "["+string(a)+",\n"+string(b)+"]"),
	} {
		_, data := send(t, "POST", url+"/v2/models/small/infer", "application/json", []byte(body))
		var got oipAnswer
		if err := json.Unmarshal(data, &got); err != nil || got.ID != "7" {
			t.Fatalf("%s: %v: %.300s", how, err, data)
		}
		check(how, got, "logits", "embedding")
	}
	// Binary tensors in, binary and not out.
	for _, c := range []struct {
		rest   string
		binary []string
		names  []string
	}{
		{``, nil, []string{"logits", "embedding"}},
		{`, "outputs": [{"name": "logits"}]`, nil, []string{"logits"}},
		{`, "parameters": {"binary_data_output": true}`, []string{"logits", "embedding"}, []string{"logits", "embedding"}},
		{`, "parameters": {"binary_data_output": true}, "outputs": [{"name": "logits", "parameters": {"binary_data": false}}, {"name": "embedding"}]`, []string{"embedding"}, []string{"logits", "embedding"}},
		{`, "outputs": [{"name": "logits", "parameters": {"binary_data": true}}]`, []string{"logits"}, []string{"logits"}},
	} {
		head := `{"inputs": [` + tensorBinary + `]` + c.rest + `}`
		resp, data := send(t, "POST", url+"/v2/models/small/versions/1/infer", "application/octet-stream", append([]byte(head), binary...), headerLength, fmt.Sprint(len(head)))
		if resp.StatusCode != 200 {
			t.Fatalf("%s: %s: %.300s", c.rest, resp.Status, data)
		}
		body, tail := data, []byte(nil)
		if n := resp.Header.Get(headerLength); n != "" {
			var k int
			fmt.Sscan(n, &k)
			body, tail = data[:k], data[k:]
		}
		var got oipAnswer
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v: %.300s", c.rest, err, body)
		}
		for i := range got.Outputs {
			o := &got.Outputs[i]
			if slices.Contains(c.binary, o.Name) != (o.Parameters["binary_data_size"] != nil) {
				t.Errorf("%s: %s has %v", c.rest, o.Name, o.Parameters)
			}
			if size, ok := o.Parameters["binary_data_size"].(float64); ok {
				in := oipTensor{Name: o.Name, Parameters: map[string]any{"binary_data_size": size}}
				var err error
				if o.Data, err = in.floats(int(size)/4, tail[:int(size)]); err != nil {
					t.Fatal(err)
				}
				tail = tail[int(size):]
			}
		}
		if len(tail) > 0 {
			t.Errorf("%s: %d bytes are left", c.rest, len(tail))
		}
		check(c.rest, got, c.names...)
	}
}

func TestInferErrors(t *testing.T) {
	_, url := newServer(t, Config{MaxImages: 2})
	x, _, _ := tensor(t, 1)
	flat, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name, shape, kind, rest string) string {
		return fmt.Sprintf(`{"inputs": [{"name": %q, "shape": %s, "datatype": %q%s}]}`, name, shape, kind, rest)
	}
	data := `, "data": ` + string(flat)
	binary := in("input", "[1,3,24,24]", "FP32", `, "parameters": {"binary_data_size": 6912}`)
	for _, c := range []struct {
		body   string
		length string
		status int
		want   string
	}{
		{"", "", 400, "not the JSON that is wanted"},
		{"{", "", 400, "not the JSON that is wanted"},
		{"{}", "", 400, `the request has 0 inputs, want one, "input"`},
		{in("x", "[1,3,24,24]", "FP32", data), "", 400, `want one, "input"`},
		{in("input", "[1,3,24,24]", "FP16", data), "", 400, `input has datatype "FP16", want FP32`},
		{in("input", "[1,24,24,3]", "FP32", data), "", 400, "input has shape [1 24 24 3], want [-1 3 24 24]"},
		{in("input", "[0,3,24,24]", "FP32", data), "", 400, "at least 1"},
		{in("input", "[-1,3,24,24]", "FP32", data), "", 400, "at least 1"},
		{in("input", "[1.5,3,24,24]", "FP32", data), "", 400, "not the JSON"},
		{in("input", "[9000000000000000000,3,24,24]", "FP32", data), "", 413, "images, the limit is 2"},
		{in("input", "[2,3,24,24]", "FP32", data), "", 400, "input has 1728 values, its shape wants 3456"},
		{in("input", "[1,3,24,24]", "FP32", `, "data": [1,2,3]`), "", 400, "input has 3 values"},
		{in("input", "[1,3,24,24]", "FP32", `, "data": "abc"`), "", 400, "not an array of numbers"},
		{in("input", "[1,3,24,24]", "FP32", `, "data": [null]`), "", 400, "not an array of numbers"},
		{in("input", "[1,3,24,24]", "FP32", `, "data": [1e99]`), "", 400, "1e99 is no FP32"},
		{in("input", "[1,3,24,24]", "FP32", `, "data": [-1e38`+strings.Repeat(",0", len(x)-1)+"]"), "", 400, "input: value 0 is -1e+38, want -1e6 to 1e6"},
		{binary + string(appendFloats(nil, append(make([]float32, len(x)-1), float32(math.NaN())))), strconv.Itoa(len(binary)), 400, "input: value 1727 is NaN, want"},
		{in("input", "[1,3,24,24]", "FP32", ``), "", 400, "input has 0 values"},
		{in("input", "[1,3,24,24]", "FP32", `, "parameters": {"binary_data_size": 5}`), "", 400, "its shape wants 6912"},
		{in("input", "[1,3,24,24]", "FP32", `, "parameters": {"binary_data_size": "x"}`), "", 400, "its shape wants 6912"},
		{in("input", "[1,3,24,24]", "FP32", data), "99999999", 400, headerLength + ` is "99999999", the body has`},
		{in("input", "[1,3,24,24]", "FP32", data), "-1", 400, headerLength},
		{strings.TrimSuffix(in("input", "[1,3,24,24]", "FP32", data), "}") + `, "outputs": [{"name": "x"}]}`, "", 400, `no output "x"`},
		{strings.TrimSuffix(in("input", "[1,3,24,24]", "FP32", data), "}") + `, "outputs": [{"name": "logits", "parameters": {"classification": 3}}]}`, "", 400, "classification extension is not supported"},
	} {
		header := []string{}
		if c.length != "" {
			header = []string{headerLength, c.length}
		}
		resp, data := send(t, "POST", url+"/v2/models/small/infer", "application/json", []byte(c.body), header...)
		var got oipAnswer
		if err := json.Unmarshal(data, &got); err != nil || resp.StatusCode != c.status || !strings.Contains(got.Error, c.want) {
			t.Errorf("%.120s: %s, %s; want %d, %q", c.body, resp.Status, data, c.status, c.want)
		}
	}
}

// FuzzInfer: whatever is sent, the answer is no error of the server's.
func FuzzInfer(f *testing.F) {
	s, err := New(Config{Models: []Source{fileSource(f, "small", "1", testWeights(f, testSpec, 1))}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"inputs": [{"name": "input", "shape": [1,3,24,24], "datatype": "FP32", "data": [[1,2],[3]]}]}`), "")
	f.Add(append([]byte(`{"inputs": [{"name": "input", "shape": [1,3,24,24], "datatype": "FP32", "parameters": {"binary_data_size": 6912}}]}`), make([]byte, 6912)...), "110")
	f.Add([]byte(`{"id": "1", "parameters": {"timeout": 1e300}, "inputs": [{}], "outputs": [{"name": "logits"}]}`), "10")
	f.Fuzz(func(t *testing.T, body []byte, length string) {
		fuzzRequest(t, s, "/v2/models/small/infer", "application/json", body, headerLength, length)
	})
}

func TestParseFloats(t *testing.T) {
	for text, want := range map[string][]float32{
		"[]": {}, "[1, -2.5e1, 0]": {1, -25, 0}, "[[1],[2,[3]]]": {1, 2, 3}, "": {},
	} {
		got, err := parseFloats("x", []byte(text), len(want))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if b := appendFloats(nil, []float32{1, float32(math.Inf(-1))}); !bytes.Equal(b, []byte{0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xff}) {
		t.Errorf("% x", b)
	}
}
