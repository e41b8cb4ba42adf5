package rewrite

import (
	"slices"
	"strings"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// edit replaces a piece of a playlist.
type edit struct {
	span
	text string
}

// edited applies the edits to the text. If two overlap, the one that begins first counts.
func edited(text []byte, edits []edit) []byte {
	byStart := func(a, b edit) int { return a.start - b.start }
	if !slices.IsSortedFunc(edits, byStart) {
		slices.SortStableFunc(edits, byStart)
	}
	out, done := make([]byte, 0, len(text)), 0
	for _, e := range edits {
		if e.start >= done {
			out = append(append(out, text[done:e.start]...), e.text...)
			done = e.end
		}
	}
	return append(out, text[done:]...)
}

// groupID identifies the renditions of one TYPE and GROUP-ID.
type groupID struct{ kind, id string }

// group is those renditions.
type group struct {
	groupID
	members []*stream
	offers  []*m3u8.Alternative // the renditions that stay
}

// join adds a rendition to its group.
func (c *catalogue) join(r *stream) {
	id := groupID{r.attrs.get("TYPE"), r.attrs.get("GROUP-ID")}
	if r.group = c.groups[id]; r.group == nil {
		r.group = &group{groupID: id}
		c.groups[id] = r.group
	}
	r.group.members = append(r.group.members, r)
}

// askRenditions lets the hook decide about each rendition, and reports whether anything changes.
func (c *catalogue) askRenditions() (changed bool) {
	if c.Rendition == nil {
		return false
	}
	for _, r := range c.renditions {
		r.dropped = r.excess || r.alternative != nil && !c.Rendition(r.alternative)
		changed = changed || r.excess
	}
	lost := map[groupID]bool{}
	for id, g := range c.groups {
		if !slices.ContainsFunc(g.members, isDropped) {
			continue
		}
		changed = true
		if !slices.ContainsFunc(g.members, stays) {
			if g.kind == "SUBTITLES" || g.kind == "CLOSED-CAPTIONS" {
				lost[id] = true
				continue
			}
			g.spare()
		}
		c.promote(g)
	}
	if len(lost) > 0 {
		for _, v := range c.variants {
			c.forget(v, lost)
		}
	}
	return changed
}

func isDropped(s *stream) bool { return s.dropped }
func stays(s *stream) bool     { return !s.dropped }

func saysYes(s *stream, attr string) bool { return s.attrs.get(attr) == "YES" }

// spare brings a rendition back: a variant without sound is worse than a rendition too many.
func (g *group) spare() {
	best := g.members[0]
	for _, m := range g.members {
		if saysYes(m, "DEFAULT") {
			best = m
			break
		}
	}
	best.dropped = false
}

// promote makes another rendition the default if the default is dropped. It does not do so for subtitles, which would then be
// shown although nobody chose them.
func (c *catalogue) promote(g *group) {
	if g.kind != "AUDIO" && g.kind != "VIDEO" {
		return
	}
	var next *stream
	was, is := false, false
	for _, m := range g.members {
		switch {
		case m.dropped:
			was = was || saysYes(m, "DEFAULT")
			continue
		case next == nil, !saysYes(next, "AUTOSELECT") && saysYes(m, "AUTOSELECT"):
			next = m
		}
		is = is || saysYes(m, "DEFAULT")
	}
	if was && !is {
		c.change(next, setAttr(c.listOf(next), "DEFAULT", "YES"))
		if next.attrs.get("AUTOSELECT") == "NO" {
			c.change(next, setAttr(c.listOf(next), "AUTOSELECT", "YES"))
		}
	}
}

// forget removes references to lost groups from a variant.
func (c *catalogue) forget(v *stream, lost map[groupID]bool) {
	var names []string
	for _, kind := range []string{"SUBTITLES", "CLOSED-CAPTIONS"} {
		if id, ok := v.attrs.lookup(kind); ok && lost[groupID{kind, id}] {
			names = append(names, kind)
		}
	}
	c.change(v, removeAttrs(c.listOf(v), names)...)
	captions := slices.Contains(names, "SUBTITLES")
	// As written: a viewer's value of a variable must not become part of the list.
	written, ok := c.listOf(v).lookup("CODECS")
	if codecs := string(written); ok && captions {
		kept := slices.DeleteFunc(strings.Split(codecs, ","), func(codec string) bool {
			codec, _, _ = strings.Cut(strings.TrimSpace(codec), ".")
			return codec == "wvtt" || codec == "stpp"
		})
		if text := strings.Join(kept, ","); text != codecs && text != "" {
			c.change(v, setAttr(c.listOf(v), "CODECS", text))
		}
	}
}

// change notes edits within the lines of a stream. They are made if it stays.
func (c *catalogue) change(s *stream, edits ...edit) {
	for _, e := range edits {
		c.changes = append(c.changes, change{s, e})
	}
}

func (c *catalogue) listOf(s *stream) attrList {
	return attrList{src: c.src, pos: s.list.start, end: s.list.end}
}

// setAttr changes the value of an attribute.
func setAttr(list attrList, name, value string) edit {
	for list.next() {
		if string(list.name()) == name {
			return edit{span{list.from, list.to}, value}
		}
	}
	return edit{span{list.end, list.end}, "," + name + "=" + value}
}

// removeAttrs removes attributes, each with the comma after it, or the one before it if nothing follows.
func removeAttrs(list attrList, names []string) (edits []edit) {
	start := list.pos
	last := -1 // the first of the edits after which everything is removed
	for from := list.pos; list.next(); from = list.pos {
		if !slices.Contains(names, string(list.name())) {
			last = -1
			continue
		}
		if last < 0 {
			last = len(edits)
		}
		edits = append(edits, edit{span: span{from, list.pos}})
	}
	if last >= 0 && edits[last].start > start && edits[len(edits)-1].end == list.end {
		edits[last].start--
	}
	return edits
}

// alternativesLeft are the remaining renditions that a variant may choose from.
func (c *catalogue) alternativesLeft(v *stream) (all []*m3u8.Alternative) {
	for _, attr := range groupAttrs {
		if id, ok := v.attrs.lookup(attr); ok {
			if g := c.groups[groupID{attr, id}]; g != nil {
				all = append(all, g.offers...)
			}
		}
	}
	return slices.Clip(all)
}
