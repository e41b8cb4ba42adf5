package rewrite

import (
	"bytes"
	"strings"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// span is a piece of a playlist.
type span struct{ start, end int }

// stream is a variant, an I-frame variant, or a rendition, with the lines that it consists of.
type stream struct {
	line, uri   span // its lines; one whose URI is an attribute has no second
	list        span // of its attributes
	attrs       attributes
	rating      *m3u8.Variant     // nil: a rendition, or one more than are looked at
	alternative *m3u8.Alternative // nil: no rendition, or not understood
	group       *group            // of a rendition
	excess      bool              // one more than are looked at
	dropped     bool
}

// filter returns the multivariant playlist without the variants that the hook refuses and without what belonged to them alone.
func (st *state) filter(playlist []byte) []byte {
	c := &catalogue{state: st, groups: map[groupID]*group{}, left: maxAttributes}
	c.collect()
	if !c.decide() {
		return playlist
	}
	for _, streams := range [][]*stream{c.variants, c.iframes, c.renditions} {
		for _, s := range streams {
			if s.dropped {
				c.edits = append(c.edits, edit{span: s.line}, edit{span: s.uri}) // one that has no second line has an empty one
			}
		}
	}
	return edited(playlist, c.edits)
}

// catalogue is what a multivariant playlist offers.
type catalogue struct {
	*state
	variants, iframes, renditions []*stream
	groups                        map[groupID]*group
	edits                         []edit

	room []stream // for those to come
	buf  []byte   // a value
	left int      // bytes that variables may still add to them
}

// collect goes over the lines.
func (c *catalogue) collect() {
	var open *stream // waits for its URI
	for s := &c.scan; s.pos < len(s.src); {
		from := s.pos
		if !c.pace.work(perToken) {
			return
		}
		start, end := trimBlanks(s.src, from, s.lineEnd())
		whole := span{from, s.pos}
		switch line := s.src[start:end]; {
		case len(line) == 0:
		case line[0] != '#':
			if open != nil {
				c.closeVariant(open, whole, token{start: start, end: end, tag: &streamInf})
				open = nil
			}
		default:
			name, _, found := bytes.Cut(line, []byte(":"))
			if !found {
				continue
			}
			attrs := span{start + len(name) + 1, end}
			switch string(name[1:]) {
			case streamInf.name:
				open = c.stream(whole, attrs, len(c.variants))
			case iframeTag.name:
				v := c.stream(whole, attrs, len(c.iframes))
				if v.excess = len(c.iframes) >= maxStreams; !v.excess {
					v.rating = typedVariant(v.attrs, "")
					v.rating.Iframe = true
				}
				c.iframes = append(c.iframes, c.located(v))
			case mediaTag.name:
				c.addRendition(c.stream(whole, attrs, len(c.renditions)))
			case defineTag.name:
				c.vars.define(s.src, &token{start: attrs.start, end: end})
			}
		}
	}
}

// listAlternatives tells each variant what it may choose from.
func (c *catalogue) listAlternatives() {
	for _, r := range c.renditions {
		if r.alternative != nil && !r.dropped {
			r.group.offers = append(r.group.offers, r.alternative)
		}
	}
	left := maxAlternatives
	for _, v := range c.variants {
		if v.rating != nil && left > 0 {
			v.rating.Alternatives = c.alternativesLeft(v)
			left -= len(v.rating.Alternatives)
		}
	}
}

// maxAlternatives limits how often renditions are listed, as each of many variants may refer to each of many.
const maxAlternatives = 1 << 15

// maxStreams limits how many variants and renditions the hooks are asked about; those behind them go. To understand one takes
// some twenty times as long as to read it. maxAttributes limits the bytes of one.
const (
	maxStreams    = 1024
	maxAttributes = 64 << 10
)

func (c *catalogue) closeVariant(v *stream, line span, t token) {
	v.uri = line
	if v.excess = len(c.variants) >= maxStreams; !v.excess {
		uri, _ := c.substitute(&t)
		v.rating = typedVariant(v.attrs, string(uri))
	}
	c.variants = append(c.variants, c.located(v))
}

// located makes the URI of a variant absolute.
func (c *catalogue) located(v *stream) *stream {
	if v.rating != nil && v.rating.URI != "" {
		c.buf = c.base.appendResolved(c.buf[:0], []byte(v.rating.URI))
		v.rating.URI = string(c.buf)
	}
	return v
}

// stream makes room for one of many, which has so many before it.
func (c *catalogue) stream(line, list span, before int) *stream {
	if len(c.room) == 0 {
		c.room = make([]stream, min(before+1, 64))
	}
	s := &c.room[0]
	c.room = c.room[1:]
	*s = stream{line: line, list: list, attrs: c.attributes(list, before)}
	return s
}

// attributes are those of one of many streams, which has so many before it.
func (c *catalogue) attributes(at span, before int) (all attributes) {
	if at.end-at.start > maxAttributes || before >= maxStreams {
		return nil
	}
	text := string(c.src[at.start:at.end])
	list := attrList{src: c.src, pos: at.start, end: at.end}
	all = make(attributes, 0, min(bytes.Count(c.src[at.start:at.end], comma)+1, 16))
	for list.next() {
		name, value := text[list.nameFrom-at.start:list.nameTo-at.start], text[list.from-at.start:list.to-at.start]
		if list.quoted {
			value = c.expanded(value)
		}
		if isLookedAt(name) {
			all = all.set(name, value)
		}
	}
	return all
}

var comma = []byte{','}

// expanded is the value of an attribute with its variables replaced, as far as that does not make much of it.
func (c *catalogue) expanded(value string) string {
	if strings.IndexByte(value, '{') < 0 || !hasVariable([]byte(value)) {
		return value
	}
	c.buf, _ = c.vars.expand(c.buf[:0], []byte(value), &c.left)
	return string(c.buf)
}

// groupAttrs are the attributes by which a variant refers to renditions, each named after the TYPE of those.
var groupAttrs = []string{"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"}

func (c *catalogue) addRendition(r *stream) {
	if r.excess = len(c.renditions) >= maxStreams || r.list.end-r.list.start > maxAttributes; !r.excess {
		r.alternative = typedRendition(r.attrs)
		c.join(r)
	}
	c.renditions = append(c.renditions, r)
}

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
			v.dropped = v.dropped || orphaned[v.attrs.get(attr)]
		}
	}
	for _, attr := range groupAttrs {
		orphaned := c.orphans(attr)
		for _, r := range c.renditions {
			r.dropped = r.dropped || r.attrs.get("TYPE") == attr && orphaned[r.attrs.get("GROUP-ID")]
		}
	}
	return true
}

// ask lets the hook decide. One more than are looked at goes.
func (c *catalogue) ask(streams []*stream) (dropped bool) {
	for _, v := range streams {
		v.dropped = v.excess || !c.Variant(v.rating)
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
		value, ok := v.attrs.lookup(attr)
		if !ok {
			continue
		}
		if former, seen := orphans[value]; !seen || former {
			orphans[value] = v.dropped
		}
	}
	return orphans
}
