package serve

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"effnet"
	"effnet/arch"
	"effnet/imageprep"
	"effnet/weights"
)

// testSpec is a network that is quick.
const testSpec = `
name: small
resolution: 24
classes: 4
stem: {width: 8}
blocks: [ds_k3_c8_se0.25, ir_k3_s2_e3_c12]
head: 16
preprocessing: {crop: 0.75, filter: bicubic, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4]}
`

func testWeights(t testing.TB, text string, seed uint64) *weights.Model {
	t.Helper()
	spec, err := arch.ParseSpec("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	g, err := spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	m := &weights.Model{Spec: spec, Set: weights.Random(g, seed)}
	m.Set.Meta = map[string]string{"trained.on": "noise"}
	for i := range spec.Classes {
		m.Labels = append(m.Labels, fmt.Sprintf("c%d", i))
	}
	return m
}

// fileSource is a source of the model in a file, which it writes.
func fileSource(t testing.TB, name, version string, m *weights.Model) Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+version+".safetensors")
	if err := m.Write(path); err != nil {
		t.Fatal(err)
	}
	return Source{Name: name, Version: version, Path: path, Open: func() (*effnet.Model, error) {
		return effnet.OpenWith(path, effnet.Options{Threads: 2, Explain: true})
	}}
}

// newServer serves models on a listener of the test's.
func newServer(t testing.TB, cfg Config) (*Server, string) {
	t.Helper()
	if cfg.Models == nil {
		cfg.Models = []Source{fileSource(t, "small", "1", testWeights(t, testSpec, 1))}
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.Close()
		s.Close()
	})
	return s, h.URL
}

// picture is a PNG of random pixels.
func picture(t testing.TB, w, h int, seed uint64) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, color.NRGBA{byte(r.Uint32()), byte(x), byte(y), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// send makes a request and reads the answer.
func send(t testing.TB, method, url, kind string, body []byte, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, data
}

// classes is an answer of /v1/classify.
type classes struct {
	Model, Version string
	Results        []struct {
		Image       string
		Predictions []effnet.Prediction
	}
	Timing timing
	Error  string
}

func classifyAs(t testing.TB, url, kind string, body []byte) classes {
	t.Helper()
	resp, data := send(t, "POST", url, kind, body)
	var c classes
	if err := json.Unmarshal(data, &c); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %s: %s, %v", url, resp.Status, data, err)
	}
	return c
}

