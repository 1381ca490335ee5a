package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// Each bad input is one line on standard error and nothing on standard output:
// status 2 for the command line, 1 for anything else.
func TestErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"token.yaml":  "name: x\nblocks:\n  - ds_k3_c8\n  - ir_k3_e6_c24_z9\n",
		"small.yaml":  "name: x\nresolution: 3\nblocks: [ds_k3_c8, ir_k3_s2_e6_c8, ir_k3_s2_e6_c8]\n",
		"huge.yaml":   "name: x\nresolution: 16384\nblocks: [ds_k3_c65536]\n",
		"key.yaml":    "name: x\nwidth: 3\nblocks: [ds_k3_c8]\n",
		"empty.yaml":  "",
		"binary.yaml": "\x89PNG\x00\xff\xfe",
		"big.yaml":    strings.Repeat("# nothing\n", 10000),
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("folder", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"frob", 2, `unknown command "frob"; 'effnet --help' lists the commands`},
		{"frob --depth 3", 2, `unknown command "frob"`},
		{"sho b0", 2, `unknown command "sho"; did you mean show?`},
		{"--nope", 2, "unknown flag: --nope; see 'effnet --help'"},
		{"help frob", 2, `unknown command "frob"`},
		{"completion frob", 2, `unknown command "frob"; 'effnet completion --help' lists the commands`},
		{"completion bash x", 2, `unknown command "x"`},
		{"models b0", 2, "models wants no arguments, got 1 argument(s); see 'effnet models --help'"},
		{"show", 2, "show wants NET, got 0 argument(s)"},
		{"show b0 b1", 2, "show wants NET, got 2 argument(s)"},
		{"show b0 --frob", 2, "show: unknown flag: --frob; see 'effnet show --help'"},
		{"show b9", 2, `no network is called "b9"; did you mean efficientnet_b0 or`},
		{"show vgg16", 2, `no network is called "vgg16"; 'effnet models' lists the names, a spec file's name ends in .yaml`},
		{"show none.yaml", 1, "none.yaml: no such file or directory"},
		{"show ./none", 1, "./none: no such file or directory"},
		{"show folder", 1, "folder is not a file, want a spec file"},
		{"show empty.yaml", 1, "empty.yaml:1:1: the file is empty, want at least name and blocks"},
		{"show binary.yaml", 1, "binary.yaml:1:1: the line is not UTF-8 text"},
		{"show big.yaml", 1, "big.yaml:1:1: the file is larger than 16384 bytes"},
		{"show token.yaml", 1, `token.yaml:4:18: block "ir_k3_e6_c24_z9": unknown token "z9"`},
		{"show small.yaml", 1, "small.yaml:2:13: resolution 3 is too small for the strides"},
		{"show huge.yaml", 1, "huge.yaml:3:10: blocks.0.0.conv_pw: the tensor would be 8192x8192x65536"},
		{"show key.yaml", 1, `key.yaml:2:1: unknown key "width"`},
		{"show b0 --resolution 0", 2, `invalid argument "0" for "--resolution" flag: want a whole number of pixels`},
		{"show b0 --resolution 1.5", 2, `invalid argument "1.5" for "--resolution" flag`},
		{"show b0 --resolution 16", 1, "resolution 16 is too small for the strides: stage 6"},
		{"show b0 --resolution 99999", 1, "resolution is 99999, want 1 to 16384"},

		{"scale b0", 2, "scale: say how, with --phi, with --ratio and --factor, or with --depth, --width or --resolution"},
		{"scale --phi 1", 2, "scale wants NET, got 0 argument(s)"},
		{"scale b0 --depth", 2, "scale: flag needs an argument: --depth"},
		{"scale b0 --depth 0", 2, `invalid argument "0" for "--depth" flag: want a number above 0`},
		{"scale b0 --depth -1", 2, `invalid argument "-1" for "--depth" flag: want a number above 0`},
		{"scale b0 --depth NaN", 2, `invalid argument "NaN" for "--depth" flag`},
		{"scale b0 --width Inf", 2, `invalid argument "Inf" for "--width" flag`},
		{"scale b0 --width x", 2, `invalid argument "x" for "--width" flag`},
		{"scale b0 --width 5000", 1, "the width factor is 5000, want a number above 0, at most 1000"},
		{"scale b0 --depth 600", 1, "scaling efficientnet_b0: stage 2 would have 1200 repeats, at most 1000 are allowed"},
		{"scale b0 --width 100", 1, "the head would have 128000 channels, at most 65536 are allowed"},
		{"scale b0 --resolution 2", 2, "--resolution 2 is 2 pixels, at least 17 are needed; write 2.0 for a factor"},
		{"scale b0 --resolution 0.01", 1, "resolution 2 is too small for the strides"},
		{"scale b0 --resolution 1e300", 2, `invalid argument "1e300" for "--resolution" flag`},
		{"scale b0 --resolution 1.0e300", 2, "--resolution 1.0e300 times 224 pixels is out of range"},
		{"scale b0 --resolution 100.0", 1, "the resolution is 22400 pixels, want 1 to 16384"},
		{"scale b0 --phi NaN", 2, `invalid argument "NaN" for "--phi" flag: want a number`},
		{"scale b0 --phi 200", 2, "is out of range, want 1 to 16384 pixels"},
		{"scale b0 --phi 1 --depth 2", 2, "scale: --phi and --depth exclude each other"},
		{"scale b0 --depth 1 --beta 2", 2, "scale: --beta belongs to --phi, which is not given"},
		{"scale b0 --phi 1 --gamma -1", 2, `invalid argument "-1" for "--gamma" flag: want a number above 0`},
		{"scale b0 --depth 2 --name a/b", 2, `invalid argument "a/b" for "--name" flag`},

		{"fit b0", 2, "fit: say what may be used, with --max-macs, --max-params, --max-memory or --max-latency"},
		{"fit b0 --max-latency 0ms", 2, `invalid argument "0ms" for "--max-latency" flag: want a time with its unit, from 1us to 1m, such as 12ms`},
		{"fit b0 --max-latency 12", 2, `invalid argument "12" for "--max-latency" flag: want a time with its unit`},
		{"fit b0 --max-latency -3ms", 2, `invalid argument "-3ms" for "--max-latency" flag`},
		{"fit b0 --max-latency 2h", 2, `invalid argument "2h" for "--max-latency" flag`},
		{"fit b0 --max-macs 1G --threads 1", 2, "fit: --threads belongs to --max-latency, which is not given"},
		{"fit b0 --max-macs 1G --remeasure", 2, "fit: --remeasure belongs to --max-latency, which is not given"},
		{"fit b0 --max-latency 12ms --threads -1", 2, "fit: --threads cannot be negative"},
		{"fit b0 --max-latency 12ms --batch 0", 2, "fit: --batch is 0, want 1 to 1024"},
		{"fit b0 --max-latency 12ms --max-macs 1K", 1, "no network on the ratio 0.279:0.292:0.428 fits: the smallest has 412016 MACs where 1000 are allowed"},
		{"fit b0 --max-macs 0", 2, `invalid argument "0" for "--max-macs" flag: want a number of at least 1`},
		{"fit b0 --max-macs 1.5T", 2, `invalid argument "1.5T" for "--max-macs" flag`},
		{"fit b0 --max-params -5", 2, `invalid argument "-5" for "--max-params" flag`},
		{"fit b0 --max-memory NaN", 2, `invalid argument "NaN" for "--max-memory" flag`},
		{"fit b0 --max-macs 1G --ratio 1:2", 2, `ratio "1:2", want three numbers depth:width:resolution such as 1:1:1`},
		{"fit b0 --max-macs 1G --ratio 1:-2:1", 2, `"-2" is not a number of 0 or more`},
		{"fit b0 --max-macs 1G --ratio 0:0:0", 2, "want numbers of 0 or more, not all 0"},
		{"fit b0 --max-macs 1K", 1, "no network on the ratio 0.279:0.292:0.428 fits: the smallest has 412016 MACs where 1000 are allowed"},
		{"fit b0 --max-params 6M --ratio 0:0:1", 1, "the budget is never reached on the ratio 0:0:1"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(strings.Fields(c.args), &stdout, &stderr)
		line, rest, _ := strings.Cut(stderr.String(), "\n")
		if status != c.status || !strings.HasPrefix(line, "effnet: ") || !strings.Contains(line, c.want) || rest != "" || stdout.Len() > 0 {
			t.Errorf("effnet %s: status %d, stdout %q, stderr %q; want status %d and one line with %q", c.args, status, stdout.String(), stderr.String(), c.status, c.want)
		}
	}
}

// A file that cannot be written is named, and what was computed is still shown.
func TestOutputErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range []string{"scale b0 --phi 1 -o no/such/x.yaml", "fit b0 --max-macs 1G -o no/such/x.yaml"} {
		var stdout, stderr bytes.Buffer
		if status := run(strings.Fields(args), &stdout, &stderr); status != 1 || stdout.Len() == 0 || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "no/such") {
			t.Errorf("effnet %s: status %d, stderr %q", args, status, stderr.String())
		}
	}
}
