package queue

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"effnet/internal/atomicfile"
)

// parcel is where a folder's files wait as a tar: in the object store, or in
// the search's own folder where a worker sees that. Messages carry no files.
type parcel struct {
	Object string `json:"object,omitempty"`
	File   string `json:"file,omitempty"` // in the queue's folder, slashes
	Bytes  int64  `json:"bytes"`          // of the files
}

// inbox is where workers that see the queue's folder put parcels.
const inbox = "inbox"

// hereFile, in the queue's folder, holds the session's name: a worker that
// reads it there sees the same files.
const hereFile = "here"

// seen reports whether the queue's folder on the coordinator's machine is the
// same one here.
func (d *Description) seen() bool {
	data, err := os.ReadFile(filepath.Join(d.Folder, hereFile))
	return err == nil && string(data) == d.Session
}

// send makes a parcel of dir's files, in shared, the queue's folder, or if that
// is "" in the object store. It is nil if the files have more than most bytes, 0
// for no limit.
func (s *session) send(ctx context.Context, name, dir, shared string, most int64) (*parcel, error) {
	bytes, err := folderSize(dir)
	if err != nil || most > 0 && bytes > most {
		return nil, err
	}
	if shared != "" {
		p := &parcel{File: inbox + "/" + name + ".tar", Bytes: bytes}
		path := filepath.Join(shared, filepath.FromSlash(p.File))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return nil, err
		}
		return p, atomicfile.Write(path, func(w io.Writer) error { return pack(w, dir) })
	}
	if s.objects == nil {
		return nil, errors.New("queue: this session has no object store")
	}
	p := &parcel{Object: name, Bytes: bytes}
	return p, s.put(ctx, name, bytes, func(w io.Writer) error { return pack(w, dir) })
}

// sendTidy makes a parcel of what the engine keeps of a finished trial's
// folder. The folder itself stays as it is: should the result not reach the
// ledger, the trial is done again from there in no time.
func (m *member) sendTidy(ctx context.Context, name, dir string) (*parcel, error) {
	if m.engine.Tidy == nil {
		return m.send(ctx, name, dir, m.shared, 0)
	}
	copied, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".parcel-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(copied)
	err = eachFile(dir, func(name string, _ fs.FileInfo) error {
		to := filepath.Join(copied, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return err
		}
		return link(filepath.Join(dir, filepath.FromSlash(name)), to)
	})
	if err == nil {
		err = m.engine.Tidy(copied)
	}
	if err != nil {
		return nil, err
	}
	return m.send(ctx, name, copied, m.shared, 0)
}

// link gives a file another name, or copies it where that cannot be.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// persist tries to move about so many bytes, five times at most: until do
// succeeds, or says that trying again is of no use.
func persist(ctx context.Context, bytes int64, do func(ctx context.Context) (again bool, err error)) error {
	const tries = 5
	wait := 100 * time.Millisecond
	for try := 1; ; try++ {
		// A link of 1 MB/s is slow.
		c, cancel := context.WithTimeout(ctx, 30*time.Second+time.Duration(bytes)*time.Microsecond)
		again, err := do(c)
		cancel()
		if err == nil || !again || gone(err) || ctx.Err() != nil || try == tries {
			return err
		}
		if e := sleep(ctx, wait); e != nil {
			return errors.Join(e, err)
		}
		wait *= 3
	}
}

