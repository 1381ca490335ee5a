package live

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"effnet/internal/loopback"
	"effnet/search"
)

// made is a source under a test's control.
type made struct {
	mu      sync.Mutex
	view    View
	html    []byte
	version int64
	fails   error
	pages   int
	slow    time.Duration
	took    []search.Command
}

func (m *made) View() (*View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.view
	return &v, m.fails
}

func (m *made) Page() ([]byte, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages++
	time.Sleep(m.slow)
	return m.html, m.version, nil
}

func (m *made) Control(c search.Command) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Op == search.OpStop && c.Trial != "a-e1-s1" {
		return errors.New("there is no such trial")
	}
	m.took = append(m.took, c)
	return nil
}

func (m *made) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

const report = `<!DOCTYPE html><html><head><title>t</title></head><body class="x"><main><h1 id="verdict">undecided</h1></main><script>sort()</script></body></html>`

// serve starts a server whose looks follow one another fast.
func serve(t *testing.T, m *made) (*Server, *httptest.Server) {
	t.Helper()
	s := newServer(m, "127.0.0.1:0")
	s.every = 2 * time.Millisecond
	h := httptest.NewServer(s.http.Handler)
	t.Cleanup(func() { s.ended.Store(true); h.Close() })
	return s, h
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

func TestPage(t *testing.T) {
	m := &made{view: View{Run: "run", State: Running, Running: []Trial{{ID: `</script><script>alert(1)`}}}}
	s, h := serve(t, m)
	r, body := get(t, h.URL)
	if r.StatusCode != 200 || !strings.Contains(body, "A search begins") || !strings.Contains(body, s.guard.Token()) {
		t.Errorf("before there is a report: %d\n%s", r.StatusCode, body)
	}
	m.set(func() { m.html, m.version = []byte(report), 7 })
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		// The empty report does for ten times as long as it took to make.
		if r, body = get(t, h.URL); strings.Contains(body, "verdict") || time.Now().After(end) {
			break
		}
	}
	if !strings.Contains(body, `<h1 id="verdict">`) || !strings.Contains(body, `id="live-pause"`) || !strings.Contains(body, "events?seen=7") {
		t.Errorf("%d\n%s", r.StatusCode, body)
	}
	if strings.Contains(body, "<script>alert") {
		t.Error("a trial's name becomes a script")
	}
	if strings.Index(body, `id="live"`) < strings.Index(body, "<body") || !strings.Contains(body, "</script>\n<main>") || strings.Index(body, `id="live"`) > strings.Index(body, "<main>") {
		t.Error("the panel is not at the top of the body")
	}
	csp := r.Header.Get("Content-Security-Policy")
	// of sort(), by 'printf "sort()" | openssl dgst -sha256 -binary | base64'
	if !strings.Contains(csp, "'sha256-xg9Ba4me7xAgr/q6fJUqWa7oey83xeSrTvsXTjPtjsE='") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script-src 'unsafe") {
		t.Errorf("policy %q", csp)
	}
	// Nothing on the page is fetched from elsewhere.
	for _, word := range []string{"src=", "http://", "https://", "@import", "url("} {
		if at := strings.Index(strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""), word); at >= 0 {
			t.Errorf("the page has %q: %s", word, body[at:min(at+60, len(body))])
		}
	}
	if r, _ := get(t, h.URL+"/nowhere"); r.StatusCode != 404 {
		t.Errorf("nowhere: %d", r.StatusCode)
	}
	_, body = get(t, h.URL+"/state")
	var v View
	if err := json.Unmarshal([]byte(body), &v); err != nil || v.Run != "run" || v.State != Running {
		t.Errorf("state: %s: %v", body, err)
	}
	m.set(func() { m.fails = errors.New("line 3 is damaged") })
	if r, body := get(t, h.URL+"/state"); r.StatusCode != 500 || !strings.Contains(body, "line 3 is damaged") {
		t.Errorf("%d %s", r.StatusCode, body)
	}
}

// TestReadOnly: a server that others can reach shows no buttons and takes no
// commands.
func TestReadOnly(t *testing.T) {
	m := &made{view: View{State: Running}, html: []byte(report)}
	s, h := serve(t, m)
	s.readOnly = true
	_, body := get(t, h.URL)
	if strings.Contains(body, `<button type="button" id="live-pause"`) || strings.Contains(body, s.guard.Token()) {
		t.Error("it has buttons or the token")
	}
	r := post(t, h.URL, `{"op":"pause"}`, s.guard.Token(), "")
	if r.StatusCode != 403 || len(m.took) > 0 {
		t.Errorf("a command: %d, taken %v", r.StatusCode, m.took)
	}
}

