package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"effnet/dataset"
	"effnet/internal/atomicfile"
)

// dataReport is a data set as JSON.
type dataReport struct {
	Name       string        `json:"name"`
	Checksum   string        `json:"checksum"`
	Channels   int           `json:"channels"`
	Train      int           `json:"train"`
	Val        int           `json:"val"`
	Test       int           `json:"test"`
	Classes    []classReport `json:"classes"`
	Looked     int           `json:"looked"` // images that the rest is about; mean and std are of the training part
	Sizes      []sizeReport  `json:"sizes"`
	Mean       []float64     `json:"mean"`
	Std        []float64     `json:"std"`
	Speed      *speedReport  `json:"speed,omitempty"`
	Unreadable []string      `json:"unreadable"`
	Notes      []string      `json:"notes"`
}

type classReport struct {
	Name  string `json:"name"`
	Train int    `json:"train"`
	Val   int    `json:"val"`
	Test  int    `json:"test"`
}

type sizeReport struct {
	Width  int `json:"width"`
	Height int `json:"height"`
	Images int `json:"images"`
}

// dataCmd is the flags of effnet data.
type dataCmd struct {
	data   dataFlags
	sample int
	check  bool
	asJSON bool
	speed  bool

	shards   string // folder to write
	perShard int
	sheet    sheetOptions
}

func newDataCmd() *cobra.Command {
	d := &dataCmd{}
	c := &cobra.Command{
		Use:   "data DATA",
		Short: "Describe a data set, and draw a sheet of its images",
		Long: `Data prints how many images of each class and part a data set has, their sizes,
and the mean and standard deviation of their pixels (0 to 1) by channel. DATA is
fashion-mnist, cifar10, cifar100, synthetic, a folder, or tar shards
(docs/data.md).

With -o it draws a PNG: a row a class, each image followed by what training
would make of it with --flip, --pad-crop, --min-area, --auto-augment, --erasing,
--mixup (which mixes the images of the sheet) and --resolution.

With --speed it measures how fast training images are prepared as those flags say,
decoded from their files each time.

With --shards it writes the data set as tar files in WebDataset's layout, which
are read faster than many small files, and copied as a few large ones. Images
that come from files keep their bytes.`,
		Example: `  effnet data fashion-mnist -o sheet.png --flip --pad-crop 2
  effnet data photos/ --check
  effnet data photos/ --shards photos-tar/`,
		Args: exactly("DATA"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"fashion-mnist", "cifar10", "cifar100", "synthetic"}, cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, args []string) error {
			d.data.source = args[0]
			return d.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&d.sheet.path, "output", "o", "", "draw a sheet of images into this PNG `FILE`")
	f.BoolVar(&d.sheet.augment.Flip, "flip", false, "sheet: mirror images every other epoch")
	f.IntVar(&d.sheet.augment.PadCrop, "pad-crop", 0, "sheet: shift images by up to this many `pixels`")
	f.Float64Var(&d.sheet.augment.MinArea, "min-area", 0, "sheet: random crops of at least this `share` of an image, 0 for none")
	f.StringVar(&d.sheet.augment.Auto, "auto-augment", "", "sheet: `policy` that changes images: v0 (AutoAugment), or RandAugment such as rand-m9-n2-mstd0.5")
	f.Float64Var(&d.sheet.augment.Erasing, "erasing", 0, "sheet: `probability` that a box of an image becomes noise")
	f.Float64Var(&d.sheet.augment.Mixup, "mixup", 0, "sheet: mix images with each other, with shares from Beta(`alpha`,alpha), 0 for none")
	f.Var(&d.sheet.resolution, "resolution", "sheet: input size of the network (default: of the images)")
	f.Uint64Var(&d.sheet.seed, "seed", 0, "sheet: seed of the augmentation")
	f.IntVar(&d.sample, "sample", 2000, "look at this `many` files of each part for sizes and pixels, 0 for all")
	f.BoolVar(&d.check, "check", false, "decode every image and list those that cannot be read")
	f.BoolVar(&d.speed, "speed", false, "measure how fast training images are decoded, augmented and resized")
	f.StringVar(&d.shards, "shards", "", "write the data set as tar files into this new `FOLDER`")
	f.IntVar(&d.perShard, "per-shard", 1000, "`images` in a tar file")
	f.Uint64Var(&d.data.splitSeed, "split-seed", 0, "seed of the split of a folder without a test part")
	f.BoolVar(&d.data.offline, "offline", false, "never download")
	d.data.registerOnBad(f)
	f.BoolVar(&d.asJSON, "json", false, "print JSON")
	return c
}

