package rewrite

import (
	"bytes"
	"strconv"

	"github.com/hlsproxy/hlsproxy/internal/tchar"
)

var (
	logoTag  = tag{name: "EXTINF", attr: "tvg-logo", kind: Thumbnail, absolute: true}
	guideTag = tag{name: "EXTM3U", attr: "x-tvg-url", kind: Data, absolute: true}
	pastTag  = tag{name: "EXTINF", attr: "catchup-source", kind: Playlist, absolute: true}
)

// guideTagOf is what an attribute of an EXTINF or EXTM3U in a list names. nil: no URL.
func guideTagOf(name []byte) *tag {
	var lower [16]byte
	if len(name) > len(lower) {
		return nil
	}
	switch string(bytes.ToLower(append(lower[:0], name...))) {
	case "tvg-logo", "tvg-logo-small", "logo", "group-logo":
		return &logoTag
	case "x-tvg-url", "url-tvg", "tvg-url", "url-epg":
		return &guideTag
	case "catchup-source", "timeshift-source":
		return &pastTag
	}
	return nil
}

// appendListLine appends a line before an entry, with the URLs of pictures and guides mapped, and without hints if they are
// taken.
func (st entries) appendListLine(dst []byte, begin, start, end int, taken bool) (_ []byte, err error) {
	line := bytes.TrimLeft(bytes.TrimPrefix(st.src[start:end], []byte(bom)), " \t")
	entry := bytes.HasPrefix(line, []byte("#EXTINF:"))
	switch {
	case entry, st.Guides && bytes.HasPrefix(line, []byte(magic)):
	case st.Guides && isPictureLine(line):
		at := start + bytes.IndexByte(st.src[start:end], ':') + 1
		from, to := trimLine(st.src, at, end)
		if !startsURL(st.src[from:to]) {
			return append(dst, st.src[start:end]...), nil
		}
		dst = append(dst, st.src[start:from]...)
		if dst, err = st.appendGuide(dst, begin, from, to, &logoTag, quoted); err != nil {
			return dst, err
		}
		return append(dst, st.src[to:end]...), nil
	default:
		return append(dst, st.src[start:end]...), nil
	}
	done := start
	for a := (listAttrs{src: st.src, pos: start, end: end, titled: entry}); a.next(); {
		if taken && st.Hints && entry && isHintAttr(a.name) {
			dst = append(dst, bytes.TrimRight(st.src[done:a.named], " \t")...)
			done = a.pos
			continue
		}
		if !st.Guides {
			continue
		}
		tag := guideTagOf(a.name)
		if tag == nil || tag == &logoTag && !entry {
			continue
		}
		form := bare
		if a.quoted {
			form = quoted
		}
		schemed := bytes.Contains(st.src[a.from:a.to], []byte("://"))
		for from := a.from; from < a.to; {
			one := a.to
			if tag == &guideTag {
				one = guideEnd(st.src, from, a.to, schemed)
			}
			if from, to := trimBlanks(st.src, from, one); from < to {
				dst = append(dst, st.src[done:from]...)
				done = to
				at := len(dst)
				if dst, err = st.appendGuide(dst, begin, from, to, tag, form); err != nil {
					return dst, err
				}
				if a.quoted && st.src[a.from-1] == '\'' { // the base may have one
					dst = append(dst[:at], bytes.ReplaceAll(dst[at:], []byte{'\''}, []byte("%27"))...)
				}
			}
			from = one + 1
		}
	}
	return append(dst, st.src[done:end]...), nil
}

// isPictureLine knows the lines that name a picture themselves.
func isPictureLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("#EXTIMG:")) || bytes.HasPrefix(line, []byte("#EXTALBUMARTURL:"))
}

// trimLine is trimBlanks for a line with its end.
func trimLine(src []byte, from, to int) (int, int) {
	for from < to && (src[to-1] == '\n' || src[to-1] == '\r') {
		to--
	}
	return trimBlanks(src, from, to)
}

// startsURL tells URLs from names.
func startsURL(text []byte) bool {
	return httpScheme(text) > 0 || bytes.HasPrefix(text, []byte("//"))
}

// guideEnd is where the first of several guides ends: at a comma, a semicolon or a blank, if another URL follows. A guide may
// have all of these characters in its query. A comma separates guides without a scheme.
func guideEnd(src []byte, from, to int, schemed bool) int {
	const gap = 4
	for i := from; i < to; i++ {
		switch src[i] {
		case ',', ';', ' ', '\t':
			next := bytes.TrimLeft(src[i+1:min(to, i+1+gap)], " \t,;")
			if src[i] == ',' && !schemed || startsURL(src[min(to, i+1+min(to-i-1, gap)-len(next)):to]) || i+1 == to {
				return i
			}
		}
	}
	return to
}

// appendGuide appends what a URL of a list becomes.
func (st entries) appendGuide(dst []byte, begin, from, to int, tag *tag, form form) (_ []byte, err error) {
	t := token{tag: tag, kind: tag.kind, form: form, start: from, end: to}
	at := len(dst)
	switch text := st.src[from:to]; {
	case tag == &logoTag && !startsURL(text) && bytes.IndexByte(text, '/') < 0: // the name of a picture that the player has
		return append(dst, text...), nil
	case tag == &pastTag:
		dst, err = st.appendPast(dst, &t)
	default:
		dst, err = st.appendURI(dst, &t)
	}
	if err == errDrop {
		dst, err = dst[:at], nil
	}
	if err == nil {
		err = st.pace.check(len(dst)-begin, len(dst)-at)
	}
	return dst, err
}

