package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen redraws lines in place where w is a terminal.
type screen struct {
	w     io.Writer
	term  *os.File // nil where w is none
	drawn int      // lines on the terminal
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w}
	if isTerminal(w) {
		s.term = w.(*os.File)
	}
	return s
}

// size is the room for lines: columns, and rows but for two.
func (s *screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.term.Fd()))
	if err != nil || width < 20 || height < 4 {
		width, height = 80, 24
	}
	return width, height - 2
}

// draw replaces the lines on the terminal. None may be wider than it.
func (s *screen) draw(lines []string) {
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	for _, line := range lines {
		fmt.Fprintf(&b, "\x1b[2K%s\n", line)
	}
	b.WriteString("\x1b[J")
	s.drawn = len(lines)
	io.WriteString(s.w, b.String())
}

// clear takes the lines off the terminal.
func (s *screen) clear() {
	if s.drawn > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

// clip cuts a line to a width in characters.
func clip(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(width-1, 0)]) + "…"
}

// bold makes text stand out, unless the user wants no colour.
func bold(s string) string {
	if os.Getenv("NO_COLOR") != "" {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}
