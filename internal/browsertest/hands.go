package browsertest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var keys = map[string]string{
	"Tab": kb.Tab, "Enter": kb.Enter, "Escape": kb.Escape, "Space": " ",
	"ArrowDown": kb.ArrowDown, "ArrowUp": kb.ArrowUp, "ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight,
}

// Press presses a key of the keyboard, by the name that events have for it;
// "Shift+Tab" with another.
func (tab *Tab) Press(key string) {
	tab.t.Helper()
	var opts []chromedp.KeyOption
	name, shift := strings.CutPrefix(key, "Shift+")
	if shift {
		opts = append(opts, chromedp.KeyModifiers(chromedp.ModifierShift))
	}
	code, ok := keys[name]
	if !ok {
		tab.t.Fatalf("browsertest: no key %q", key)
	}
	tab.Do(chromedp.KeyEvent(code, opts...))
}

// Type types text where the focus is.
func (tab *Tab) Type(text string) {
	tab.t.Helper()
	tab.Do(chromedp.KeyEvent(text))
}

// Choose does what opens a dialog for files, and chooses one there.
func (tab *Tab) Choose(file string, open func()) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, 10*time.Second)
	defer cancel()
	opened := chromedp.Events(ctx, page.FileChooserOpened)
	call(tab, page.SetInterceptFileChooserDialog, page.SetInterceptFileChooserDialogParams{Enabled: true})
	open()
	for e, err := range opened {
		if err != nil {
			tab.fatal("no dialog for files opens: ", err)
		}
		call(tab, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{file}, BackendNodeID: e.BackendNodeID})
		break
	}
}

// Drop drops files on an element, which its selector means, as from the desktop.
func (tab *Tab) Drop(selector string, files ...string) {
	tab.t.Helper()
	at := Value[[2]float64](tab, fmt.Sprintf("(e => { e.scrollIntoView({ block: 'nearest' }); const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })(document.querySelector(%q))", selector))
	for _, kind := range []input.DispatchDragEventType{input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop} {
		call(tab, input.DispatchDragEvent, input.DispatchDragEventParams{Type: kind, X: at[0], Y: at[1], Data: &input.DragData{Items: []*input.DragDataItem{}, Files: files, DragOperationsMask: 1}})
	}
}
