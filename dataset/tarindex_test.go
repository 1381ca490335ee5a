package dataset

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"effnet/internal/alloctest"
)

// tarBytes is a tar file of names and contents, in turns.
func tarBytes(t testing.TB, format tar.Format, namesAndContents ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(namesAndContents); i += 2 {
		name, content := namesAndContents[i], namesAndContents[i+1]
		h := &tar.Header{Format: format, Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func index(data []byte) ([]tarSample, int, error) {
	return indexTar(context.Background(), bytes.NewReader(data), int64(len(data)))
}

// Every format of names, whatever precedes a member, finds the same bytes.
func TestIndexTarOffsets(t *testing.T) {
	long := strings.Repeat("folder/", 40)
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatGNU, tar.FormatPAX} {
		names := []string{"a", "b/c", "d"}
		if format != tar.FormatUSTAR {
			names = append(names, long+"e")
		}
		if format == tar.FormatPAX {
			names = append(names, "日本")
		}
		var parts []string
		for i, n := range names {
			parts = append(parts, n+".jpg", strings.Repeat("x", 511*i)+n, n+".CLS", fmt.Sprintf(" %d\n", i))
		}
		data := tarBytes(t, format, parts...)
		samples, strays, err := index(data)
		if err != nil || strays != 0 || len(samples) != len(names) {
			t.Fatalf("%v: %d samples, %d strays, %v", format, len(samples), strays, err)
		}
		for i, s := range samples {
			if got := string(data[s.image.offset:][:s.image.size]); got != parts[4*i+1] || s.image.name != parts[4*i] || s.class != fmt.Sprint(i) {
				t.Errorf("%v: sample %d is %q, %d bytes at %d, class %q", format, i, s.image.name, s.image.size, s.image.offset, s.class)
			}
		}
	}
}

func TestIndexTarClasses(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  string // classes
	}{
		{"names", []string{"0.jpg", "", "0.cls", "cat\n", "1.png", "", "1.cls", "dog"}, "cat dog"},
		{"class first", []string{"0.cls", "3", "0.jpg", ""}, "3"},
		{"JSON number", []string{"0.jpg", "", "0.json", `{"label": 7, "width": 3}`}, "7"},
		{"JSON name", []string{"0.jpg", "", "0.json", `{"class": "eel"}`}, "eel"},
		{"JSON without, text", []string{"0.jpg", "", "0.json", `{"url": "x"}`, "0.txt", "eel"}, "eel"},
		{"class before others", []string{"0.txt", "a caption", "0.jpg", "", "0.json", `{"label": 1}`, "0.cls", "2"}, "2"},
		{"other files", []string{"0.jpg", "", "0.seg.png", "mask", "0.cls", "1", "1.webp", "", "1.cls", "0"}, "1 0"},
		{"strays", []string{"README", "", "notes.md", "", "__key__", "", ".hidden.cls", "", "0.jpg", "", "0.cls", "1"}, "1"},
		{"folders of equal names", []string{"a/0.jpg", "", "a/0.cls", "1", "b/0.jpg", "", "b/0.cls", "2"}, "1 2"},
	} {
		samples, strays, err := index(tarBytes(t, tar.FormatUSTAR, c.files...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, s := range samples {
			got = append(got, s.class)
		}
		if d := cmp.Diff(strings.Fields(c.want), got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if want := map[string]int{"strays": 2}[c.name]; strays != want {
			t.Errorf("%s: %d strays, want %d", c.name, strays, want)
		}
	}
}

func TestIndexTarErrors(t *testing.T) {
	good := tarBytes(t, tar.FormatUSTAR, "0.jpg", strings.Repeat("x", 2000), "0.cls", "1", "1.jpg", "y", "1.cls", "1")
	ustar := func(parts ...string) []byte { return tarBytes(t, tar.FormatUSTAR, parts...) }
	var sparse bytes.Buffer
	w := tar.NewWriter(&sparse)
	if err := w.WriteHeader(&tar.Header{Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: "a.jpg", PAXRecords: map[string]string{"EFF.sparse.name": "1"}}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "the file is empty"},
		{"text", []byte(strings.Repeat("not a tar file ", 100)), "invalid tar header"},
		{"gzip", gz(good), "it is compressed by gzip; unpack it"},
		{"zstd", []byte("\x28\xb5\x2f\xfd and so on"), "it is compressed by zstd"},
		{"no class", ustar("0.jpg", "", "1.jpg", "", "1.cls", "1"), `"0.jpg" has no class; want "0.cls"`},
		{"no class at the end", ustar("0.jpg", ""), `"0.jpg" has no class`},
		{"no image", ustar("0.cls", "1", "1.jpg", "", "1.cls", "1"), `"0" has a class but no JPEG`},
		{"two images", ustar("0.jpg", "", "0.png", "", "0.cls", "1"), `"0" has two images, "0.jpg" and "0.png"`},
		{"the same image", ustar("0.jpg", "", "0.jpg", "", "0.cls", "1"), `"0" has two images`},
		{"two classes", ustar("0.jpg", "", "0.cls", "1", "0.cls", "2"), `"0.cls" is there twice`},
		{"scattered", ustar("0.jpg", "", "0.cls", "1", "1.jpg", "", "1.cls", "1", "0.txt", "x"), `the files of "0" do not follow each other`},
		{"empty class", ustar("0.jpg", "", "0.cls", " \n"), `"0.cls": an empty class`},
		{"class of two lines", ustar("0.jpg", "", "0.cls", "a\nb"), "is not one line of text"},
		{"class not text", ustar("0.jpg", "", "0.cls", "\xff"), "is not one line of text"},
		{"large class", ustar("0.jpg", "", "0.cls", strings.Repeat("1", 2000)), `"0.cls": 2000 bytes, want at most 1024`},
		{"broken JSON", ustar("0.jpg", "", "0.json", "{"), `"0.json": unexpected EOF`},
		{"label of another kind", ustar("0.jpg", "", "0.json", `{"label": [1]}`), "want a number or a name"},
		{"long name", tarBytes(t, tar.FormatPAX, strings.Repeat("x", 5000)+".jpg", ""), "a name of 5004 bytes, want at most 4096"},
		{"sparse", bytes.Replace(sparse.Bytes(), []byte("EFF.sparse"), []byte("GNU.sparse"), 1), `"a.jpg" is a sparse file`},
	} {
		_, _, err := index(c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", c.name, err, c.want)
		}
	}
	// A file cut anywhere before its end mark is no file.
	for n := range len(good) - 2*tarBlock {
		if _, _, err := index(good[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for a file", n, len(good))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := indexTar(ctx, bytes.NewReader(good), int64(len(good))); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

// FuzzIndexTar holds that an index lies inside its file, and what making it may
// take.
func FuzzIndexTar(f *testing.F) {
	f.Add(tarBytes(f, tar.FormatUSTAR, "0.jpg", "xx", "0.cls", "1"))
	f.Add(tarBytes(f, tar.FormatGNU, strings.Repeat("long", 50)+".png", "xx", strings.Repeat("long", 50)+".txt", "cat"))
	f.Add(tarBytes(f, tar.FormatPAX, "日本.webp", "xx", "日本.json", `{"label": "eel"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var samples []tarSample
		var err error
		alloctest.Bounded(t, len(data), func() { samples, _, err = index(data) })
		if err != nil {
			return
		}
		end := int64(0)
		for _, s := range samples {
			if s.image.offset < end || s.image.size < 0 || s.image.offset+s.image.size > int64(len(data)) {
				t.Fatalf("%q: %d bytes at %d of a file of %d", s.image.name, s.image.size, s.image.offset, len(data))
			}
			end = s.image.offset + s.image.size
			if checkClassName(s.class) != nil {
				t.Fatalf("class %q", s.class)
			}
		}
	})
}
