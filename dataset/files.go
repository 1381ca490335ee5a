package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files finds the files behind the data set that spec names (see [Open]), to
// be copied: names are relative to dir, and a folder with copies of them opens
// as the same data set. The synthetic set has none.
func Files(spec string) (dir string, names []string, err error) {
	if spec == "synthetic" || strings.HasPrefix(spec, "synthetic:") {
		return "", nil, nil
	}
	if _, ok := builtin[spec]; ok {
		search, _, _ := folders(spec)
		for _, dir := range search {
			if known := knownFiles(dir, spec); known != nil {
				return dir, known, nil
			}
		}
		return "", nil, fmt.Errorf("dataset: %s is not on this machine", spec)
	}
	st, err := os.Stat(spec)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(spec, "{}"):
		paths, err := expandBraces(spec)
		if err != nil {
			return "", nil, &SpecError{spec, err.Error()}
		}
		return shardFiles(filepath.Dir(paths[0]), paths)
	case err != nil:
		return "", nil, fmt.Errorf("dataset: %w", err)
	case !st.IsDir():
		return shardFiles(filepath.Dir(spec), []string{spec})
	}
	if known := knownFiles(spec, ""); known != nil {
		return spec, known, nil
	}
	err = filepath.WalkDir(spec, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(e.Name(), ".") && path != spec {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(path) // of what a symbolic link points to
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		name, err := filepath.Rel(spec, path)
		names = append(names, name)
		return err
	})
	return spec, names, err
}

// knownFiles are those of the IDX or CIFAR set in dir; name is "" for any.
func knownFiles(dir, name string) []string {
	if (name == "" || name == "fashion-mnist") && hasIDX(dir) {
		var names []string
		for _, base := range []string{trainImages, trainLabels, testImages, testLabels} {
			if path, _ := findIDX(dir, base); path != "" {
				names = append(names, filepath.Base(path))
			}
		}
		return names
	}
	for _, v := range []*cifar{cifar10, cifar100} {
		if name != "" && name != v.name || !v.in(dir) {
			continue
		}
		sub := ""
		switch {
		case isFile(filepath.Join(dir, v.test)):
		case isFile(filepath.Join(dir, v.folder, v.test)):
			sub = v.folder
		default:
			return []string{v.archive.name}
		}
		var names []string
		for _, f := range append([]string{v.names, v.test}, v.train...) {
			names = append(names, filepath.Join(sub, f))
		}
		return names
	}
	return nil
}

// shardFiles are shards in dir and the names of their classes.
func shardFiles(dir string, paths []string) (string, []string, error) {
	if isFile(filepath.Join(dir, classesFile)) {
		paths = append(paths, filepath.Join(dir, classesFile))
	}
	var names []string
	for _, path := range paths {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return "", nil, err
		}
		names = append(names, name)
	}
	return dir, names, nil
}
