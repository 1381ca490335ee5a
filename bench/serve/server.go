//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"effnet/arch"
)

// server is a process, with those that it starts, that classifies pictures.
type server struct {
	name   string
	url    string // of a classification
	cmd    *exec.Cmd
	errors bytes.Buffer
	client *http.Client
	result result
	ended  sync.Once
}

// start starts effnet and its peers.
func (o *options) start(ctx context.Context, dir string, spec *arch.Spec) (list []*server, err error) {
	for _, name := range append([]string{"effnet"}, o.Peers...) {
		var s *server
		if words := strings.Fields(name); len(words) > 0 && words[0] == "effnet" {
			s, err = o.startEffnet(ctx, dir, words[1:]...)
		} else {
			s, err = o.startPeer(ctx, dir, name, spec)
		}
		if err != nil {
			return list, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// launch starts a process in a group of its own, so that all that it starts can
// be ended with it.
func launch(ctx context.Context, name, program string, args ...string) *server {
	s := &server{name: name, cmd: exec.CommandContext(ctx, program, args...), client: newClient()}
	s.result.Name = name
	s.cmd.Stderr = &s.errors
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Cancel = func() error { return syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM) }
	s.cmd.WaitDelay = 10 * time.Second
	return s
}

// stop ends the server. After that its errors can be read.
func (s *server) stop() {
	s.ended.Do(func() {
		_ = s.cmd.Cancel()
		_ = s.cmd.Wait()
	})
}

func (o *options) startEffnet(ctx context.Context, dir string, flags ...string) (*server, error) {
	args := append([]string{"serve", filepath.Join(dir, "model.safetensors"), "--addr", "127.0.0.1:0", "--log", "error",
		"--threads", strconv.Itoa(o.Threads), "--max-batch", strconv.Itoa(o.Batch)}, flags...)
	s := launch(ctx, strings.Join(append([]string{"effnet"}, flags...), " "), o.Effnet, args...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("effnet serve: %s", s.errors.Bytes())
	}
	s.url = strings.TrimSpace(line) + "/v1/classify"
	return s, nil
}

// peerJob tells serve_peer.py what to do.
type peerJob struct {
	Engine   string    `json:"engine"`
	Mode     string    `json:"mode"`
	Decoder  string    `json:"decoder"`
	ONNX     string    `json:"onnx"`
	Port     int       `json:"port"`
	Threads  int       `json:"threads"`
	MaxBatch int       `json:"max_batch"`
	Size     int       `json:"size"`
	Resize   int       `json:"resize"` // of the short side
	Filter   string    `json:"filter"`
	Mean     []float64 `json:"mean"`
	Std      []float64 `json:"std"`
}

func (o *options) startPeer(ctx context.Context, dir, name string, spec *arch.Spec) (*server, error) {
	parts := strings.Split(name, "-")
	if len(parts) == 2 {
		parts = append(parts, "pillow")
	}
	if len(parts) != 3 {
		return nil, errors.New("a peer is ENGINE-MODE or ENGINE-MODE-DECODER")
	}
	if spec.Channels != 3 || spec.Prep.Squash || spec.Prep.Filter == arch.TFBicubic {
		return nil, errors.New("serve_peer.py prepares pictures in timm's way only, with three channels")
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	crop := spec.Prep.Crop
	if crop == 0 {
		crop = 1
	}
	job, err := json.Marshal(peerJob{
		Engine: parts[0], Mode: parts[1], Decoder: parts[2], ONNX: filepath.Join(dir, "model.onnx"), Port: port,
		Threads: o.Threads, MaxBatch: o.Batch, Size: spec.Resolution, Resize: int(float64(spec.Resolution) / crop),
		Filter: spec.Prep.Filter.String(), Mean: spec.Prep.Mean, Std: spec.Prep.Std,
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, name+".json")
	if err := os.WriteFile(file, job, 0o644); err != nil {
		return nil, err
	}
	s := launch(ctx, name, o.Python, filepath.Join("bench", "serve_peer.py"), file)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	s.url = base + "/v1/classify"
	processes := 1
	if parts[1] == "workers" {
		processes = o.Threads
	}
	if err := s.await(base+"/ready", processes); err != nil {
		s.stop()
		return nil, fmt.Errorf("%w: %s", err, s.errors.Bytes())
	}
	return s, nil
}

// freePort is one that nobody listens at.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// await waits until so many processes answer.
func (s *server) await(url string, processes int) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	seen := map[int]bool{}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if syscall.Kill(s.cmd.Process.Pid, 0) != nil {
			break
		}
		resp, err := client.Get(url)
		if err != nil {
			continue
		}
		var who struct{ PID int }
		err = json.NewDecoder(resp.Body).Decode(&who)
		resp.Body.Close()
		if err == nil {
			seen[who.PID] = true
		}
		if len(seen) == processes {
			return nil
		}
	}
	return errors.New("does not answer")
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}, Timeout: time.Minute}
}

// post classifies a picture.
func (s *server) post(picture []byte) (status int, body []byte, err error) {
	resp, err := s.client.Post(s.url, "image/jpeg", bytes.NewReader(picture))
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// peakMemory is the most memory that the server's processes have held, in MB: the
// sum of Linux's VmHWM.
func (s *server) peakMemory() float64 {
	sum := 0.0
	for _, dir := range processes(s.cmd.Process.Pid) {
		text, _ := os.ReadFile(filepath.Join(dir, "status"))
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				sum += kib * 1024 / 1e6
			}
		}
	}
	return sum
}
