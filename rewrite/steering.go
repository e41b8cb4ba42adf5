package rewrite

import (
	"context"
	"encoding/json"
)

// edits rewrites a JSON document: it appends the text up to each edit, and what takes its place.
type edits struct {
	*state
	text jsonText
	dst  []byte
	done int
	err  error
}

// appendJSON appends an asset list (appendix D.2 of the HLS draft) or a steering manifest (section 7.2) with its URIs
// rewritten, and any other text as it is.
func (rw *Rewriter) appendJSON(ctx context.Context, dst, text []byte, base string, most int) ([]byte, error) {
	t := jsonText(text)
	at := t.space(0)
	if at == len(t) || t[at] != '{' || !json.Valid(text) {
		return append(dst, text...), nil
	}
	st := newState()
	defer st.free()
	st.Rewriter, st.ctx, st.most = rw, ctx, most
	st.begin(text, base)
	e := &edits{state: st, text: t, dst: dst}
	members := map[string]int{}
	t.members(at, func(name string, start, _ int) { members[name] = start })
	_, version := members["VERSION"]
	_, priority := members["PATHWAY-PRIORITY"]
	_, clones := members["PATHWAY-CLONES"]
	_, reload := members["RELOAD-URI"]
	switch {
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
		if name != "ASSETS" {
			return
		}
		e.text.elements(start, func(start, _ int) {
			e.text.members(start, func(name string, start, end int) {
				if name == "URI" {
					e.uri(name, Playlist, start, end)
				}
			})
		})
	})
}

func (e *edits) steering(at int) {
	e.text.members(at, func(name string, start, end int) {
		switch name {
		case "RELOAD-URI":
			e.uri(name, JSON, start, end)
		case "PATHWAY-CLONES":
			e.clones(start)
		}
	})
}

// clones removes the pathway clones that a player would make by putting another host name or more query parameters into
// the URLs that it has (section 7.3), since those are ours: it would ask the wrong host, or us for a URL that means
// nothing. Players pass over the pathways that they do not know. Clones that name their URIs stay.
func (e *edits) clones(at int) {
	from, kept := at+1, false // from: the end of the last element that stays
	e.text.elements(at, func(start, end int) {
		if e.Map != nil && e.replacesHost(start) {
			return
		}
		if !kept {
			e.cut(from, start)
		} else {
			e.cut(from, e.comma(from, start))
		}
		kept = true
		e.cloneURIs(start)
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

func (e *edits) cloneURIs(clone int) {
	e.replacement(clone, func(name string, start, _ int) {
		if name == "PER-VARIANT-URIS" || name == "PER-RENDITION-URIS" {
			e.text.members(start, func(_ string, start, end int) { e.uri(name, Playlist, start, end) })
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

// uri rewrites the string at the place given.
func (e *edits) uri(name string, kind Kind, start, end int) {
	if e.err != nil || e.text[start] != '"' || end-start <= 2 {
		return
	}
	t := token{start: start + 1, end: end - 1, tag: &tag{attr: name, absolute: true}, kind: kind, form: quoted}
	written := t.text(e.text)
	out, err := e.appendReference(nil, e.text.decode(start, end), &t)
	if err != nil {
		e.err = err
		return
	}
	if e.err = e.check(len(e.dst)+len(out), len(out)); e.err != nil {
		return
	}
	if string(out) != string(written) {
		e.dst = append(e.dst, e.text[e.done:t.start]...)
		e.dst = appendJSONString(e.dst, out)
		e.done = t.end
	}
}
