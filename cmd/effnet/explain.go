package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	lib "effnet"
	"effnet/explain"
	"effnet/internal/atomicfile"
	"effnet/weights"
)

// explainCmd is the explain command under way.
type explainCmd struct {
	*cobra.Command
	model modelFlags
	prep  prepFlags

	out, class string
	compare    []string
	opacity    float64
	threads    int
	json       bool
}

func newExplainCmd() *cobra.Command {
	k := &explainCmd{}
	k.Command = &cobra.Command{
		Use:   "explain MODEL IMAGE... -o FILE.png",
		Short: "Show where in an image a network sees what it says",
		Long: `Explain draws the class activation map of MODEL, a weights file or a run folder,
over an image: yellow is where the network sees most of what speaks for the
class, dark blue where least; what it was not shown is grey and dark. The class
is the most probable one, or --class.

With --compare, models stand side by side, each with its own class and how
probable it finds it: the base network beside its scaled versions, as in figure
7 of the EfficientNet paper. Several images make several rows.

An IMAGE is a file, a folder, a pattern or -, as for 'effnet classify'.`,
		Example: `  effnet explain run cat.jpg -o cam.png
  effnet explain model.safetensors cat.jpg -o dog.png --class dog
  effnet explain base=runs/b0 photos/*.jpg -o rows.png --compare deeper=runs/d,wider=runs/w,compound=runs/c`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("explain wants MODEL and at least one IMAGE, got %d argument(s); see 'effnet explain --help'", len(args))
			}
			return k.run(args[0], args[1:])
		},
	}
	fs := k.Flags()
	fs.SortFlags = false
	fs.StringVarP(&k.out, "out", "o", "", "`file` to draw, .png")
	fs.StringVar(&k.class, "class", "", "the `class` to explain, its name or number (default: the most probable)")
	fs.StringSliceVar(&k.compare, "compare", nil, "`models` to draw beside MODEL, each MODEL or NAME=MODEL")
	fs.Float64Var(&k.opacity, "opacity", 0.5, "of the map over a single image, from 0 to 1")
	fs.BoolVar(&k.json, "json", false, "print JSON: a list with an object for each image and model, the map's values in it")
	k.model.running = true
	k.model.register(fs)
	k.prep.register(fs)
	fs.IntVar(&k.threads, "threads", 0, "threads (default: all); does not change the result")
	return k.Command
}

// explained is a model's map of an image as --json prints it.
type explained struct {
	Image      string         `json:"image"`
	Model      string         `json:"model"`
	Prediction lib.Prediction `json:"prediction"` // of the class explained
	Best       lib.Prediction `json:"best"`
	Height     int            `json:"height"` // of the map
	Width      int            `json:"width"`
	Map        []float32      `json:"map"`  // [height, width]
	Seen       explain.Region `json:"seen"` // what of the image the map spans, pixels
}

