package report

import "effnet/search"

// lineStyle is how a rule's line is drawn.
type lineStyle struct {
	role search.Role
	name string
	ink  ink
	wide float64
	dash []float64
}

// roles in the order they are drawn: the chosen ratio on top.
var roles = []lineStyle{
	{search.RoleB0, "B0's ratio", inkB0, 1.5, []float64{5, 3}},
	{search.RoleFast, "fast ratio", inkFast, 1.5, []float64{2, 3}},
	{search.RoleResolution, "resolution", inkResolution, 1.75, nil},
	{search.RoleDepth, "depth", inkDepth, 1.75, nil},
	{search.RoleWidth, "width", inkWidth, 1.75, nil},
	{search.RoleCompound, "compound", inkCompound, 2.75, nil},
}

func roleStyle(r search.Role) lineStyle {
	for _, x := range roles {
		if x.role == r {
			return x
		}
	}
	if r == search.RoleBase {
		return lineStyle{r, string(r), inkMuted, 1.5, nil}
	}
	return lineStyle{r, string(r), inkFaint, 1, nil}
}

// legend names the colours of the rules among inks, and of others where they
// are there.
func legend(inks map[ink]bool, others ...dotKey) []dotKey {
	var keys []dotKey
	for _, style := range roles {
		if inks[style.ink] {
			keys = append(keys, dotKey{style.ink, style.name})
		}
	}
	for _, k := range others {
		if inks[k.ink] {
			keys = append(keys, k)
		}
	}
	return keys
}

func roleInk(r search.Role) ink     { return roleStyle(r).ink }
func roleName(r search.Role) string { return roleStyle(r).name }
