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

// put stores what fill writes, about so many bytes, as an object.
func (s *session) put(ctx context.Context, name string, bytes int64, fill func(io.Writer) error) error {
	const tries = 5
	var err error
	for try := range tries {
		if try > 0 {
			if e := sleep(ctx, time.Second); e != nil {
				return errors.Join(e, err)
			}
		}
		// A link of 1 MB/s is slow.
		c, cancel := context.WithTimeout(ctx, 30*time.Second+time.Duration(bytes)*time.Microsecond)
		r, w := io.Pipe()
		filled := make(chan struct{})
		go func() {
			defer close(filled)
			w.CloseWithError(fill(w))
		}()
		_, err = s.objects.Put(c, jetstream.ObjectMeta{Name: name}, r)
		r.CloseWithError(errors.New("nobody reads"))
		<-filled
		cancel()
		if err == nil || final(err) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("queue: storing %s (%d bytes): %w", name, bytes, err)
	}
	return nil
}

// get opens an object or fails for good.
func (s *session) get(ctx context.Context, name string) (io.ReadCloser, error) {
	var r io.ReadCloser
	err := retry(ctx, func(context.Context) error { // its context outlives the opening
		o, err := s.objects.Get(ctx, name)
		r = o
		return err
	})
	return r, err
}

// receive unpacks a parcel's files into dir; folder is the queue's.
func (s *session) receive(ctx context.Context, p *parcel, folder, dir string) error {
	var r io.ReadCloser
	var err error
	switch {
	case p.File != "" && !filepath.IsLocal(filepath.FromSlash(p.File)):
		return fmt.Errorf("queue: a parcel is at %q, outside the search's folder", p.File)
	case p.File != "":
		r, err = os.Open(filepath.Join(folder, filepath.FromSlash(p.File)))
	case s.objects == nil:
		return errors.New("queue: this session has no object store")
	default:
		r, err = s.get(ctx, p.Object)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	return unpack(r, dir)
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
