package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parseTorch(b []byte) (*Set, error) { return ReadTorch(bytes.NewReader(b), int64(len(b))) }

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "torch", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// torchFiles lists the files of scripts/golden/weights_torch.py that can be
// read.
func torchFiles(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/torch/*.pt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in testdata/torch: %v", err)
	}
	var names []string
	for _, p := range paths {
		if name := filepath.Base(p); !strings.HasPrefix(name, "refused") {
			names = append(names, name)
		}
	}
	return names
}

// TestReadTorch reads files of PyTorch's own, in both containers: all types,
// views that are permuted, sliced, shared, expanded or empty, parameters,
// wrapped names, and a checkpoint with an optimiser and settings.
func TestReadTorch(t *testing.T) {
	for _, name := range torchFiles(t) {
		t.Run(name, func(t *testing.T) {
			s, err := Open(filepath.Join("testdata", "torch", name))
			if err != nil {
				t.Fatal(err)
			}
			values, _, _ := strings.Cut(name, "_")
			var want map[string][2]json.RawMessage
			if err := json.Unmarshal(readTestdata(t, values+".json"), &want); err != nil {
				t.Fatal(err)
			}
			if len(s.Tensors) != len(want) {
				t.Errorf("read %d tensors %q, want %d", len(s.Tensors), s.Names(), len(want))
			}
			for name, w := range want {
				got, ok := s.Tensors[name]
				if !ok {
					t.Errorf("%s is missing", name)
					continue
				}
				shape, _ := json.Marshal(got.Shape)
				data, _ := json.Marshal(got.Data)
				if string(shape) != string(compact(t, w[0])) {
					t.Errorf("%s: shape %s, want %s", name, shape, w[0])
				}
				var values []float64
				if err := json.Unmarshal(w[1], &values); err != nil {
					t.Fatal(err)
				}
				same := len(values) == len(got.Data)
				for i := 0; same && i < len(values); i++ {
					same = float32(values[i]) == got.Data[i]
				}
				if !same {
					t.Errorf("%s: values %s, want %s", name, data, w[1])
				}
			}
		})
	}
}

func compact(t *testing.T, b []byte) []byte {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestTorchMeta(t *testing.T) {
	s, err := parseTorch(readTestdata(t, "checkpoint_zip.pt"))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Meta["arch"]; got != "some_net" {
		t.Errorf("the network's name is %q, want some_net", got)
	}
}

// TestTorchRefused reads files of PyTorch's own that are no plain weights.
func TestTorchRefused(t *testing.T) {
	_, err := parseTorch(readTestdata(t, "refused_model.pt"))
	var g *GlobalError
	if !errors.As(err, &g) || g.Name != "torch.nn.modules.container.Sequential" {
		t.Errorf("a whole model: error is %v, want a GlobalError for Sequential", err)
	}
	_, err = parseTorch(readTestdata(t, "refused_script.pt"))
	var u *UnsupportedError
	if !errors.As(err, &u) || !strings.Contains(err.Error(), "TorchScript") {
		t.Errorf("a program: error is %v, want an UnsupportedError about TorchScript", err)
	}
}

// TestTorchTruncated cuts every file at every length: each is a typed error.
func TestTorchTruncated(t *testing.T) {
	for _, name := range []string{"layouts_zip.pt", "layouts_legacy.pt", "layouts_legacy5.pt"} {
		b := readTestdata(t, name)
		for n := range b {
			_, err := parseTorch(b[:n:n])
			if !typed(err) {
				t.Fatalf("%s cut to %d bytes: error is %v", name, n, err)
			}
		}
	}
}

// TestTorchFlipped flips a bit in every byte: no panic, and an error is typed.
// A zip file has checksums, so that no wrong value gets through.
func TestTorchFlipped(t *testing.T) {
	for _, name := range []string{"module_zip.pt", "module_legacy.pt"} {
		b := readTestdata(t, name)
		want, err := parseTorch(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			c := bytes.Clone(b)
			c[i] ^= 1 << (i % 8)
			s, err := parseTorch(c)
			if err != nil && !typed(err) {
				t.Fatalf("%s with byte %d flipped: error is %v", name, i, err)
			}
			if err != nil || strings.HasSuffix(name, "legacy.pt") {
				continue
			}
			for n, w := range want.Tensors {
				if got, ok := s.Tensors[n]; !ok || !equalBits(got.Data, w.Data) {
					t.Errorf("%s with byte %d flipped: %s changed unnoticed", name, i, n)
				}
			}
		}
	}
}

func equalBits(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// typed reports whether an error says by its type what kind it is.
func typed(err error) bool {
	return errors.As(err, new(*FormatError)) || errors.As(err, new(*UnsupportedError)) || errors.As(err, new(*GlobalError))
}

// TestOtherFiles opens what is not weights: the error says what it is.
func TestOtherFiles(t *testing.T) {
	for content, want := range map[string]string{
		"":                                    "the file is empty",
		"x":                                   "neither a safetensors file nor one of torch.save",
		"<!DOCTYPE html>\n<html>":             "a web page",
		"version https://git-lfs.gith":        "a pointer of Git LFS",
		"\x1f\x8b\x08\x00":                    "a gzip file",
		"\x89HDF\r\n\x1a\n":                   "an HDF5 file",
		"\x1c\x00\x00\x00TFL3":                "a TensorFlow Lite file",
		"\x93NUMPY\x01\x00":                   "a NumPy array",
		"\x08\x08\x12\x07pytorch":             "an ONNX file",
		strings.Repeat("\x00", 257) + "ustar": "a tar file",
	} {
		_, err := readAny(strings.NewReader(content), int64(len(content)))
		if !errors.As(err, new(*UnsupportedError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: error is %v, want %q", content, err, want)
		}
	}
}