// direct is what the model itself says.
func direct(t testing.TB, m *weights.Model, data []byte, top int) []effnet.Prediction {
	t.Helper()
	e, err := effnet.New(m, m.Set, effnet.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	im, err := imageprep.Decode(data, imageprep.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	best, err := e.Classify(t.Context(), im, top)
	if err != nil {
		t.Fatal(err)
	}
	return best
}

func asForm(t testing.TB, fields map[string]string, files ...[]byte) (kind string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for key, value := range fields {
		if err := w.WriteField(key, value); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range files {
		p, err := w.CreateFormFile("image", fmt.Sprintf("%d.png", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

func same(a, b []effnet.Prediction) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Class != b[i].Class || a[i].Label != b[i].Label || a[i].Logit != b[i].Logit {
			return false
		}
	}
	return true
}

// Every way to send pictures gives what the model says itself.
func TestClassify(t *testing.T) {
	m := testWeights(t, testSpec, 1)
	_, url := newServer(t, Config{Models: []Source{fileSource(t, "small", "1", m)}})
	a, b := picture(t, 40, 30, 1), picture(t, 25, 60, 2)
	wantA, wantB := direct(t, m, a, 2), direct(t, m, b, 2)
	check := func(how string, c classes, want ...[]effnet.Prediction) {
		t.Helper()
		if len(c.Results) != len(want) || c.Model != "small" || c.Version != "1" {
			t.Fatalf("%s: %+v", how, c)
		}
		for i := range want {
			if !same(c.Results[i].Predictions, want[i]) {
				t.Errorf("%s: picture %d: %+v, want %+v", how, i, c.Results[i].Predictions, want[i])
			}
		}
	}
	url += "/v1/classify"
	check("raw", classifyAs(t, url+"?top=2", "image/png", a), wantA)
	check("without a type", classifyAs(t, url+"?top=2&model=small&version=1", "", a), wantA)
	check("curl's default type", classifyAs(t, url+"?top=2", "application/x-www-form-urlencoded", a), wantA)
	kind, body := asForm(t, map[string]string{"top": "2", "model": "small"}, a, b)
	form := classifyAs(t, url, kind, body)
	check("form", form, wantA, wantB)
	if form.Results[1].Image != "1.png" {
		t.Errorf("the second file is called %q", form.Results[1].Image)
	}
	text := fmt.Sprintf(`{"model": "small", "version": 1, "top": 2, "images": [%q, {"name": "b", "data": %q}]}`,
		base64.StdEncoding.EncodeToString(a), base64.StdEncoding.EncodeToString(b))
	check("JSON", classifyAs(t, url, "application/json; charset=utf-8", []byte(text)), wantA, wantB)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	resp, data := send(t, "POST", url, "application/json", z.Bytes(), "Content-Encoding", "gzip", requestID, "me-1")
	var c classes
	if err := json.Unmarshal(data, &c); err != nil || resp.Header.Get(requestID) != "me-1" {
		t.Fatalf("gzip: %s, %v, id %q", data, err, resp.Header.Get(requestID))
	}
	check("gzip", c, wantA, wantB)
	if got := classifyAs(t, url, "image/png", a); len(got.Results[0].Predictions) != 4 {
		t.Errorf("without top: %d classes", len(got.Results[0].Predictions))
	}
}

func TestEmbed(t *testing.T) {
	m := testWeights(t, testSpec, 1)
	_, url := newServer(t, Config{Models: []Source{fileSource(t, "small", "1", m)}})
	a := picture(t, 40, 30, 1)
	e, err := effnet.New(m, m.Set, effnet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	im, err := imageprep.Decode(a, imageprep.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := e.Embed(t.Context(), im)
	if err != nil {
		t.Fatal(err)
	}
	resp, data := send(t, "POST", url+"/v1/embed", "image/png", a)
	var got struct {
		Results []struct{ Embedding []float32 }
	}
	if err := json.Unmarshal(data, &got); err != nil || resp.StatusCode != 200 || fmt.Sprint(got.Results[0].Embedding) != fmt.Sprint(want) {
		t.Errorf("%s: %s, want %v", resp.Status, data, want)
	}
}

func TestExplain(t *testing.T) {
	_, url := newServer(t, Config{})
	a := picture(t, 40, 30, 1)
	size := func(data []byte) image.Point {
		t.Helper()
		m, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%v: %.80s", err, data)
		}
		return m.Bounds().Size()
	}
	resp, over := send(t, "POST", url+"/v1/explain", "image/png", a)
	if resp.Header.Get("Content-Type") != "image/png" || size(over) != image.Pt(40, 30) {
		t.Errorf("overlay: %s, %v", resp.Header.Get("Content-Type"), size(over))
	}
	_, heat := send(t, "POST", url+"/v1/explain?format=heat&class=c2", "image/png", a)
	if size(heat) != image.Pt(40, 30) {
		t.Error("the heat has another size")
	}
	_, text := send(t, "POST", url+"/v1/explain?class=2&opacity=0.5", "image/png", a, "Accept", "application/json")
	var e explained
	if err := json.Unmarshal(text, &e); err != nil || e.Prediction.Class != 2 || e.Prediction.Label != "c2" || len(e.Map.Values) != e.Map.Height*e.Map.Width || e.Picture.Width != 40 || e.Map.Seen.W <= 0 {
		t.Errorf("%v: %.300s", err, text)
	}
	if b, err := base64.StdEncoding.DecodeString(e.Heat); err != nil || !bytes.Equal(b, heat) {
		t.Error("the heat in JSON is another")
	}
	if _, text := send(t, "POST", url+"/v1/explain?format=map", "image/png", a); !strings.Contains(string(text), `"values"`) || strings.Contains(string(text), "overlay") {
		t.Errorf("the numbers alone: %.300s", text)
	}
	// Large pictures are drawn smaller, in the same proportions.
	var large bytes.Buffer
	if err := jpeg.Encode(&large, image.NewGray(image.Rect(0, 0, 3000, 1500)), nil); err != nil {
		t.Fatal(err)
	}
	if _, over := send(t, "POST", url+"/v1/explain", "image/jpeg", large.Bytes()); size(over) != image.Pt(1024, 512) {
		t.Errorf("a picture of 3000x1500 is drawn %v", size(over))
	}
}

// What is wrong with a request is said with the right status, in one shape.
func TestErrors(t *testing.T) {
	two := []Source{fileSource(t, "a", "", testWeights(t, testSpec, 1)), fileSource(t, "b", "2", testWeights(t, testSpec, 2))}
	_, url := newServer(t, Config{Models: two, MaxBody: 1 << 20, MaxImages: 2, Pprof: false})
	good := picture(t, 30, 30, 1)
	huge := picture(t, 30, 30, 1)
	copy(huge[16:], []byte{0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50}) // 50000 x 50000
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	kind3, three := asForm(t, nil, good, good, good)
	kindField, field := asForm(t, map[string]string{"tops": "1"}, good)
	for _, c := range []struct {
		method, path, kind string
		body               []byte
		header             []string
		status             int
		want               string
	}{
		{"POST", "/v1/classify", "image/png", good, nil, 400, "say which model, one of [a b]"},
		{"POST", "/v1/classify?model=c", "image/png", good, nil, 404, `no model "c", there are [a b]`},
		{"POST", "/v1/classify?model=b&version=1", "image/png", good, nil, 404, `no version "1" of model b, there are [2]`},
		{"POST", "/v1/classify?model=a&top=x", "image/png", good, nil, 400, `top is "x", want a number`},
		{"POST", "/v1/classify?model=a&top=0", "image/png", good, nil, 400, "top is 0, want at least 1"},
		{"POST", "/v1/classify?model=a&tops=1", "image/png", good, nil, 400, `unknown parameter "tops"`},
		{"POST", "/v1/classify?model=a", kindField, field, nil, 400, `unknown parameter "tops"`},
		{"POST", "/v1/classify?model=a", "image/png", nil, nil, 400, "the request has no image"},
		{"POST", "/v1/classify?model=a", "image/png", []byte("hello"), nil, 415, "not a JPEG, PNG, GIF, WebP or BMP image"},
		{"POST", "/v1/classify?model=a", "image/png", good[:len(good)/2], nil, 400, "PNG: "},
		{"POST", "/v1/classify?model=a", "image/png", huge, nil, 413, "image has 2500000000 pixels, limit is 25165824"},
		{"POST", "/v1/classify?model=a", "text/plain", good, nil, 415, `the Content-Type is "text/plain", want`},
		{"POST", "/v1/classify?model=a", ";", good, nil, 415, `the Content-Type ";" cannot be read`},
		{"POST", "/v1/classify?model=a", "application/json", []byte(`{"images": ["@"]}`), nil, 400, "not the JSON that is wanted"},
		{"POST", "/v1/classify?model=a", "application/json", []byte(`{"image": []}`), nil, 400, `unknown field "image"`},
		{"POST", "/v1/classify?model=a", "application/json", []byte(`{"images": []} x`), nil, 400, "not the JSON"},
		{"POST", "/v1/classify?model=a", "application/json", []byte(`{"images": []}`), nil, 400, "no image"},
		{"POST", "/v1/classify?model=a", "multipart/form-data", good, nil, 400, "the form cannot be read"},
		{"POST", "/v1/classify?model=a", kind3, three, nil, 413, "the request has 3 images, the limit is 2"},
		{"POST", "/v1/classify?model=a", "image/png", make([]byte, 2<<20), nil, 413, "more than 1048576 bytes"},
		{"POST", "/v1/classify?model=a", "image/png", bomb.Bytes(), []string{"Content-Encoding", "gzip"}, 413, "more than 1048576 bytes"},
		{"POST", "/v1/classify?model=a", "image/png", good, []string{"Content-Encoding", "gzip"}, 400, "the body is not gzip"},
		{"POST", "/v1/classify?model=a", "image/png", good, []string{"Content-Encoding", "br"}, 415, `Content-Encoding is "br"`},
		{"POST", "/v1/explain?model=a&class=c9", "image/png", good, nil, 400, `class is "c9", which is no class of a`},
		{"POST", "/v1/explain?model=a&class=4", "image/png", good, nil, 400, "class is 4, a has classes 0 to 3"},
		{"POST", "/v1/explain?model=a&opacity=NaN", "image/png", good, nil, 400, "opacity is NaN, want 0 to 1"},
		{"POST", "/v1/explain?model=a&format=pdf", "image/png", good, nil, 400, `format is "pdf"`},
		{"POST", "/v1/explain?model=a", kind3, three, nil, 400, "3 images, want one"},
		{"GET", "/v1/classify", "", nil, nil, 405, "GET is not for /v1/classify, only POST"},
		{"DELETE", "/v1/models/a", "", nil, nil, 405, "only GET, HEAD"},
		{"GET", "/v1/models/c", "", nil, nil, 404, `no model "c"`},
		{"GET", "/v1/models/a?version=", "", nil, nil, 400, `version is "", want letters`},
		{"POST", "/v1/classify?model=", "image/png", good, nil, 400, `model is "", want letters`},
		{"GET", "/v1/models/a?x=1", "", nil, nil, 400, `unknown parameter "x"`},
		{"POST", "/v1/models/c/reload", "", nil, nil, 404, `no model "c"`},
		{"GET", "/none", "", nil, nil, 404, "nothing is at /none"},
		{"GET", "/debug/pprof/", "", nil, nil, 404, "nothing is at"},
		{"GET", "/v1/models", "", nil, []string{"Host", "evil.example"}, 403, `does not answer to the name "evil.example"`},
		{"POST", "/v1/classify?model=a", "image/png", good, []string{"Origin", "http://evil.example"}, 403, `a page of "http://evil.example"`},
	} {
		resp, data := send(t, c.method, url+c.path, c.kind, c.body, c.header...)
		var got struct{ Error string }
		if err := json.Unmarshal(data, &got); err != nil || resp.StatusCode != c.status || !strings.Contains(got.Error, c.want) {
			t.Errorf("%s %s %s: %s, %s; want %d, %q", c.method, c.path, c.kind, resp.Status, data, c.status, c.want)
		}
		if resp.Header.Get(requestID) == "" || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: headers %v", c.method, c.path, resp.Header)
		}
		if c.status == 405 && resp.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
}

func TestNewErrors(t *testing.T) {
	src := fileSource(t, "a", "", testWeights(t, testSpec, 1))
	missing := src
	missing.Path = filepath.Join(t.TempDir(), "none")
	named := src
	named.Name = "a/b"
	for want, models := range map[string][]Source{
		"no models":                          nil,
		"model a, version 1 is given twice":  {src, src},
		`model "a/b", version "1": want let`: {named},
		"no such file":                       {src, {Name: "b", Path: missing.Path, Open: src.Open}},
	} {
		if _, err := New(Config{Models: models}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestToken(t *testing.T) {
	_, url := newServer(t, Config{Token: "secret", Pprof: true})
	for _, c := range []struct {
		path, auth string
		status     int
	}{
		{"/v1/models", "", 401}, {"/v1/models", "Bearer wrong", 401}, {"/v1/models", "Basic secret", 401}, {"/v1/models", "Bearer secret", 200},
		{"/metrics", "", 401}, {"/metrics", "bearer secret", 200}, {"/debug/pprof/", "", 401}, {"/debug/pprof/", "Bearer secret", 200},
		{"/v2", "", 401}, {"/v2/health/live", "", 200}, {"/v2/health/ready", "", 200}, {"/", "", 200},
	} {
		resp, _ := send(t, "GET", url+c.path, "", nil, "Authorization", c.auth)
		if resp.StatusCode != c.status || (c.status == 401) != (resp.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s with %q: %s", c.path, c.auth, resp.Status)
		}
	}
}

func TestModels(t *testing.T) {
	_, url := newServer(t, Config{Models: []Source{
		fileSource(t, "small", "2", testWeights(t, testSpec, 2)), fileSource(t, "small", "10", testWeights(t, testSpec, 10)), fileSource(t, "other", "", testWeights(t, testSpec, 3)),
	}})
	_, data := send(t, "GET", url+"/v1/models", "", nil)
	var list struct{ Models []card }
	if err := json.Unmarshal(data, &list); err != nil || len(list.Models) != 3 || list.Models[2].Name != "other" || list.Models[2].Version != "1" {
		t.Errorf("%v: %s", err, data)
	}
	_, data = send(t, "GET", url+"/v1/models/small", "", nil)
	var c card
	if err := json.Unmarshal(data, &c); err != nil || c.Version != "10" || fmt.Sprint(c.Versions) != "[2 10]" || len(c.Stages) != 5 || len(c.Labels) != 4 ||
		c.Meta["trained.on"] != "noise" || c.Meta[weights.MetaSpec] != "" || c.MACs == 0 || c.Filter != "bicubic" {
		t.Errorf("%v: %s", err, data)
	}
	// The newest version answers, and the one that is asked for.
	a := picture(t, 30, 30, 1)
	for version, seed := range map[string]uint64{"": 10, "&version=2": 2, "&version=10": 10} {
		got := classifyAs(t, url+"/v1/classify?model=small"+version, "image/png", a)
		if !same(got.Results[0].Predictions, direct(t, testWeights(t, testSpec, seed), a, 5)) {
			t.Errorf("version %q: %+v", version, got)
		}
	}
}

// The page is asked for what is no interface.
func TestPage(t *testing.T) {
	_, url := newServer(t, Config{Page: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page ", r.URL.Path) })})
	for path, want := range map[string]string{"/": "page /", "/style.css": "page /style.css", "/v1/none": "nothing is at", "/v2/none": "nothing is at"} {
		if _, data := send(t, "GET", url+path, "", nil); !strings.Contains(string(data), want) {
			t.Errorf("%s: %s", path, data)
		}
	}
}

// A request leaves one line, with what is needed to find it.
func TestLog(t *testing.T) {
	var b bytes.Buffer
	_, url := newServer(t, Config{Log: slog.New(slog.NewJSONHandler(&b, nil))})
	send(t, "POST", url+"/v1/classify", "image/png", picture(t, 30, 30, 1), requestID, "abc")
	send(t, "GET", url+"/none", "", nil, requestID, "spaces are\tnot taken")
	var lines []map[string]any
	for line := range strings.Lines(b.String()) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, v)
	}
	if len(lines) != 2 || lines[0]["id"] != "abc" || lines[0]["status"] != 200.0 || lines[0]["model"] != "small" || lines[0]["images"] != 1.0 || lines[0]["batch"] != 1.0 ||
		lines[1]["status"] != 404.0 || lines[1]["level"] != "WARN" || len(fmt.Sprint(lines[1]["id"])) != 26 || !strings.Contains(fmt.Sprint(lines[1]["err"]), "nothing is at") {
		t.Errorf("%s", b.String())
	}
}

// The document names every route, and no other.
func TestOpenAPI(t *testing.T) {
	s, url := newServer(t, Config{})
	_, data := send(t, "GET", url+"/openapi.json", "", nil)
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range s.table() {
		if doc.Paths[r.path][strings.ToLower(r.method)] == nil {
			t.Errorf("%s %s is not in the document", r.method, r.path)
		}
		n++
	}
	for _, methods := range doc.Paths {
		n -= len(methods)
	}
	if n != 0 {
		t.Errorf("the document and the server differ by %d routes", n)
	}
}

// Every metric that the dashboard draws is there, with the labels it uses.
func TestMetrics(t *testing.T) {
	_, url := newServer(t, Config{})
	kind, two := asForm(t, nil, picture(t, 30, 30, 1), picture(t, 30, 30, 2))
	send(t, "POST", url+"/v1/classify", kind, two)
	send(t, "POST", url+"/v1/classify", "image/png", []byte("nothing"))
	send(t, "POST", url+"/v1/classify", "application/json", []byte("{"))
	_, data := send(t, "GET", url+"/metrics", "", nil)
	text := string(data)
	for _, want := range []string{
		`nv_inference_request_success{model="small",version="1"} 1`,
		`nv_inference_request_failure{model="small",reason="OTHER",version="1"} 2`,
		`nv_inference_request_failure{model="small",reason="REJECTED",version="1"} 0`,
		`nv_inference_count{model="small",version="1"} 2`,
		`nv_inference_pending_request_count{model="small",version="1"} 0`,
		`effnet_http_requests_total{route="/v1/classify",status="415"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	dashboard, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(dashboard, &d); err != nil || len(d.Panels) < 6 {
		t.Fatalf("%d panels, %v", len(d.Panels), err)
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			for _, word := range strings.FieldsFunc(target.Expr, func(r rune) bool { return !(r == '_' || r >= 'a' && r <= 'z') }) {
				if strings.Contains(word, "_") && (strings.HasPrefix(word, "nv_") || strings.HasPrefix(word, "effnet_") || strings.HasPrefix(word, "process_") || strings.HasPrefix(word, "go_")) &&
					!strings.Contains(text, "\n"+word) {
					t.Errorf("%s: the metric %s is not there", p.Title, word)
				}
			}
		}
	}
}
