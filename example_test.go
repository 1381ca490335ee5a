package effnet_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"os"
	"path/filepath"

	"effnet"
	"effnet/arch"
	"effnet/imageprep"
	"effnet/weights"
)

// The examples run on a network that they write themselves: it knows the three
// colours of light, and nothing else. Yours comes from 'effnet train'.
func colourModel() string {
	spec, err := arch.ParseSpec("colours.yaml", []byte(`
name: colours
resolution: 32
classes: 3
stem: {width: 8, kernel: 1, stride: 1}
blocks: [cn_k1_s2_c8]
act: relu
preprocessing: {crop: 1, filter: bilinear, mean: [0, 0, 0], std: [1, 1, 1]}
`))
	if err != nil {
		log.Fatal(err)
	}
	g, err := spec.Graph()
	if err != nil {
		log.Fatal(err)
	}
	set := weights.Init(g, 1)
	for _, p := range g.Params() {
		if data := set.Tensors[p.Name].Data; len(p.Shape) > 1 { // channel k of every layer is light k
			clear(data)
			for k := range 3 {
				data[k*p.Shape[1]+k] = 4
			}
		}
	}
	dir, err := os.MkdirTemp("", "effnet")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "colours.safetensors")
	m := weights.Model{Spec: spec, Labels: []string{"red", "green", "blue"}, Set: set}
	if err := m.Write(path); err != nil {
		log.Fatal(err)
	}
	return path
}

// light is a dark picture with a spot of a colour.
func light(c color.Color, x, y int) imageprep.Image {
	m := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for i := range 16 * 16 {
		m.Set(x+i%16, y+i/16, c)
	}
	return imageprep.FromGo(m)
}

func Example() {
	path := colourModel()
	defer os.RemoveAll(filepath.Dir(path))

	m, err := effnet.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	im := light(color.NRGBA{G: 255, A: 255}, 40, 8) // or effnet.ReadImage("photo.jpg")
	best, err := m.Classify(context.Background(), im, 2)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range best {
		fmt.Printf("%4.1f %% %s\n", 100*p.Probability, p.Label)
	}
	// Output:
	// 96.5 % green
	//  1.8 % red
}

func ExampleModel_Embed() {
	path := colourModel()
	defer os.RemoveAll(filepath.Dir(path))
	m, err := effnet.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	vector, err := m.Embed(context.Background(), light(color.NRGBA{R: 255, B: 128, A: 255}, 0, 0))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d numbers: %.2f\n", len(vector), vector[:3])
	// Output: 8 numbers: [1.06 0.00 0.53]
}

func ExampleModel_Explain() {
	path := colourModel()
	defer os.RemoveAll(filepath.Dir(path))
	m, err := effnet.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	im := light(color.NRGBA{B: 255, A: 255}, 40, 8)
	e, err := m.Explain(context.Background(), im, effnet.Best)
	if err != nil {
		log.Fatal(err)
	}
	x, y := e.Map.Peak()
	fmt.Printf("%s, seen around %.0f, %.0f\n", e.Label, x, y)

	var file bytes.Buffer // the map over the picture
	if err := png.Encode(&file, e.Map.Overlay(im, 0.5)); err != nil {
		log.Fatal(err)
	}
	// Output: blue, seen around 46, 14
}