func (k *explainCmd) run(arg string, args []string) error {
	switch {
	case k.out == "" && !k.json:
		return usagef("explain: say where to draw with -o FILE.png, or --json")
	case k.out != "" && !strings.EqualFold(filepath.Ext(k.out), ".png"):
		return usagef("explain: -o %s: want a name that ends in .png", k.out)
	case k.threads < 0:
		return usagef("explain: --threads cannot be negative")
	case !(k.opacity >= 0 && k.opacity <= 1):
		return usagef("explain: --opacity is %g, want 0 to 1", k.opacity)
	}
	var models []lib.Named
	defer func() {
		for _, m := range models {
			m.Close()
		}
	}()
	for _, arg := range append([]string{arg}, k.compare...) {
		m, err := k.open(arg)
		if err != nil {
			return err
		}
		models = append(models, m)
	}
	var samples []explain.Sample
	list := []explained{}
	for _, p := range photosOf(args) {
		im, err := p.read(k.InOrStdin())
		if err != nil {
			return err
		}
		s := explain.Sample{Picture: im, Name: printable(filepath.Base(p.name))}
		for _, m := range models {
			class, err := classOf(m, k.class)
			if err != nil {
				return err
			}
			e, err := m.Explain(k.Context(), im, class)
			if k.Context().Err() != nil {
				return &interruptedError{}
			}
			if err != nil {
				return fmt.Errorf("explain: %s: %w", m.Name, err)
			}
			s.Panels = append(s.Panels, m.Panel(e))
			list = append(list, explained{p.name, m.Name, e.Prediction, e.Best, e.Map.H, e.Map.W, e.Map.Values, e.Map.Seen})
		}
		samples = append(samples, s)
	}
	if k.out != "" {
		var pic image.Image
		if len(models) == 1 && len(samples) == 1 {
			pic = samples[0].Panels[0].Map.Overlay(samples[0].Picture, k.opacity)
		} else {
			pic = explain.Rows(samples)
		}
		if err := savePNG(k.out, pic); err != nil {
			return err
		}
	}
	if k.json {
		return writeJSON(k.OutOrStdout(), list)
	}
	t := newTable("image", "model", ">", "class", "the network says")
	for _, e := range list {
		t.add(printable(e.Image), printable(e.Model), percentOf(e.Prediction), className(e.Prediction), percentOf(e.Best)+" "+className(e.Best))
	}
	_, err := fmt.Fprint(k.OutOrStdout(), t)
	return err
}

// savePNG writes a picture to a file.
func savePNG(path string, pic image.Image) error {
	var file bytes.Buffer
	if err := png.Encode(&file, pic); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, file.Bytes())
}

func percentOf(p lib.Prediction) string { return fmt.Sprintf("%.1f %%", 100*p.Probability) }

// className is the name of a class for people.
func className(p lib.Prediction) string {
	if p.Label == "" {
		return fmt.Sprintf("class %d", p.Class)
	}
	return printable(p.Label)
}

// open opens a model of the command line, MODEL or NAME=MODEL.
func (k *explainCmd) open(arg string) (lib.Named, error) {
	name, path := splitName(arg)
	w, err := k.model.load(k.Command, path)
	if err != nil {
		return lib.Named{}, err
	}
	if err := k.prep.apply("explain", &w.Spec); err != nil {
		return lib.Named{}, err
	}
	m, err := lib.New(w.Model, w.source(), lib.Options{Threads: k.threads, Explain: true})
	return lib.Named{Name: name, Model: m}, err
}

// splitName splits NAME=MODEL. A MODEL without a name is called after its file or
// its folder.
func splitName(arg string) (name, path string) {
	if name, path, ok := strings.Cut(arg, "="); ok && name != "" && path != "" && !strings.ContainsAny(name, `/\`) && !exists(arg) {
		return name, path
	}
	name = filepath.Base(filepath.Clean(arg))
	if name == weights.ModelFile {
		if abs, err := filepath.Abs(arg); err == nil {
			name = filepath.Base(filepath.Dir(abs))
		}
	}
	switch ext := filepath.Ext(name); ext {
	case ".safetensors", ".pth", ".pt", ".bin":
		name = strings.TrimSuffix(name, ext)
	}
	return name, arg
}

// classOf is the class of m that text means, its name or its number; "" is the
// most probable one.
func classOf(m lib.Named, text string) (int, error) {
	if text == "" {
		return lib.Best, nil
	}
	if i := slices.Index(m.Labels, text); i >= 0 {
		return i, nil
	}
	if n, err := strconv.Atoi(text); err == nil {
		if n >= 0 && n < m.Classes() {
			return n, nil
		}
		return 0, usagef("explain: --class %d: %s has classes 0 to %d", n, m.Name, m.Classes()-1)
	}
	if m.Labels == nil {
		return 0, usagef("explain: --class %q: the classes of %s have no names; give a number from 0 to %d", text, m.Name, m.Classes()-1)
	}
	return 0, usagef("explain: --class %q: %s has no class of that name, only %s", text, m.Name, list(m.Labels, 12))
}
