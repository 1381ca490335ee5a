package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"effnet/arch"
)

// loadNet resolves a NET argument: the name of a zoo network or the path of a
// spec file. What looks like a path (it has a slash or ends in .yaml or .yml)
// or exists as a file is one; a zoo name comes first.
func loadNet(arg string) (arch.Spec, error) {
	s, err := arch.Lookup(arg)
	if err == nil {
		return s, nil
	}
	isPath := strings.ContainsRune(arg, '/') || strings.ContainsRune(arg, os.PathSeparator) ||
		strings.HasSuffix(arg, ".yaml") || strings.HasSuffix(arg, ".yml")
	if !isPath {
		if _, statErr := os.Stat(arg); statErr != nil {
			var unknown *arch.UnknownNetworkError
			if errors.As(err, &unknown) && len(unknown.Close) == 0 {
				return arch.Spec{}, usagef("%w; 'effnet models' lists the names, a spec file's name ends in .yaml", err)
			}
			return arch.Spec{}, usagef("%w", err)
		}
	}
	return readSpec(arg)
}

// readSpec reads a spec file.
func readSpec(path string) (arch.Spec, error) {
	info, err := os.Stat(path)
	if err != nil {
		return arch.Spec{}, err
	}
	if !info.Mode().IsRegular() {
		return arch.Spec{}, fmt.Errorf("%s is not a file, want a spec file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return arch.Spec{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, arch.MaxSpecFile+1))
	if err != nil {
		return arch.Spec{}, err
	}
	return arch.ParseSpec(path, data)
}

// completeNet completes a NET argument: zoo names, and files by the shell.
func completeNet(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return arch.Names(), cobra.ShellCompDirectiveDefault
}
