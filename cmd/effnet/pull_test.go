package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"effnet/arch"
	"effnet/hub/hubtest"
	"effnet/internal/npy"
	"effnet/weights"
)

const hubName = "timm/tinynet_e.in1k"

// hubServer is a hub with TinyNet-E for three classes, which the environment
// points to.
func hubServer(t *testing.T) *hubtest.Server {
	t.Helper()
	spec := arch.MustLookup("tinynet_e")
	spec.Classes = 3
	g, err := spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := weights.Init(g, 1).Write(&b); err != nil {
		t.Fatal(err)
	}
	s := hubtest.New(t, hubName, map[string][]byte{
		"config.json": []byte(`{"architecture":"tinynet_e","num_classes":3,"label_names":["cat","dog","eel"],
			"pretrained_cfg":{"input_size":[3,32,32],"test_input_size":[3,64,64],"test_crop_pct":1.0}}`),
		"model.safetensors": b.Bytes(),
	}, "model.safetensors")
	t.Setenv("HF_ENDPOINT", s.URL)
	t.Setenv("HF_HOME", t.TempDir())
	for _, v := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		t.Setenv(v, "")
	}
	return s
}

func TestPull(t *testing.T) {
	s := hubServer(t)
	t.Chdir(t.TempDir())
	effnet := func(args ...string) (status int, stdout, stderr string) {
		var o, e bytes.Buffer
		status = run(args, &o, &e)
		return status, o.String(), e.String()
	}
	status, stdout, stderr := effnet("pull", hubName)
	path := strings.TrimSuffix(stdout, "\n")
	if status != 0 || !strings.HasSuffix(path, "snapshots/"+hubtest.Commit+"/model.safetensors") {
		t.Fatalf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	want := "download config.json\ndownload model.safetensors\n" +
		hubName + " is tinynet_e, 32x32 pixels, 3 classes\nits authors measured it with --resolution 64 --crop 1\n"
	if stderr != want {
		t.Errorf("stderr is %q, want %q", stderr, want)
	}

	// A hub name stands for a model, now without the network; so does the one
	// file that pull writes, without the hub.
	t.Setenv("HF_HUB_OFFLINE", "1")
	if err := npy.WriteFile("x.npy", make([]float32, 3*32*32), 1, 3, 32, 32); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := effnet("pull", "hf-hub:"+hubName, "-o", "one.safetensors"); status != 0 || stdout != "one.safetensors\n" {
		t.Fatalf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	for out, model := range map[string]string{"a.npy": hubName, "b.npy": "one.safetensors"} {
		if status, _, stderr := effnet("run", model, "--input", "x.npy", "--output", out); status != 0 {
			t.Errorf("run %s: status %d, stderr %q", model, status, stderr)
		}
	}
	a, errA := os.ReadFile("a.npy")
	b, errB := os.ReadFile("b.npy")
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("the hub's name and the file differ: %v, %v", errA, errB)
	}
	m, err := weights.OpenModel("one.safetensors")
	if err != nil || strings.Join(m.Labels, " ") != "cat dog eel" || m.Spec.Name != "tinynet_e" || m.Spec.Resolution != 32 {
		t.Errorf("one.safetensors: %+v, %v", m, err)
	}

	// So does a folder with the repository's files.
	os.MkdirAll("clone", 0o755)
	for _, name := range []string{"config.json", "model.safetensors"} {
		if err := os.WriteFile(filepath.Join("clone", name), s.Files[name], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, stderr := effnet("run", "clone", "--input", "x.npy", "--output", "c.npy"); status != 0 {
		t.Errorf("run clone: status %d, stderr %q", status, stderr)
	}
	if c, err := os.ReadFile("c.npy"); err != nil || !bytes.Equal(a, c) {
		t.Errorf("the hub's name and a clone differ: %v", err)
	}
	os.MkdirAll("half", 0o755)
	os.WriteFile("half/config.json", s.Files["config.json"], 0o644)

	os.MkdirAll(filepath.Join("runs", "x"), 0o755)
	t.Setenv("HF_HUB_OFFLINE", "")
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"pull", 2, "pull wants ORG/NAME, got 0 argument(s)"},
		{"pull resnet", 2, `pull: hub: "resnet" is not the name of a model, want ORG/NAME`},
		{"pull timm/none", 1, "hub: timm/none: no such model"},
		{"pull " + hubName + "@v2", 1, "hub: " + hubName + "@v2: no such revision"},
		{"pull " + hubName + " -o no/such/x", 1, "no/such"},
		{"run timm/none --input x.npy --output y.npy", 1, "hub: timm/none: no such model"},
		{"run " + hubName + " --net b0 --input x.npy --output y.npy", 2, "--net does not apply"},
		{"run clone --net b0 --input x.npy --output y.npy", 2, "--net does not apply"},
		{"run half --input x.npy --output y.npy", 1, "half: a config.json, but no model.safetensors or pytorch_model.bin"},
		{"run runs/y --input x.npy --output y.npy", 1, "runs/y: no such file; want a weights file, a run folder or the name of a model on the hub"},
		{"run timm/x.pth --input x.npy --output y.npy", 1, "timm/x.pth: no such file"},
	} {
		status, stdout, stderr := effnet(strings.Fields(c.args)...)
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		last := lines[len(lines)-1]
		if status != c.status || !strings.HasPrefix(last, "effnet: ") || !strings.Contains(last, c.want) || stdout != "" {
			t.Errorf("effnet %s: status %d, stdout %q, stderr %q; want status %d and %q", c.args, status, stdout, stderr, c.status, c.want)
		}
	}

	t.Setenv("HF_HOME", t.TempDir())
	s.Files["config.json"] = []byte(`{"architecture":"vit_tiny"}`)
	if status, _, stderr := effnet("pull", hubName); status != 1 || !strings.Contains(stderr, `no network is called "vit_tiny"`) {
		t.Errorf("another architecture: status %d, stderr %q", status, stderr)
	}
	s.Files["config.json"] = []byte(`{"architecture":"tinynet_d"}`)
	t.Setenv("HF_HOME", t.TempDir())
	if status, _, stderr := effnet("pull", hubName); status != 1 || !strings.Contains(stderr, "not the weights of tinynet_d: ") || !strings.Contains(stderr, "looks like tinynet_e") {
		t.Errorf("weights of another network: status %d, stderr %q", status, stderr)
	}
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("HF_HUB_OFFLINE", "1")
	if status, _, stderr := effnet("pull", hubName); status != 1 || !strings.Contains(stderr, "HF_HUB_OFFLINE forbids to fetch it") {
		t.Errorf("offline: status %d, stderr %q", status, stderr)
	}
}
