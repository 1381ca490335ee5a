package serve

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"effnet"
	"effnet/internal/load"
	"effnet/weights"
)

// slowSpec takes a few milliseconds a picture.
const slowSpec = `
name: slow
resolution: 96
classes: 4
stem: {width: 32}
blocks: [ds_r2_k3_c24, ir_r3_k3_s2_e6_c32, ir_r3_k5_s2_e6_c64]
head: 256
preprocessing: {crop: 1, filter: bilinear, mean: [0, 0, 0], std: [1, 1, 1]}
`

// Pictures of many requests are run together, and nobody sees it in the answers.
func TestBatching(t *testing.T) {
	m := testWeights(t, slowSpec, 1)
	s, url := newServer(t, Config{Models: []Source{fileSource(t, "slow", "1", m)}, MaxBatch: 4, MaxDelay: time.Hour, QueueTimeout: time.Minute, Timeout: 2 * time.Minute})
	const n = 32
	var pics [n][]byte
	var want [n][]effnet.Prediction
	for i := range n {
		pics[i] = picture(t, 60+i, 80, uint64(i))
		want[i] = direct(t, m, pics[i], 4)
	}
	// One more is on its way until all are there, so that none is too early for
	// company.
	b := s.slots[0].now.batcher
	if !b.admit(1, 1) {
		t.Fatal("no room for a picture")
	}
	var wait sync.WaitGroup
	var largest, answered atomic.Int64
	for i := range n {
		wait.Go(func() {
			defer answered.Add(1)
			c := classifyAs(t, url+"/v1/classify", "image/png", pics[i])
			if !same(c.Results[0].Predictions, want[i]) {
				t.Errorf("picture %d: %+v, alone %+v", i, c.Results[0].Predictions, want[i])
			}
			for old := largest.Load(); int64(c.Timing.Batch) > old && !largest.CompareAndSwap(old, int64(c.Timing.Batch)); old = largest.Load() {
			}
		})
	}
	for answered.Load()+b.admitted.Load() < 1+n {
		time.Sleep(time.Millisecond)
	}
	b.leave(1, 1)
	wait.Wait()
	_, data := send(t, "GET", url+"/metrics", "", nil)
	if execs := metric(t, data, "nv_inference_exec_count"); largest.Load() != 4 || execs > n/2 || metric(t, data, "nv_inference_count") != n {
		t.Errorf("%d pictures in %v batches, the largest of %d", n, execs, largest.Load())
	}
	if b.admitted.Load() != 0 || b.coming != 0 || len(b.ready) != 0 {
		t.Errorf("%d pictures are still admitted, %d coming, %d ready", b.admitted.Load(), b.coming, len(b.ready))
	}
}

// metric is the sum of a metric over its labels.
func metric(t *testing.T, text []byte, name string) float64 {
	t.Helper()
	sum, found := 0.0, false
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == '{' || rest[0] == ' ') {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):]), 64)
			if err != nil {
				t.Fatal(err)
			}
			sum, found = sum+v, true
		}
	}
	if !found {
		t.Fatalf("no metric %s", name)
	}
	return sum
}

// hold takes all cores until the function that it returns is called.
func hold(t *testing.T, s *Server) (free func()) {
	t.Helper()
	if err := s.cores.take(t.Context(), s.cores.total, time.Time{}); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() { s.cores.give(s.cores.total) })
}

// A map is made beside the batches: none waits for its picture.
func TestExplainIsNotWaitedFor(t *testing.T) {
	s, url := newServer(t, Config{MaxDelay: time.Hour})
	l, pic := s.slots[0].now, picture(t, 30, 30, 1)
	l.explaining.Lock()
	var wait sync.WaitGroup
	wait.Go(func() {
		if resp, data := send(t, "POST", url+"/v1/explain", "image/png", pic); resp.StatusCode != 200 {
			t.Errorf("explain: %s: %s", resp.Status, data)
		}
	})
	for l.admitted.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if resp, data := send(t, "POST", url+"/v1/classify", "image/png", pic); resp.StatusCode != 200 {
		t.Errorf("classify: %s: %s", resp.Status, data)
	}
	l.explaining.Unlock()
	wait.Wait()
}

