package imageprep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"io"
	"os"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"

	"effnet/internal/jpeg"
)

// format is one encoding that Decode reads.
type format struct {
	name   string
	match  func(data []byte) bool
	config func(data []byte) (image.Config, error)
	decode func(ctx context.Context, data []byte) (Image, error)
	// density is more pixels than one encoded byte can ever stand for: a file
	// that claims more is cut short, and is refused before its pixels are
	// allocated. 0: the format has no such bound.
	density int64
}

var formats = []format{
	{
		name:   "JPEG",
		match:  prefix("\xff\xd8\xff"),
		config: jpegConfig,
		decode: decodeJPEG,
		// A block of 64 pixels takes at least one bit of a Huffman code.
		density: 8 * 64,
	},
	{
		name:   "PNG",
		match:  prefix("\x89PNG\r\n\x1a\n"),
		config: fromReader(png.DecodeConfig),
		decode: decodePNG,
		// Deflate reaches 1032:1, and a pixel may be a single bit.
		density: 1032 * 8,
	},
	{
		name:   "GIF",
		match:  func(d []byte) bool { return prefix("GIF87a")(d) || prefix("GIF89a")(d) },
		config: fromReader(gif.DecodeConfig),
		decode: goDecoder(decodeGIF),
		// The first frame may be smaller than the canvas, so no bound holds.
	},
	{
		name:   "WebP",
		match:  func(d []byte) bool { return len(d) >= 12 && string(d[:4]) == "RIFF" && string(d[8:12]) == "WEBP" },
		config: fromReader(webp.DecodeConfig),
		decode: goDecoder(decodeWebP),
	},
	{
		name:    "BMP",
		match:   prefix("BM"),
		config:  fromReader(bmp.DecodeConfig),
		decode:  goDecoder(fromReader(bmp.Decode)),
		density: 8,
	},
}

func fromReader[T any](f func(io.Reader) (T, error)) func([]byte) (T, error) {
	return func(data []byte) (T, error) { return f(bytes.NewReader(data)) }
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func decodePNG(ctx context.Context, data []byte) (Image, error) {
	m, err := png.Decode(contextReader{ctx, bytes.NewReader(data)})
	if err != nil {
		return Image{}, err
	}
	return fromGo(m)
}

// goDecoder makes a decoder of one of those that cannot be stopped; they are
// quick, for what the limits let through.
func goDecoder(f func([]byte) (image.Image, error)) func(context.Context, []byte) (Image, error) {
	return func(_ context.Context, data []byte) (Image, error) {
		m, err := f(data)
		if err != nil {
			return Image{}, err
		}
		return fromGo(m)
	}
}

func jpegConfig(data []byte) (image.Config, error) {
	c, err := jpeg.DecodeConfig(data)
	m := color.Model(color.YCbCrModel)
	if c.Components == 1 {
		m = color.GrayModel
	}
	return image.Config{ColorModel: m, Width: c.W, Height: c.H}, err
}

func prefix(p string) func([]byte) bool {
	return func(data []byte) bool { return len(data) >= len(p) && string(data[:len(p)]) == p }
}

// Config is what the header of an image says.
type Config struct {
	Format  string
	H, W, C int // as decoded, before the EXIF orientation
}

// DecodeConfig reads the header of an image and checks it against lim.
func DecodeConfig(data []byte, lim Limits) (Config, error) {
	_, cfg, err := checkHeader(data, lim.withDefaults())
	return cfg, err
}

// Decode decodes a JPEG, PNG, GIF, WebP or BMP image, of an animation the first
// frame, turned as its EXIF orientation says. C is 1 when the format or the
// palette knows only grey, else 3.
//
// Alpha is dropped, not blended, as Pillow's convert("RGB") does; CMYK is
// converted as Pillow does; of 16-bit samples the high byte is taken (Pillow
// agrees for colour, and saturates grey). All else are Pillow's pixels, bit for bit.
//
// Errors are a [*LimitError] or a [*FormatError].
func Decode(data []byte, lim Limits) (Image, error) {
	return DecodeContext(context.Background(), data, lim)
}

// DecodeContext is [Decode] that ends with the context's error when that ends,
// soon where the format can take long: JPEG and PNG.
func DecodeContext(ctx context.Context, data []byte, lim Limits) (Image, error) {
	lim = lim.withDefaults()
	f, cfg, err := checkHeader(data, lim)
	if err != nil {
		return Image{}, err
	}
	im, err := decodeSafely(ctx, f, data)
	if ctx.Err() != nil {
		return Image{}, ctx.Err()
	}
	if err != nil {
		return Image{}, &FormatError{f.name, err}
	}
	if im.W != cfg.W || im.H != cfg.H {
		return Image{}, &FormatError{f.name, fmt.Errorf("header says %dx%d, image is %dx%d", cfg.W, cfg.H, im.W, im.H)}
	}
	return Orient(im, orientation(data, f.name)), nil
}

// ReadFile decodes the image in a file. Its errors name the file.
func ReadFile(path string, lim Limits) (Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	var im Image
	data, err := ReadBytes(f, lim)
	if err == nil {
		im, err = Decode(data, lim)
	}
	if err != nil {
		return Image{}, fmt.Errorf("%s: %w", path, err)
	}
	return im, nil
}

// DecodeReader decodes the image that r holds.
func DecodeReader(r io.Reader, lim Limits) (Image, error) {
	most := lim.withDefaults().MaxBytes
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return Image{}, err
	}
	return Decode(data, lim)
}

