package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	lib "effnet"
	"effnet/internal/par"
)

// classifyCmd is the classify command under way.
type classifyCmd struct {
	*cobra.Command
	model modelFlags
	prep  prepFlags

	labels       string
	top, threads int
	json         bool
}

func newClassifyCmd() *cobra.Command {
	k := &classifyCmd{}
	k.Command = &cobra.Command{
		Use:   "classify MODEL IMAGE...",
		Short: "Say what is in images",
		Long: `Classify runs MODEL, a weights file or a run folder, on images and prints the
most probable classes of each.

An IMAGE is a file (JPEG, PNG, GIF, WebP, BMP), a folder with all that is below
it, a pattern such as 'photos/*.jpg', or - for standard input. Images are turned
upright by their EXIF orientation, resized, cropped and normalised as the
network was evaluated with. Where one cannot be read, that is said, the others
are done, and the exit status is 1.

Classes have the names that the model holds; those of a network of 1000 classes
without names are ImageNet's.`,
		Example: `  effnet classify run cat.jpg
  effnet classify model.safetensors photos/ --top 1 --json
  effnet classify lite0.pth cat.jpg --net tf_efficientnet_lite0`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("classify wants MODEL and at least one IMAGE, got %d argument(s); see 'effnet classify --help'", len(args))
			}
			return k.run(args[0], args[1:])
		},
	}
	fs := k.Flags()
	fs.SortFlags = false
	fs.IntVar(&k.top, "top", 5, "classes to print of each image")
	fs.BoolVar(&k.json, "json", false, "print JSON: a list with an object for each image")
	fs.StringVar(&k.labels, "labels", "", "names of the classes, a `file` with one a line, or a JSON list")
	k.model.running = true
	k.model.register(fs)
	k.prep.register(fs)
	fs.IntVar(&k.threads, "threads", 0, "threads (default: all); does not change the result")
	return k.Command
}

// classified is one image of the result.
type classified struct {
	Image       string           `json:"image"`
	Predictions []lib.Prediction `json:"predictions"`
}

func (k *classifyCmd) run(arg string, args []string) error {
	dashes := 0
	for _, a := range args {
		if a == "-" {
			dashes++
		}
	}
	switch {
	case k.top < 1:
		return usagef("classify: --top is %d, want at least 1", k.top)
	case k.threads < 0:
		return usagef("classify: --threads cannot be negative")
	case dashes > 1:
		return usagef("classify: standard input (-) holds one image")
	}
	m, err := k.model.load(k.Command, arg)
	if err != nil {
		return err
	}
	if err := k.prep.apply("classify", &m.Spec); err != nil {
		return err
	}
	names := lib.ClassNames(m.Model)
	if k.labels != "" {
		if names, err = readLabels(k.labels, m.Spec.Classes); err != nil {
			return err
		}
	}
	prep, err := lib.NewPreparer(&m.Spec)
	if err != nil {
		return err
	}
	net, err := newForward(k.Command, m, m.Spec.Resolution, m.Spec.Resolution, k.threads, nil)
	if err != nil {
		return err
	}
	defer net.Close()
	pool := par.New(k.threads)
	defer pool.Close()
	photos := photosOf(args)
	list := newPhotoList(k.OutOrStdout(), k.json)
	bad := 0
	for batch := range slices.Chunk(photos, max(evalBatch(net.g), net.threads)) {
		x, read, failed := prepareAll(pool, prep, batch, k.InOrStdin())
		for _, err := range failed {
			fmt.Fprintf(k.ErrOrStderr(), "effnet: %v\n", err)
		}
		bad += len(failed)
		logits, err := net.Run(k.Context(), x, len(read))
		if k.Context().Err() != nil {
			return &interruptedError{}
		}
		if err != nil {
			return err
		}
		for i, p := range read {
			best, err := lib.Top(logits[i*net.Classes():][:net.Classes()], k.top, names)
			if err != nil {
				return fmt.Errorf("classify: %s: %w", p.name, err)
			}
			if err := list.add(classified{p.name, best}); err != nil {
				return err
			}
		}
	}
	if err := list.end(); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("classify: %d of %d images could not be read", bad, len(photos))
	}
	return nil
}

// prepareAll reads images in parallel. What cannot be read is left out of x
// [n,H,W,C] and read.
func prepareAll(pool *par.Pool, p *lib.Preparer, photos []photo, stdin io.Reader) (x []float32, read []photo, failed []error) {
	n := p.Elems()
	x = make([]float32, len(photos)*n)
	errs := make([]error, len(photos))
	pool.Do(len(photos), func(_, i int) {
		im, err := photos[i].read(stdin)
		if err == nil {
			p.Apply(x[i*n:(i+1)*n], im)
		}
		errs[i] = err
	})
	for i, err := range errs {
		if err != nil {
			failed = append(failed, err)
			continue
		}
		copy(x[len(read)*n:], x[i*n:(i+1)*n])
		read = append(read, photos[i])
	}
	return x[:len(read)*n], read, failed
}

// maxLabels is the largest file of labels, in bytes.
const maxLabels = 16 << 20

// readLabels reads the names of so many classes.
func readLabels(path string, classes int) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLabels+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxLabels:
		return nil, fmt.Errorf("%s: the file is larger than %s", path, size(maxLabels))
	case !utf8.Valid(data):
		return nil, fmt.Errorf("%s: the file is not UTF-8 text", path)
	}
	text := strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff"))
	var names []string
	if strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &names); err != nil {
			return nil, fmt.Errorf("%s: want a JSON list of strings: %w", path, err)
		}
	} else {
		for line := range strings.Lines(text) {
			names = append(names, strings.TrimSpace(line))
		}
	}
	if len(names) != classes {
		return nil, fmt.Errorf("%s has %d labels, the network %d classes", path, len(names), classes)
	}
	return names, nil
}

// photoList prints results one after another.
type photoList struct {
	w    *bufio.Writer
	json bool
	n    int
}

func newPhotoList(w io.Writer, asJSON bool) *photoList {
	return &photoList{w: bufio.NewWriter(w), json: asJSON}
}

func (l *photoList) add(r classified) error {
	if l.json {
		head := "[\n  "
		if l.n > 0 {
			head = ",\n  "
		}
		l.w.WriteString(head)
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetIndent("  ", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r); err != nil {
			return err
		}
		l.w.Write(bytes.TrimSpace(text.Bytes()))
	} else {
		if l.n > 0 {
			l.w.WriteByte('\n')
		}
		l.print(r)
	}
	l.n++
	return l.w.Flush()
}

// print writes an image's classes for people: probability, name, bar.
func (l *photoList) print(r classified) {
	fmt.Fprintln(l.w, printable(r.Image))
	t := newTable("", ">", "", "")
	for _, p := range r.Predictions {
		t.add("", percentOf(p), className(p), blocks(p.Probability, 24))
	}
	_, rows, _ := strings.Cut(t.String(), "\n") // the headings are empty
	l.w.WriteString(rows)
}

func (l *photoList) end() error {
	if l.json {
		if l.n == 0 {
			l.w.WriteByte('[')
		} else {
			l.w.WriteByte('\n')
		}
		l.w.WriteString("]\n")
	}
	return l.w.Flush()
}

// blocks is a bar of x times width characters, to an eighth of one.
func blocks(x float64, width int) string {
	eighths := int(math.Round(x * float64(8*width)))
	bar := strings.Repeat("█", eighths/8)
	if r := eighths % 8; r > 0 {
		bar += string([]rune("▏▎▍▌▋▊▉")[r-1])
	}
	return bar
}
