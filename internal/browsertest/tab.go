package browsertest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is a page in a browser.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	problems []string
}

// Tab opens an empty page, which has timeout for all that is done with it.
func (b *Browser) Tab(t testing.TB, timeout time.Duration) *Tab {
	t.Helper()
	tab := &Tab{t: t}
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // without the timeout, which would end the browser
		t.Fatalf("browser: %v", err)
	}
	tab.ctx, cancel = context.WithTimeout(ctx, timeout)
	t.Cleanup(cancel)
	if err := chromedp.Listen(tab.ctx, tab.hear); err != nil {
		t.Fatalf("browser: %v", err)
	}
	t.Cleanup(func() {
		for _, p := range tab.Problems() {
			t.Errorf("the page: %s", p)
		}
	})
	call(tab, network.Enable, network.EnableParams{})
	call(tab, log.Enable, cdp.Empty{})
	return tab
}

// hear notes what a page should not do.
func (tab *Tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		tab.note("exception: %s", text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, a := range e.Args {
				words = append(words, string(a.Value)+a.Description)
			}
			tab.note("console.%s: %s", e.Type, strings.Join(words, " "))
		}
	case *log.EventEntryAdded: // breaches of the policy and failed loads among them
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			tab.note("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if !local(e.Request.URL) {
			tab.note("it asks for %s", e.Request.URL)
		}
	}
}

func (tab *Tab) note(format string, args ...any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.problems = append(tab.problems, fmt.Sprintf(format, args...))
}

// Problems takes what was noted so far. A test that expects a problem looks at
// it in this way; what nobody takes fails the test.
func (tab *Tab) Problems() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	list := tab.problems
	tab.problems = nil
	return list
}

// local reports whether an address is on this machine.
func local(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "about", "blob", "data", "file":
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Do does actions, one after the other.
func (tab *Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	if err := chromedp.Do(tab.ctx, actions...); err != nil {
		tab.fatal("", err)
	}
}

// Go opens an address.
func (tab *Tab) Go(address string) {
	tab.t.Helper()
	tab.Do(chromedp.Navigate(address))
}

// fatal ends the test with what the page shows.
func (tab *Tab) fatal(what string, err error) {
	tab.t.Helper()
	text, _ := chromedp.Run(tab.ctx, chromedp.Evaluate[string]("document.body?.innerText ?? ''"))
	tab.t.Fatalf("browser: %s%v\nthe page shows:\n%s", what, err, text)
}

// call sends a command of the protocol.
func call[P, R any](tab *Tab, command cdp.Command[P, R], p P) R {
	tab.t.Helper()
	r, err := chromedp.Call(tab.ctx, command, p)
	if err != nil {
		tab.fatal("", err)
	}
	return r
}

// Look takes a look for what follows.
func (tab *Tab) Look(l Look) {
	tab.t.Helper()
	width, height := l.Width, l.Height
	if width == 0 {
		width, height = 1280, 900
	}
	choose := func(yes bool, a, b string) string {
		if yes {
			return a
		}
		return b
	}
	call(tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: int64(width), Height: int64(height), DeviceScaleFactor: 1, Mobile: l.Touch})
	call(tab, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: l.Touch})
	call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: choose(l.Print, "print", "screen"),
		Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: choose(l.Dark, "dark", "light")},
			{Name: "prefers-reduced-motion", Value: choose(l.Still, "reduce", "no-preference")},
		},
	})
}

// Wait waits until a JavaScript expression is true, also on a page that is
// loaded again meanwhile.
func (tab *Tab) Wait(expression string) {
	tab.t.Helper()
	for {
		_, err := chromedp.Run(tab.ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0)))
		switch {
		case err == nil:
			return
		case tab.ctx.Err() == nil && slices.ContainsFunc(leaving, func(s string) bool { return strings.Contains(err.Error(), s) }):
			time.Sleep(20 * time.Millisecond)
		default:
			tab.fatal("wait for "+expression+": ", err)
		}
	}
}

// leaving are what the browser says of a question to a page that it leaves.
var leaving = []string{"Cannot find context", "context was destroyed", "Inspected target navigated"}

// Value evaluates a JavaScript expression, or a promise of one.
func Value[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	v, err := chromedp.Run(tab.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tab.fatal(expression+": ", err)
	}
	return v
}

// Shot writes a picture of the whole page to NAME.png in the folder that
// EFFNET_SCREENSHOTS names; without it nothing happens.
func (tab *Tab) Shot(name string) {
	tab.t.Helper()
	folder := os.Getenv("EFFNET_SCREENSHOTS")
	if folder == "" {
		return
	}
	data, err := chromedp.Run(tab.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tab.fatal("", err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), data, 0o644); err != nil {
		tab.t.Fatal(err)
	}
}
