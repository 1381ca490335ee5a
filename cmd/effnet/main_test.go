package main

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the golden parts of the test scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"effnet": main, "fakepython": fakePython, "natsserver": natsServer})
}

// TestScript runs testdata/script/*.txtar: each is a folder of files and a
// script that runs the command in it.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			// Installed data sets are found, and the kernels are those under test.
			env.Setenv("EFFNET_DATA", os.Getenv("EFFNET_DATA"))
			env.Setenv("EFFNET_KERNEL", os.Getenv("EFFNET_KERNEL"))
			return nil
		},
	})
}
