package serve

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"effnet"
	"effnet/arch"
	"effnet/imageprep"
	"effnet/internal/load"
	"effnet/weights"
)

// The checks of docs/reliability.md in full take long and a machine without other
// work: see scripts/reliability.sh.
var (
	full = flag.Bool("full", false, "run checks in full: a thousand reloads and slow clients; overload, fuzzing and soaking for -time; measure throughput")
	soak = flag.Duration("time", time.Hour, "with -full, how long TestSoak, TestOverload and each fuzzing test take")
	seed = flag.Uint64("seed", 1, "of the inputs of fuzzing tests: runs with other seeds try others")
)

// fullOr is n in full, else short.
func fullOr[T any](n, short T) T {
	if *full {
		return n
	}
	return short
}

// zooSource is EfficientNet-B0 with random weights.
func zooSource(t testing.TB) (Source, *effnet.Model) {
	t.Helper()
	spec := arch.MustLookup("efficientnet_b0")
	g, err := spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	w := &weights.Model{Spec: spec, Set: weights.Random(g, 1)}
	cores := runtime.GOMAXPROCS(0)
	open := func() (*effnet.Model, error) {
		return effnet.New(w, w.Set, effnet.Options{Threads: cores, Explain: true})
	}
	m, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return Source{Name: "b0", Open: open}, m
}

// asCommand makes room for connections beside what computes, as effnet serve does,
// and says how many cores there are for that.
func asCommand(t testing.TB) (cores int) {
	cores = runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(Procs(cores))
	t.Cleanup(func() { runtime.GOMAXPROCS(cores) })
	return cores
}

