package train

import (
	"math"
	"strings"
	"testing"
)

func TestSchedules(t *testing.T) {
	// EfficientNet: x0.97 every 2.4 epochs of 100 steps, 5 epochs of warm-up;
	// the staircase counts from step 0.
	exp := Schedule{Kind: Exponential, Base: 0.016, Warmup: 500, Rate: 0.97, Every: 240}
	cos := Schedule{Kind: Cosine, Base: 0.1, Warmup: 10, Total: 110, Floor: 0.02}
	flat := Schedule{Kind: Constant, Base: 0.3}
	for _, c := range []struct {
		s    Schedule
		step int64
		want float64
	}{
		{exp, 0, 0}, {exp, 250, 0.008}, {exp, 499, 0.016 * 499 / 500},
		{exp, 500, 0.016 * 0.97 * 0.97}, {exp, 719, 0.016 * 0.97 * 0.97}, {exp, 720, 0.016 * math.Pow(0.97, 3)},
		{cos, 0, 0}, {cos, 10, 0.1}, {cos, 60, 0.06}, {cos, 110, 0.02}, {cos, 1000, 0.02},
		{flat, 0, 0.3}, {flat, 1 << 40, 0.3},
	} {
		if err := c.s.Check(); err != nil {
			t.Error(err)
		}
		if got := c.s.LR(c.step); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%s at step %d: %v, want %v", c.s.Kind, c.step, got, c.want)
		}
	}
	for want, s := range map[string]Schedule{
		"learning rate is 0":             {Kind: Constant},
		"learning rate is NaN":           {Kind: Constant, Base: math.NaN()},
		"warm-up is -1":                  {Kind: Constant, Base: 1, Warmup: -1},
		"decay rate is 1.5":              {Kind: Exponential, Base: 1, Rate: 1.5, Every: 1},
		"steps between decays are 0":     {Kind: Exponential, Base: 1, Rate: 0.9},
		"the run has 5 steps, want more": {Kind: Cosine, Base: 1, Warmup: 5, Total: 5},
		"final learning rate is 2":       {Kind: Cosine, Base: 1, Total: 5, Floor: 2},
		`unknown schedule "step"`:        {Kind: "step", Base: 1},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestUniform: the masks' numbers are spread evenly and differ along every key.
func TestUniform(t *testing.T) {
	const n = 20000
	for axis := range 4 {
		sum, square := 0.0, 0.0
		for i := range n {
			key := [4]int{1, 2, 3, 4}
			key[axis] = i
			u := uniform(7, int64(key[0]), key[1], key[2], key[3])
			sum += u
			square += u * u
		}
		if mean, v := sum/n, square/n-sum*sum/n/n; math.Abs(mean-0.5) > 0.01 || math.Abs(v-1.0/12) > 0.005 {
			t.Errorf("axis %d: mean %v, variance %v", axis, mean, v)
		}
	}
}
