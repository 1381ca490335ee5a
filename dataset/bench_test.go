package dataset

import (
	"context"
	"fmt"
	"testing"

	"effnet/imageprep"
)

// BenchmarkFill is the cost of one training image at a network's resolution.
func BenchmarkFill(b *testing.B) {
	for _, c := range []struct {
		size, channels, resolution int
		filter                     imageprep.Filter
		augment                    Augment
	}{
		{28, 1, 28, imageprep.Bilinear, Augment{}},
		{28, 1, 28, imageprep.Bilinear, Augment{Flip: true, PadCrop: 2}},
		{28, 1, 40, imageprep.Bilinear, Augment{Flip: true, PadCrop: 2}},
		{28, 1, 40, imageprep.Bicubic, Augment{Flip: true, PadCrop: 2}},
		{28, 1, 20, imageprep.Bilinear, Augment{Flip: true, PadCrop: 2}},
		{32, 3, 32, imageprep.Bilinear, Augment{Flip: true, PadCrop: 4}},
		{32, 3, 48, imageprep.Bilinear, Augment{Flip: true, PadCrop: 4}},
		{256, 3, 224, imageprep.Bilinear, Augment{Flip: true, MinArea: 0.25}},
		{28, 1, 28, imageprep.Bilinear, Augment{Auto: "v0"}},
		{28, 1, 28, imageprep.Bilinear, Augment{Auto: "rand-m9-n2-mstd0.5"}},
		{28, 1, 28, imageprep.Bilinear, Augment{Erasing: 1}},
		{32, 3, 32, imageprep.Bilinear, Augment{Auto: "v0"}},
		{32, 3, 32, imageprep.Bilinear, Augment{Auto: "rand-m9-n2-mstd0.5"}},
		{256, 3, 128, imageprep.Bilinear, Augment{Flip: true, MinArea: 0.08, Auto: "v0"}},
		{256, 3, 128, imageprep.Bilinear, Augment{Flip: true, MinArea: 0.08, Auto: "rand-m9-n2-mstd0.5"}},
		{256, 3, 224, imageprep.Bilinear, Augment{Erasing: 1}},
	} {
		name := fmt.Sprintf("%dx%d/%d/%v/augment=%t", c.size, c.channels, c.resolution, c.filter, c.augment != Augment{})
		if c.augment.Auto != "" {
			name += "/" + c.augment.Auto
		}
		if c.augment.Erasing > 0 {
			name += "/erasing"
		}
		b.Run(name, func(b *testing.B) {
			d, err := Open(context.Background(), fmt.Sprintf("synthetic:train=64,test=1,size=%d,channels=%d", c.size, c.channels), Options{})
			if err != nil {
				b.Fatal(err)
			}
			p := &Pipeline{Set: d.Train, Resolution: c.resolution, Channels: c.channels, Filter: c.filter, Augment: c.augment}
			idx := []int{0}
			x, labels := make([]float32, p.size()), make([]int32, 1)
			b.ReportAllocs()
			for i := range b.N {
				idx[0] = i % 64
				if err := p.Fill(x, labels, idx, i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
