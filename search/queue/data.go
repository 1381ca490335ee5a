package queue

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// dataObject is the data set in a session's object store, as a tar.
const dataObject = "data"

// sharedData is the state of the upload, which the first worker that asks
// begins.
type sharedData struct {
	session string
	state   dataState
	err     string
}

type dataState string

const (
	dataRefused dataState = "refused" // the search does not share
	dataBusy    dataState = "busy"    // it is on its way into the store
	dataReady   dataState = "ready"
	dataFailed  dataState = "failed"
)

// dataAnswer is what a worker that asks for the data set is told.
type dataAnswer struct {
	State dataState `json:"state"`
	Error string    `json:"error,omitempty"`
}

// shareData answers a worker that asks for the data set.
func (q *Queue) shareData(ctx context.Context, s *session) []byte {
	a := dataAnswer{State: dataRefused, Error: "the search was not started with --share-data"}
	if q.opt.Share != nil && s.objects != nil {
		q.mu.Lock()
		if q.shared.session != s.desc.Session || q.shared.state == dataFailed {
			q.shared = sharedData{session: s.desc.Session, state: dataBusy}
			q.tasks.Go(func() { q.upload(ctx, s) })
		}
		a = dataAnswer{q.shared.state, q.shared.err}
		q.mu.Unlock()
	}
	data, _ := json.Marshal(a)
	return data
}

// manyBytes stands for a size that is not known beforehand.
const manyBytes = 1 << 36

func (q *Queue) upload(ctx context.Context, s *session) {
	q.opt.Note("a worker asks for the data set; storing it on the cluster")
	began := time.Now()
	err := s.put(ctx, dataObject, manyBytes, func(w io.Writer) error { return q.opt.Share(ctx, w) })
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.shared.session != s.desc.Session {
		return
	}
	if q.shared.state = dataReady; err != nil {
		q.shared.state, q.shared.err = dataFailed, err.Error()
		q.opt.Note("the data set cannot be shared: %v", err)
		return
	}
	q.opt.Note("the data set is on the cluster, after %s", time.Since(began).Round(time.Second))
}

// fetchData unpacks the search's data set into dir.
func (s *session) fetchData(ctx context.Context, dir string) error {
	for {
		c, cancel := context.WithTimeout(ctx, requestTime)
		m, err := s.nc.RequestWithContext(c, s.names.data(), nil)
		cancel()
		if err != nil {
			return fmt.Errorf("queue: asking the search for its data set: %w", err)
		}
		var a dataAnswer
		if err := json.Unmarshal(m.Data, &a); err != nil {
			return fmt.Errorf("queue: the search's answer about its data set: %w", err)
		}
		switch a.State {
		case dataReady:
			return s.fetch(ctx, dataObject, func(r io.Reader) error { return unpack(r, dir) })
		case dataBusy:
			if err := sleep(ctx, 500*time.Millisecond); err != nil {
				return err
			}
		default:
			return errors.New(a.Error)
		}
	}
}

// PackFiles makes an Options.Share of files of a folder.
func PackFiles(dir string, names []string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		t := tar.NewWriter(w)
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			path := filepath.Join(dir, name)
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if err := packFile(t, filepath.ToSlash(name), path, info.Size()); err != nil {
				return err
			}
		}
		return t.Close()
	}
}
