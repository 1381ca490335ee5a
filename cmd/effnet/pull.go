package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"effnet/arch"
	"effnet/hub"
	"effnet/weights"
)

func newPullCmd() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "pull ORG/NAME[@REVISION]",
		Short: "Fetch a model from the Hugging Face hub",
		Long: `Pull fetches the configuration and weights of a timm model on the Hugging Face
hub, checks that they belong together, and prints the path of the weights. Every
command that wants a MODEL takes such a name too, and fetches it on first use.

Files go to the cache that Python's huggingface_hub keeps, so that neither
fetches what the other has. The environment variables are the same: HF_ENDPOINT,
HF_TOKEN, HF_HUB_OFFLINE, HF_HOME, HF_HUB_CACHE.`,
		Example: `  effnet pull timm/efficientnet_b0.ra_in1k
  effnet pull timm/tf_efficientnet_lite0.in1k -o lite0.safetensors
  effnet classify timm/efficientnet_b0.ra_in1k photo.jpg`,
		Args: exactly("ORG/NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := hub.Parse(args[0])
			if err != nil {
				return usagef("pull: %w", err)
			}
			m, err := loadHub(c, r, &modelFlags{})
			if err != nil {
				return err
			}
			path := m.Path
			if out != "" {
				if err := m.Write(out); err != nil {
					return err
				}
				path = out
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s is %s, %dx%d pixels, %d classes\n", r, m.Spec.Name, m.Spec.Resolution, m.Spec.Resolution, m.Spec.Classes)
			if m.testResolution > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "its authors measured it with --resolution %d --crop %g\n", m.testResolution, m.testCrop)
			}
			fmt.Fprintln(c.OutOrStdout(), path)
			return nil
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "write the model to one `file` that says which network it is, too")
	return c
}

// hubModel is a model of the hub.
type hubModel struct {
	loadedModel
	testResolution int // see hub.Config
	testCrop       float64
}

// hubRepo reports whether a MODEL argument means a model of the hub: it has the
// form ORG/NAME and cannot be meant as a path, because no such folder is there
// and no ending of a file.
func hubRepo(arg string) (hub.Repo, bool) {
	r, err := hub.Parse(arg)
	if err != nil {
		return r, false
	}
	if strings.HasPrefix(arg, "hf") && strings.Contains(arg, ":") {
		return r, true
	}
	if slices.Contains([]string{".safetensors", ".pth", ".pt", ".bin", ".onnx", ".yaml", ".yml", ".h5", ".npy"}, filepath.Ext(arg)) {
		return r, false
	}
	org, _, _ := strings.Cut(arg, "/")
	_, err = os.Stat(org)
	return r, errors.Is(err, fs.ErrNotExist)
}

// loadHub fetches a model of the hub, as far as the cache lacks it, and loads it.
func loadHub(c *cobra.Command, r hub.Repo, f *modelFlags) (*hubModel, error) {
	client, err := hub.FromEnv()
	if err != nil {
		return nil, err
	}
	w := c.ErrOrStderr()
	shown := newDownload(w)
	client.Progress = shown.progress
	client.Note = func(format string, args ...any) {
		shown.close()
		fmt.Fprintf(w, "note: "+format+"\n", args...)
	}
	got, err := client.Model(c.Context(), r)
	shown.close()
	if err != nil {
		if c.Context().Err() != nil {
			return nil, &interruptedError{"effnet pull " + shellQuote(r.String())}
		}
		var unknown *arch.UnknownNetworkError
		if errors.As(err, &unknown) {
			err = fmt.Errorf("%w; effnet builds the networks of 'effnet models'", err)
		}
		return nil, err
	}
	return openHub(got, f)
}

// loadFolder loads a model of the hub from a folder with its files.
func loadFolder(dir string, f *modelFlags) (*hubModel, error) {
	got, err := hub.Folder(dir)
	if err != nil {
		return nil, err
	}
	return openHub(got, f)
}

// openHub loads a model of the hub from its files.
func openHub(got *hub.Model, f *modelFlags) (*hubModel, error) {
	m := &hubModel{loadedModel: loadedModel{Path: got.Weights}, testResolution: got.TestResolution, testCrop: got.TestCrop}
	if !f.open(&m.loadedModel, &got.Spec) {
		var err error
		if m.Model, err = weights.OpenModelAs(got.Weights, got.Spec); err != nil {
			return nil, err
		}
	}
	if m.Labels == nil {
		m.Labels = got.Labels
	}
	return m, nil
}
