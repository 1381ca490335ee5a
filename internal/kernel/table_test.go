package kernel

import (
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

// TestNoSilentFallback holds that the best of what this CPU can do is used: a
// gate that is wrong would show as slowness only.
func TestNoSilentFallback(t *testing.T) {
	t.Setenv(Env, "")
	want := "go"
	if runtime.GOARCH == "amd64" && !pureGo {
		switch {
		case cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ:
			want = "avx512"
		case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
			want = "avx2"
		}
	}
	if runtime.GOARCH == "arm64" && !pureGo {
		want = "neon"
	}
	if got := Best().Name; got != want {
		t.Errorf("Best is %q, want %q", got, want)
	}
}

// TestTable holds that every implementation is whole.
func TestTable(t *testing.T) {
	table := Table()
	if last := table[len(table)-1]; last.Impl != &Generic || !last.Supported {
		t.Errorf("the last row is %q, supported %v", last.Impl.Name, last.Supported)
	}
	for _, r := range table {
		v := reflect.ValueOf(*r.Impl)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%s has no %s", r.Impl.Name, v.Type().Field(i).Name)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	t.Setenv(Env, "")
	if impl, err := Lookup("go"); err != nil || impl != &Generic {
		t.Errorf("Lookup(go): %v, %v", impl, err)
	}
	if impl, err := Lookup(""); err != nil || impl != Best() {
		t.Errorf("Lookup of nothing: %v, %v", impl, err)
	}
	if _, err := Lookup("mmx"); err == nil || !strings.Contains(err.Error(), `no implementation "mmx", have `) {
		t.Errorf("Lookup(mmx): %v", err)
	}
	for _, r := range Table() {
		t.Setenv(Env, r.Impl.Name)
		impl, err := Lookup("")
		switch {
		case !r.Supported:
			if err == nil || !strings.Contains(err.Error(), Env+": this CPU cannot run") {
				t.Errorf("%s=%s: %v", Env, r.Impl.Name, err)
			}
		case err != nil || impl != r.Impl || Best() != r.Impl:
			t.Errorf("%s=%s: %v, %v", Env, r.Impl.Name, impl, err)
		}
	}
	t.Setenv(Env, "sse")
	if _, err := Lookup(""); err == nil || !strings.Contains(err.Error(), Env+`: no implementation "sse"`) {
		t.Errorf("%s=sse: %v", Env, err)
	}
	if impl, err := Lookup("go"); err != nil || impl != &Generic {
		t.Errorf("a name is subject to %s: %v, %v", Env, impl, err)
	}
}

// TestGODEBUG holds that a feature switched off for the process is not used.
func TestGODEBUG(t *testing.T) {
	if os.Getenv("KERNEL_TEST_BEST") != "" {
		os.Stdout.WriteString("best:" + Best().Name + "\n")
		return
	}
	if runtime.GOARCH != "amd64" || pureGo || !cpu.X86.HasAVX512F || !cpu.X86.HasAVX2 {
		t.Skip("needs a CPU with AVX-512")
	}
	for off, want := range map[string]string{"cpu.avx512f=off": "avx2", "cpu.avx512f=off,cpu.avx2=off": "go"} {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestGODEBUG$")
		cmd.Env = append(os.Environ(), "KERNEL_TEST_BEST=1", "GODEBUG="+off, Env+"=")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "best:"+want+"\n") {
			t.Errorf("GODEBUG=%s: %v, %s, want %s", off, err, out, want)
		}
	}
}

// TestNoAllocations holds that kernels leave nothing to the garbage collector.
func TestNoAllocations(t *testing.T) {
	buf := make([]float32, 1<<16)
	c := make([]float32, 24)
	s := dwOf(24, 3, 1, 9, 9, 0)
	eachImpl(t, func(t *testing.T, impl *Impl) {
		for name, f := range map[string]func(){
			"gemm":        func() { impl.Gemm(100, 40, 96, buf, 96, 1, buf[10000:], 40, buf[20000:], 40, false, nil) },
			"conv":        func() { impl.Conv(convOf(3, 10, 8, 40, 3, 1, 0), buf, buf[1000:], buf[30000:]) },
			"scalerows":   func() { impl.ScaleRows(buf[:320], buf[1000:], buf[2000:2010]) },
			"forward":     func() { impl.DWForward(s, buf, buf, buf[30000:]) },
			"input":       func() { impl.DWBackwardInput(s, buf, buf, buf[30000:]) },
			"weight":      func() { impl.DWBackwardWeight(s, buf, buf, buf[30000:]) },
			"scaleact":    func() { impl.ScaleAct(buf[:24*100], buf[30000:], c, c, Swish) },
			"actbackward": func() { impl.ActBackward(buf[:24*100], buf, buf[30000:], c, c, c, Swish, c, c) },
			"swishslope":  func() { impl.SwishSlope(buf[:24*100], buf[10000:], buf[30000:], c, c) },
			"slopeback":   func() { impl.SlopeBackward(buf[:24*100], buf, buf[10000:], buf[30000:], c, c, c) },
			"gated":       func() { impl.GatedBackward(buf[:24*100], buf[10000:], buf[30000:], c, c, c, c, c) },
			"moments":     func() { impl.Moments(buf[:24*100], c, c, c) },
			"add":         func() { impl.Add(buf[:1000], buf[1000:]) },
			"axpy":        func() { impl.Axpy(2, buf[:1000], buf[1000:]) },
			"apply":       func() { impl.Apply(buf[:1000], buf[1000:], Swish) },
			"rmsprop":     func() { impl.RMSProp(buf[:1000], buf[1000:], buf[2000:], buf[3000:], rmspropStep) },
		} {
			if n := testing.AllocsPerRun(10, f); n > 0 {
				t.Errorf("%s allocates %v times", name, n)
			}
		}
	})
}
