package search

import "effnet/arch"

// triangle is a grid on the triangle of shares: rows of equal resolution, in
// each the share of width rising in steps of 1/steps, the first row that of
// resolution 0, the first point the depth corner.
type triangle struct{ steps int }

func (t triangle) size() int { return (t.steps + 1) * (t.steps + 2) / 2 }

// index of the point with shares of width i/steps and of resolution j/steps.
func (t triangle) index(i, j int) int { return j*(t.steps+1) - j*(j-1)/2 + i }

// at is the inverse of index.
func (t triangle) at(k int) (i, j int) {
	for k > t.steps-j {
		k -= t.steps - j + 1
		j++
	}
	return k, j
}

func (t triangle) shares(k int) arch.Shares {
	i, j := t.at(k)
	n := float64(t.steps)
	return arch.Shares{D: float64(t.steps-i-j) / n, W: float64(i) / n, R: float64(j) / n}
}

// cells are the small triangles of the grid, corners counter-clockwise in the
// plane of the shares of width and resolution.
func (t triangle) cells(visit func(a, b, c [2]int)) {
	for j := range t.steps {
		for i := range t.steps - j {
			visit([2]int{i, j}, [2]int{i + 1, j}, [2]int{i, j + 1})
			if i+j+2 <= t.steps {
				visit([2]int{i + 1, j}, [2]int{i + 1, j + 1}, [2]int{i, j + 1})
			}
		}
	}
}

// near calls visit with the points at most r steps away from the one of index k.
func (t triangle) near(k, r int, visit func(k int)) {
	i, j := t.at(k)
	for dj := -r; dj <= r; dj++ {
		for di := max(-r, -r-dj); di <= min(r, r-dj); di++ {
			if a, b := i+di, j+dj; a >= 0 && b >= 0 && a+b <= t.steps {
				visit(t.index(a, b))
			}
		}
	}
}

// closed adds the points to in that no disc of radius r steps covers without
// meeting a point of it: slits and small holes are closed, wide bays stay.
func (t triangle) closed(in []bool, r int) []bool {
	grown, out := make([]bool, len(in)), make([]bool, len(in))
	for k := range in {
		t.near(k, r, func(n int) { grown[k] = grown[k] || in[n] })
	}
	for k := range out {
		out[k] = true
		t.near(k, r, func(n int) { out[k] = out[k] && grown[n] })
	}
	return out
}

// outline draws around points of the grid: closed polygons, each the border of
// the places that are nearer to one of the points than to any other of the
// grid. A polygon runs counter-clockwise, in the plane of width and
// resolution, around what is inside and clockwise around a hole.
//
// Each small triangle is cut into three kites, one a corner, by its middle and
// those of its edges. Coordinates are sixths of a step, so that all are whole.
func (t triangle) outline(in []bool) [][]arch.Shares {
	type node [2]int
	next := map[node][]node{}
	var order []node
	edge := func(a, b node) {
		// An edge and its opposite, of the neighbour's kite, cancel.
		for k, c := range next[b] {
			if c == a {
				next[b] = append(next[b][:k:k], next[b][k+1:]...)
				return
			}
		}
		if _, ok := next[a]; !ok {
			order = append(order, a)
		}
		next[a] = append(next[a], b)
	}
	t.cells(func(a, b, c [2]int) {
		corner := [3][2]int{a, b, c}
		middle := node{2 * (a[0] + b[0] + c[0]), 2 * (a[1] + b[1] + c[1])}
		for k, p := range corner {
			if !in[t.index(p[0], p[1])] {
				continue
			}
			after, before := corner[(k+1)%3], corner[(k+2)%3]
			kite := [4]node{
				{6 * p[0], 6 * p[1]},
				{3 * (p[0] + after[0]), 3 * (p[1] + after[1])},
				middle,
				{3 * (p[0] + before[0]), 3 * (p[1] + before[1])},
			}
			for e := range kite {
				edge(kite[e], kite[(e+1)%4])
			}
		}
	})
	var out [][]arch.Shares
	scale := float64(6 * t.steps)
	for _, start := range order {
		for len(next[start]) > 0 {
			var loop []arch.Shares
			for at := start; ; {
				w, r := float64(at[0])/scale, float64(at[1])/scale
				loop = append(loop, arch.Shares{D: float64(6*t.steps-at[0]-at[1]) / scale, W: w, R: r})
				to := next[at][0]
				next[at] = next[at][1:]
				if at = to; at == start {
					break
				}
			}
			out = append(out, loop)
		}
	}
	return out
}

// area is that of the outlined places over the triangle's.
func (t triangle) area(in []bool) float64 {
	kites, all := 0, 0
	t.cells(func(a, b, c [2]int) {
		for _, p := range [3][2]int{a, b, c} {
			all++
			if in[t.index(p[0], p[1])] {
				kites++
			}
		}
	})
	return float64(kites) / float64(all)
}
