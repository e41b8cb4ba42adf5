package rewrite

import (
	"bytes"
	"slices"
	"strings"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// span is a piece of a playlist.
type span struct{ start, end int }

// stream is a variant, an I-frame variant, or a rendition, with the lines that it consists of.
type stream struct {
	lines       []span
	list        span              // of its attributes
	attrs       map[string]string // the values without quotes, variables substituted
	rating      *m3u8.Variant     // nil: a rendition, or what could not be understood
	alternative *m3u8.Alternative // nil: no rendition, or not understood
	excess      bool              // one more than are looked at
	dropped     bool
}

// filter returns the multivariant playlist without the variants that the hook refuses and without what belonged to them alone.
func (st *state) filter(playlist []byte) []byte {
	c := &catalogue{state: st, left: maxAttributes}
	c.collect()
	if !c.decide() {
		return playlist
	}
	for _, s := range slices.Concat(c.variants, c.iframes, c.renditions) {
		if s.dropped {
			for _, line := range s.lines {
				c.edits = append(c.edits, edit{span: line})
			}
		}
	}
	return edited(playlist, c.edits)
}

// catalogue is what a multivariant playlist offers.
type catalogue struct {
	*state
	variants, iframes, renditions []*stream
	groups                        map[string][]*m3u8.Alternative // by type and group, of those that stay
	edits                         []edit

	buf  []byte // values of attributes
	left int    // bytes that variables may still add to them
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
				open = &stream{lines: []span{whole}, list: attrs, attrs: c.attributes(attrs, len(c.variants))}
			case iframeTag.name:
				v := &stream{lines: []span{whole}, list: attrs, attrs: c.attributes(attrs, len(c.iframes))}
				if v.excess = len(c.iframes) >= maxStreams; !v.excess {
					v.rating = typed(iframeTag.name, v.attrs, "")
				}
				c.iframes = append(c.iframes, c.located(v))
			case mediaTag.name:
				c.addRendition(&stream{lines: []span{whole}, list: attrs, attrs: c.attributes(attrs, len(c.renditions))})
			case defineTag.name:
				c.vars.define(s.src, &token{start: attrs.start, end: end})
			}
		}
	}
}

// listAlternatives tells each variant what it may choose from.
func (c *catalogue) listAlternatives() {
	c.groups = map[string][]*m3u8.Alternative{}
	for _, r := range c.renditions {
		if r.alternative != nil && !r.dropped {
			key := r.attrs["TYPE"] + " " + r.attrs["GROUP-ID"]
			c.groups[key] = append(c.groups[key], r.alternative)
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
const maxAlternatives = 1 << 17

// maxStreams limits how many variants the hook is asked about; those behind them go. Each has to be understood, which takes
// hundreds of times as long as to read it. maxAttributes limits the bytes of one.
const (
	maxStreams    = 1024
	maxAttributes = 64 << 10
)

func (c *catalogue) closeVariant(v *stream, line span, t token) {
	v.lines = append(v.lines, line)
	if v.excess = len(c.variants) >= maxStreams; !v.excess {
		uri, _ := c.substitute(&t)
		v.rating = typed(streamInf.name, v.attrs, string(uri))
	}
	c.variants = append(c.variants, c.located(v))
}

// located makes the URI of a variant absolute.
func (c *catalogue) located(v *stream) *stream {
	if v.rating != nil && v.rating.URI != "" {
		v.rating.URI = string(c.base.appendResolved(nil, []byte(v.rating.URI)))
	}
	return v
}

// attributes are those of one of many streams, which has so many before it.
func (c *catalogue) attributes(at span, before int) map[string]string {
	c.pace.soon() // to understand them takes as long as to rewrite hundreds of lines
	values := map[string]string{}
	if at.end-at.start > maxAttributes || before >= maxStreams {
		return values
	}
	list := attrList{src: c.src, pos: at.start, end: at.end}
	for list.next() {
		value := list.value()
		if list.quoted {
			value = c.expanded(value)
		}
		values[string(list.name())] = string(value)
	}
	return values
}

// expanded is the value of an attribute with its variables replaced, as far as that does not make much of it.
func (c *catalogue) expanded(value []byte) []byte {
	if !hasVariable(value) {
		return value
	}
	start := len(c.buf)
	c.buf, _ = c.vars.expand(c.buf, value, &c.left)
	return c.buf[start:]
}

// groupAttrs are the attributes by which a variant refers to renditions, each named after the TYPE of those.
var groupAttrs = []string{"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"}

func (c *catalogue) addRendition(r *stream) {
	if len(c.renditions) < maxStreams {
		r.alternative = typedRendition(r.attrs)
	}
	c.renditions = append(c.renditions, r)
}

// typed is the typed view of one variant. It is made from that variant alone, so that no other can spoil it; nil means
// that it cannot be made.
func typed(tag string, attrs map[string]string, uri string) *m3u8.Variant {
	master := decoded("#" + tag + ":" + attributeList(attrs) + "\n" + uri + "\n")
	if master == nil || len(master.Variants) != 1 {
		return nil
	}
	return master.Variants[0]
}

func typedRendition(attrs map[string]string) *m3u8.Alternative {
	group := `BANDWIDTH=1,AUDIO="g",VIDEO="g",SUBTITLES="g",CLOSED-CAPTIONS="g"`
	id := attrs["GROUP-ID"]
	group = strings.ReplaceAll(group, `"g"`, `"`+id+`"`)
	master := decoded("#EXT-X-MEDIA:" + attributeList(attrs) + "\n#EXT-X-STREAM-INF:" + group + "\nx\n")
	if master == nil || len(master.Variants) != 1 || len(master.Variants[0].Alternatives) != 1 {
		return nil
	}
	return master.Variants[0].Alternatives[0]
}

// decoded reads a multivariant playlist; nil: it cannot be read. The decoder can panic on what it does not expect.
func decoded(lines string) (master *m3u8.MasterPlaylist) {
	defer func() {
		if recover() != nil {
			master = nil
		}
	}()
	p, _, err := m3u8.DecodeFrom(strings.NewReader("#EXTM3U\n"+lines), false)
	if err != nil {
		return nil
	}
	master, _ = p.(*m3u8.MasterPlaylist)
	return master
}

// unquotedAttrs are the attributes of variants and renditions whose values stand without quotes.
var unquotedAttrs = []string{
	"BANDWIDTH", "AVERAGE-BANDWIDTH", "SCORE", "RESOLUTION", "FRAME-RATE", "HDCP-LEVEL", "VIDEO-RANGE", "PROGRAM-ID",
	"TYPE", "DEFAULT", "AUTOSELECT", "FORCED", "BIT-DEPTH", "SAMPLE-RATE",
}

func attributeList(attrs map[string]string) string {
	var list []string
	for name, value := range attrs {
		if !slices.Contains(unquotedAttrs, name) && (name != "CLOSED-CAPTIONS" || value != "NONE") {
			value = `"` + value + `"`
		}
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return strings.Join(list, ",")
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
