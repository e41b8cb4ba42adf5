package rewrite

import (
	"bytes"
	"errors"
	"slices"
)

// rewrite appends the playlist with its URIs rewritten.
func (st *state) rewrite(dst []byte) ([]byte, error) {
	start, done, children := len(dst), 0, false
	var t token
	for st.scan.next(&t) {
		switch {
		case t.tag.define:
			if st.lookAhead() && children {
				// A child stands before the first definition, and has to carry it all the same.
				st.restart(st.src)
				dst, done = dst[:start], 0
				continue
			}
			dst, done = st.appendDefinition(dst, done, &t)
			continue
		case t.start == t.end, t.foreign && !st.ForeignKeys:
			continue
		}
		children = children || t.tag.child
		dst = append(dst, st.src[done:t.start]...)
		done = t.end
		at, short := len(dst), false
		if st.plan.mapper != nil && t.form != bare && !t.tag.absolute && st.fragmentFor(&t) == "" {
			dst, short = st.plan.append(dst, st.src[t.start:t.end], t.form)
		}
		var err error
		switch {
		case !short:
			dst, err = st.appendURI(dst, &t)
		case st.Sign != nil:
			dst, err = st.sign(dst, at)
		}
		if err != nil {
			return dst, err
		}
		if len(dst)-start > st.most {
			return dst, badGateway("rewritten playlist is too large", errTooLarge)
		}
	}
	return append(dst, st.src[done:]...), nil
}

// appendURI appends what the URI of a token becomes.
func (st *state) appendURI(dst []byte, t *token) ([]byte, error) {
	text, err := st.substitute(t)
	switch {
	case err != nil && st.StrictVariables:
		return dst, err
	case err != nil, len(text) == 0:
		return append(dst, t.text(st.src)...), nil
	}
	return st.appendReference(dst, text, t)
}

// appendReference is appendURI for a reference in which nothing is left to substitute.
func (st *state) appendReference(dst, text []byte, t *token) ([]byte, error) {
	ref, fragment := text, []byte(nil)
	if i := bytes.IndexByte(text, '#'); i >= 0 {
		ref, fragment = text[:i], text[i:]
	}
	st.abs = st.base.appendResolved(st.abs[:0], ref)
	if n := httpScheme(st.abs); n == 0 && schemeLen(st.abs) > 0 || n > 0 && authorityEnd(st.abs, n) <= n+2 {
		// Another scheme, or no host: no Mapper can make anything of it, and one bad line must not fail the playlist.
		return append(dst, t.text(st.src)...), nil
	}
	start := len(dst)
	dst, changed, err := st.appendPublic(dst, t.ref(), fragment, t.tag.absolute, st.fragmentFor(t))
	if err != nil {
		return dst, err
	}
	if !changed && (!st.base.known || schemeLen(text) > 0) {
		return append(dst[:start], t.text(st.src)...), nil
	}
	return append(harmless(dst, start, t.form), fragment...), nil
}

// appendPublic appends the public URL of the URL in st.abs, without its fragment; changed is false if it is the same.
// carry is a fragment to be mapped with it.
func (st *state) appendPublic(dst []byte, ref Ref, fragment []byte, absolute bool, carry string) (_ []byte, changed bool, _ error) {
	start, upstream := len(dst), len(st.abs)
	if st.Skip != nil {
		ref.URL = string(st.abs) + string(fragment)
		if st.Skip(ref) {
			return append(dst, st.abs...), false, nil
		}
	}
	public := true
	if st.Map == nil {
		dst = append(dst, st.abs...)
		public = st.own(st.abs)
	} else {
		st.abs = append(st.abs, carry...)
		out, err := st.Map.AppendPublic(dst, st.abs)
		switch {
		case errors.Is(err, ErrUnmapped):
			return append(dst, st.abs[:upstream]...), false, nil
		case err != nil:
			return dst, false, err
		}
		dst = out
	}
	if absolute && isPathAbsolute(dst[start:]) {
		dst = slices.Insert(dst, start, []byte(st.Public)...)
	}
	if public {
		var err error
		if dst, err = st.sign(dst, start); err != nil {
			return dst, false, err
		}
	}
	return dst, !bytes.Equal(dst[start:], st.abs), nil
}

// own tells, where there is no Mapper, whether a URL is on the scheme and host of the playlist: a token for these is
// not for others.
func (st *state) own(u []byte) bool {
	if st.base.root == 0 {
		return schemeLen(u) == 0 && !bytes.HasPrefix(u, []byte("//"))
	}
	rest, ok := bytes.CutPrefix(u, st.base.text[:st.base.root])
	return ok && (len(rest) == 0 || rest[0] == '/' || rest[0] == '?')
}

// sign lets the hook extend the public URL that dst holds from start on.
func (st *state) sign(dst []byte, start int) ([]byte, error) {
	if st.Sign == nil {
		return dst, nil
	}
	signed, err := st.Sign(st.ctx, dst[start:])
	if err != nil {
		return dst, err
	}
	return harmless(append(dst[:start], signed...), start, quoted), nil
}

// fragmentFor is the fragment that takes variables to the playlist that the token names.
func (st *state) fragmentFor(t *token) string {
	switch {
	case t.tag.child:
		return st.carry
	case t.tag.report:
		return st.report
	}
	return ""
}

func isPathAbsolute(u []byte) bool {
	return len(u) > 0 && u[0] == '/' && (len(u) == 1 || u[1] != '/')
}