func (d *dataCmd) run(ctx context.Context, stdout, stderr io.Writer) error {
	if d.sample < 0 {
		return usagef("data: --sample is %d, want 0 or more", d.sample)
	}
	if d.perShard < 1 {
		return usagef("data: --per-shard is %d, want at least 1", d.perShard)
	}
	if err := d.sheet.augment.Check(); err != nil {
		return &usageError{err}
	}
	if d.speed {
		d.data.cache = "0"
	}
	data, err := d.data.open(ctx, stderr)
	if err != nil {
		if errors.As(err, new(*dataset.SpecError)) {
			return &usageError{err}
		}
		return err
	}
	r, err := d.report(ctx, data)
	if err != nil {
		return err
	}
	if d.speed {
		if r.Speed, err = d.measureSpeed(ctx, data); err != nil {
			return err
		}
	}
	if d.asJSON {
		err = writeJSON(stdout, r)
	} else {
		_, err = io.WriteString(stdout, r.text())
	}
	if err != nil {
		return err
	}
	if d.sheet.path != "" {
		for c := range r.Mean {
			d.sheet.mean = append(d.sheet.mean, float32(r.Mean[c]))
			d.sheet.std = append(d.sheet.std, max(float32(r.Std[c]), 0.001))
		}
		img, err := d.sheet.draw(data)
		if err != nil {
			return err
		}
		if err := atomicfile.Write(d.sheet.path, func(w io.Writer) error { return encodePNG(w, img) }); err != nil {
			return err
		}
		fmt.Fprintf(stderr, "wrote %s\n", d.sheet.path)
	}
	if d.shards != "" {
		if err := d.writeShards(ctx, data, stderr); err != nil {
			return err
		}
	}
	if n := len(r.Unreadable); n > 0 {
		return fmt.Errorf("data: %d of %d images looked at cannot be read", n, r.Looked)
	}
	return nil
}

// writeShards writes the data set as tar files.
func (d *dataCmd) writeShards(ctx context.Context, data *dataset.Data, stderr io.Writer) error {
	bar := newBar(io.Discard, int64(imagesOf(data)))
	if isTerminal(stderr) {
		bar = newBar(stderr, int64(imagesOf(data)))
	}
	err := dataset.WriteShards(ctx, data, d.shards, d.perShard, func(done int) { bar.Set(done) })
	bar.Clear()
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "wrote %s\n", d.shards)
	return nil
}

