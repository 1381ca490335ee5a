package main

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/pflag"

	searchreport "effnet/report"
	"effnet/search"
	"effnet/search/live"
)

// uiFlags say whether and where a page shows a search.
type uiFlags struct {
	on   bool
	addr string
}

func (u *uiFlags) register(f *pflag.FlagSet) {
	f.BoolVar(&u.on, "ui", false, "show the search on a page for the browser, with buttons, and print its address")
	f.StringVar(&u.addr, "ui-addr", "127.0.0.1:0", "`address` of the page; buttons are left out where other machines can reach it")
}

// check reports an address that is none.
func (u *uiFlags) check(f *pflag.FlagSet) error {
	u.on = u.on || f.Changed("ui-addr")
	if _, _, err := net.SplitHostPort(u.addr); err != nil {
		return usagef("--ui-addr %s: want a host and a port, such as 127.0.0.1:8080", u.addr)
	}
	return nil
}

// pagePatience is how long the end of a search waits for open pages to be told.
const pagePatience = 5 * time.Second

// serve shows the search in the folder dir and says where; nil where no page is
// wanted.
func (u *uiFlags) serve(dir string, stderr io.Writer) (*live.Server, error) {
	if !u.on {
		return nil, nil
	}
	s, err := live.Serve(newWatcher(dir), u.addr)
	if err != nil {
		return nil, err
	}
	note := ""
	if s.ReadOnly() {
		note = " (without buttons, as other machines can reach it)"
	}
	fmt.Fprintf(stderr, "page      %s%s\n", s.URL(), note)
	return s, nil
}

// newWatcher looks at the search in the folder dir.
func newWatcher(dir string) *live.Watcher {
	return live.NewWatcher(dir, func(a *search.Analysis) ([]byte, error) { return searchreport.Page(dir, a) })
}

// searchShow shows a search of this process to others: its status file and,
// where it is wanted, its page.
type searchShow struct {
	dir      string
	page     *live.Server
	recorder *live.Recorder // from the moment that the folder is this process's own
}

// showSearch begins to show the search in dir and joins in opt's callbacks.
func showSearch(dir string, ui *uiFlags, stderr io.Writer, opt *search.Options) (*searchShow, error) {
	page, err := ui.serve(dir, stderr)
	if err != nil {
		return nil, err
	}
	s := &searchShow{dir: dir, page: page}
	preparing, planned, status := opt.Preparing, opt.Planned, opt.Status
	// The folder is this process's own from the first call on.
	record := func() *live.Recorder {
		if s.recorder == nil {
			s.recorder = live.NewRecorder(dir)
		}
		return s.recorder
	}
	opt.Preparing = func(p search.Preparation) {
		record().Preparing(p)
		preparing(p)
	}
	opt.Planned = func(p *search.Plan, st *search.Status) {
		record().Status(st)
		planned(p, st)
	}
	opt.Status = func(st *search.Status) {
		s.recorder.Status(st)
		status(st)
	}
	return s, nil
}

// ended records the search's end.
func (s *searchShow) ended(done bool) {
	if s.recorder != nil {
		s.recorder.Close(done)
	}
}

// close ends the page.
func (s *searchShow) close() {
	if s.page != nil {
		s.page.Close(pagePatience)
	}
}
