package latency

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"effnet/arch"
	"effnet/internal/atomicfile"
	"effnet/internal/kernel"
)

// Conditions are all that samples depend on besides the network: samples of
// other conditions say nothing about these.
type Conditions struct {
	Machine string `json:"machine"` // host and processor
	Kernel  string `json:"kernel"`
	Binary  string `json:"binary"` // checksum of the program
	Threads int    `json:"threads"`
	Batch   int    `json:"batch"`
}

// ConditionsOf are those of this process.
func ConditionsOf(opt Options) (Conditions, error) {
	opt = opt.withDefaults()
	impl, err := kernel.Lookup("")
	if err != nil {
		return Conditions{}, err
	}
	binary, err := programChecksum()
	if err != nil {
		return Conditions{}, fmt.Errorf("latency: reading the program for its checksum: %w", err)
	}
	host, _ := os.Hostname()
	machine := fmt.Sprintf("%s: %s, %d threads", host, Processor(), runtime.NumCPU())
	return Conditions{machine, impl.Name, binary, opt.Threads, opt.Batch}, nil
}

func programChecksum() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	return atomicfile.SHA256(path)
}

// Processor is the name that the processor gives itself; the architecture's
// where the system does not say.
func Processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// Cache keeps the samples of one base network and its scalings in a file.
type Cache struct {
	path string
	head cacheHead
}

type cacheHead struct {
	Format     string     `json:"format"`
	Base       string     `json:"base"` // checksum of the base network's spec
	Conditions Conditions `json:"conditions"`
}

type cacheFile struct {
	cacheHead
	Samples []Sample `json:"samples"`
}

// cacheFormat changes with the meaning of a sample.
const cacheFormat = "effnet latency 1"

// maxCached is the most samples that are kept, the latest.
const maxCached = 64

// OpenCache is the cache of base under c in the user's cache folder. A program
// that changed takes over its predecessor's file.
func OpenCache(base arch.Spec, c Conditions) (*Cache, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("latency: no place to keep measurements: %w", err)
	}
	base.Name = "base"
	sum := sha256.Sum256(base.YAML())
	head := cacheHead{cacheFormat, hex.EncodeToString(sum[:]), c}
	c.Binary = ""
	text, err := json.Marshal(cacheHead{Base: head.Base, Conditions: c})
	if err != nil {
		return nil, err
	}
	name := sha256.Sum256(text)
	return &Cache{filepath.Join(dir, "effnet", "latency", hex.EncodeToString(name[:16])+".json"), head}, nil
}

// maxCacheFile bounds what is read of a file that may be anything.
const maxCacheFile = 1 << 20

// Load reads the samples. A file that is missing, damaged or of other
// conditions has none.
func (c *Cache) Load() []Sample {
	f, err := os.Open(c.path)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCacheFile))
	if err != nil {
		return nil
	}
	var file cacheFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if d.Decode(&file) != nil || file.cacheHead != c.head {
		return nil
	}
	for i := range file.Samples {
		if !file.Samples[i].valid() {
			return nil
		}
	}
	return file.Samples
}

// Store replaces the samples, leaving out the oldest, which come first, where
// there are many.
func (c *Cache) Store(samples []Sample) error {
	samples = samples[max(0, len(samples)-maxCached):]
	data, err := json.MarshalIndent(cacheFile{c.head, samples}, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteBytes(c.path, append(data, '\n'))
}

func (s *Sample) valid() bool {
	for _, x := range s.Features {
		if !(x >= 0) || math.IsInf(x, 0) {
			return false
		}
	}
	return s.Features[layers] > 0 && s.Runs > 0 && 0 < s.P10 && s.P10 <= s.Median && s.Median <= s.P90
}
