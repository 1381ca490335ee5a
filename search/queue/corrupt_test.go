package queue

import (
	"context"
	"flag"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var corruptions = flag.Int("corruptions", 1, "times that TestCorruptStore does each damage")

// damages are what can happen to a store's files while a search runs.
var damages = []struct {
	name string
	do   func(t *testing.T, store string, rnd *rand.Rand)
}{
	{"bit flips", func(t *testing.T, store string, rnd *rand.Rand) {
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
	{"truncation", func(t *testing.T, store string, rnd *rand.Rand) {
		eachStoreFile(t, store, func(path string, size int64) { os.Truncate(path, rnd.Int64N(size+1)) })
	}},
	{"emptied", func(t *testing.T, store string, _ *rand.Rand) {
		eachStoreFile(t, store, func(path string, _ int64) { os.Truncate(path, 0) })
	}},
	{"files deleted", func(t *testing.T, store string, _ *rand.Rand) {
		eachStoreFile(t, store, func(path string, _ int64) { os.Remove(path) })
	}},
	{"folder deleted", func(t *testing.T, store string, _ *rand.Rand) { os.RemoveAll(store) }},
	{"folder moved", func(t *testing.T, store string, _ *rand.Rand) { os.Rename(store, filepath.Join(t.TempDir(), "gone")) }},
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

// TestCorruptStore damages the store of a running search, once and again: every
// trial comes to its end all the same, and none that had ended is done again.
func TestCorruptStore(t *testing.T) {
	t.Parallel()
	for _, damage := range damages {
		for range *corruptions {
			t.Run(damage.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				const steps, n = 6, 16
				q, said := open(t, dir, &fake{steps: steps, delay: 15 * time.Millisecond}, func(o *Options) { o.AckWait = 300 * time.Millisecond })
				ctx, cancel := context.WithCancel(t.Context())
				var harm sync.WaitGroup
				harm.Go(func() {
					rnd := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
					for range 3 {
						if sleep(ctx, 150*time.Millisecond+time.Duration(rnd.Int64N(int64(100*time.Millisecond)))) != nil {
							return
						}
						stores, _ := filepath.Glob(filepath.Join(dir, FolderName, storePrefix+"*"))
						for _, store := range stores {
							damage.do(t, store, rnd)
						}
					}
				})
				// Some at a time, as a search does it.
				all := trials(t, dir, n)
				c, done := context.WithTimeout(t.Context(), time.Minute)
				defer done()
				for i := 0; i < n; i += 4 {
					if err := trainAll(c, q, all[i:i+4], steps); err != nil {
						t.Fatalf("%v\nit said:\n%s", err, strings.Join(said.text, "\n"))
					}
				}
				cancel()
				harm.Wait()
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
