package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"effnet/internal/kernel"
	"effnet/internal/words"
	"effnet/latency"
)

// machineReport is what the machine can do at best.
type machineReport struct {
	machineInfo
	Threads    int         `json:"threads"`
	Kernel     string      `json:"kernel"`
	PeakGFLOPS float64     `json:"peak_gflops"` // multiply-adds on registers
	Bandwidth  []bandwidth `json:"bandwidth"`
}

// machineInfo says which machine and program it is.
type machineInfo struct {
	CPU      string            `json:"cpu"`
	Arch     string            `json:"arch"`
	Cores    int               `json:"cores"`
	Caches   map[string]int    `json:"caches"` // "l1d", "l2", "l3": bytes of one
	Versions map[string]string `json:"versions"`
}

// bandwidth is how fast all threads together read memory over and over.
type bandwidth struct {
	Level string  `json:"level"` // "l2", "l3" or "memory": where the data is
	Bytes int     `json:"bytes"` // of each thread
	GBs   float64 `json:"gb_per_s"`
}

// peakTime is how long each of the machine's figures is measured.
const peakTime = 200 * time.Millisecond

func (b *benchCmd) runMachine(impl *kernel.Impl) error {
	r := machineReport{machineInfo: describeMachine(), Threads: b.threads, Kernel: impl.Name}
	r.PeakGFLOPS = measurePeak(impl, b.threads, peakTime)
	r.Bandwidth = measureReads(impl, b.threads, peakTime)
	if b.json {
		return writeJSON(b.OutOrStdout(), r)
	}
	b.printf("%s, %s\n\n", r.machineInfo.line(), words.Plural(r.Threads, "thread"))
	t := newTable("", ">", "")
	t.add("multiply-adds in registers", fmt.Sprintf("%.1f", r.PeakGFLOPS), "GFLOP/s, kernels "+r.Kernel)
	for _, w := range r.Bandwidth {
		t.add("reading "+w.Level, fmt.Sprintf("%.1f", w.GBs), "GB/s, "+size(int64(w.Bytes))+" a thread")
	}
	for _, c := range []string{"l1d", "l2", "l3"} {
		if n := r.Caches[c]; n > 0 {
			t.add("cache "+c, size(int64(n)))
		}
	}
	_, rows, _ := strings.Cut(t.String(), "\n") // the headings are empty
	b.printf("%s", rows)
	return nil
}

// line is the machine in a few words.
func (m *machineInfo) line() string {
	return fmt.Sprintf("%s (%s, %s)", m.CPU, m.Arch, words.Plural(m.Cores, "core"))
}

func describeMachine() machineInfo {
	return machineInfo{
		CPU: latency.Processor(), Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Caches: cacheSizes(),
		Versions: map[string]string{"effnet": version(), "go": runtime.Version()},
	}
}

// version is the program's own: the commit it was built from, where that is
// known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	revision, modified := "devel", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+"
		}
	}
	return revision + modified
}

// cacheSizes are the sizes of the first core's data caches, as far as the
// system says.
func cacheSizes() map[string]int {
	sizes := map[string]int{}
	dirs, _ := filepath.Glob("/sys/devices/system/cpu/cpu0/cache/index*")
	for _, dir := range dirs {
		read := func(name string) string {
			data, _ := os.ReadFile(filepath.Join(dir, name))
			return strings.TrimSpace(string(data))
		}
		n, err := parseAmount(read("size"), 1024)
		if err != nil {
			continue
		}
		switch level := read("level"); {
		case level == "1" && read("type") == "Data":
			sizes["l1d"] = int(n)
		case level == "2" || level == "3":
			sizes["l"+level] = int(n)
		}
	}
	return sizes
}

