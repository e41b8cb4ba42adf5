package rewrite

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/rewrite/internal/memo"
)

// rewrite appends the playlist with its URIs rewritten.
func (st *state) rewrite(dst []byte) (_ []byte, err error) {
	start := len(dst)
	st.done, st.children = 0, false
	for passed := false; ; {
		from, lines := st.scan.pos, !passed && st.unitsFit()
		if passed = false; lines {
			if dst, err = st.repeat(dst); err != nil {
				return dst, err
			}
			from, st.scan.related = st.scan.pos, false
		}
		var t token
		if !st.scan.next(&t) {
			return append(dst, st.src[st.done:]...), st.pace.err
		}
		switch {
		case t.tag.define:
			if st.lookAhead() && st.children {
				// A child that comes before the first definition must carry it as well.
				st.restart(st.src)
				dst, st.done = dst[:start], 0
				continue
			}
			dst, st.done = st.appendDefinition(dst, st.done, &t)
			continue
		case t.start == t.end, t.foreign && !st.ForeignKeys && st.foreign():
			continue
		}
		if st.list && t.form == line {
			at := len(dst)
			if dst, err = (entries{st}).appendEntry(dst, start, &t); err == errDrop {
				dst = dst[:start]
				if err = st.prune(); err == nil {
					continue
				}
			}
			if err == nil {
				err = st.pace.check(len(dst)-start, len(dst)-at)
			}
			if err != nil {
				return dst, err
			}
			continue
		}
		st.children = st.children || t.tag.child
		if t.tag == &mapTag {
			st.initializes(t.text(st.src))
		}
		if passed = t.form == quoted && isAnotherScheme(t.text(st.src)); passed {
			continue
		}
		dst = append(dst, st.src[st.done:t.start]...)
		st.done = t.end
		at, short := len(dst), false
		var w mapping
		if st.plan.mapper != nil && !t.tag.absolute && st.fragmentFor(&t) == "" {
			dst, short = st.appendPlanned(dst, st.src[t.start:t.end], t.kind, &w)
			if short && t.form == bare {
				w.known = false
				if short = !anyHarmful(dst[at:], bare); !short {
					dst = dst[:at]
				}
			}
		}
		if !short {
			if dst, err = st.appendURI(dst, &t); err == errDrop {
				dst = dst[:start]
				if err = st.prune(); err == nil {
					continue
				}
			}
		} else {
			if lines && w.known && !t.foreign && st.scan.lineDone() && !st.scan.variant && !st.scan.related {
				st.learn(st.src[from:st.scan.pos], &t, memo.Span{Start: t.start - from, End: t.end - from}, dst[at:], &w)
			}
			dst, err = st.signHarmless(dst, at, t.form, t.isReport(st.src))
		}
		if err != nil {
			return dst, err
		}
		if err = st.pace.check(len(dst)-start, len(dst)-at); err != nil {
			return dst, err
		}
	}
}

// isAnotherScheme quickly recognises a reference with another scheme than http and https, if it has a short name.
func isAnotherScheme(ref []byte) bool {
	const short = 16
	if bytes.IndexByte(ref[:min(len(ref), short)], ':') < 0 {
		return false
	}
	n := schemeLen(ref)
	return n > 0 && httpScheme(ref) == 0 && bytes.IndexByte(ref, '{') < 0
}

// prune starts again with a playlist without the dropped URIs.
func (st *state) prune() error {
	if st.pruned {
		return badGateway("the playlist names a URL that is not mapped", ErrUnmapped) // Unmapped changed its mind
	}
	st.pruned = true
	rest, err := withoutUnmapped(st)
	if err != nil {
		return err
	}
	st.restart(rest)
	st.done, st.children = 0, false
	return nil
}

// unitsFit reports whether only the next lines decide their result.
func (st *state) unitsFit() bool {
	return st.plan.mapper != nil && st.carry == "" && st.base.report == "" && !st.scan.variant && st.scan.lineDone()
}

