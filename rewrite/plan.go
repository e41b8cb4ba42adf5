package rewrite

import "bytes"

// plan is what can be mapped once for all the references of a playlist: its directory and those above. Only the Mappers
// of this package have one, and only references without anything unusual in them take this way; the result is the same
// as that of the long way.
type plan struct {
	mapper Mapper // nil: no plan
	head   string // of a Query: what stands before the file name
	mid    string // of a Query: what stands between it and the URL
	stem   []byte // what the directory becomes
	levels []int  // how much of stem is left some directories up, the top last; -1: that is not mapped
	dir    []byte
	root   int
}

// prepare makes the plan for a Rewriter and a base, unless it is there already.
func (p *plan) prepare(rw *Rewriter, b *base) {
	if !b.http || rw.Skip != nil {
		p.mapper = nil
		return
	}
	var err error
	switch m := rw.Map.(type) {
	case *queryMapper:
		if p.mapper == Mapper(m) {
			return
		}
		p.head, p.mid = m.head, m.mid
		if _, _, ok := splitHTTP(b.dir); !ok {
			err = ErrUnmapped
		}
		p.stem = appendEscaped(p.stem[:0], b.dir)
	case *prefixMapper, *hostMapper:
		if p.mapper == m {
			return
		}
		p.head, p.mid = "", ""
		p.stem, err = rw.Map.AppendPublic(p.stem[:0], b.dir)
	default:
		err = ErrUnmapped
	}
	p.mapper, p.levels, p.dir, p.root = rw.Map, p.levels[:0], b.dir, b.root
	if err != nil {
		p.mapper = nil
	}
}

// append appends the public URL of a reference; false: the reference has to go the long way.
func (p *plan) append(dst, ref []byte) ([]byte, bool) {
	m := classOf(ref)
	if p.mid == "" && (m&(percent|oddPath|oddQuery) != 0 || m&question != 0 && bytes.Contains(ref, []byte(directivePrefix))) {
		return dst, false
	}
	if m&special != 0 {
		return dst, false
	}
	if m&colon != 0 && schemeLen(ref) > 0 {
		return p.appendAbsolute(dst, ref)
	}
	if m&slash != 0 && hasDotSegment(ref) {
		return dst, false
	}
	up := 0
	switch ref[0] {
	case '?':
		return dst, false
	case '/':
		ref, up = ref[1:], -1
	case '.':
		for bytes.HasPrefix(ref, []byte("../")) {
			ref = ref[3:]
			up++
		}
	}
	if len(ref) == 0 || ref[0] == '/' || ref[0] == '.' || ref[0] == '?' {
		return dst, false
	}
	stem := p.above(up)
	if stem == nil {
		return dst, false
	}
	if p.mid == "" {
		return append(append(dst, stem...), ref...), true
	}
	dst = append(dst, p.head...)
	dst = appendName(dst, ref)
	dst = append(dst, p.mid...)
	dst = append(dst, stem...)
	return appendEscaped(dst, ref), true
}

// appendAbsolute is append for a reference with a scheme.
func (p *plan) appendAbsolute(dst, ref []byte) ([]byte, bool) {
	n := httpScheme(ref)
	if n == 0 || hasDotSegment(ref[authorityEnd(ref, n):]) {
		return dst, false
	}
	out, err := p.mapper.AppendPublic(dst, ref)
	return out, err == nil
}

// hasDotSegment tells whether a slash is followed by a dot or another slash: there may be a dot segment.
func hasDotSegment(ref []byte) bool {
	for len(ref) > 0 {
		n := bytes.IndexByte(ref, '/')
		if n < 0 || n+1 == len(ref) {
			return false
		}
		if c := ref[n+1]; c == '.' || c == '/' {
			return true
		}
		ref = ref[n+1:]
	}
	return false
}

// above is the stem some directories up; -1: at the top. nil: there is none.
func (p *plan) above(up int) []byte {
	if up == 0 {
		return p.stem
	}
	if len(p.levels) == 0 {
		p.climb()
	}
	if up < 0 || up > len(p.levels) {
		up = len(p.levels)
	}
	if n := p.levels[up-1]; n >= 0 {
		return p.stem[:n]
	}
	return nil
}

// climb finds the levels.
func (p *plan) climb() {
	top := p.root + bytes.IndexByte(p.dir[p.root:], '/')
	for end := len(p.dir) - 1; ; {
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
	if p.mid != "" {
		return len(appendEscaped(nil, dir))
	}
	public, err := p.mapper.AppendPublic(nil, dir)
	if err != nil || !bytes.HasPrefix(p.stem, public) {
		return -1
	}
	return len(public)
}