// post sends a command; the answer's body is in its Status.
func post(t *testing.T, url, body, token, origin string) *http.Response {
	t.Helper()
	req, err := http.NewRequest("POST", url+"/control", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set(loopback.TokenHeader, token)
	}
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	r.Status = string(text)
	return r
}

func TestControl(t *testing.T) {
	m := &made{view: View{State: Running}}
	s, h := serve(t, m)
	token := s.guard.Token()
	for _, c := range []struct {
		name, body, token, origin string
		code                      int
		says                      string
		taken                     search.Command
	}{
		{"pause", `{"op":"pause"}`, token, h.URL, 204, "", search.Command{Op: search.OpPause}},
		{"resume", `{"op":"resume"}`, token, "", 204, "", search.Command{Op: search.OpResume}},
		{"stop", `{"op":"stop","trial":"a-e1-s1"}`, token, h.URL, 204, "", search.Command{Op: search.OpStop, Trial: "a-e1-s1"}},
		{"extend", `{"op":"extend","seconds":90}`, token, h.URL, 204, "", search.Command{Op: search.OpExtend, Seconds: 90}},
		{"no token", `{"op":"pause"}`, "", h.URL, 403, "lacks the token", search.Command{}},
		{"wrong token", `{"op":"pause"}`, "x" + token, h.URL, 403, "lacks the token", search.Command{}},
		{"foreign page", `{"op":"pause"}`, token, "http://evil.example", 403, `a page of "http://evil.example"`, search.Command{}},
		{"unknown trial", `{"op":"stop","trial":"b"}`, token, h.URL, 409, "there is no such trial", search.Command{}},
		{"no JSON", `pause`, token, h.URL, 400, "cannot be read", search.Command{}},
		{"unknown field", `{"op":"pause","id":"x"}`, token, h.URL, 400, "unknown field", search.Command{}},
		{"too long", `{"op":"` + strings.Repeat("x", maxCommand) + `"}`, token, h.URL, 400, "too large", search.Command{}},
	} {
		m.set(func() { m.took = nil })
		r := post(t, h.URL, c.body, c.token, c.origin)
		if r.StatusCode != c.code || !strings.Contains(r.Status, c.says) {
			t.Errorf("%s: %d %q, want %d with %q", c.name, r.StatusCode, r.Status, c.code, c.says)
		}
		switch {
		case c.taken.Op == "" && len(m.took) > 0:
			t.Errorf("%s: it took %v", c.name, m.took)
		case c.taken.Op != "" && (len(m.took) != 1 || m.took[0] != c.taken):
			t.Errorf("%s: it took %v, want %v", c.name, m.took, c.taken)
		}
	}
	if r, _ := get(t, h.URL+"/control"); r.StatusCode != 405 {
		t.Errorf("GET /control: %d", r.StatusCode)
	}
	// A name that was rebound to this machine reads nothing.
	for _, path := range []string{"/", "/state", "/events"} {
		req, _ := http.NewRequest("GET", h.URL+path, nil)
		req.Host = "evil.example"
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != 403 {
			t.Errorf("%s for evil.example: %d", path, r.StatusCode)
		}
	}
}

// event is a server-sent event.
type event struct{ name, id, data string }

// stream reads server-sent events.
type stream struct {
	t    *testing.T
	body io.ReadCloser
	scan *bufio.Reader
}

func open(t *testing.T, url, lastID string) *stream {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if ct := r.Header.Get("Content-Type"); r.StatusCode != 200 || ct != "text/event-stream" {
		t.Fatalf("%d, %s", r.StatusCode, ct)
	}
	t.Cleanup(func() { r.Body.Close() })
	return &stream{t, r.Body, bufio.NewReader(r.Body)}
}

// next is the next event; the zero one at the end of the stream.
func (s *stream) next() event {
	s.t.Helper()
	var e event
	for {
		line, err := s.scan.ReadString('\n')
		if err != nil {
			return event{}
		}
		switch field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); {
		case line == "\n" && e.name != "":
			return e
		case field == "event":
			e.name = value
		case field == "id":
			e.id = value
		case field == "data":
			e.data = value
		}
	}
}

func (s *stream) want(name string) event {
	s.t.Helper()
	e := s.next()
	if e.name != name {
		s.t.Fatalf("event %q with %.80s, want %q", e.name, e.data, name)
	}
	return e
}