// repeat appends the results of the next lines, as long as they match earlier ones.
func (st *state) repeat(dst []byte) (_ []byte, err error) {
	const often = 16 << 10
	start, mark := len(dst), len(dst)
	for look := mark + min(often, st.most); ; {
		lines := st.src[st.scan.pos:]
		u, differ := st.plan.memo.Match(lines)
		if u == nil || !st.isCurrent(u) && !st.renew(u) {
			return dst, nil
		}
		if u.Note.Child {
			st.children = true
		}
		if u.Note.Init {
			uri := u.URI()
			st.initializes(lines[uri.Start:uri.End])
		}
		if st.done < st.scan.pos {
			dst = append(dst, st.src[st.done:st.scan.pos]...)
		}
		if st.Sign == nil {
			if u.IsSigned() { // for another Rewriter
				u.Sign(nil)
			}
			dst = u.Append(dst, lines, differ)
		} else {
			called := false
			if dst, called, err = st.repeatSigned(dst, u, lines, differ); err != nil {
				return dst, err
			}
			if called {
				st.pace.soon()
				look -= often / 8 // a Signer may be slow
			}
		}
		st.scan.pos += u.Len()
		st.done = st.scan.pos
		if len(dst) > look {
			if err = st.pace.check(len(dst)-start, len(dst)-mark); err != nil {
				return dst, err
			}
			mark = len(dst)
			look = min(mark+often, start+st.most)
		}
	}
}

// appendURI appends the result for the URI of a token.
func (st *state) appendURI(dst []byte, t *token) ([]byte, error) {
	text, ok := st.substitute(t)
	switch {
	case !ok && st.StrictVariables:
		return dst, st.vars.undefined()
	case !ok, len(text) == 0:
		return append(dst, t.text(st.src)...), nil
	}
	return st.appendReference(dst, text, t)
}

// appendReference is appendURI for a reference without variables.
func (st *state) appendReference(dst, text []byte, t *token) ([]byte, error) {
	ref, fragment := text, []byte(nil)
	if i := bytes.IndexByte(text, '#'); i >= 0 {
		ref, fragment = text[:i], text[i:]
	}
	if bytes.IndexByte(ref, '\\') >= 0 && (st.base.http && schemeLen(ref) == 0 || httpScheme(ref) > 0) {
		ref = slashed(ref) // as browsers read it
	}
	st.abs = st.base.appendResolved(st.abs[:0], ref)
	n := httpScheme(st.abs)
	if n == 0 && schemeLen(st.abs) > 0 {
		return append(dst, t.text(st.src)...), nil // another scheme
	}
	grew := false
	st.abs, grew = st.heritage.append(st.abs, st.base.text)
	start, how := len(dst), leftAlone
	if n == 0 || authorityEnd(st.abs, n) > n+2 {
		var err error
		if dst, how, err = st.appendPublic(dst, t, fragment); err != nil {
			return dst, err
		}
	}
	if how == leftAlone && st.Map != nil {
		var err error
		if dst, how, err = st.appendRead(dst[:start], ref, fragment, t); err != nil {
			return dst, err
		}
	}
	switch {
	case how == leftAlone && n > 0 && authorityEnd(st.abs, n) <= n+2:
		return append(dst[:start], t.text(st.src)...), nil
	case how != replaced && !grew && (!st.base.known || schemeLen(text) > 0):
		return append(dst[:start], t.text(st.src)...), nil
	}
	return harmless(append(dst, fragment...), start, t.form), nil
}

// appendRead is appendPublic for a reference that the Mapper does not cover. It may cover the reference as a browser reads it.
func (st *state) appendRead(dst, ref, fragment []byte, t *token) ([]byte, outcome, error) {
	start := len(dst)
	read, ok := st.base.appendAsBrowser(st.read[:0], ref)
	st.read = read
	if ok {
		st.read, _ = st.heritage.append(st.read, st.base.text)
	}
	if ok && !bytes.Equal(st.read, st.abs) {
		st.abs, st.read = st.read, st.abs
		out, how, err := st.appendPublic(dst, t, fragment)
		st.abs, st.read = st.read, st.abs
		if err != nil || how != leftAlone {
			return out, how, err
		}
		dst = out[:start]
	}
	return append(dst, st.abs...), leftAlone, st.unmapped(t, ref)
}