// photo is a JPEG of the size of a photograph for the web.
func photo(t testing.TB) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 500, 375))
	for y := range 375 {
		for x := range 500 {
			m.SetRGBA(x, y, color.RGBA{byte(x * y >> 6), byte(x/2 + y*y>>7), byte(3*x ^ y), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 85}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestThroughput: the server does nine tenths of the pictures that its processor
// could decode and run, and at half load nearly all requests take less than three
// times the service time: that for which a picture has a core to itself when all
// cores are busy. (A request that is alone is answered sooner: it has all cores.)
// Rounds take turns, so that what else the machine does is the same for both.
func TestThroughput(t *testing.T) {
	if !*full {
		t.Skip("measures; run with -full on a machine without other work")
	}
	src, m := zooSource(t)
	cores := asCommand(t)
	_, url := newServer(t, Config{Models: []Source{src}, Queue: 64, Cores: cores})
	pic := photo(t)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	post := func() time.Duration {
		start := time.Now()
		resp, err := client.Post(url+"/v1/classify?top=1", "image/jpeg", bytes.NewReader(pic))
		if err != nil {
			t.Error(err)
			return 0
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s", resp.Status)
		}
		return time.Since(start)
	}
	const batch, clients, rounds = 8, 24, 7
	x := make([]float32, batch*m.InputElems())
	logits, embeddings := make([]float32, batch*m.Classes()), make([]float32, batch*m.Width())
	// rate is what f does a second.
	rate := func(f func() int) float64 {
		start, n := time.Now(), 0
		for time.Since(start) < time.Second {
			n += f()
		}
		return float64(n) / time.Since(start).Seconds()
	}
	var possible, done, ratios []float64
	for round := range rounds + 1 {
		engine := rate(func() int {
			if err := m.Run(t.Context(), x, batch, logits, embeddings); err != nil {
				t.Fatal(err)
			}
			return batch
		})
		decoder := rate(func() int { // all cores decode
			var wait sync.WaitGroup
			for range cores {
				wait.Go(func() {
					im, err := imageprep.Decode(pic, imageprep.Limits{})
					if err != nil {
						t.Error(err)
					}
					if err := m.Prepare(make([]float32, m.InputElems()), im); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			return cores
		})
		could := 1 / (1/engine + 1/decoder)
		var n atomic.Int64
		end := time.Now().Add(2 * time.Second)
		start := time.Now()
		var wait sync.WaitGroup
		for range clients {
			wait.Go(func() {
				for time.Now().Before(end) {
					post()
					n.Add(1)
				}
			})
		}
		wait.Wait()
		did := float64(n.Load()) / time.Since(start).Seconds()
		if round > 0 { // the first warms up
			possible, done, ratios = append(possible, could), append(done, did), append(ratios, did/could)
		}
	}
	ratio := load.Median(ratios)
	t.Logf("B0, batch %d, %d cores: engine and decoder could do %.1f images/s, the server did %.1f: median of ratios %.3f", batch, cores, load.Median(possible), load.Median(done), ratio)
	if ratio < 0.9 {
		t.Errorf("the server does %.3f of what is possible", ratio)
	}
	// Half load, open loop.
	var alone []float64
	for range 30 {
		alone = append(alone, post().Seconds())
	}
	service := float64(cores) / load.Median(done)
	var p50s, p99s []float64 // of windows: what disturbs one is not in the median
	for window := range uint64(7) {
		took := load.Open(load.Median(done)/2, 7*time.Second, window, func(time.Time) (int, time.Duration) { return 200, post() }).Took
		p50s, p99s = append(p50s, load.Median(took[200])), append(p99s, load.Quantile(took[200], 0.99))
	}
	p50, p99 := load.Median(p50s), load.Median(p99s)
	t.Logf("service time %.1f ms; at half load p50 %.1f ms, p99 %.1f ms (medians of 7 windows of 7 s, the best %.1f), %.2f times that, and %.2f times the %.1f ms of a request alone",
		1e3*service, 1e3*p50, 1e3*p99, 1e3*slices.Min(p99s), p99/service, p99/load.Median(alone), 1e3*load.Median(alone))
	if p99 > 3*service {
		t.Errorf("at half load p99 is %.1f ms, the service time %.1f ms", 1e3*p99, 1e3*service)
	}
}

// TestSoak serves for long: memory and goroutines stay as they are after the
// first tenth.
func TestSoak(t *testing.T) {
	if !*full {
		t.Skip("takes long; run with -full")
	}
	s, url := newServer(t, Config{Models: []Source{fileSource(t, "small", "1", testWeights(t, testSpec, 1))}})
	pic := photo(t)
	bad := []byte("no picture")
	end := time.Now().Add(*soak)
	start := time.Now()
	var warmed sync.Once
	var memory int64
	var goroutines int
	var tenths []int64
	for i := 0; time.Now().Before(end); i++ {
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				send(t, "POST", url+"/v1/classify", "image/jpeg", pic)
				send(t, "POST", url+"/v1/classify", "image/jpeg", bad)
			})
		}
		wait.Wait()
		send(t, "POST", url+"/v1/explain", "image/jpeg", pic)
		if i%50 == 0 {
			send(t, "POST", url+"/v1/models/small/reload", "", nil)
		}
		if time.Since(start) > *soak/10 {
			warmed.Do(func() { memory, goroutines = resident(t), runtime.NumGoroutine() })
		}
		if since := time.Since(start); since > time.Duration(len(tenths)+1)**soak/10 {
			tenths = append(tenths, resident(t))
		}
	}
	now := resident(t)
	if now == 0 {
		t.Skip("this system does not say how much memory is resident")
	}
	t.Logf("resident %d KiB after a tenth, %d at the end (%v after each tenth); %d and %d goroutines", memory, now, tenths, goroutines, runtime.NumGoroutine())
	if float64(now) > 1.05*float64(memory) || runtime.NumGoroutine() > goroutines+20 {
		t.Errorf("resident memory grew from %d to %d KiB, goroutines from %d to %d", memory, now, goroutines, runtime.NumGoroutine())
	}
	if n := s.body.used.Load(); n != 0 {
		t.Errorf("%d bytes of bodies are held", n)
	}
}

// resident is the memory of this process in KiB, without what the runtime keeps for
// later; 0 where the system does not say.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	debug.FreeOSMemory() // pools give up in the second collection what the first has spared
	// Each processor's cache of pages, half a megabyte at most, is not given back.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	kept := int64(m.HeapIdle-m.HeapReleased) / 1024
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n - kept
		}
	}
	return 0
}
