package rewrite

import (
	"bytes"
	"strings"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// span is a piece of a playlist.
type span struct{ start, end int }

// stream is a variant, an I-frame variant, or a rendition, with its lines.
type stream struct {
	line, uri   span // its lines; uri is empty if the URI is an attribute
	list        span // its attribute list
	attrs       attributes
	rating      *m3u8.Variant     // nil: a rendition, or beyond maxStreams
	alternative *m3u8.Alternative // nil: no rendition, or unreadable
	group       *group            // the group of a rendition
	excess      bool              // beyond maxStreams
	dropped     bool
}

// change is an edit within the lines of a stream.
type change struct {
	*stream
	edit
}

// filter returns the multivariant playlist without the variants that the hook refuses and without what belongs only to them.
func filter(st *state, playlist []byte) []byte {
	c := &catalogue{state: st, groups: map[groupID]*group{}, left: maxAttributes}
	c.collect()
	if !c.decide() {
		return playlist
	}
	edits := c.removals()
	for _, e := range c.changes {
		if !e.dropped {
			edits = append(edits, e.edit)
		}
	}
	return edited(playlist, edits)
}

// removals are edits that remove what is dropped, one for all lines that follow each other.
func (c *catalogue) removals() (edits []edit) {
	remove := func(line span) {
		if n := len(edits); n > 0 && edits[n-1].end == line.start {
			edits[n-1].end = line.end
		} else {
			edits = append(edits, edit{span: line})
		}
	}
	for _, s := range c.all {
		if s.dropped {
			remove(s.line)
		}
		if s.dropped && s.uri.end > 0 {
			remove(s.uri)
		}
	}
	return edits
}

// catalogue is the content of a multivariant playlist.
type catalogue struct {
	*state
	variants, iframes, renditions []*stream
	all                           []*stream // these, in the order of the playlist
	groups                        map[groupID]*group
	changes                       []change

	room  []stream   // for the next streams
	attrs attributes // the same for their attributes
	buf   []byte     // a value
	left  int        // bytes that variables may still add to values
}

// collect reads the lines.
func (c *catalogue) collect() {
	var open *stream // a variant that waits for its URI
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
					v.rating = c.rating(v, nil)
					v.rating.Iframe = true
				}
				c.iframes = append(c.iframes, v)
			case mediaTag.name:
				c.addRendition(c.stream(whole, attrs, len(c.renditions)))
			case defineTag.name:
				c.vars.define(s.src, &token{start: attrs.start, end: end})
			}
		}
	}
}

// listAlternatives tells each variant which renditions it may choose from.
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

// maxAlternatives limits how often renditions are listed, because each of many variants may refer to each of many.
const maxAlternatives = 1 << 15

// maxStreams limits how many variants and renditions the hooks are asked about; later ones are removed. To understand one takes
// about twenty times as long as to read it. maxAttributes limits the bytes of one.
const (
	maxStreams    = 1024
	maxAttributes = 64 << 10
)

func (c *catalogue) closeVariant(v *stream, line span, t token) {
	v.uri = line
	if v.excess = len(c.variants) >= maxStreams; !v.excess {
		uri, _ := c.substitute(&t)
		v.rating = c.rating(v, uri)
	}
	c.variants = append(c.variants, v)
}

// rating is the typed view of a variant, with its URI made absolute. An empty uri stands for the attribute.
func (c *catalogue) rating(v *stream, uri []byte) *m3u8.Variant {
	if len(uri) == 0 {
		uri = []byte(v.attrs.get("URI"))
	}
	if c.buf = c.buf[:0]; len(uri) > 0 {
		c.buf = c.base.appendResolved(c.buf, uri)
	}
	return typedVariant(v.attrs, string(c.buf))
}

// stream makes room for a stream; before is how many came before it.
func (c *catalogue) stream(line, list span, before int) *stream {
	if len(c.room) == 0 {
		c.room = make([]stream, min(before+1, 64))
	}
	s := &c.room[0]
	c.room = c.room[1:]
	s.line, s.list, s.attrs = line, list, c.attributes(list, before)
	c.all = append(c.all, s)
	return s
}

// attributes reads the attributes of a stream; before is how many streams came before it.
func (c *catalogue) attributes(at span, before int) (all attributes) {
	if at.end-at.start > maxAttributes || before >= maxStreams {
		return nil
	}
	text := string(c.src[at.start:at.end])
	list := attrList{src: c.src, pos: at.start, end: at.end}
	n := min(bytes.Count(c.src[at.start:at.end], comma)+1, 16)
	if len(c.attrs) < n {
		c.attrs = make(attributes, n*min(before+1, 16))
	}
	all, c.attrs = c.attrs[:0:n], c.attrs[n:]
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

// expanded is the value of an attribute with its variables replaced, within a limit.
func (c *catalogue) expanded(value string) string {
	if strings.IndexByte(value, '{') < 0 || !hasVariable([]byte(value)) {
		return value
	}
	c.buf, _ = c.vars.expand(c.buf[:0], []byte(value), &c.left)
	return string(c.buf)
}

// groupAttrs are the attributes with which a variant refers to renditions. Each has the name of their TYPE.
var groupAttrs = []string{"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"}

func (c *catalogue) addRendition(r *stream) {
	if r.excess = len(c.renditions) >= maxStreams || r.list.end-r.list.start > maxAttributes; !r.excess {
		r.alternative = typedRendition(r.attrs)
		c.join(r)
	}
	c.renditions = append(c.renditions, r)
}

// decide marks the streams to drop, and reports whether there are any.
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

// ask lets the hook decide. Streams beyond maxStreams are dropped.
func (c *catalogue) ask(streams []*stream) (dropped bool) {
	for _, v := range streams {
		v.dropped = v.excess || !c.Variant(v.rating)
		dropped = dropped || v.dropped
	}
	return dropped
}

// spareOne brings back the variant of least bandwidth if no variant is left.
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

// orphans are the values of an attribute that only dropped variants have.
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
