package search

import "testing"

// TestClaim: a ratio that is nearly all width is no single dimension, whatever
// it scores.
func TestClaim(t *testing.T) {
	net := func(id string, role Role, w, mean float64) NetworkResult {
		n := &Network{ID: id}
		n.Realised.W, n.Realised.R = w, 1-w
		return NetworkResult{Network: n, Stage: StageFinal, Role: role, Test: Stat{N: 3, Mean: mean}}
	}
	a := &Analysis{
		Nets: []NetworkResult{net("v8-width", RoleWidth, 1, 0.91), net("v8-fast", RoleFast, 0.92, 0.93), net("v8-compound", RoleCompound, 0.4, 0.9)},
		Compare: []Comparison{
			{Factor: 8, First: "v8-compound", Second: "v8-width", Diff: -0.01, P: 0.01},
			{Factor: 8, First: "v8-compound", Second: "v8-fast", Diff: -0.03, P: 0.001},
		},
	}
	f, ok := a.claim(8)
	if !ok || f.Against.Second != "v8-width" || f.Single != "width" {
		t.Errorf("the claim is against %v", f.Against)
	}
}