// put stores what fill writes, about so many bytes, as an object.
func (s *session) put(ctx context.Context, name string, bytes int64, fill func(io.Writer) error) error {
	err := persist(ctx, 2*bytes, func(ctx context.Context) (bool, error) { // there and back
		r, w := io.Pipe()
		filled := make(chan struct{})
		go func() {
			defer close(filled)
			w.CloseWithError(fill(w))
		}()
		info, err := s.objects.Put(ctx, jetstream.ObjectMeta{Name: name}, whole{r})
		r.CloseWithError(errors.New("nobody reads"))
		<-filled
		if err == nil && info.Chunks > 1 {
			// The client sends a chunk again where no server answered, but has
			// filled its one buffer with later ones by then.
			return true, s.read(ctx, name, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
		}
		return !final(err), err
	})
	if err != nil {
		return fmt.Errorf("queue: storing %s (%d bytes): %w", name, bytes, err)
	}
	return nil
}

// fetch has use read an object, from its beginning once more if it does not
// arrive: of a cluster, a replica that lags behind does not know the object yet, or
// ends it early.
func (s *session) fetch(ctx context.Context, name string, use func(io.Reader) error) error {
	var bytes int64
	err := persist(ctx, 0, func(ctx context.Context) (bool, error) {
		info, err := s.objects.GetInfo(ctx, name)
		if err == nil {
			bytes = int64(info.Size)
		}
		return true, err
	})
	if err == nil {
		err = persist(ctx, bytes, func(ctx context.Context) (bool, error) {
			var r *source
			err := s.read(ctx, name, func(o io.Reader) error {
				r = &source{Reader: o}
				return use(r)
			})
			return r == nil || r.err != nil, err
		})
	}
	if err != nil {
		return fmt.Errorf("queue: fetching %s (%d bytes): %w", name, bytes, err)
	}
	return nil
}

// read has use read an object once.
func (s *session) read(ctx context.Context, name string, use func(io.Reader) error) error {
	o, err := s.objects.Get(ctx, name)
	if err != nil {
		return err
	}
	defer o.Close()
	return use(o)
}

// whole fills what it is given to the end, as far as there is anything: a chunk of
// an object is one read.
type whole struct{ io.Reader }

func (w whole) Read(p []byte) (int, error) {
	n, err := io.ReadFull(w.Reader, p)
	if err == io.ErrUnexpectedEOF {
		err = nil
	}
	return n, err
}

// source remembers how reading failed, which its reader's error may not show.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// receive unpacks a parcel's files into dir; folder is the queue's.
func (s *session) receive(ctx context.Context, p *parcel, folder, dir string) error {
	switch {
	case p.File != "" && !filepath.IsLocal(filepath.FromSlash(p.File)):
		return fmt.Errorf("queue: a parcel is at %q, outside the search's folder", p.File)
	case p.File != "":
		f, err := os.Open(filepath.Join(folder, filepath.FromSlash(p.File)))
		if err != nil {
			return err
		}
		defer f.Close()
		return unpack(f, dir)
	case s.objects == nil:
		return errors.New("queue: this session has no object store")
	}
	return s.fetch(ctx, p.Object, func(r io.Reader) error { return unpack(r, dir) })
}

// discard removes a parcel; one that stays is in nobody's way.
func (s *session) discard(ctx context.Context, p *parcel, folder string) {
	switch {
	case p == nil:
	case p.File != "" && filepath.IsLocal(filepath.FromSlash(p.File)):
		os.Remove(filepath.Join(folder, filepath.FromSlash(p.File)))
	case s.objects != nil:
		c, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		s.objects.Delete(c, p.Object)
	}
}

// travels reports whether a file of a trial's folder is worth carrying.
func travels(name string) bool {
	return name != "lock" && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, ".tmp")
}

// eachFile calls do for every file of dir that travels, with its name inside.
func eachFile(dir string, do func(name string, info fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !travels(e.Name()) {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return do(filepath.ToSlash(name), info)
	})
}

func folderSize(dir string) (bytes int64, err error) {
	err = eachFile(dir, func(_ string, info fs.FileInfo) error {
		bytes += info.Size()
		return nil
	})
	return bytes, err
}

// pack writes dir's files as a tar.
func pack(w io.Writer, dir string) error {
	t := tar.NewWriter(w)
	err := eachFile(dir, func(name string, info fs.FileInfo) error {
		return packFile(t, name, filepath.Join(dir, filepath.FromSlash(name)), info.Size())
	})
	if err != nil {
		return err
	}
	return t.Close()
}

func packFile(t *tar.Writer, name, path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
		return err
	}
	_, err = io.CopyN(t, f, size)
	return err
}

// unpack writes a tar's files into dir, each whole or not at all.
func unpack(r io.Reader, dir string) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			// The object store checks its checksum at the very end.
			_, err := io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return fmt.Errorf("queue: a parcel of files: %w", err)
		}
		name := filepath.FromSlash(h.Name)
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(name) {
			return fmt.Errorf("queue: a parcel holds %q, want plain files inside the folder", h.Name)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		err = atomicfile.Write(path, func(w io.Writer) error {
			n, err := io.Copy(w, t)
			if err == nil && n != h.Size {
				err = io.ErrUnexpectedEOF
			}
			return err
		})
		if err != nil {
			return err
		}
	}
}
