package report

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// pct writes an accuracy as a percentage with two decimals.
func pct(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }

// factor writes a multiple of the base's cost.
func factor(x float64) string { return trim(x) + "×" }

// signed writes a number with its sign, a true minus among them.
func signed(x float64, decimals int) string {
	t := fmt.Sprintf("%.*f", decimals, math.Abs(x))
	switch {
	case t == fmt.Sprintf("%.*f", decimals, 0.0):
		return t
	case x > 0:
		return "+" + t
	}
	return "−" + t
}

func pValue(p float64) string {
	if p < 0.001 {
		return "<\u00a00.001"
	}
	return fmt.Sprintf("=\u00a0%.2g", p)
}

// duration is a time to read.
func duration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// seconds is the same for a number of them, short ones included.
func seconds(s float64) string {
	switch {
	case s < 1e-3:
		return trim(1e6*s) + " µs"
	case s < 1:
		return trim(1e3*s) + " ms"
	case s < 100:
		return trim(s) + " s"
	case s < 100*60:
		return trim(s/60) + " min"
	}
	return duration(time.Duration(s * float64(time.Second)))
}

// flopsText writes floating-point operations: 3.46 TFLOP.
func flopsText(x float64) string {
	if x >= 0.9995e15 {
		return trim(x/1e15) + " PFLOP"
	}
	s := count(x)
	if c := s[len(s)-1]; c >= 'A' {
		return s[:len(s)-1] + " " + string(c) + "FLOP"
	}
	return s + " FLOP"
}

// thousands groups the digits of a whole number.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// several counts things whose name takes an s.
func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return thousands(n) + " " + what + "s"
}

// list joins words: "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
