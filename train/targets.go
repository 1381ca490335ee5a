package train

import "fmt"

// Targets are what a network should say of the n images of a batch: the class
// of each, or where images were mixed (mixup) two classes of each.
type Targets struct {
	Labels []int32 // [n]
	Others []int32 // [n], the classes mixed in; nil: none
	// Share is the part of Labels in mixed images, 0 to 1; the rest is Others'.
	Share float64
}

// of is the target of image i: share of label and 1-share of other, which is
// -1 where nothing was mixed in.
func (t *Targets) of(i int) (label, other int, share float64) {
	if t.Others == nil {
		return int(t.Labels[i]), -1, 1
	}
	return int(t.Labels[i]), int(t.Others[i]), t.Share
}

// check reports the first target that is none of so many classes.
func (t *Targets) check(classes int) error {
	for i, l := range t.Labels {
		if l < 0 || int(l) >= classes {
			return fmt.Errorf("image %d has label %d, want 0 to %d", i, l, classes-1)
		}
	}
	if t.Others == nil {
		return nil
	}
	if len(t.Others) != len(t.Labels) {
		return fmt.Errorf("%d labels mixed into those of %d images", len(t.Others), len(t.Labels))
	}
	if !(t.Share >= 0 && t.Share <= 1) {
		return fmt.Errorf("the share of the labels is %v, want 0 to 1", t.Share)
	}
	for i, l := range t.Others {
		if l < 0 || int(l) >= classes {
			return fmt.Errorf("image %d is mixed with label %d, want 0 to %d", i, l, classes-1)
		}
	}
	return nil
}
