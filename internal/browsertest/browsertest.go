// Package browsertest drives web pages in headless Chromium, for tests.
//
// A [Tab] fails its test where a page writes an error or a warning to the
// console, throws, breaks its Content-Security-Policy, or asks for anything that
// is not on this machine. What one sees can be kept: with EFFNET_SCREENSHOTS set
// to a folder, [Tab.Shot] writes there.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/chromedp/chromedp"
)

// Browser is a running Chromium.
type Browser struct{ ctx context.Context }

// Open starts a browser, which ends with the test. Where there is none the test
// is skipped.
func Open(t testing.TB) *Browser {
	t.Helper()
	path := find()
	if path == "" {
		t.Skip("no Chromium on this machine; scripts/fetch-chromium.sh installs it, EFFNET_CHROMIUM is its path, or none")
	}
	opts := append([]chromedp.ExecAllocatorOption(nil), chromedp.DefaultExecAllocatorOptions[:]...)
	opts = append(opts, chromedp.ExecPath(path),
		// Names are not looked up, whatever a page or the browser itself wants.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]"),
		chromedp.Flag("force-color-profile", "srgb"))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's does not work for root
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{ctx}
}

// find is the path of a Chromium, "" where there is none.
func find() string {
	switch path := os.Getenv("EFFNET_CHROMIUM"); path {
	case "":
	case "none":
		return ""
	default:
		return path
	}
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}
	switch runtime.GOOS {
	case "darwin":
		names = append(names, "/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
	case "windows":
		names = append(names, filepath.Join(os.Getenv("ProgramFiles"), `Google\Chrome\Application\chrome.exe`))
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Look is how a page is looked at. The zero value is a desktop by day.
type Look struct {
	Name   string // in the names of pictures
	Width  int    // CSS pixels; 0: 1280
	Height int    // 0: 900
	Dark   bool
	Touch  bool // a telephone
	Print  bool
	Still  bool // less motion is wished for
}

// Looks are those that every page has to stand.
var Looks = []Look{
	{Name: "light"},
	{Name: "dark", Dark: true},
	{Name: "phone", Width: 390, Height: 844, Touch: true},
	{Name: "phone-dark", Width: 390, Height: 844, Touch: true, Dark: true},
}
