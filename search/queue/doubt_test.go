package queue

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// lagging is a bucket whose writes get no answer, and whose replica shows for a
// while what was there before.
type lagging struct {
	jetstream.KeyValue
	unheard int // writes that are done without an answer
	stale   int // reads of old
	old     jetstream.KeyValueEntry
}

func (l *lagging) Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	if l.unheard > 0 {
		l.unheard--
		l.old, _ = l.KeyValue.Get(ctx, key)
		if _, err := l.KeyValue.Update(ctx, key, value, rev); err != nil {
			return 0, err
		}
		return 0, nats.ErrTimeout
	}
	return l.KeyValue.Update(ctx, key, value, rev)
}

func (l *lagging) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if l.stale > 0 {
		l.stale--
		if l.old == nil {
			return nil, jetstream.ErrKeyNotFound
		}
		return l.old, nil
	}
	return l.KeyValue.Get(ctx, key)
}

// TestSwapUnheard: a write whose answer got lost is known for one's own, or for
// another's, only by a replica that is not behind.
func TestSwapUnheard(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	q, _ := open(t, t.TempDir(), &fake{}, remote(c))
	s := *q.current().session // the queue's own goes on beside
	bucket := s.claims
	for _, begun := range []bool{false, true} {
		key, rev := "new", uint64(0)
		if begun {
			key = "begun"
			var err error
			if rev, err = s.swap(t.Context(), key, claim{State: stateOpen}, 0); err != nil {
				t.Fatal(err)
			}
		}
		l := &lagging{KeyValue: bucket, unheard: 1, stale: 3}
		s.claims = l
		got, err := s.swap(t.Context(), key, claim{State: stateDone, Worker: "me"}, rev)
		s.claims = bucket
		c, at, e := s.claim(t.Context(), key)
		if err != nil || e != nil || got != at || c.Worker != "me" || l.stale != 0 {
			t.Errorf("%s: revision %d, %v; the bucket holds %+v at %d, %v", key, got, err, c, at, e)
		}
		s.claims = &lagging{KeyValue: bucket, stale: 0}
		if _, err := s.swap(t.Context(), key, claim{State: stateDone}, rev); !errors.Is(err, errSuperseded) {
			t.Errorf("%s: a claim that is another's: %v", key, err)
		}
		s.claims = bucket
	}
}

// unsteady is an object store of which fetching fails some times.
type unsteady struct {
	jetstream.ObjectStore
	absent, cut int // times
	puts        int
}

func (u *unsteady) Put(ctx context.Context, meta jetstream.ObjectMeta, r io.Reader) (*jetstream.ObjectInfo, error) {
	u.puts++
	return u.ObjectStore.Put(ctx, meta, r)
}

func (u *unsteady) GetInfo(ctx context.Context, name string, opts ...jetstream.GetObjectInfoOpt) (*jetstream.ObjectInfo, error) {
	if u.absent > 0 {
		u.absent--
		return nil, jetstream.ErrObjectNotFound
	}
	return u.ObjectStore.GetInfo(ctx, name, opts...)
}

func (u *unsteady) Get(ctx context.Context, name string, opts ...jetstream.GetObjectOpt) (jetstream.ObjectResult, error) {
	r, err := u.ObjectStore.Get(ctx, name, opts...)
	if u.cut > 0 && err == nil {
		u.cut--
		return &cutResult{r, io.LimitReader(r, 7)}, nil
	}
	return r, err
}

type cutResult struct {
	jetstream.ObjectResult
	r io.Reader
}

func (c *cutResult) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err == io.EOF {
		err = jetstream.ErrDigestMismatch
	}
	return n, err
}

// TestObjects: an object that comes late or in part is fetched again, and one that
// is in several messages is looked at before anybody is told of it.
func TestObjects(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	q, _ := open(t, t.TempDir(), &fake{}, remote(c))
	s := *q.current().session // the queue's own goes on beside
	store := s.objects
	small, large := "some bytes", strings.Repeat("many bytes ", 30_000)
	for _, tt := range []struct {
		name, content string
		in, out       unsteady // while it is stored, and fetched
		puts          int
	}{
		{"plain", small, unsteady{}, unsteady{}, 1},
		{"late", small, unsteady{}, unsteady{absent: 2}, 1},
		{"in part", small, unsteady{}, unsteady{cut: 2}, 1},
		{"late and in part", large, unsteady{}, unsteady{absent: 1, cut: 1}, 1},
		{"spoilt", large, unsteady{cut: 2}, unsteady{}, 3},
	} {
		in, out := tt.in, tt.out
		in.ObjectStore, out.ObjectStore = store, store
		s.objects = &in
		err := s.put(t.Context(), tt.name, int64(len(tt.content)), func(w io.Writer) error {
			for i := 0; i < len(tt.content); i += 100 { // as a tar, in small pieces
				if _, err := io.WriteString(w, tt.content[i:min(i+100, len(tt.content))]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || in.puts != tt.puts {
			t.Errorf("%s: stored %d times, want %d: %v", tt.name, in.puts, tt.puts, err)
		}
		if info, err := store.GetInfo(t.Context(), tt.name); err != nil || int(info.Chunks) != 1+len(tt.content)>>17 {
			t.Errorf("%s: %d bytes in %d messages, %v", tt.name, len(tt.content), info.Chunks, err)
		}
		s.objects = &out
		var got bytes.Buffer
		err = s.fetch(t.Context(), tt.name, func(r io.Reader) error { got.Reset(); _, err := io.Copy(&got, r); return err })
		if err != nil || got.String() != tt.content || out.absent+out.cut > 0 {
			t.Errorf("%s: fetched %d bytes, want %d: %v", tt.name, got.Len(), len(tt.content), err)
		}
	}
	// What the files are for is no reason to fetch them again.
	full := errors.New("the disk is full")
	tries := 0
	if err := s.fetch(t.Context(), "plain", func(io.Reader) error { tries++; return full }); !errors.Is(err, full) || tries != 1 {
		t.Errorf("%d tries, %v", tries, err)
	}
}