// A full queue refuses at once, a long wait ends, and neither leaves anything.
func TestQueue(t *testing.T) {
	s, url := newServer(t, Config{Queue: 2, QueueTimeout: 300 * time.Millisecond})
	free := hold(t, s)
	defer free()
	pic := picture(t, 30, 30, 1)
	statuses := make(chan int, 2)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			resp, _ := send(t, "POST", url+"/v1/classify", "image/png", pic)
			statuses <- resp.StatusCode
		})
	}
	b := s.slots[0].now.batcher
	for b.admitted.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	start := time.Now()
	for _, path := range []string{"/v1/classify", "/v1/explain", "/v2/models/small/infer"} {
		resp, data := send(t, "POST", url+path, "image/png", pic)
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(data), "model small has 2 images waiting and no room for more") {
			t.Errorf("%s of a full queue: %s, %s", path, resp.Status, data)
		}
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("three refusals took %v", took)
	}
	time.Sleep(350 * time.Millisecond)
	free()
	wait.Wait()
	for range 2 {
		if got := <-statuses; got != 503 {
			t.Errorf("a picture that waited too long: %d", got)
		}
	}
	if resp, data := send(t, "POST", url+"/v1/classify", "image/png", pic); resp.StatusCode != 200 {
		t.Errorf("after that: %s, %s", resp.Status, data)
	}
	_, data := send(t, "GET", url+"/metrics", "", nil)
	if n := metric(t, data, "nv_inference_request_failure"); n != 5 || metric(t, data, "nv_inference_pending_request_count") != 0 {
		t.Errorf("%v failures, %v pending", n, metric(t, data, "nv_inference_pending_request_count"))
	}
}

// Who goes away is not run.
func TestCancelled(t *testing.T) {
	s, url := newServer(t, Config{})
	free := hold(t, s)
	defer free()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", url+"/v1/classify", bytes.NewReader(picture(t, 30, 30, 1)))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(r)
		gone <- err
	}()
	b := s.slots[0].now.batcher
	for b.admitted.Load() < 1 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-gone; err == nil {
		t.Error("the request was answered")
	}
	for b.admitted.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	free()
	_, data := send(t, "GET", url+"/metrics", "", nil)
	if !strings.Contains(string(data), `nv_inference_request_failure{model="small",reason="CANCELED",version="1"} 1`) || metric(t, data, "nv_inference_count") != 0 {
		t.Errorf("cancelled requests: %s", data)
	}
}

// TestReload replaces a model again and again while requests go on, now and then
// by a broken file: no request fails, and each is answered by one of the models.
func TestReload(t *testing.T) {
	models := []*weights.Model{testWeights(t, testSpec, 1), testWeights(t, testSpec, 2)}
	src := fileSource(t, "small", "1", models[0])
	before := runtime.NumGoroutine()
	_, url := newServer(t, Config{Models: []Source{src}})
	pic := picture(t, 30, 30, 1)
	want := [][]effnet.Prediction{direct(t, models[0], pic, 5), direct(t, models[1], pic, 5)}
	stop := make(chan struct{})
	var answered, turns atomic.Int64
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			last := -1
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, data := send(t, "POST", url+"/v1/classify", "image/png", pic)
				var c classes
				if err := json.Unmarshal(data, &c); err != nil || resp.StatusCode != 200 {
					t.Errorf("%s: %s, %v", resp.Status, data, err)
					return
				}
				which := slices.IndexFunc(want, func(w []effnet.Prediction) bool { return same(w, c.Results[0].Predictions) })
				if which < 0 {
					t.Errorf("an answer of neither model: %+v", c)
				} else if which != last {
					turns.Add(1)
				}
				last = which
				answered.Add(1)
			}
		})
	}
	reloads := fullOr(1000, 50)
	for i := range reloads {
		broken := i%10 == 9
		status, want := 200, ""
		if broken {
			good, err := os.ReadFile(src.Path)
			if err != nil || len(good) < 100 {
				t.Fatal(err, len(good))
			}
			good[9] ^= 0x40 // in the header
			bad := [][]byte{[]byte("broken"), nil, good[:len(good)/2], good}[i/10%4]
			if err := os.WriteFile(src.Path+".new", bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(src.Path+".new", src.Path); err != nil {
				t.Fatal(err)
			}
			status, want = 409, "the old model stays"
		} else if err := models[(i+1)%2].Write(src.Path); err != nil {
			t.Fatal(err)
		}
		resp, data := send(t, "POST", url+"/v1/models/small/reload", "", nil)
		if resp.StatusCode != status || !strings.Contains(string(data), want) {
			t.Fatalf("reload %d: %s, %s", i, resp.Status, data)
		}
	}
	close(stop)
	wait.Wait()
	if answered.Load() < 25 || turns.Load() < 4 {
		t.Errorf("%d requests were answered, by another model than before %d times", answered.Load(), turns.Load())
	}
	t.Logf("%d reloads, %d of them of broken files; %d requests were answered, by another model than before %d times", reloads, reloads/10, answered.Load(), turns.Load())
	_, data := send(t, "GET", url+"/metrics", "", nil)
	for _, want := range []string{fmt.Sprintf(`result="success",version="1"} %d`, reloads*9/10), fmt.Sprintf(`result="failure",version="1"} %d`, reloads/10)} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s", want)
		}
	}
	// What was replaced is gone.
	http.DefaultClient.CloseIdleConnections()
	for range 100 {
		if runtime.NumGoroutine() < before+25 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before+25 {
		t.Errorf("%d goroutines, %d before", now, before)
	}
}

