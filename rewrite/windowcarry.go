package rewrite

import (
	"bytes"
	"slices"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// carried is what removed segments say about those that follow.
type carried struct {
	*windowed
	keys, keysOfMap []heldKey
	section         []byte // EXT-X-MAP
	bitrate         []byte
	discontinuities int
	date            time.Time // when the first remaining segment begins, by the removed ones; zero: unknown
	begin           time.Time // the same, by its own date as well

	ranged  rangeEnd         // of the last segment with a byte range
	parts   map[string]int64 // where later parts end, by URI
	offsets map[string]int64 // where a byte range without an offset begins, by URI
}

// heldKey is an EXT-X-KEY that applies.
type heldKey struct {
	format span // empty: identity
	line   span
}

// rangeEnd is where a byte range of a resource ends.
type rangeEnd struct {
	uri []byte
	at  int64
}

// read goes over the lines of the segments.
func (c *carried) read() {
	const often = 64
	var dated, key *windowMark                  // key applies, but may still be replaced
	length, from, of := int64(-1), int64(-1), 0 // the byte range of a segment
	gone := c.marks[:c.marksFrom(c.first)]
	for i := range gone {
		m := &gone[i]
		if i%often == often-1 && !c.pace.work(often*perToken) {
			return
		}
		if m.plain && key != nil && key.plain {
			key = m // the next of many
			continue
		}
		if at := m.segment - c.lost; at != of {
			if length >= 0 {
				c.endRange(of, length, from)
			}
			length, from, of = -1, -1, at
		}
		switch line := c.src[m.start:m.end]; m.scope {
		case ofRange:
			length, from = hls.ByteRange(valueOf(line))
		case ofPart:
			c.part(line)
		case ofDiscontinuity:
			c.discontinuities++
			dated = nil
		case ofKey:
			if key != nil {
				c.key(key)
			}
			key = m
		case ofSection:
			if key != nil {
				c.key(key)
				key = nil
			}
			c.section, c.keysOfMap = line, append(c.keysOfMap[:0], c.keys...)
		case ofBitrate:
			c.bitrate = line
		case ofDate:
			dated = m
		}
	}
	if key != nil {
		c.key(key)
	}
	if length >= 0 {
		c.endRange(of, length, from)
	}
	c.offsets = c.parts
	if c.ranged.uri != nil {
		if c.offsets == nil {
			c.offsets = map[string]int64{}
		}
		if _, further := c.offsets[string(c.ranged.uri)]; !further {
			c.offsets[string(c.ranged.uri)] = c.ranged.at
		}
	}
	if dated != nil {
		if date, ok := c.dateOf(dated); ok {
			c.date = date.Add(c.lengthOf(c.segments[dated.segment-c.lost : c.first]))
		}
	}
	c.begin = c.date
	own := c.ownMarks()
	for i := range own {
		switch m := &own[i]; m.scope {
		case ofDiscontinuity:
			c.begin = time.Time{}
		case ofDate:
			c.begin, _ = c.dateOf(m)
		}
	}
}

// valueOf is the text after the name of a tag.
func valueOf(line []byte) []byte { return line[min(until(line, 0, len(line), ':')+1, len(line)):] }

// marksFrom is the index of the first mark of a segment or of a later one.
func (p *windowParts) marksFrom(segment int) int {
	i, _ := slices.BinarySearchFunc(p.marks, p.lost+segment, func(m windowMark, segment int) int { return m.segment - segment })
	return i
}

// ownMarks are the marks of the first remaining segment.
func (p *windowed) ownMarks() []windowMark {
	return p.marks[p.marksFrom(p.first):p.marksFrom(p.first+1)]
}

func (p *windowed) dateOf(m *windowMark) (time.Time, bool) {
	return parseDate(string(bytes.TrimSpace(valueOf(p.src[m.start:m.end]))))
}

// endRange records where the byte range of a segment ends.
func (c *carried) endRange(segment int, length, from int64) {
	s := c.segments[segment]
	uri := bytes.TrimSpace(c.src[s.uri:s.end])
	if from < 0 {
		from = c.endOf(uri)
	}
	c.parts = nil // to clear it would take as long as it was ever large
	c.ranged = rangeEnd{uri, from + length}
}

// endOf is where the last range of a resource ends.
func (c *carried) endOf(uri []byte) int64 {
	if end, ok := c.parts[string(uri)]; ok || !bytes.Equal(uri, c.ranged.uri) {
		return end
	}
	return c.ranged.at
}

// part records where the byte range of a part ends.
func (c *carried) part(line []byte) {
	at, uri := partRange(attrList{src: line, pos: min(len("#EXT-X-PART:"), len(line)), end: len(line)})
	length, from := hls.ByteRange(line[at.start:at.end])
	if length < 0 {
		return
	}
	if from < 0 {
		from = c.endOf([]byte(uri))
	}
	if c.parts == nil {
		c.parts = map[string]int64{}
	}
	c.parts[uri] = from + length
}

// key takes in a key that applies to what follows.
func (c *carried) key(m *windowMark) {
	k := heldKey{line: m.span}
	if !m.plain {
		attrs := attrList{src: c.src, pos: min(m.start+len("#EXT-X-KEY:"), m.end), end: m.end}
		if method, _ := attrs.lookup("METHOD"); string(method) == "NONE" {
			c.keys = c.keys[:0]
			return
		}
		for attrs.next() {
			if string(attrs.name()) == "KEYFORMAT" {
				if isForeign(attrs.value()) {
					k.format = span{attrs.from, attrs.to}
				}
				break
			}
		}
	}
	i := slices.IndexFunc(c.keys, func(old heldKey) bool { return bytes.Equal(c.text(old.format), c.text(k.format)) })
	switch {
	case i >= 0:
		c.keys[i] = k
	case len(c.keys) < mostFormats:
		c.keys = append(c.keys, k)
	}
}

func (p *windowed) text(at span) []byte { return p.src[at.start:at.end] }

// isPlainKey reports, for most keys, that a key has the format identity. false: one has to look more closely.
func isPlainKey(line []byte) bool {
	list, _ := bytes.CutPrefix(line, []byte("#EXT-X-KEY:METHOD="))
	method, rest, _ := bytes.Cut(list, []byte{','})
	if string(method) != "AES-128" && string(method) != "SAMPLE-AES" {
		return false
	}
	return bytes.IndexByte(rest, 'K') < 0 || !bytes.Contains(rest, []byte("KEYFORMAT"))
}

// mostFormats is how many formats of keys apply at a time. Fewer than ten exist, and each key is searched for among them.
const mostFormats = 64

// append appends what still applies, unless the first remaining segment says otherwise.
func (c *carried) append(out []byte) []byte {
	marks := c.ownMarks()
	own := func(tag scope) bool {
		return slices.ContainsFunc(marks, func(m windowMark) bool { return m.scope == tag })
	}
	if c.section != nil && !own(ofSection) {
		out = c.appendKeys(out, c.keysOfMap)
		out = append(append(out, c.section...), '\n')
		if !c.sameKeys() {
			if len(c.keysOfMap) > 0 {
				out = append(out, "#EXT-X-KEY:METHOD=NONE\n"...)
			}
			out = c.appendKeys(out, c.keys)
		}
	} else {
		out = c.appendKeys(out, c.keys)
	}
	if c.bitrate != nil && !own(ofBitrate) {
		out = append(append(out, c.bitrate...), '\n')
	}
	if !c.date.IsZero() && !own(ofDate) && !own(ofDiscontinuity) {
		out = append(c.date.AppendFormat(append(out, "#EXT-X-PROGRAM-DATE-TIME:"...), "2006-01-02T15:04:05.000Z07:00"), '\n')
	}
	return out
}

func (c *carried) appendKeys(out []byte, keys []heldKey) []byte {
	for _, k := range keys {
		out = append(append(out, c.text(k.line)...), '\n')
	}
	return out
}

// sameKeys reports whether those of the initialization section apply, in any order.
func (c *carried) sameKeys() bool {
	return len(c.keys) == len(c.keysOfMap) && !slices.ContainsFunc(c.keys, func(k heldKey) bool {
		return !slices.ContainsFunc(c.keysOfMap, func(l heldKey) bool { return bytes.Equal(c.text(k.line), c.text(l.line)) })
	})
}

func parseDate(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999Z07"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

const dateRangePrefix = "#EXT-X-DATERANGE:"

// dateRange is what the tags with one ID say together (section 4.4.5.1 of the HLS draft).
type dateRange struct {
	start, end time.Time // zero: not said
	class      string
	duration   time.Duration // -1: not said
	onNext     bool          // it ends where the next of its class begins
	cued       bool          // shown before the first frame or after the last, whatever its dates
}

// read reads one of the tags.
func (r *dateRange) read(list []byte) {
	for attrs := (attrList{src: list, end: len(list)}); attrs.next(); {
		switch value := attrs.value(); string(attrs.name()) {
		case "START-DATE":
			r.start, _ = parseDate(string(value))
		case "END-DATE":
			r.end, _ = parseDate(string(value))
		case "DURATION":
			r.duration = parseSeconds(value)
		case "CLASS":
			r.class = string(value)
		case "END-ON-NEXT":
			r.onNext = string(value) == "YES"
		case "CUE":
			r.cued = bytes.Contains(value, []byte("PRE")) || bytes.Contains(value, []byte("POST"))
		}
	}
}

// dateRanges are all date ranges of the playlist, by ID.
func (p *windowed) dateRanges() map[string]*dateRange {
	ranges := map[string]*dateRange{}
	for _, line := range p.head {
		list, ok := bytes.CutPrefix(bytes.TrimSpace(p.src[line.start:line.end]), []byte(dateRangePrefix))
		if !ok || !p.pace.work(perToken) {
			continue
		}
		id := rangeID(list)
		r := ranges[string(id)]
		if r == nil {
			r = &dateRange{duration: -1}
			ranges[string(id)] = r
		}
		r.read(list)
	}
	return ranges
}

func rangeID(list []byte) []byte {
	id, _ := attrList{src: list, end: len(list)}.lookup("ID")
	return id
}

// endedRanges returns a function that reports, by the attributes of a date range, whether it ended at this time or before.
func (p *windowed) endedRanges(at time.Time) func(list []byte) bool {
	ranges := p.dateRanges()
	last := map[string]time.Time{} // the last start of each class up to that time
	for _, r := range ranges {
		if !r.start.After(at) && r.start.After(last[r.class]) {
			last[r.class] = r.start
		}
	}
	return func(list []byte) bool {
		r := ranges[string(rangeID(list))]
		switch {
		case r == nil || r.cued || r.start.IsZero():
			return false
		case !r.end.IsZero():
			return !r.end.After(at)
		case r.duration >= 0:
			return !r.start.Add(r.duration).After(at)
		}
		return r.onNext && r.start.Before(last[r.class])
	}
}
