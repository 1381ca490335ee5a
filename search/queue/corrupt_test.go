package queue

import (
	"context"
	"flag"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"effnet/search"
)

var corruptions = flag.Int("corruptions", 1, "times that TestCorruptStore does each damage")

// damages are what can happen to a store's files while a search runs.
var damages = []struct {
	name string
	gone bool // the store is not there any more
	do   func(t *testing.T, store string, rnd *rand.Rand)
}{
	{"bit flips", false, func(t *testing.T, store string, rnd *rand.Rand) {
		eachStoreFile(t, store, func(path string, size int64) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil || size == 0 {
				return
			}
			defer f.Close()
			for range 8 {
				var b [1]byte
				at := rnd.Int64N(size)
				f.ReadAt(b[:], at)
				b[0] ^= 1 << rnd.IntN(8)
				f.WriteAt(b[:], at)
			}
		})
	}},
	{"truncation", false, func(t *testing.T, store string, rnd *rand.Rand) {
		eachStoreFile(t, store, func(path string, size int64) { os.Truncate(path, rnd.Int64N(size+1)) })
	}},
	{"emptied", false, func(t *testing.T, store string, _ *rand.Rand) {
		eachStoreFile(t, store, func(path string, _ int64) { os.Truncate(path, 0) })
	}},
	{"files deleted", false, func(t *testing.T, store string, _ *rand.Rand) {
		eachStoreFile(t, store, func(path string, _ int64) { os.Remove(path) })
	}},
	{"folder deleted", true, func(t *testing.T, store string, _ *rand.Rand) { os.RemoveAll(store) }},
	{"folder moved", true, func(t *testing.T, store string, _ *rand.Rand) { os.Rename(store, filepath.Join(t.TempDir(), "gone")) }},
}

func eachStoreFile(t *testing.T, store string, do func(path string, size int64)) {
	filepath.WalkDir(store, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			do(path, info.Size())
		}
		return nil
	})
}

// TestSilence: how long a store may be silent follows from how quick the machine
// is at such work.
func TestSilence(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name    string
		efforts []time.Duration // at checks, ten seconds apart
		want    int             // the check at which the store is broken; 0: none
	}{
		{"a quick machine", []time.Duration{s / 1000, s / 1000, s / 1000, s / 1000}, 4},
		{"a machine that is busy", []time.Duration{s / 2, s / 2, s / 2, s / 2, s / 2, s / 2}, 6},
		{"one that was busy", []time.Duration{s / 2, 0, 0, 0, 0, 0}, 6},
		{"one that becomes busy", []time.Duration{0, 0, s / 2, s / 2, s / 2, s / 2}, 6},
		{"one that hangs", slices.Repeat([]time.Duration{100 * s}, 20), 16},
	} {
		var q silence
		got := 0
		now := time.Unix(1_800_000_000, 0)
		for i, effort := range tt.efforts {
			if q.broken(now, 20*s, effort) {
				got = i + 1
				break
			}
			now = now.Add(10 * s)
		}
		if got != tt.want {
			t.Errorf("%s: broken at check %d, want %d", tt.name, got, tt.want)
		}
		if q.end(); q.broken(now, 20*s, 0) {
			t.Errorf("%s: broken at once after an answer", tt.name)
		}
	}
}

// TestCorruptStore damages the store of a running search, once and again: every
// trial comes to its end all the same, none that had ended is trained again, and a
// store that is not there any more is replaced.
func TestCorruptStore(t *testing.T) {
	t.Parallel()
	for _, damage := range damages {
		for range *corruptions {
			t.Run(damage.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				const steps, n = 6, 16
				var ended sync.Map // trials' names
				f := &fake{steps: steps, delay: 15 * time.Millisecond, before: func(tr *search.Trial) error {
					if _, is := ended.Load(tr.ID); is {
						t.Errorf("trial %s has ended and is trained again", tr.ID)
					}
					return nil
				}}
				q, said := open(t, dir, f, func(o *Options) { o.AckWait = 300 * time.Millisecond })
				ctx, cancel := context.WithCancel(t.Context())
				var harm sync.WaitGroup
				harm.Go(func() {
					rnd := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
					for i := range 3 {
						if sleep(ctx, 150*time.Millisecond+time.Duration(rnd.Int64N(int64(100*time.Millisecond)))) != nil && i > 0 {
							return
						}
						stores, _ := filepath.Glob(filepath.Join(dir, FolderName, storePrefix+"*"))
						for _, store := range stores {
							damage.do(t, store, rnd)
						}
					}
				})
				// Some at a time, as a search does it.
				c, done := context.WithTimeout(t.Context(), 5*time.Minute)
				defer done()
				train := func(some []*search.Trial) {
					t.Helper()
					if err := trainAll(c, q, some, steps); err != nil {
						t.Fatalf("%v\nit said:\n%s", err, strings.Join(said.text, "\n"))
					}
					for _, tr := range some {
						ended.Store(tr.ID, true)
					}
				}
				all := trials(t, dir, n+2)
				for i := 0; i < n; i += 4 {
					train(all[i : i+4])
				}
				cancel()
				harm.Wait()
				for damage.gone && q.Stats().Rebuilt == 0 {
					if err := sleep(c, 10*time.Millisecond); err != nil {
						t.Fatalf("the store is gone and not replaced: %v", err)
					}
				}
				train(all[n:])
				t.Logf("%+v", q.Stats())
			})
		}
	}
}

// TestLeftStore: whatever an earlier process left in place of its store is of
// no consequence.
func TestLeftStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, FolderName, storePrefix+"old", "jetstream")
	if err := os.MkdirAll(left, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "index.db"), []byte("junk"), 0o666); err != nil {
		t.Fatal(err)
	}
	q, _ := open(t, dir, &fake{steps: 1}, nil)
	if err := trainAll(t.Context(), q, trials(t, dir, 2), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("the old store is still there")
	}
}
