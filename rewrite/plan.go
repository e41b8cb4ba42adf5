package rewrite

import (
	"bytes"
	"slices"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/rewrite/internal/memo"
)

// plan is what is mapped once for all references of a playlist: its directory and those above. Only the Mappers of this package
// have a plan, and only references without anything unusual in them go by it. The result is the same as that of the long way.
type plan struct {
	mapper Mapper // nil: no plan
	query  bool   // of a Query
	head   string // of a Query: what stands before the file name
	mid    []byte // of a Query: what stands between it and the directory
	stem   []byte // what the directory becomes
	levels []int  // how much of stem is left some directories up; -1: that is not mapped
	top    int    // the same for the top; -2: not known
	dir    []byte
	root   int // scheme and host are dir[:root]
	memo   memo.Memo

	fitted  Kind   // of the last name with an extension that fits
	fitting []byte // this extension, with the dot

	learnt Mapper // that the memo is of
	turn   int    // counts the plans made
}

// prepare makes the plan for a Rewriter and a base, unless it is there already.
func (p *plan) prepare(rw *Rewriter, b *base) {
	if !b.http || rw.Skip != nil || len(rw.Inherit) > 0 {
		p.mapper = nil
		return
	}
	mapper := rw.Map
	if mapper == nil {
		mapper = absolute{}
	}
	switch mapper.(type) {
	case *queryMapper, *prefixMapper, *hostMapper, absolute:
		if p.mapper == mapper {
			return
		}
	default:
		p.mapper = nil
		return
	}
	if p.learnt != mapper {
		p.memo.Forget()
	}
	p.learnt = mapper
	p.turn++
	p.mapper, p.levels, p.top, p.dir, p.root = mapper, p.levels[:0], -2, b.dir, b.root
	var m *queryMapper
	if m, p.query = mapper.(*queryMapper); p.query {
		p.head, p.mid = m.head, append(p.mid[:0], m.mid...)
		p.stem = appendEscaped(p.stem[:0], b.dir)
		if _, _, ok := splitHTTP(b.dir); !ok {
			p.mapper = nil
		}
		return
	}
	var err error
	if p.stem, err = mapper.AppendPublic(p.stem[:0], b.dir); err != nil {
		p.stem, p.levels = p.stem[:0], append(p.levels, -1)
	}
}

// mapping is how a reference became its public URL.
type mapping struct {
	memo.Mapping
	known bool // false: nothing can be said of a reference with other digits
}

// name is the file name in the reference.
func (w *mapping) name(ref []byte) []byte { return ref[w.Lead+w.Name.Start : w.Lead+w.Name.End] }

// learn remembers lines whose URI became url.
func (st *state) learn(lines []byte, t *token, uri memo.Span, url []byte, w *mapping) {
	u := st.plan.memo.Learn(lines, uri, url, &w.Mapping)
	if u == nil {
		return
	}
	u.Note = memo.Note{
		Form: uint8(t.form), Kind: uint8(t.kind), Segment: st.notedFor(t.kind, w.name(u.Learned())),
		Child: t.tag.child, Init: t.tag == &mapTag, Report: t.isReport(st.src), Turn: st.plan.turn,
	}
}

// renew makes what a unit becomes that of this directory and these segments; it was that of others. false: the URI leads
// elsewhere now.
func (st *state) renew(u *memo.Unit) bool {
	if u.Note.Segment > 0 {
		if st.knowSegments(); st.isCurrent(u) {
			return true
		}
	}
	var w mapping
	var ok bool
	kind := Kind(u.Note.Kind)
	st.abs, ok = st.appendPlanned(st.abs[:0], u.Learned(), kind, &w)
	if ok = ok && w.known && u.Remap(st.abs, &w.Mapping); ok {
		u.Note.Turn, u.Note.Pass, u.Note.Segment = st.plan.turn, 0, st.notedFor(kind, w.name(u.Learned()))
	}
	return ok
}

// isCurrent reports whether a unit was learned for this directory and these segments, as far as they are known.
func (st *state) isCurrent(u *memo.Unit) bool {
	return u.Note.Turn == st.plan.turn && (u.Note.Segment == 0 || u.Note.Segment == st.noted)
}

// notedFor is what a unit of a kind notes of the extension of segments, if its URI has this file name. 0: it does not matter.
func (st *state) notedFor(k Kind, name []byte) uint8 {
	if st.kinds == nil || k != Segment && k != Part || st.plan.fits(name, k) {
		return 0
	}
	st.knowSegments()
	return st.noted
}

// appendPlanned appends the public URL of a reference; false: the reference has to go the long way.
func (st *state) appendPlanned(dst, ref []byte, kind Kind, w *mapping) ([]byte, bool) {
	stem, rest := st.plan.locate(ref)
	if len(stem) == 0 {
		return dst, false
	}
	w.Lead, w.Escapes = len(ref)-len(rest), nil
	if st.plan.query {
		w.Escapes = &escapedLens
		return st.appendQuery(dst, stem, rest, kind, w)
	}
	return appendTree(dst, stem, rest, w)
}

