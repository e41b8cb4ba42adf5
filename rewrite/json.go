package rewrite

import (
	"bytes"
	"encoding/json"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// jsonText walks a text that is known to be valid JSON, without making values of it.
type jsonText []byte

// space skips white space.
func (t jsonText) space(at int) int {
	for at < len(t) && (t[at] == ' ' || t[at] == '\t' || t[at] == '\n' || t[at] == '\r') {
		at++
	}
	return at
}

// end is where the value that begins at at ends.
func (t jsonText) end(at int) int {
	depth := 0
	for ; at < len(t); at++ {
		switch t[at] {
		case '"':
			at = t.stringEnd(at) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ':', ' ', '\t', '\r', '\n':
			continue
		default:
			for at+1 < len(t) && bytes.IndexByte([]byte(",:]} \t\r\n"), t[at+1]) < 0 {
				at++
			}
		}
		if depth == 0 {
			return at + 1
		}
	}
	return at
}

func (t jsonText) stringEnd(at int) int {
	for at++; t[at] != '"'; at++ {
		if t[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// members calls f with the name and the place of each member of the object that begins at at; none if it is no object.
func (t jsonText) members(at int, f func(name string, start, end int)) {
	if t[at] != '{' {
		return
	}
	for at = t.space(at + 1); t[at] != '}'; {
		end := t.stringEnd(at)
		name := t.decode(at, end)
		start := t.space(t.space(end) + 1)
		end = t.end(start)
		f(string(name), start, end)
		if at = t.space(end); t[at] == ',' {
			at = t.space(at + 1)
		}
	}
}

// elements calls f with the place of each element of the array that begins at at; none if it is no array.
func (t jsonText) elements(at int, f func(start, end int)) {
	if t[at] != '[' {
		return
	}
	for at = t.space(at + 1); t[at] != ']'; {
		end := t.end(at)
		f(at, end)
		if at = t.space(end); t[at] == ',' {
			at = t.space(at + 1)
		}
	}
}

// decode is the value of the string at the place given. Without escapes its bytes are not touched.
func (t jsonText) decode(start, end int) []byte {
	inner := t[start+1 : end-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	if json.Unmarshal(t[start:end], &s) != nil {
		return inner
	}
	return []byte(s)
}

// appendJSONString appends u so that it can stand between quotes.
func appendJSONString(dst, u []byte) []byte {
	for _, c := range u {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', wire.UpperHex[c>>4], wire.UpperHex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// edits rewrites a JSON document: it appends the text up to each edit, and what takes its place.
type edits struct {
	*state
	text jsonText
	dst  []byte
	done int
	err  error
}

// appendJSON appends an asset list (appendix D.2 of the HLS draft), a steering manifest (section 7.2) or a list of chapters
// (Apple's session data com.apple.hls.chapters) with its URIs rewritten, and any other text as it is.
func appendJSON(rw *Rewriter, p *pass, dst, text []byte) ([]byte, error) {
	t := jsonText(text)
	start := 0
	if bytes.HasPrefix(text, []byte(bom)) {
		start = len(bom) // browsers take it off
	}
	at := t.space(start)
	if at == len(t) || t[at] != '{' && t[at] != '[' || !json.Valid(text[start:]) {
		return append(dst, text...), nil
	}
	st := open(rw, p, text)
	defer st.free()
	e := &edits{state: st, text: t, dst: dst}
	members := map[string]int{}
	t.members(at, func(name string, start, _ int) { members[name] = start })
	_, version := members["VERSION"]
	_, priority := members["PATHWAY-PRIORITY"]
	_, clones := members["PATHWAY-CLONES"]
	_, reload := members["RELOAD-URI"]
	switch {
	case t[at] == '[':
		e.chapters(at)
	case members["ASSETS"] > 0:
		e.assetList(at)
	case priority || version && (clones || reload):
		e.steering(at)
	}
	if e.err != nil {
		return dst, e.err
	}
	return append(e.dst, text[e.done:]...), nil
}

func (e *edits) assetList(at int) {
	e.text.members(at, func(name string, start, _ int) {
		if name == "ASSETS" {
			e.filter(start, func(start int) bool { return e.isDropped(start, e.asset) }, func(start int) { e.asset(start, e.uri) })
		}
	})
}

// asset calls f with the URI of an asset.
func (e *edits) asset(at int, f func(name string, kind Kind, start, end int)) {
	e.text.members(at, func(name string, start, end int) {
		if name == "URI" {
			f(name, Playlist, start, end)
		}
	})
}

// chapters rewrites the URLs of the pictures of a list of chapters.
func (e *edits) chapters(at int) {
	e.text.elements(at, func(start, _ int) {
		images, timed := 0, false
		e.text.members(start, func(name string, start, _ int) {
			switch name {
			case "start-time":
				timed = true
			case "images":
				images = start
			}
		})
		if timed && images > 0 {
			e.filter(images, func(start int) bool { return e.isDropped(start, e.image) }, func(start int) { e.image(start, e.uri) })
		}
	})
}

// image calls f with the URL of a picture.
func (e *edits) image(at int, f func(name string, kind Kind, start, end int)) {
	e.text.members(at, func(name string, start, end int) {
		if name == "url" {
			f(name, Thumbnail, start, end)
		}
	})
}

func (e *edits) steering(at int) {
	e.text.members(at, func(name string, start, end int) {
		switch name {
		case "RELOAD-URI":
			e.uri(name, JSON, start, end)
		case "PATHWAY-CLONES":
			e.filter(start, e.isCloneDropped, func(start int) { e.cloneURIs(start, e.uri) })
		}
	})
}

// isCloneDropped tells which pathway clones go. A player makes some clones by putting another host name or more query
// parameters into the URLs that it has (section 7.3). These URLs are ours: it would ask the wrong host, or ask us for a URL
// that means nothing. Players pass over the pathways that they do not know. Clones that name their URIs stay, if these are
// mapped.
func (e *edits) isCloneDropped(start int) bool {
	return e.Map != nil && e.replacesHost(start) || e.isDropped(start, e.cloneURIs)
}

// isDropped tells whether one of the URIs that each finds in an element is to be dropped.
func (e *edits) isDropped(start int, each func(int, func(string, Kind, int, int))) (dropped bool) {
	if e.Unmapped == nil {
		return false
	}
	each(start, func(name string, kind Kind, start, end int) {
		_, _, err := e.rewritten(name, kind, start, end)
		dropped = dropped || err == errDrop
	})
	return dropped
}

// filter removes elements of the array at a place, and lets edit see the others.
func (e *edits) filter(at int, dropped func(start int) bool, edit func(start int)) {
	if e.text[at] != '[' {
		return
	}
	from, kept := at+1, false // from: the end of the last element that stays
	e.text.elements(at, func(start, end int) {
		if e.err != nil || dropped(start) {
			return
		}
		if !kept {
			e.cut(from, start)
		} else {
			e.cut(from, e.comma(from, start))
		}
		kept = true
		edit(start)
		from = end
	})
	if end := e.text.end(at) - 1; !kept {
		e.cut(at+1, end)
	} else {
		e.cut(from, end)
	}
}

// comma is where the separator before the element at start begins.
func (e *edits) comma(from, start int) int {
	for at := start - 1; at > from; at-- {
		if e.text[at] == ',' {
			return at
		}
	}
	return from
}

// cut leaves the text between two places out, unless there is nothing but white space and a separator.
func (e *edits) cut(from, to int) {
	for at := from; at < to; at++ {
		if c := e.text[at]; c == '{' || c == '"' {
			e.dst = append(e.dst, e.text[e.done:from]...)
			e.done = to
			return
		}
	}
}

func (e *edits) replacesHost(clone int) (replaces bool) {
	e.replacement(clone, func(name string, _, _ int) { replaces = replaces || name == "HOST" || name == "PARAMS" })
	return replaces
}

// cloneURIs calls f with the URIs of a clone.
func (e *edits) cloneURIs(clone int, f func(name string, kind Kind, start, end int)) {
	e.replacement(clone, func(name string, start, _ int) {
		if name == "PER-VARIANT-URIS" || name == "PER-RENDITION-URIS" {
			e.text.members(start, func(_ string, start, end int) { f(name, Playlist, start, end) })
		}
	})
}

func (e *edits) replacement(clone int, f func(name string, start, end int)) {
	e.text.members(clone, func(name string, start, _ int) {
		if name == "URI-REPLACEMENT" {
			e.text.members(start, f)
		}
	})
}

// uri rewrites the string at the place given. "" leads to the document itself.
func (e *edits) uri(name string, kind Kind, start, end int) {
	out, changed, err := e.rewritten(name, kind, start, end)
	if err == errDrop {
		out, changed, err = nil, true, nil
	}
	if err == nil {
		err = e.pace.check(len(e.dst)+len(out), len(out))
	}
	if e.err = err; err == nil && changed {
		e.dst = append(e.dst, e.text[e.done:start+1]...)
		e.dst = appendJSONString(e.dst, out)
		e.done = end - 1
	}
}

// rewritten is what the string at the place given becomes.
func (e *edits) rewritten(name string, kind Kind, start, end int) (_ []byte, changed bool, _ error) {
	if e.err != nil || e.text[start] != '"' || end-start <= 2 {
		return nil, false, e.err
	}
	t := token{start: start + 1, end: end - 1, tag: &tag{attr: name, absolute: true}, kind: kind, form: quoted}
	written := t.text(e.text)
	text := bytes.Trim(e.text.decode(start, end), " \t\r\n")
	if len(text) == 0 {
		return nil, false, nil
	}
	out, err := e.appendReference(nil, text, &t)
	return out, string(out) != string(written), err
}
