package sign

import (
	"bytes"
	"slices"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// cover is the token of a directory, ready to be appended.
type directoryToken struct {
	signer *Signer
	kind   int    // of the links that get it
	prefix []byte // of the public URLs below the directory, as they are spelled
	dir    []byte // its path
	depth  int    // segments of it
	text   []byte // param=token
	deep   bool   // for URLs in directories below too
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

// extendPlainly is the fast answer to most URLs of a playlist: a simple path below the directory of the URL before it. Not ok
// means to look closer.
func (c *directoryToken) extendPlainly(public []byte) (signed []byte, ok bool) {
	if !bytes.HasPrefix(public, c.prefix) {
		return public, false
	}
	name, separator := public[len(c.prefix):], byte('?')
	if i := bytes.IndexByte(name, '?'); i >= 0 {
		query := name[i+1:]
		if bytes.IndexByte(query, '#') >= 0 || hasParam(query, c.signer.config.Param) || hls.CarriesVariables(query) {
			return public, false
		}
		name, separator = name[:i], '&'
	}
	if !c.deep && bytes.IndexByte(name, '/') >= 0 {
		return public, false
	}
	if hasOdd(name, &outOfPath) || !hasNames(name) || c.kind != kindAny && c.kind != kindOf(name) || c.signer.isAlone(name) {
		return public, false
	}
	return append(append(public, separator), c.text...), true
}

// hasNames reports whether no segment of a relative path is empty, but for the last, or begins with a dot.
func hasNames(path []byte) bool {
	for {
		if len(path) > 0 && (path[0] == '/' || path[0] == '.') {
			return false
		}
		i := bytes.IndexByte(path, '/')
		if i < 0 {
			return true
		}
		path = path[i+1:]
	}
}

// directoryTokenFor returns the token for what lies beside path, made the first time it is needed. Which one that is does not depend
// on what else a playlist names, so that a link keeps its spelling when the window of a live stream moves on.
func (s *Signer) directoryTokenFor(h *session, p *parts, path []byte) *directoryToken {
	kind := kindAny
	if !h.grant.Until.IsZero() {
		kind = kindOf(path)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	dir := h.tree
	if len(dir) == 0 {
		dir, _ = directoryOf(path)
	}
	for _, c := range h.tokens {
		if c.signer == s && (c.kind == kind || c.kind == kindAny) && bytes.Equal(dir, c.dir) {
			h.recent[kind&1].Store(c)
			return c
		}
	}
	depth := depthOf(dir)
	if depth > longestDepth {
		return nil
	}
	c := &directoryToken{signer: s, kind: kind, depth: depth, deep: len(h.tree) > 0, dir: bytes.Clone(dir), prefix: append(bytes.Clone(p.url[:p.path]), dir...)}
	c.text = s.signDirectory(s.signing(h), s.inherit(h, kind != kindMedia), h.grant.Claims, c.dir, depth)
	if len(h.tokens) >= maxTokens {
		h.tokens = slices.DeleteFunc(h.tokens, func(c *directoryToken) bool { return c != h.own })
	}
	h.tokens = append(h.tokens, c)
	h.recent[kind&1].Store(c)
	return c
}

// signDirectory returns param=token for everything below dir.
func (s *Signer) signDirectory(key *ringKey, g Grant, claims string, dir []byte, depth int) []byte {
	head := header{key: key.id, grant: g, directory: true, depth: depth}
	raw := head.append(nil)
	mac := key.authenticate(appendDirectory(appendPrefix(nil, raw, claims), dir))
	return appendText(append([]byte(nil), s.mark...), mac.append(raw))
}