func appendTree(dst, stem, rest []byte, w *mapping) ([]byte, bool) {
	var sh shape
	sh.look(rest)
	if sh.unusual(rest) || sh.escapes || sh.directive || sh.class&(oddPath|oddQuery) != 0 {
		return dst, false
	}
	w.Rest, w.Name, w.Second = len(stem), memo.Span{}, 0
	w.known = sh.class&percent == 0 // other digits could make another escape
	w.Free = sh.query
	if sh.class&colon != 0 {
		w.Free = 0
	}
	return append(append(dst, stem...), rest...), true
}

// unusual tells whether a reference has to go the long way with any Mapper.
func (sh *shape) unusual(ref []byte) bool {
	return sh.dotted || sh.class&special != 0 || sh.class&colon != 0 && schemeLen(ref) > 0
}

func (st *state) appendQuery(dst, stem, rest []byte, kind Kind, w *mapping) ([]byte, bool) {
	p := &st.plan
	// The name stands first but is known last. So what follows is written further behind and moved.
	start, before := len(dst), len(p.head)+maxName+maxExtension+len(p.mid)+len(stem)
	dst = slices.Grow(dst, before+3*len(rest)+slack)
	free := dst[start:cap(dst)]
	var sh shape
	n := sh.put(free[before:], rest)
	if sh.unusual(rest) {
		return dst, false
	}
	tail := free[before : before+n]
	at := copy(free, p.head)
	var name []byte
	name, w.known = appendElement(free[:at], rest[sh.name:sh.query], sh.plain)
	if at = len(name); !p.fits(name[len(p.head):], kind) {
		if ext := st.extensionOf(kind); ext != "" {
			at = len(append(append(name, '.'), ext...))
		}
	}
	at += copy(free[at:], p.mid)
	at += copy(free[at:], stem)
	w.Rest, w.Name, w.Second = at, memo.Span{Start: sh.name, End: sh.query}, len(p.head)
	w.Free = len(rest)
	if sh.class&colon != 0 {
		w.Free = 0
	}
	at += copy(free[at:], tail)
	return dst[:start+at], true
}

// fits reports whether a name has an extension that fits. It has if the last one had the same that did.
func (p *plan) fits(name []byte, kind Kind) bool {
	if kind == p.fitted && bytes.HasSuffix(name, p.fitting) {
		return true
	}
	fits := hls.Fits(name, kind.extension("ts")) // a name that fits one extension of segments fits all of them
	if fits && bytes.IndexByte(name, ';') < 0 {  // the extension alone decides
		p.fitted, p.fitting = kind, append(p.fitting[:0], name[bytes.LastIndexByte(name, '.'):]...)
	}
	return fits
}

// locate finds the directory that a reference is relative to, as it is mapped, and what is left of the reference below
// it. No directory: the reference has to go the long way.
func (p *plan) locate(ref []byte) (stem, rest []byte) {
	up := 0
	switch ref[0] {
	case '/':
		ref, up = ref[1:], -1
	case '{':
		return nil, nil
	case '.':
		for len(ref) > 3 && ref[0] == '.' && ref[1] == '.' && ref[2] == '/' {
			ref = ref[3:]
			up++
		}
	case 'h':
		if len(ref) > p.root && ref[p.root] == '/' && bytes.Equal(ref[:p.root], p.dir[:p.root]) {
			ref, up = ref[p.root+1:], -1
		}
	}
	if len(ref) == 0 || ref[0] == '/' || ref[0] == '.' || ref[0] == '?' {
		return nil, nil
	}
	if up == 0 {
		return p.stem, ref
	}
	return p.above(up), ref
}

// above is the stem some directories up; -1: at the top. nil: there is none, or so many that it is not worth it.
func (p *plan) above(up int) []byte {
	if len(p.levels) == 0 {
		p.climb()
	}
	n := p.top
	switch {
	case up > maxLevels:
		return nil
	case up > 0 && up <= len(p.levels):
		n = p.levels[up-1]
	}
	if n < 0 {
		return nil
	}
	return p.stem[:n]
}

const maxLevels = 32

// climb finds the levels.
func (p *plan) climb() {
	top := p.root + bytes.IndexByte(p.dir[p.root:], '/')
	p.top = p.mappedLen(p.dir[:top+1])
	for end := len(p.dir) - 1; len(p.levels) < maxLevels; {
		if end > top {
			end = bytes.LastIndexByte(p.dir[:end], '/')
		}
		p.levels = append(p.levels, p.mappedLen(p.dir[:end+1]))
		if end <= top {
			return
		}
	}
}

func (p *plan) mappedLen(dir []byte) int {
	if p.query {
		return len(appendEscaped(nil, dir))
	}
	public, err := p.mapper.AppendPublic(nil, dir)
	if err != nil || !bytes.HasPrefix(p.stem, public) {
		return -1
	}
	return len(public)
}
