package rewrite

import (
	"bytes"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// substitute returns the text of a token with its variables replaced. false: one of them is not defined.
func (st *state) substitute(t *token) (_ []byte, ok bool) {
	text := t.text(st.src)
	st.choice = nothing
	if bytes.IndexByte(text, '{') < 0 {
		return text, true
	}
	if len(st.vars.values) == 0 {
		st.vars.full = false
		st.vars.missed, _, _ = reference(text)
		return text, st.vars.missed == nil
	}
	if !hasVariable(text) {
		return text, true
	}
	if t.form == bare {
		// Section 4.3 names quoted strings only, so a client replaces nothing here.
		st.vars.full, st.vars.missed = false, []byte("outside of quotes")
		return text, false
	}
	st.text, ok = st.vars.expand(st.text[:0], text, &st.vars.left)
	st.choice = st.vars.clientsChoice(st.text)
	return st.text, ok
}

// maySign tells whether the playlist alone has chosen the URL in st.abs. What a client can choose must not decide which
// directory is signed for it.
func (st *state) maySign() bool {
	switch st.choice {
	case nothing:
		return true
	case all:
		return false
	}
	rest, ok := bytes.CutPrefix(st.abs, st.base.dir)
	path, _, _ := splitTail(rest)
	return ok && st.base.known && !wire.Climbs(path)
}

// foreign tells whether the KEYFORMAT of the key is a foreign one with its variables substituted.
func (st *state) foreign() bool {
	if !hasVariable(st.scan.format) {
		return true
	}
	var ok bool
	st.text, ok = st.vars.expand(st.text[:0], st.scan.format, &st.vars.left)
	return !ok || isForeign(st.text)
}

// appendDefinition appends what an EXT-X-DEFINE tag becomes, and returns how much of the playlist that covers.
func (st *state) appendDefinition(dst []byte, done int, t *token) ([]byte, int) {
	d, ok := st.vars.define(st.src, t)
	if !ok || d.kind != queryParam || st.clientSees(&d) || strings.ContainsAny(d.value, "\"\r\n") || hasVariable([]byte(d.value)) {
		return dst, done
	}
	dst = append(dst, st.src[done:d.start]...)
	dst = append(append(append(dst, `NAME="`...), d.name...), `",VALUE="`+d.value+`"`...)
	return dst, d.end
}

// clientSees tells whether the URL by which the client knows the playlist has the query parameter.
func (st *state) clientSees(d *definition) bool {
	switch {
	case st.relation == same:
		return true
	case st.relation == redirected:
		return false
	case st.Map == nil:
		return true
	}
	if !st.public.asked {
		st.public.asked = true
		public, err := st.Map.AppendPublic(nil, []byte(st.base.asked)) // with the fragment, which may stand in the query
		if err == nil {
			st.public.url = string(public)
		}
	}
	value, ok := st.public.param(d.name)
	return ok && value == d.value
}

// lookAhead collects the variables of the whole playlist when the first definition is met; it reports whether that was now.
func (st *state) lookAhead() bool {
	if st.looked {
		return false
	}
	st.looked = true
	if !bytes.Contains(st.src, []byte("STREAM-INF")) && !bytes.Contains(st.src, []byte("#"+mediaTag.name+":")) {
		return true // it has no children
	}
	all, ahead := variables{}, scanner{}
	all.start(&st.given, len(st.src))
	ahead.start(st.src, playlistStart(st.src))
	ahead.pace = st.scan.pace
	var t token
	for ahead.next(&t) {
		if t.tag.define {
			all.define(st.src, &t)
		}
	}
	st.carry = all.fragment()
	return true
}