// unmapped asks what to do with the reference of a token, which the Mapper covers neither as written nor as a browser reads it.
func (st *state) unmapped(t *token, text []byte) error {
	if st.Unmapped == nil {
		return nil
	}
	ref := t.ref()
	if ref.URL = string(st.meant); st.meant == nil {
		ref.URL = string(st.base.appendResolved(nil, text))
	}
	switch st.Unmapped(ref) {
	case Drop:
		return errDrop
	case Fail:
		return badGateway("the playlist names a URL that is not mapped", fmt.Errorf("%w: %q", ErrUnmapped, ref.URL))
	}
	return nil
}

// outcome is what became of a reference.
type outcome uint8

const (
	leftAlone outcome = iota // the Mapper does not cover it
	unchanged
	replaced
)

// appendPublic appends the public URL of the URL in st.abs, without its fragment. The fragment that carries variables is mapped
// with it.
func (st *state) appendPublic(dst []byte, t *token, fragment []byte) (_ []byte, _ outcome, err error) {
	start, upstream := len(dst), len(st.abs)
	st.pace.soon()
	if st.Skip != nil {
		ref := t.ref()
		if ref.URL = string(st.meant); st.meant == nil {
			ref.URL = string(st.abs) + string(fragment)
		}
		if st.Skip(ref) {
			return append(dst, st.abs...), unchanged, nil
		}
	}
	public := true
	if st.Map == nil {
		dst = append(dst, st.abs...)
		public = st.own(st.abs)
	} else {
		st.abs = append(st.abs, st.fragmentFor(t)...)
		out, err := st.appendMapped(dst, t)
		switch {
		case isUnmapped(err):
			st.abs = st.abs[:upstream]
			return append(dst, st.abs...), leftAlone, nil
		case err != nil:
			return dst, leftAlone, err
		}
		dst, st.reached = out, true
	}
	if (t.tag.absolute || st.list) && isPathAbsolute(dst[start:]) {
		dst = slices.Insert(dst, start, []byte(st.Public)...)
	}
	if public && (st.Sign == nil || st.maySign()) {
		sign := st.sign
		if t.tag.report && bytes.IndexByte(st.abs, '?') < 0 {
			sign = st.signReport
		}
		if dst, err = sign(dst, start); err != nil {
			return dst, leftAlone, err
		}
	}
	if bytes.Equal(dst[start:], st.abs) {
		return dst, unchanged, nil
	}
	return dst, replaced, nil
}

// appendMapped appends what the Mapper makes of the URL in st.abs.
func (st *state) appendMapped(dst []byte, t *token) ([]byte, error) {
	if len(st.hints) > 0 && st.hinted != nil {
		return st.hinted.AppendPublicWith(dst, st.abs, st.hints)
	}
	if st.kinds == nil {
		return st.Map.AppendPublic(dst, st.abs)
	}
	ext := st.extensionOf(t.kind)
	if t.tag.absolute && ext != "" {
		if path, _, _ := splitTail(st.abs); hls.ByName(path).IsMedia() {
			ext = "" // an asset may be a film
		}
	}
	return st.kinds.AppendPublicOf(dst, st.abs, t.kind.String(), ext)
}

// own reports, if there is no Mapper, whether a URL is on the scheme and host of the playlist: a token for these must not go to
// others.
func (st *state) own(u []byte) bool {
	if st.base.root == 0 {
		return schemeLen(u) == 0 && !leavesHost(u)
	}
	root := st.base.text[:st.base.root]
	if rest, ok := bytes.CutPrefix(u, root); ok && (len(rest) == 0 || rest[0] == '/' || rest[0] == '?') {
		return true
	}
	return sameRoot(u, root)
}

// leavesHost reports whether a browser may read a reference without a scheme as one with a host: it removes control bytes and
// treats backslashes as slashes.
func leavesHost(ref []byte) bool {
	if len(ref) > 0 && ref[0] <= ' ' || bytes.ContainsAny(ref, "\t\r\n") {
		return true
	}
	return len(ref) > 1 && (ref[0] == '/' || ref[0] == '\\') && (ref[1] == '/' || ref[1] == '\\')
}

// fragmentFor is the fragment that carries variables to the playlist that the token names.
func (st *state) fragmentFor(t *token) string {
	switch {
	case t.tag.child:
		return st.carry
	case t.tag.report:
		return st.base.report
	}
	return ""
}

func isPathAbsolute(u []byte) bool {
	return len(u) > 0 && u[0] == '/' && (len(u) == 1 || u[1] != '/')
}
