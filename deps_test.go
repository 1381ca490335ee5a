package effnet_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed is the table of ARCHITECTURE.md: for every package, the packages of
// this module it may import and the modules from outside. Nothing is inherited.
var allowed = map[string]struct{ inside, outside []string }{
	"effnet":                        {[]string{"arch", "weights", "infer", "imageprep", "explain", "internal/imagenet"}, nil},
	"effnet/serve":                  {[]string{"effnet", "explain", "imageprep", "weights", "internal/loopback"}, []string{"github.com/prometheus/client_golang", "golang.org/x/sync"}},
	"effnet/explain":                {[]string{"imageprep"}, []string{"golang.org/x/image"}},
	"effnet/arch":                   {nil, []string{"github.com/goccy/go-yaml"}},
	"effnet/weights":                {[]string{"arch", "internal/atomicfile", "internal/half"}, nil},
	"effnet/onnx":                   {[]string{"arch", "weights", "internal/atomicfile"}, []string{"google.golang.org/protobuf"}},
	"effnet/hub":                    {[]string{"arch", "internal/atomicfile", "internal/download", "internal/lockfile"}, nil},
	"effnet/hub/hubtest":            {nil, nil},
	"effnet/internal/download":      {nil, nil},
	"effnet/imageprep":              {[]string{"internal/jpeg"}, []string{"golang.org/x/image", "github.com/bep/imagemeta"}},
	"effnet/autoaugment":            {nil, nil},
	"effnet/dataset":                {[]string{"autoaugment", "imageprep", "internal/atomicfile", "internal/download", "internal/lockfile"}, nil},
	"effnet/infer":                  {[]string{"arch", "weights", "internal/kernel", "internal/largepages", "internal/par"}, nil},
	"effnet/latency":                {[]string{"arch", "weights", "infer", "internal/kernel", "internal/atomicfile"}, nil},
	"effnet/train":                  {[]string{"arch", "autoaugment", "weights", "internal/kernel", "internal/largepages", "internal/par", "internal/atomicfile", "internal/lockfile", "internal/tfevents", "internal/words", "internal/yamlpos"}, []string{"github.com/goccy/go-yaml"}},
	"effnet/search":                 {[]string{"arch", "internal/atomicfile", "internal/lockfile", "internal/words", "internal/yamlpos"}, []string{"gonum.org/v1/gonum", "github.com/goccy/go-yaml"}},
	"effnet/search/queue":           {[]string{"arch", "search", "internal/atomicfile", "internal/lockfile"}, []string{"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go"}},
	"effnet/search/queue/queuetest": {nil, []string{"github.com/nats-io/jwt/v2", "github.com/nats-io/nats-server/v2", "github.com/nats-io/nkeys"}},
	"effnet/report":                 {[]string{"arch", "search", "internal/atomicfile"}, []string{"gonum.org/v1/plot", "gonum.org/v1/gonum"}},
	"effnet/search/export":          {[]string{"arch", "search", "internal/atomicfile", "internal/tfevents"}, nil},
	"effnet/search/live":            {[]string{"arch", "search", "internal/atomicfile", "internal/loopback", "internal/words"}, nil},
	"effnet/search/searchtest":      {[]string{"arch", "search"}, nil},
	"effnet/internal/atomicfile":    {nil, nil},
	"effnet/internal/alloctest":     {nil, nil},
	"effnet/internal/browsertest":   {nil, []string{"github.com/chromedp/chromedp", "github.com/chromedp/cdproto"}},
	"effnet/internal/load":          {nil, nil},
	"effnet/internal/loopback":      {nil, nil},
	"effnet/internal/lockfile":      {nil, []string{"golang.org/x/sys"}},
	"effnet/internal/largepages":    {nil, []string{"golang.org/x/sys"}},
	"effnet/internal/jpeg":          {nil, nil},
	"effnet/internal/imagenet":      {nil, nil},
	"effnet/internal/half":          {nil, nil},
	"effnet/internal/npy":           {[]string{"internal/atomicfile", "internal/half"}, nil},
	"effnet/internal/par":           {nil, nil},
	"effnet/internal/tfevents":      {nil, []string{"google.golang.org/protobuf"}},
	"effnet/internal/words":         {nil, nil},
	"effnet/internal/yamlpos":       {nil, []string{"github.com/goccy/go-yaml"}},
	"effnet/internal/kernel":        {nil, []string{"golang.org/x/sys"}},
	"effnet/internal/kernel/asmgen": {nil, nil},
	"effnet/internal/ref":           {[]string{"arch", "weights"}, nil},
	"effnet/internal/ref/golden":    {[]string{"arch", "weights"}, nil},
}

// unlisted packages are programs, which wire everything together.
var programs = []string{"effnet/cmd/", "effnet/bench/"}

// TestImports holds the arrows of ARCHITECTURE.md against the real imports.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		rule, ok := allowed[p.ImportPath]
		if !ok {
			if !slices.ContainsFunc(programs, func(s string) bool { return strings.HasPrefix(p.ImportPath, s) }) {
				t.Errorf("package %s is not in the table; add it here and to ARCHITECTURE.md", p.ImportPath)
			}
			continue
		}
		for _, imp := range p.Imports {
			local, inside := strings.CutPrefix(imp, "effnet/")
			if imp == "effnet" { // the package at the root
				local, inside = imp, true
			}
			first, _, _ := strings.Cut(imp, "/")
			switch {
			case imp == "C":
				t.Errorf("%s uses cgo", p.ImportPath)
			case inside && !slices.Contains(rule.inside, local):
				t.Errorf("%s imports %s, which the table does not allow", p.ImportPath, imp)
			case !inside && strings.Contains(first, ".") && !slices.ContainsFunc(rule.outside, func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") }):
				t.Errorf("%s imports %s, which the table does not allow", p.ImportPath, imp)
			}
		}
	}
}
