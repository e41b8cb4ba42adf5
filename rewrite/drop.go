package rewrite

// decide marks what is to be dropped, and tells whether there is anything.
func (c *catalogue) decide() bool {
	changed := c.askRenditions()
	c.listAlternatives()
	if c.Variant == nil {
		return changed
	}
	any := c.ask(c.variants)
	if any {
		c.spareOne()
	}
	any = c.ask(c.iframes) || any
	if !any {
		return changed
	}
	for _, attr := range []string{"RESOLUTION", "VIDEO", "PATHWAY-ID"} {
		orphaned := c.orphans(attr)
		for _, v := range c.iframes {
			v.dropped = v.dropped || orphaned[v.attrs[attr]]
		}
	}
	for _, attr := range groupAttrs {
		orphaned := c.orphans(attr)
		for _, r := range c.renditions {
			r.dropped = r.dropped || r.attrs["TYPE"] == attr && orphaned[r.attrs["GROUP-ID"]]
		}
	}
	return true
}

// ask lets the hook decide. What could not be understood stays.
func (c *catalogue) ask(streams []*stream) (dropped bool) {
	for _, v := range streams {
		v.dropped = v.excess || v.rating != nil && !c.Variant(v.rating)
		dropped = dropped || v.dropped
	}
	return dropped
}

// spareOne brings the variant of least bandwidth back if none is left.
func (c *catalogue) spareOne() {
	var least *stream
	for _, v := range c.variants {
		if !v.dropped {
			return
		}
		if v.rating == nil {
			continue
		}
		if least == nil || v.rating.Bandwidth < least.rating.Bandwidth {
			least = v
		}
	}
	if least != nil {
		least.dropped = false
	}
}

// orphans are the values of an attribute that only variants have which are dropped.
func (c *catalogue) orphans(attr string) map[string]bool {
	orphans := map[string]bool{}
	for _, v := range c.variants {
		value, ok := v.attrs[attr]
		if !ok {
			continue
		}
		if former, seen := orphans[value]; !seen || former {
			orphans[value] = v.dropped
		}
	}
	return orphans
}