// A file that changes is loaded, a broken one is not, and one that comes back is.
func TestWatch(t *testing.T) {
	a, b := testWeights(t, testSpec, 1), testWeights(t, testSpec, 2)
	src := fileSource(t, "small", "1", a)
	_, url := newServer(t, Config{Models: []Source{src}, Watch: 10 * time.Millisecond})
	pic := picture(t, 30, 30, 1)
	until := func(what string, ok func() bool) {
		t.Helper()
		for range 500 {
			if ok() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%s did not happen", what)
	}
	says := func(m *weights.Model) func() bool {
		want := direct(t, m, pic, 5)
		return func() bool {
			return same(classifyAs(t, url+"/v1/classify", "image/png", pic).Results[0].Predictions, want)
		}
	}
	until("the first model", says(a))
	if err := b.Write(src.Path); err != nil {
		t.Fatal(err)
	}
	until("the second model", says(b))
	if err := os.WriteFile(src.Path, []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	until("the failure", func() bool {
		_, data := send(t, "GET", url+"/metrics", "", nil)
		return strings.Contains(string(data), `effnet_model_reloads_total{model="small",result="failure",version="1"} 1`)
	})
	if !says(b)() {
		t.Error("the old model is gone")
	}
	if err := os.Remove(src.Path); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if err := a.Write(src.Path); err != nil {
		t.Fatal(err)
	}
	until("the first model again", says(a))
}

// TestOverload sends twice what the server can do, as a Poisson process that does
// not wait for answers. What is admitted is answered in time, what is not is
// refused at once, and as much is done as when the server is just busy.
func TestOverload(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const queueTimeout = time.Second
	src, pic := fileSource(t, "slow", "1", testWeights(t, slowSpec, 1)), picture(t, 96, 96, 1)
	if *full { // B0 on photographs, as people have them
		src, _ = zooSource(t)
		pic = photo(t)
	}
	s, url := newServer(t, Config{Models: []Source{src}, Cores: asCommand(t), Queue: 16, QueueTimeout: queueTimeout})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}}
	defer client.CloseIdleConnections()
	post := func() (int, time.Duration) {
		start := time.Now()
		resp, err := client.Post(url+"/v1/classify", "image/*", bytes.NewReader(pic))
		if err != nil {
			t.Error(err)
			return 0, 0
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp.StatusCode, time.Since(start)
	}
	// Capacity and service time: so many clients that the queue is never empty.
	var done atomic.Int64
	closed := func(clients int, during time.Duration) float64 {
		done.Store(0)
		end := time.Now().Add(during)
		start := time.Now()
		var wait sync.WaitGroup
		for range clients {
			wait.Go(func() {
				for time.Now().Before(end) {
					if status, _ := post(); status == 200 {
						done.Add(1)
					}
				}
			})
		}
		wait.Wait()
		return float64(done.Load()) / time.Since(start).Seconds()
	}
	closed(12, 200*time.Millisecond)
	peak := closed(12, fullOr(5*time.Second, time.Second))
	service := time.Duration(float64(12*time.Second) / peak)

	during := fullOr(min(*soak, 10*time.Minute), 2*time.Second)
	before := resident(t)
	took := load.Open(2*peak, during, 1, func(time.Time) (int, time.Duration) { return post() }).Took
	admitted, refused := took[200], took[503]
	if len(took) != 2 {
		t.Fatalf("statuses and times: %v", took)
	}
	goodput := float64(len(admitted)) / during.Seconds()
	slow, quick := load.Quantile(admitted, 0.99), load.Quantile(refused, 0.99)
	t.Logf("peak %.0f/s, a round of 12 clients %v; offered %.0f/s for %v: %.0f/s answered, p99 %.0f ms; %d refused, p50 %.1f ms, p99 %.1f ms; resident %d KiB before, %d after",
		peak, service, 2*peak, during, goodput, 1e3*slow, len(refused), 1e3*load.Median(refused), 1e3*quick, before, resident(t))
	if *full {
		if slow > (queueTimeout+2*service).Seconds() || goodput < 0.9*peak || quick > 0.05 {
			t.Errorf("admitted p99 %.3f s, goodput %.0f of %.0f, refusals p99 %.3f s", slow, goodput, peak, quick)
		}
		return
	}
	// The machine may be busy with other things: these bounds catch what is broken.
	if slow > (queueTimeout+2*service).Seconds()+3 || goodput < 0.4*peak || quick > 3 {
		t.Errorf("admitted p99 %.3f s, goodput %.0f of %.0f, refusals p99 %.3f s", slow, goodput, peak, quick)
	}
	if b := s.slots[0].now.batcher; b.admitted.Load() != 0 {
		t.Errorf("%d pictures are still admitted", b.admitted.Load())
	}
}

// Clients that send slowly hold neither the server nor much of its memory.
func TestSlowClients(t *testing.T) {
	s, err := New(Config{Models: []Source{fileSource(t, "small", "1", testWeights(t, testSpec, 1))}, BodyMemory: 64 << 20, Cores: asCommand(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := httptest.NewUnstartedServer(s)
	server := s.HTTPServer()
	if !*full {
		server.ReadHeaderTimeout, server.ReadTimeout = 500*time.Millisecond, 2*time.Second
	}
	h.Config = server
	h.Start()
	defer h.Close()
	addr := h.Listener.Addr().String()
	pic := picture(t, 30, 30, 1)
	// times are those of requests of clients that are not slow.
	times := func(n int) (all []float64) {
		for range n {
			start := time.Now()
			if resp, data := send(t, "POST", h.URL+"/v1/classify", "image/png", pic); resp.StatusCode != 200 {
				t.Fatalf("%s: %s", resp.Status, data)
			}
			all = append(all, 1e3*time.Since(start).Seconds())
		}
		return all
	}
	requests := fullOr(2000, 20)
	times(requests / 10)
	alone := times(requests)
	var conns []net.Conn
	for i := range fullOr(1000, 200) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			fmt.Fprintf(c, "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 30000000\r\n\r\nx")
		} else {
			fmt.Fprintf(c, "POST /v1/classify HTTP/1.1\r\nHost: ")
		}
		conns = append(conns, c)
	}
	stop := make(chan struct{})
	var dripping sync.WaitGroup
	dripping.Go(func() { // a byte now and then
		tick := time.NewTicker(time.Second / time.Duration(len(conns)))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				_, _ = conns[i%len(conns)].Write([]byte("x")) // it may be closed
			}
		}
	})
	beside := times(requests)
	before, after := load.Quantile(alone, 0.99), load.Quantile(beside, 0.99)
	t.Logf("%d requests: p50 %.2f ms, p99 %.2f ms; beside %d slow clients p50 %.2f ms, p99 %.2f ms", requests, load.Median(alone), before, len(conns), load.Median(beside), after)
	if most := fullOr(1.1*before, before+10_000); after > most {
		t.Errorf("beside slow clients p99 is %.2f ms, without them %.2f ms", after, before)
	}
	for _, c := range conns { // all are sent away
		_ = c.SetReadDeadline(time.Now().Add(fullOr(2*time.Minute, 30*time.Second)))
		if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
			t.Fatal("a slow client is still connected")
		}
	}
	close(stop)
	dripping.Wait()
	http.DefaultClient.CloseIdleConnections()
	for range 200 {
		if s.body.used.Load() == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d bytes are still held", s.body.used.Load())
}

// A body that grows a thousandfold ends at the limit, and what it had is free again.
func TestGzipBomb(t *testing.T) {
	s, url := newServer(t, Config{})
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 100 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/classify", "/v1/explain", "/v2/models/small/infer"} {
		before, start := allocated(), time.Now()
		resp, data := send(t, "POST", url+path, "image/png", bomb.Bytes(), "Content-Encoding", "gzip")
		took, memory := time.Since(start), (allocated()-before)>>20
		t.Logf("%s: %d KiB that become 100 MiB: %s after %v, %d MiB allocated", path, bomb.Len()>>10, resp.Status, took.Round(time.Millisecond), memory)
		if resp.StatusCode != 413 || memory > 4*32 || s.body.used.Load() != 0 {
			t.Errorf("%s: %s: %s; %d MiB allocated, %d bytes held", path, resp.Status, data, memory, s.body.used.Load())
		}
	}
}

// allocated is how many bytes have been allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