// appendPast appends where an entry has its past. Players put times into such a URL ("{utc}", "${start}"), or append it to that
// of the entry. It can only be mapped if they find the same places in the public URL, and if no token covers it. What would be
// another URL without a player's times, such as one with a slash in a place, is not mapped.
func (st entries) appendPast(dst []byte, t *token) ([]byte, error) {
	const stand, most = "zq", 64
	text := t.text(st.src)
	if !startsURL(text) {
		return append(dst, text...), nil
	}
	var places [][]byte
	odd := false
	var filled []byte
	for rest := text; ; {
		from, to := placeholder(rest)
		if from < 0 || len(places) == most {
			filled = append(filled, rest...)
			break
		}
		filled = append(append(append(filled, rest[:from]...), stand...), strconv.Itoa(most+len(places))...)
		places = append(places, rest[from:to])
		odd = odd || bytes.ContainsAny(rest[from:to], "/\\?#&%\"'<> ")
		rest = rest[to:]
	}
	start := len(dst)
	if st.reached = false; len(places) == 0 {
		return st.appendReference(dst, text, t)
	}
	if st.Sign == nil && !odd && !bytes.Contains(text, []byte(stand)) {
		var err error
		st.meant = st.base.appendResolved(nil, text)
		dst, err = st.appendReference(dst, filled, t)
		if st.meant = nil; err != nil || !st.reached {
			return append(dst[:start], text...), err
		}
		if out, ok := refilled(dst[start:], stand, most, places); ok {
			return append(dst[:start], out...), nil
		}
	}
	return append(dst[:start], text...), st.unmapped(t, text)
}

// refilled puts the places back. false: one of them is gone.
func refilled(u []byte, stand string, first int, places [][]byte) ([]byte, bool) {
	for i, place := range places {
		mark := append([]byte(stand), strconv.Itoa(first+i)...)
		if !bytes.Contains(u, mark) {
			return u, false
		}
		u = bytes.ReplaceAll(u, mark, place)
	}
	return u, true
}

// placeholder finds the first "{name}" or "${name}". -1: there is none.
func placeholder(text []byte) (from, to int) {
	from = bytes.IndexByte(text, '{')
	if from < 0 {
		return -1, 0
	}
	n := bytes.IndexByte(text[from:], '}')
	if n < 0 {
		return -1, 0
	}
	to = from + n + 1
	if from > 0 && text[from-1] == '$' {
		from--
	}
	return from, to
}

// listAttrs reads the attributes of a line of a list: name="value", name='value' or name=value. Those of an EXTINF end at a
// comma, before its title. Some lists have one before the attributes, too.
type listAttrs struct {
	src      []byte
	pos, end int
	titled   bool

	name     []byte
	named    int // where the name begins
	from, to int // the value
	quoted   bool
}

// next finds the next attribute.
func (a *listAttrs) next() bool {
	for i := a.pos; i < a.end; i++ {
		switch c := a.src[i]; {
		case c == ',' && a.titled && (a.name != nil || !startsAttr(a.src[i+1:a.end])):
			return false
		case c == '"':
			n := bytes.IndexByte(a.src[i+1:a.end], '"')
			if n < 0 {
				return false
			}
			if quoted := bytes.TrimRight(a.src[i+1:i+1+n], " \t"); bytes.HasSuffix(quoted, []byte{'='}) {
				continue // it is one too many: the next begins a value
			}
			i += n + 1
		case c == '=':
			before := bytes.TrimRight(a.src[a.pos:i], " \t")
			at := bytes.LastIndexAny(before, " \t\"',") + 1
			a.name, a.named = before[at:], a.pos+at
			return a.value(i + 1)
		}
	}
	return false
}

// startsAttr tells whether what follows a comma is an attribute with a value in quotes.
func startsAttr(text []byte) bool {
	const longest = 32
	text = bytes.TrimLeft(text[:min(len(text), longest)], " \t")
	name, value, ok := bytes.Cut(text, []byte{'='})
	return ok && tchar.IsToken(string(name)) && len(value) > 0 && value[0] == '"'
}

// value reads the value that begins at a place.
func (a *listAttrs) value(at int) bool {
	for at < a.end && (a.src[at] == ' ' || a.src[at] == '\t') {
		at++
	}
	if at < a.end && (a.src[at] == '"' || a.src[at] == '\'') {
		n := bytes.IndexByte(a.src[at+1:a.end], a.src[at])
		if n >= 0 {
			a.from, a.to, a.pos, a.quoted = at+1, at+1+n, at+2+n, true
			return true
		}
		if a.src[at] == '"' {
			return false
		}
	}
	a.from, a.to, a.quoted = at, at, false
	for a.to < a.end && bytes.IndexByte([]byte(" \t\r\n\""), a.src[a.to]) < 0 && !(a.titled && a.src[a.to] == ',') {
		a.to++
	}
	a.pos = a.to
	return true
}
