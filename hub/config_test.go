package hub_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"effnet/arch"
	"effnet/hub"
	"effnet/hub/hubtest"
	"effnet/internal/alloctest"
)

// TestConfig reads what timm itself writes; see scripts/golden/weights_hub.py.
func TestConfig(t *testing.T) {
	imagenet, half := []float64{0.485, 0.456, 0.406}, []float64{0.5, 0.5, 0.5}
	spread := []float64{0.229, 0.224, 0.225}
	for _, c := range []struct {
		file, network     string
		resolution        int
		channels, classes int
		prep              arch.Prep
		test              int
		testCrop          float64
		labels            []string
	}{
		{"efficientnet_b0.ra_in1k", "efficientnet_b0", 224, 3, 1000, arch.Prep{Crop: 0.875, Filter: arch.Bicubic, Mean: imagenet, Std: spread}, 0, 0, nil},
		{"efficientnet_b1.ft_in1k", "efficientnet_b1", 224, 3, 1000, arch.Prep{Crop: 0.875, Filter: arch.Bicubic, Mean: imagenet, Std: spread}, 256, 1, nil},
		{"efficientnet_b5.sw_in12k_ft_in1k", "efficientnet_b5", 448, 3, 1000, arch.Prep{Crop: 1, Squash: true, Filter: arch.Bicubic, Mean: imagenet, Std: spread}, 0, 0, nil},
		{"tf_efficientnet_lite3.in1k", "tf_efficientnet_lite3", 300, 3, 1000, arch.Prep{Crop: 0.904, Filter: arch.Bilinear, Mean: half, Std: half}, 0, 0, nil},
		{"tf_efficientnetv2_s.in21k_ft_in1k", "tf_efficientnetv2_s", 300, 3, 1000, arch.Prep{Crop: 1, Filter: arch.Bicubic, Mean: half, Std: half}, 384, 1, nil},
		{"mobilenetv2_100.ra_in1k", "mobilenetv2_100", 224, 3, 1000, arch.Prep{Crop: 0.875, Filter: arch.Bicubic, Mean: imagenet, Std: spread}, 0, 0, nil},
		{"resnet50.a1_in1k", "resnet50", 224, 3, 1000, arch.Prep{Crop: 0.95, Filter: arch.Bicubic, Mean: imagenet, Std: spread}, 288, 1, nil},
		{"finetuned", "tf_efficientnet_b0", 224, 1, 3, arch.Prep{Crop: 0.875, Filter: arch.Bicubic, Mean: []float64{0.449}, Std: []float64{0.226}}, 0, 0, []string{"cat", "dog", "eel"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", c.file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := hub.ParseConfig(data)
			if err != nil {
				t.Fatal(err)
			}
			want := &hub.Config{Spec: arch.MustLookup(c.network), Labels: c.labels, TestResolution: c.test, TestCrop: c.testCrop}
			want.Spec.Resolution, want.Spec.Channels, want.Spec.Classes, want.Spec.Prep = c.resolution, c.channels, c.classes, c.prep
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestConfigVariants(t *testing.T) {
	for name, text := range map[string]string{
		"old":         `{"architecture":"efficientnet_b0","num_classes":2,"input_size":[3,192,192],"mean":[0.1,0.2,0.3],"labels":["a","b"]}`,
		"names below": `{"architecture":"efficientnet_b0","pretrained_cfg":{"num_classes":2,"input_size":[3,192,192],"mean":[0.1,0.2,0.3],"label_names":["a","b"]}}`,
		"top wins":    `{"architecture":"efficientnet_b0","num_classes":2,"label_names":["a","b"],"pretrained_cfg":{"num_classes":1000,"input_size":[3,192,192],"mean":[0.1,0.2,0.3]}}`,
	} {
		c, err := hub.ParseConfig([]byte(text))
		if err != nil || c.Spec.Classes != 2 || c.Spec.Resolution != 192 || c.Spec.Prep.Mean[1] != 0.2 || !cmp.Equal(c.Labels, []string{"a", "b"}) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	for text, want := range map[string]string{
		``:                            "not a config.json of timm's",
		`[]`:                          "not a config.json of timm's",
		`{"model_type":"bert"}`:       "names no architecture",
		`{"architecture":"vit_base"}`: `no network is called "vit_base"`,
		`{"architecture":["x"]}`:      "not a config.json of timm's",
		`{"architecture":"efficientnet_b0","num_classes":0}`:                                 "without a classifier",
		`{"architecture":"efficientnet_b0","num_classes":-1}`:                                "classes",
		`{"architecture":"efficientnet_b0","num_classes":1e9}`:                               "num",
		`{"architecture":"efficientnet_b0","num_classes":2,"label_names":["a"]}`:             "label_names has 1 names, the network 2 classes",
		`{"architecture":"efficientnet_b0","pretrained_cfg":{"input_size":[3,224]}}`:         "input_size is [3 224]",
		`{"architecture":"efficientnet_b0","pretrained_cfg":{"input_size":[3,224,192]}}`:     "input_size is [3 224 192]",
		`{"architecture":"efficientnet_b0","pretrained_cfg":{"input_size":[3,1,1]}}`:         "resolution",
		`{"architecture":"efficientnet_b0","pretrained_cfg":{"input_size":[3,99999,99999]}}`: "resolution",
		`{"architecture":"efficientnet_b0","pretrained_cfg":{"interpolation":"lanczos"}}`:    `interpolation is "lanczos"`,
		`{"architecture":"efficientnet_b0","pretrained_cfg":{"crop_mode":"border"}}`:         `crop_mode is "border"`,
		`{"architecture":"efficientnet_b0","pretrained_cfg":{"crop_pct":1.5}}`:               "crop_pct is 1.5",
		`{"architecture":"efficientnet_b0","pretrained_cfg":{"std":[0,0,0]}}`:                "std",
		`{"architecture":"efficientnet_b0","model_args":{"output_stride":16}}`:               `changes the network by "output_stride" = 16`,
		`{"architecture":"efficientnet_b0","model_args":{"in_chans":"x"}}`:                   "in_chans",
		`{"architecture":"efficientnet_b0","model_args":{"in_chans":0}}`:                     "channels",
	} {
		if c, err := hub.ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %q", text, c, err, want)
		}
	}
}

// TestModel fetches a model: its weights come from the commit of its config.
func TestModel(t *testing.T) {
	files := map[string][]byte{"config.json": configData, "pytorch_model.bin": []byte("old weights")}
	s := hubtest.New(t, repo, files, "pytorch_model.bin")
	c := client(t, s)
	check := func(want string) {
		t.Helper()
		m, err := c.Model(t.Context(), repoOf(t, repo))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(m.Weights); string(got) != want || m.Spec.Name != "efficientnet_b0" {
			t.Errorf("%s with weights %q, want efficientnet_b0 with %q", m.Spec.Name, got, want)
		}
	}
	check("old weights")
	c.Offline = true
	check("old weights")
	c.Offline = false
	files["model.safetensors"] = []byte("weights")
	check("weights")

	delete(files, "model.safetensors")
	delete(files, "pytorch_model.bin")
	c = client(t, s)
	var nf *hub.NotFoundError
	if _, err := c.Model(t.Context(), repoOf(t, repo)); !errors.As(err, &nf) || nf.File != "model.safetensors" {
		t.Errorf("without weights: error is %v, want a NotFoundError of model.safetensors", err)
	}
	files["config.json"] = bytes.Repeat([]byte(" "), 17<<20)
	if _, err := c.Model(t.Context(), repoOf(t, repo)); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("large config: error is %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.json")
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c *hub.Config
		var err error
		alloctest.Bounded(t, len(b), func() { c, err = hub.ParseConfig(b) })
		if err != nil {
			return
		}
		if _, err := c.Spec.Graph(); err != nil {
			t.Skip(err)
		}
		if c.Labels != nil && len(c.Labels) != c.Spec.Classes {
			t.Errorf("%d labels for %d classes", len(c.Labels), c.Spec.Classes)
		}
	})
}