// ReadBytes reads a regular file within lim.MaxBytes.
func ReadBytes(f *os.File, lim Limits) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if err := lim.CheckBytes(st.Size()); err != nil {
		return nil, err
	}
	data := make([]byte, st.Size())
	_, err = io.ReadFull(f, data)
	return data, notEOF(err)
}

// checkHeader finds the format of data and applies every limit that can be
// applied without decoding pixels.
func checkHeader(data []byte, lim Limits) (*format, Config, error) {
	if err := lim.CheckBytes(int64(len(data))); err != nil {
		return nil, Config{}, err
	}
	for i := range formats {
		f := &formats[i]
		if !f.match(data) {
			continue
		}
		c, err := f.config(data)
		if err != nil {
			return nil, Config{}, &FormatError{f.name, notEOF(err)}
		}
		cfg := Config{Format: f.name, H: c.Height, W: c.Width, C: channels(c.ColorModel)}
		if cfg.H <= 0 || cfg.W <= 0 {
			return nil, cfg, &FormatError{f.name, fmt.Errorf("size is %dx%d", cfg.W, cfg.H)}
		}
		if n := int64(cfg.W) * int64(cfg.H); int64(cfg.W) > lim.MaxPixels || n > lim.MaxPixels {
			return nil, cfg, &LimitError{"pixels", n, lim.MaxPixels}
		} else if f.density > 0 && n > f.density*int64(len(data)) {
			return nil, cfg, &FormatError{f.name, fmt.Errorf("cut short: %d bytes cannot hold %dx%d pixels", len(data), cfg.W, cfg.H)}
		}
		if f.name == "JPEG" {
			if err := checkScans(data, lim.MaxScans); err != nil {
				return nil, cfg, err
			}
		}
		return f, cfg, nil
	}
	if len(data) == 0 {
		return nil, Config{}, &FormatError{"", errors.New("empty file")}
	}
	return nil, Config{}, &FormatError{"", errors.New("not a JPEG, PNG, GIF, WebP or BMP image")}
}

// decodeSafely turns a panic of a decoder into an error.
func decodeSafely(ctx context.Context, f *format, data []byte) (im Image, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decoder failed: %v", r)
		}
	}()
	im, err = f.decode(ctx, data)
	return im, notEOF(err)
}

// notEOF says what an io.EOF from a decoder means.
func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// channels is the C that an image of model m is decoded to.
func channels(m color.Model) int {
	switch m := m.(type) {
	case color.Palette:
		for _, c := range m {
			if r, g, b := rgbOf(c); r != g || g != b {
				return 3
			}
		}
		return 1
	default:
		if m == color.GrayModel || m == color.Gray16Model {
			return 1
		}
	}
	return 3
}

// checkScans walks the markers of a JPEG and refuses more than max scans, each
// of which costs a pass over the whole image, and a progressive file that ends
// before its end marker, which the decoder would take for a finished one.
func checkScans(data []byte, limit int) error {
	var scans int64
	progressive := false
	for i := 2; ; {
		// Between segments: find a marker. Within a scan this skips its data.
		j := bytes.IndexByte(data[min(i, len(data)):], 0xff)
		if j < 0 || i+j+1 >= len(data) {
			break
		}
		i += j + 1
		switch m := data[i]; {
		case m == 0xff: // fill byte
			continue
		case m == 0, m == 0x01, m >= 0xd0 && m <= 0xd8: // stuffed byte or marker without a length
			i++
			continue
		case m == 0xd9: // end of image
			return nil
		case m == 0xda:
			if scans++; scans > int64(limit) {
				return &LimitError{"scans", scans, int64(limit)}
			}
		case m == 0xc2:
			progressive = true
		}
		if i+3 > len(data) {
			break
		}
		i += 1 + max(int(data[i+1])<<8|int(data[i+2]), 2)
	}
	if progressive {
		return &FormatError{"JPEG", io.ErrUnexpectedEOF}
	}
	return nil
}
