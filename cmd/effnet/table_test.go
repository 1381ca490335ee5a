package main

import "testing"

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		n                      int64
		thousands, short, size string
	}{
		{0, "0", "0", "0 B"},
		{7, "7", "7", "7 B"},
		{999, "999", "999", "999 B"},
		{1000, "1,000", "1.00K", "1000 B"},
		{-1234567, "-1,234,567", "-1234567", "-1234567 B"},
		{5288548, "5,288,548", "5.29M", "5.04 MiB"},
		{385814752, "385,814,752", "385.8M", "367.9 MiB"},
		{62597461568, "62,597,461,568", "62.6G", "58.3 GiB"},
		{1 << 60, "1,152,921,504,606,846,976", "1152.9P", "1024.0 PiB"},
	} {
		if a, b, d := thousands(c.n), short(c.n), size(c.n); a != c.thousands || b != c.short || d != c.size {
			t.Errorf("%d: got %s, %s, %s, want %s, %s, %s", c.n, a, b, d, c.thousands, c.short, c.size)
		}
	}
}

func TestParseAmount(t *testing.T) {
	for _, c := range []struct {
		text string
		base float64
		want int64 // 0: refused
	}{
		{"1", 1000, 1},
		{"1.5G", 1000, 1500000000},
		{"1.5g", 1024, 1610612736},
		{"64M", 1024, 64 << 20},
		{"10k", 1000, 10000},
		{"2e6", 1000, 2000000},
		{"5288548", 1000, 5288548},
		{"0.5", 1000, 0},
		{"0", 1000, 0},
		{"-1", 1000, 0},
		{"", 1000, 0},
		{"K", 1000, 0},
		{"1KB", 1000, 0},
		{"nan", 1000, 0},
		{"inf", 1000, 0},
		{"1e30", 1000, 0},
		{"0x10", 1000, 0},
	} {
		got, err := parseAmount(c.text, c.base)
		if got != c.want && err == nil || (err == nil) != (c.want > 0) {
			t.Errorf("%q: got %d %v, want %d", c.text, got, err, c.want)
		}
	}
}

func TestMsText(t *testing.T) {
	for _, c := range []struct {
		ms   float64
		want string
	}{{0, "0.00"}, {0.002, "0.00200"}, {0.01874, "0.0187"}, {0.4, "0.400"}, {4.6, "4.60"}, {11.934, "11.93"}, {242.12, "242.1"}} {
		if got := msText(c.ms); got != c.want {
			t.Errorf("%v: %q, want %q", c.ms, got, c.want)
		}
	}
}

func TestTable(t *testing.T) {
	tab := newTable("name", ">n", "note")
	tab.add("é", "1", "x")
	tab.add("long", "1,000")
	want := "name      n  note\né         1  x\nlong  1,000\n"
	if got := tab.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
