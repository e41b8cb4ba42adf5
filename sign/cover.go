package sign

import "bytes"

// cover is the token of a directory, ready to be appended.
type cover struct {
	signer *Signer
	kind   int    // of the links that get it
	prefix []byte // of the public URLs below the directory, as they are spelled
	dir    []byte // its path
	depth  int    // segments of it
	text   []byte // param=token
}

// In a session that is renewed, playlists and media have different tokens.
const (
	kindAny = iota
	kindMedia
	kindPlaylist
)

func kindOf(path []byte) int {
	if isRenewed(path) {
		return kindPlaylist
	}
	return kindMedia
}

// outOfPath are the bytes that may mean something other than a path.
var outOfPath = not(unreserved + "/+,@!=")

// coversPlainly is the fast answer to most URLs of a playlist: a simple path without a query, below the directory of the
// URL before it. False means to look closer.
func (c *cover) coversPlainly(public []byte) bool {
	if !bytes.HasPrefix(public, c.prefix) {
		return false
	}
	var odd uint8
	last, name := byte('/'), public[len(c.prefix):]
	for _, b := range name {
		odd |= outOfPath[b]
		if last == '/' && (b == '/' || b == '.') {
			return false
		}
		last = b
	}
	return odd == 0 && (c.kind == kindAny || c.kind == kindOf(name)) && !c.signer.isAlone(name)
}

func (c *cover) extend(public []byte) []byte {
	return append(append(public, '?'), c.text...)
}

// coverFor returns the token for what lies beside path, made the first time it is needed.
func (s *Signer) coverFor(h *held, p *parts, path []byte) *cover {
	kind := kindAny
	if !h.grant.Until.IsZero() {
		kind = kindOf(path)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.covers {
		if c.signer == s && (c.kind == kind || c.kind == kindAny) && bytes.HasPrefix(path, c.dir) {
			h.recent[kind&1].Store(c)
			return c
		}
	}
	dir, depth := directoryOf(path)
	if depth > 255 {
		return nil
	}
	c := &cover{signer: s, kind: kind, depth: depth, dir: bytes.Clone(dir), prefix: append(bytes.Clone(p.url[:p.path]), dir...)}
	c.text = s.signDirectory(s.signing(h), s.inherit(h, kind != kindMedia), h.grant.Claims, c.dir, depth)
	if len(h.covers) >= maxCovers {
		h.covers = h.covers[1:]
	}
	h.covers = append(h.covers, c)
	h.recent[kind&1].Store(c)
	return c
}

// signDirectory returns param=token for everything below dir.
func (s *Signer) signDirectory(key *ringKey, g Grant, claims string, dir []byte, depth int) []byte {
	w := key.worker()
	defer key.release(w)
	head := header{key: key.id, grant: g, directory: true, depth: depth}
	w.raw = head.append(w.raw[:0])
	w.message = appendBound(w.message[:0], w.raw, claims)
	w.bind(dir)
	return encoding.AppendEncode(append([]byte(nil), s.mark...), append(w.raw, w.authenticate()...))
}