// streamSizes are how much each thread reads: half of a cache of the second
// level; a quarter of the last, so that it is there in spite of others, unless
// that is hardly more than the second holds; and, to reach memory, four times
// what the last level holds, but no more than 512 MiB in all.
func streamSizes(caches map[string]int, threads int) []bandwidth {
	l2 := 512 << 10
	if n := caches["l2"]; n > 0 {
		l2 = n
	}
	list := []bandwidth{{Level: "l2", Bytes: l2 / 2}}
	if n := caches["l3"] / 4 / threads; n >= 2*l2 {
		list = append(list, bandwidth{Level: "l3", Bytes: n})
	}
	last := max(caches["l3"], l2, 16<<20)
	list = append(list, bandwidth{Level: "memory", Bytes: min(4*last, 512<<20) / threads})
	const block = 4 * kernel.StreamBlock
	for i := range list {
		list[i].Bytes = max(list[i].Bytes/block, 1) * block
	}
	return list
}

// measureReads measures how fast all threads together read from each level, for
// d each.
func measureReads(impl *kernel.Impl, threads int, d time.Duration) []bandwidth {
	list := streamSizes(cacheSizes(), threads)
	for i := range list {
		list[i].GBs = measureBandwidth(impl, threads, list[i].Bytes, d)
	}
	return list
}

// peakWindow is one measurement of what a machine can do. Of several the best
// counts: whatever else runs can only slow it down.
const peakWindow = 10 * time.Millisecond

// measurePeak measures the multiply-adds of all threads in GFLOP/s.
func measurePeak(impl *kernel.Impl, threads int, d time.Duration) float64 {
	return measureBest(threads, d, func() func() int64 {
		var x [kernel.PeakFloats]float32
		return func() int64 { return impl.Peak(&x, 10_000) }
	}) / 1e9
}

// measureBandwidth measures in GB/s how all threads read bytes each, over and
// over.
func measureBandwidth(impl *kernel.Impl, threads, bytes int, d time.Duration) float64 {
	return measureBest(threads, d, func() func() int64 {
		// A piece is read at once, so that time is looked at often enough.
		const piece = 1 << 18
		x := make([]float32, bytes/4)
		for i := range x {
			x[i] = 1 // pages that nothing was written to are one and the same
		}
		rest := x
		return func() int64 {
			n := min(piece, len(rest))
			impl.Stream(rest[:n])
			if rest = rest[n:]; len(rest) == 0 {
				rest = x
			}
			return int64(4 * n)
		}
	}) / 1e9
}

// measureSwish measures, in 10^9 a second, the values of swish that all threads
// make from what lies in the first cache.
func measureSwish(impl *kernel.Impl, threads int, d time.Duration) float64 {
	return measureBest(threads, d, func() func() int64 {
		src, dst := make([]float32, 2048), make([]float32, 2048)
		for i := range src {
			src[i] = float32(i%64)/16 - 2
		}
		return func() int64 {
			const calls = 16
			for range calls {
				impl.Apply(dst, src, kernel.Swish)
			}
			return int64(calls * len(dst))
		}
	}) / 1e9
}

// measureBest runs threads at once for about d and returns the most work per
// second that they did together. prepare makes a thread's work, which does a
// little each time it is called and says how much.
func measureBest(threads int, d time.Duration, prepare func() (work func() int64)) float64 {
	rates := make([]float64, max(1, int(d/peakWindow))) // sums over threads
	var mu sync.Mutex
	var ready, done sync.WaitGroup
	ready.Add(threads)
	for range threads {
		done.Go(func() {
			work := prepare()
			work()
			ready.Done()
			ready.Wait()
			for w := range rates {
				start, sum := time.Now(), int64(0)
				for time.Since(start) < peakWindow {
					sum += work()
				}
				rate := float64(sum) / time.Since(start).Seconds()
				mu.Lock()
				rates[w] += rate
				mu.Unlock()
			}
		})
	}
	done.Wait()
	return slices.Max(rates)
}

// peakRSS is the most memory the process has held, in MB; 0 where the system
// does not say.
func peakRSS() float64 { return peakRSSOf("self") }

// peakRSSOf is that of the process with a number.
func peakRSSOf(pid string) float64 {
	data, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "VmHWM:" {
			kib, _ := strconv.ParseFloat(f[1], 64)
			return kib * 1024 / 1e6
		}
	}
	return 0
}