// report looks at the images.
func (d *dataCmd) report(ctx context.Context, data *dataset.Data) (*dataReport, error) {
	r := &dataReport{
		Name: data.Name, Checksum: data.Checksum, Channels: data.Channels,
		Unreadable: []string{}, Notes: append([]string{}, data.Notes...),
	}
	for _, name := range data.Classes {
		r.Classes = append(r.Classes, classReport{Name: name})
	}
	sizes := make(map[dataset.Size]int)
	for _, part := range []struct {
		set   dataset.Set
		total *int
		class func(c *classReport) *int
	}{
		{data.Train, &r.Train, func(c *classReport) *int { return &c.Train }},
		{data.Val, &r.Val, func(c *classReport) *int { return &c.Val }},
		{data.Test, &r.Test, func(c *classReport) *int { return &c.Test }},
	} {
		if part.set == nil {
			continue
		}
		*part.total = part.set.Len()
		for i := range part.set.Len() {
			*part.class(&r.Classes[part.set.Label(i)])++
		}
		limit := d.sample
		if d.check || dataset.InMemory(part.set) {
			limit = 0
		}
		v, err := dataset.NewSurvey(ctx, part.set, data.Channels, limit)
		if err != nil {
			return nil, err
		}
		r.Looked += v.Images
		for s, n := range v.Sizes {
			sizes[s] += n
		}
		for _, err := range v.Unreadable {
			r.Unreadable = append(r.Unreadable, err.Error())
		}
		if part.set == data.Train {
			r.Mean, r.Std = v.Mean, v.Std
		}
	}
	for s, n := range sizes {
		r.Sizes = append(r.Sizes, sizeReport{s.W, s.H, n})
	}
	slices.SortFunc(r.Sizes, func(a, b sizeReport) int {
		return cmp.Or(b.Images-a.Images, a.Width-b.Width, a.Height-b.Height)
	})
	return r, nil
}

func (r *dataReport) text() string {
	var b strings.Builder
	kind := "colour"
	if r.Channels == 1 {
		kind = "grey"
	}
	fmt.Fprintf(&b, "data      %s: %d classes of %s images\n", r.Name, len(r.Classes), kind)
	fmt.Fprintf(&b, "content   %s\n", r.Checksum)
	fmt.Fprintf(&b, "sizes     %s\n", r.sizesText())
	if r.Mean != nil {
		fmt.Fprintf(&b, "pixels    mean %s, standard deviation %s of the training images\n", channelText(r.Mean), channelText(r.Std))
	}
	if r.Speed != nil {
		b.WriteString(r.Speed.text())
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note      %s\n", n)
	}
	for i, u := range r.Unreadable {
		if i == 20 {
			fmt.Fprintf(&b, "bad       and %d more\n", len(r.Unreadable)-i)
			break
		}
		fmt.Fprintf(&b, "bad       %s\n", u)
	}
	b.WriteString("\n")
	headings := []string{"class", ">train"}
	if r.Val > 0 {
		headings = append(headings, ">val")
	}
	t := newTable(append(headings, ">test")...)
	row := func(name string, train, val, test int) {
		cells := []string{name, thousands(int64(train))}
		if r.Val > 0 {
			cells = append(cells, thousands(int64(val)))
		}
		t.add(append(cells, thousands(int64(test)))...)
	}
	for _, c := range r.Classes {
		row(c.Name, c.Train, c.Val, c.Test)
	}
	row("all", r.Train, r.Val, r.Test)
	return b.String() + t.String()
}

// sizesText sums up the sizes, width first.
func (r *dataReport) sizesText() string {
	of := fmt.Sprintf("of %s images looked at", thousands(int64(r.Looked)))
	switch len(r.Sizes) {
	case 0:
		return "unknown " + of
	case 1:
		return fmt.Sprintf("%dx%d, all %s", r.Sizes[0].Width, r.Sizes[0].Height, of)
	}
	least, greatest := r.Sizes[0], r.Sizes[0]
	for _, s := range r.Sizes {
		least = sizeReport{min(least.Width, s.Width), min(least.Height, s.Height), 0}
		greatest = sizeReport{max(greatest.Width, s.Width), max(greatest.Height, s.Height), 0}
	}
	common := r.Sizes[0]
	return fmt.Sprintf("%d to %d wide, %d to %d high, most often %dx%d (%d), %s",
		least.Width, greatest.Width, least.Height, greatest.Height, common.Width, common.Height, common.Images, of)
}

// channelText is one number a channel.
func channelText(v []float64) string {
	var s []string
	for _, x := range v {
		s = append(s, fmt.Sprintf("%.4f", x))
	}
	return strings.Join(s, " ")
}
