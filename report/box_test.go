package report

import "testing"

func TestBeside(t *testing.T) {
	s := &scene{w: 400, h: 300}
	const text, size, gap = "B0's ratio", 12, 10
	w := textWidth(text, size, false)
	centre := point{200, 150}
	right := textBox(point{centre.x + gap, centre.y + 0.35*size}, text, size, false, anchorStart)
	half := box{centre.x, 0, s.w - centre.x, s.h}
	for _, c := range []struct {
		name  string
		at    point
		taken []box
		want  anchor
	}{
		{"nothing in the way", centre, nil, anchorStart},
		{"a mark beside it", centre, []box{boxAround(point{centre.x + gap + w/2, centre.y}, 2)}, anchorStart},
		{"no room on the right", point{s.w - 5, 150}, nil, anchorEnd},
		{"the right half taken", centre, []box{half}, anchorEnd},
	} {
		at, a := s.beside(c.at, gap, text, size, false, c.taken)
		if a != c.want {
			t.Errorf("%s: the text is anchored at %v, want %v", c.name, a, c.want)
		}
		b := textBox(at, text, size, false, a)
		if b.shared(box{0, 0, s.w, s.h}) < b.w*b.h-1e-9 {
			t.Errorf("%s: the text leaves the scene: %+v", c.name, b)
		}
		for _, o := range c.taken {
			if b.shared(o) > 0 {
				t.Errorf("%s: the text covers %+v", c.name, o)
			}
		}
		if (b == right) != (len(c.taken) == 0 && c.at == centre) {
			t.Errorf("%s: the text is at %+v", c.name, b)
		}
	}
	// Where everything is taken, it still has a place.
	if at, _ := s.beside(centre, gap, text, size, false, []box{{0, 0, s.w, s.h}}); at == (point{}) {
		t.Error("no place where everything is taken")
	}
}