func TestEvents(t *testing.T) {
	m := &made{view: View{State: Planning}}
	s, h := serve(t, m)
	e := open(t, h.URL+"/events?seen=0", "")
	if d := e.want("state").data; !strings.Contains(d, `"planning"`) {
		t.Errorf("first state %s", d)
	}
	m.set(func() { m.view.State = Running })
	if d := e.want("state").data; !strings.Contains(d, `"running"`) {
		t.Errorf("second state %s", d)
	}
	m.set(func() { m.html, m.version = []byte("<main>\n\"1\"</main>"), 100 })
	r := e.want("report")
	var html string
	if err := json.Unmarshal([]byte(r.data), &html); err != nil || html != "<main>\n\"1\"</main>" || r.id != "100" {
		t.Errorf("report %q with id %s: %v", r.data, r.id, err)
	}
	// A browser that knows the report is not sent it again, one that connects
	// again neither.
	known := open(t, h.URL+"/events?seen=100", "")
	known.want("state")
	again := open(t, h.URL+"/events?seen=3", "100")
	again.want("state")
	m.set(func() { m.html, m.version = []byte("<main>2</main>"), 200 })
	for _, e := range []*stream{e, known, again} {
		if r := e.want("report"); r.id != "200" {
			t.Errorf("report %s, want 200", r.id)
		}
	}
	// The last report and state reach every page before the stream ends.
	m.set(func() { m.view.State, m.html, m.version = Done, []byte("<main>3</main>"), 300 })
	s.ended.Store(true)
	for _, e := range []*stream{e, known, again} {
		var names []string
		for ev := e.next(); ev.name != ""; ev = e.next() {
			names = append(names, ev.name)
		}
		// A look may fall between the two changes.
		if got := strings.Join(names, " "); got != "state report end" && got != "report state end" {
			t.Errorf("at the end: %s", got)
		}
	}
}

func TestEventsProblem(t *testing.T) {
	m := &made{view: View{State: Running}}
	_, h := serve(t, m)
	e := open(t, h.URL+"/events", "")
	e.want("state")
	m.set(func() { m.fails = errors.New("search: run/ledger.jsonl: line 3 is damaged") })
	if d := e.want("problem").data; !strings.Contains(d, "line 3 is damaged") {
		t.Errorf("problem %s", d)
	}
	if ev := e.next(); ev.name != "" {
		t.Errorf("after a problem: %v", ev)
	}
}

// TestStreamLimit: pages beyond the limit are told to come again, and a page
// that closes makes room.
func TestStreamLimit(t *testing.T) {
	m := &made{view: View{State: Running}}
	_, h := serve(t, m)
	var streams []*stream
	for range maxStreams {
		e := open(t, h.URL+"/events", "")
		e.want("state")
		streams = append(streams, e)
	}
	r, _ := get(t, h.URL+"/events")
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("one more stream: %d", r.StatusCode)
	}
	streams[0].body.Close()
	end := time.Now().Add(time.Minute)
	for i := 0; ; i++ {
		m.set(func() { m.view.Ended = i }) // so that the server writes, and notices
		req, _ := http.NewRequestWithContext(t.Context(), "GET", h.URL+"/events", nil)
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a closed page makes no room")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// TestReportsLeaveTime: a report that takes long is not made all the time.
func TestReportsLeaveTime(t *testing.T) {
	m := &made{html: []byte(report), version: 1, slow: 20 * time.Millisecond}
	s, _ := serve(t, m)
	began := time.Now()
	for range 50 {
		m.set(func() { m.version++ })
		if _, _, err := s.current(); err != nil {
			t.Fatal(err)
		}
	}
	if most := 1 + int(time.Since(began)/(idleShare*m.slow)); m.pages > most+1 {
		t.Errorf("%d reports in the time of %d", m.pages, most)
	}
	s.ended.Store(true)
	m.set(func() { m.version = 1000 })
	if _, v, err := s.current(); v != 1000 || err != nil {
		t.Errorf("the last report is of version %d, want the newest: %v", v, err)
	}
}

func TestServe(t *testing.T) {
	m := &made{view: View{State: Running}, html: []byte(report), version: 1}
	s, err := Serve(m, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.ReadOnly() || !strings.HasPrefix(s.URL(), "http://127.0.0.1:") {
		t.Errorf("at %s, read-only %v", s.URL(), s.ReadOnly())
	}
	e := open(t, s.URL()+"events", "")
	e.want("state")
	e.want("report")
	if _, err := Serve(m, s.ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the same address again: %v", err)
	}
	if err := s.Close(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	e.want("end")
	if _, err := http.Get(s.URL()); err == nil {
		t.Error("it serves after Close")
	}
}
