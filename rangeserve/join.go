package rangeserve

// appendList reads a list of ranges. Its work is bounded, whatever the header says: see maxHeader and maxMembers.
func appendList(dst []Range, set string, size int64) ([]Range, error) {
	var all [maxMembers]Range
	ranges, members := all[:0], 0
	for set != "" {
		var member string
		if member, set = cutMember(set); member == "" {
			continue // RFC 9110 section 5.6.1.2
		}
		if members++; members > maxMembers {
			return nil, ErrMany
		}
		r, err := parseMember(member, size)
		if err != nil {
			return nil, err
		}
		if r.Length > 0 {
			ranges = join(ranges, r)
		}
	}
	switch {
	case members == 0:
		return nil, ErrSyntax
	case size <= 0:
		return nil, ErrEmpty
	case len(ranges) == 0:
		return nil, ErrUnsatisfiable
	case len(ranges) > maxParts:
		return nil, ErrMany
	}
	return append(dst, ranges...), nil
}

// join adds r to ranges, none of which touch each other, and keeps that so. What r touches melts into one range at the
// place of the first of them.
func join(ranges []Range, r Range) []Range {
	place := len(ranges)
	for i := 0; i < len(ranges); {
		if o := ranges[i]; r.Start <= o.end() && o.Start <= r.end() {
			start := min(r.Start, o.Start)
			r = Range{Start: start, Length: max(r.end(), o.end()) - start}
			place = min(place, i)
			ranges = append(ranges[:i], ranges[i+1:]...)
			continue
		}
		i++
	}
	ranges = append(ranges, r)
	copy(ranges[place+1:], ranges[place:])
	ranges[place] = r
	return ranges
}

// ascending reports whether the ranges can be cut out of a stream as it passes.
func ascending(ranges []Range) bool {
	for i := 1; i < len(ranges); i++ {
		if ranges[i].Start < ranges[i-1].end() {
			return false
		}
	}
	return true
}
