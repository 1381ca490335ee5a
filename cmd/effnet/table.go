package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table lays out columns of text for a terminal: cells padded to their
// column's width, two spaces between columns. A heading that starts with '>'
// sets its column right-aligned, as numbers want.
type table struct {
	right []bool
	rows  [][]string
}

func newTable(headings ...string) *table {
	t := &table{}
	for i, h := range headings {
		text, right := strings.CutPrefix(h, ">")
		t.right = append(t.right, right)
		headings[i] = text
	}
	t.add(headings...)
	return t
}

// add appends a row; missing cells are empty.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) String() string {
	width := make([]int, len(t.right))
	for _, row := range t.rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		for i := range width {
			c := ""
			if i < len(row) {
				c = row[i]
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if i > 0 {
				line.WriteString("  ")
			}
			if t.right[i] {
				line.WriteString(pad + c)
			} else {
				line.WriteString(c + pad)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// thousands is n with a comma between groups of three digits: 5,288,548.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := strings.TrimPrefix(s, "-")
	sign := s[:len(s)-len(neg)]
	for i := len(neg) - 3; i > 0; i -= 3 {
		neg = neg[:i] + "," + neg[i:]
	}
	return sign + neg
}

// short is n to four digits with a decimal suffix: 385.8M.
func short(n int64) string { return scaled(float64(n), 1000, "", "K", "M", "G", "T", "P") }

// size is n bytes to four digits with a binary suffix: 20.33 MiB.
func size(n int64) string {
	return scaled(float64(n), 1024, " B", " KiB", " MiB", " GiB", " TiB", " PiB")
}

func scaled(x, base float64, units ...string) string {
	i := 0
	for x >= base && i < len(units)-1 {
		x /= base
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%.0f%s", x, units[0])
	}
	digits := 2
	for lim := 10.0; x >= lim && digits > 0; lim *= 10 {
		digits--
	}
	return fmt.Sprintf("%.*f%s", max(digits, 1), x, units[i])
}

// factor is a ratio in at most four digits: 1.78, 102.8.
func factor(x float64) string {
	switch {
	case x >= 1000:
		return fmt.Sprintf("%.0f", x)
	case x >= 100:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// msText is a time in ms to three digits or more: 0.0187, 4.60, 11.93, 242.1.
func msText(ms float64) string {
	digits := 2
	switch {
	case ms >= 100:
		digits = 1
	case ms > 0 && ms < 10:
		digits -= int(math.Floor(math.Log10(ms)))
	}
	return fmt.Sprintf("%.*f", digits, ms)
}

// parseAmount reads a number with an optional suffix K, M or G, each base
// times the one before, as a whole number: 1.5G is 1500000000 with base 1000.
func parseAmount(s string, base float64) (int64, error) {
	text, unit := s, 1.0
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k', 'K':
			text, unit = s[:n-1], base
		case 'm', 'M':
			text, unit = s[:n-1], base*base
		case 'g', 'G':
			text, unit = s[:n-1], base*base*base
		}
	}
	x, err := strconv.ParseFloat(text, 64)
	x *= unit
	if err != nil || strings.ContainsAny(text, "xXpP_") || !(x >= 1 && x <= 1<<60) {
		return 0, fmt.Errorf("want a number of at least 1 with an optional suffix K, M or G, such as 1.5G")
	}
	return int64(x), nil
}
