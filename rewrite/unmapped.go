package rewrite

import (
	"bytes"
	"errors"
	"slices"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// Action says what to do with a URI that the Mapper does not cover.
type Action uint8

// The actions for [Rewriter.Unmapped].
const (
	Keep Action = iota // leave it as written; players request it from that host directly
	Drop               // remove it, and everything that needs it
	Fail               // fail the playlist with status 502 and an error that wraps ErrUnmapped
)

// errDrop ends a pass: the playlist must be read again without the dropped URIs.
var errDrop = errors.New("rewrite: something is dropped")

// appendAsBrowser appends the http or https URL that a browser reads in a reference, by the URL standard: it removes control
// bytes, reads any number of slashes and backslashes as the two before a host, and backslashes in a path as slashes, and
// removes escapes from a host. The user is left out, because no Mapper here covers one. It returns false if there is no such
// URL.
func (b *base) appendAsBrowser(dst, ref []byte) ([]byte, bool) {
	ref = bytes.TrimFunc(ref, func(r rune) bool { return r <= ' ' })
	if bytes.ContainsAny(ref, "\t\r\n") {
		ref = bytes.Map(func(r rune) rune {
			if r == '\t' || r == '\r' || r == '\n' {
				return -1
			}
			return r
		}, ref)
	}
	scheme, rest := bytes.ToLower(b.text[:b.scheme]), ref
	if n := httpScheme(ref); n > 0 {
		own := bytes.ToLower(ref[:n])
		rest = ref[n:]
		if !bytes.Equal(own, scheme) || bytes.HasPrefix(rest, []byte("//")) {
			return appendBrowserHost(append(dst, own...), rest)
		}
	} else if schemeLen(ref) > 0 {
		return dst, false
	}
	if !b.http || len(rest) == 0 {
		return dst, false
	}
	if len(rest) > 1 && isSlash(rest[0]) && isSlash(rest[1]) {
		return appendBrowserHost(append(dst, scheme...), rest)
	}
	return b.appendResolved(dst, slashed(rest)), true
}

// appendBrowserHost appends the part of a URL after its scheme.
func appendBrowserHost(dst, rest []byte) ([]byte, bool) {
	rest = slashed(bytes.TrimLeft(rest, "/\\"))
	end := bytes.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host := rest[:end]
	host = host[bytes.LastIndexByte(host, '@')+1:]
	dst = append(dst, "//"...)
	for i := 0; i < len(host); i++ {
		c := host[i]
		if c == '%' && wire.IsEscape(host[i:]) {
			c = wire.Unhex(host[i+1])<<4 | wire.Unhex(host[i+2])
			i += 2
		}
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	_, at, ok := splitHTTP(dst)
	if !ok || at != len(dst) {
		return dst, false
	}
	return appendClean(dst, len(dst), rest[end:]), true
}

// slashed is a reference with slashes in place of the backslashes in its path.
func slashed(ref []byte) []byte {
	end := bytes.IndexAny(ref, "?#")
	if end < 0 {
		end = len(ref)
	}
	if bytes.IndexByte(ref[:end], '\\') < 0 {
		return ref
	}
	return append(bytes.ReplaceAll(ref[:end], []byte{'\\'}, []byte{'/'}), ref[end:]...)
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

// withoutUnmapped returns the playlist without the URIs to drop, and without everything that needs them.
func withoutUnmapped(st *state) ([]byte, error) {
	p := &pruned{state: st, alive: map[string]int{}}
	if err := p.find(); err != nil {
		return nil, err
	}
	p.cut()
	return p.result()
}

// pruned is a playlist from which URIs are being removed.
type pruned struct {
	*state
	dropped []int // where the dropped URIs begin
	gone    []span

	pending         []span // lines that belong to the next URI
	groups          []string
	keyGone, noInit bool // the current key, or initialization section, is dropped
	uris, left      int  // lines with a URI, and how many of them stay

	variants []pruneVariant
	alive    map[string]int // members of each group of renditions
}

// pruneVariant is a variant that stays unless one of its groups is empty.
type pruneVariant struct {
	lines  []span
	groups []string
}

// find asks about each URI.
func (p *pruned) find() error {
	p.restart(p.src)
	var t token
	for p.scan.next(&t) {
		switch {
		case t.tag.define:
			p.vars.define(p.src, &t)
			continue
		case t.start == t.end, t.foreign && !p.ForeignKeys && p.foreign():
			continue
		}
		if p.list && t.form == line {
			cutHints(p.state, &t)
		}
		out, err := p.appendURI(nil, &t)
		switch {
		case err == errDrop:
			p.dropped = append(p.dropped, t.start)
		case err != nil:
			return err
		case !p.pace.work(len(out) + perToken):
			return p.pace.err
		}
	}
	return p.pace.err
}

// cut goes over the lines and removes pieces.
func (p *pruned) cut() {
	s := scanner{}
	p.startScan(&s)
	for s.pos < len(p.src) {
		from := s.pos
		start, end := trimBlanks(p.src, from, s.lineEnd())
		whole := span{from, s.pos}
		hit := false
		for len(p.dropped) > 0 && p.dropped[0] < s.pos {
			hit, p.dropped = true, p.dropped[1:]
		}
		switch line := p.src[start:end]; {
		case len(line) == 0:
		case line[0] == '#':
			p.tagLine(line, whole, hit)
		default:
			p.uriLine(whole, hit)
		}
	}
}

func (p *pruned) uriLine(whole span, hit bool) {
	p.uris++
	lines := append(p.pending, whole)
	if hit || p.keyGone || p.noInit {
		p.gone = append(p.gone, lines...)
	} else {
		p.left++
		if len(p.groups) > 0 {
			p.variants = append(p.variants, pruneVariant{slices.Clone(lines), p.groups})
		}
	}
	p.pending, p.groups = p.pending[:0], nil
}

func (p *pruned) tagLine(line []byte, whole span, hit bool) {
	if h := (hints{}); p.list && h.read(line) { // however it is spelled, it is for the next entry only
		p.pending = append(p.pending, whole)
		return
	}
	name, list, _ := bytes.Cut(line[1:], []byte{':'})
	attrs := attrList{src: list, end: len(list)}
	switch string(name) {
	case "EXTINF", "EXT-X-BYTERANGE", "EXT-X-GAP", "EXTVLCOPT", "EXTHTTP", "KODIPROP", "EXTGRP", "EXTIMG", "EXTALBUMARTURL":
		p.pending = append(p.pending, whole)
		return
	case streamInf.name:
		p.pending = append(p.pending, whole)
		for _, attr := range groupAttrs {
			if id, ok := attrs.lookup(attr); ok && string(id) != "NONE" {
				p.groups = append(p.groups, attr+" "+string(id))
			}
		}
		return
	case keyTag.name:
		p.keyGone = hit
	case mapTag.name:
		p.noInit = hit
	case partTag.name:
		hit = hit || p.keyGone || p.noInit
	case mediaTag.name:
		kind, _ := attrs.lookup("TYPE")
		id, _ := attrs.lookup("GROUP-ID")
		group := string(kind) + " " + string(id)
		if n := p.alive[group]; !hit {
			p.alive[group] = n + 1
		} else {
			p.alive[group] = n
		}
	}
	if hit {
		p.gone = append(p.gone, whole)
	}
}

// result is the remaining text. A group that has lost its last member takes its variants with it.
func (p *pruned) result() ([]byte, error) {
	for _, v := range p.variants {
		if slices.ContainsFunc(v.groups, func(g string) bool { n, named := p.alive[g]; return named && n == 0 }) {
			p.gone = append(p.gone, v.lines...)
			p.left--
		}
	}
	if p.uris > 0 && p.left == 0 && p.piece == entire {
		return nil, badGateway("nothing is left of the playlist", ErrUnmapped)
	}
	return without(p.src, p.gone), nil
}

// without returns the text without some of its pieces.
func without(text []byte, gone []span) []byte {
	slices.SortFunc(gone, func(a, b span) int { return a.start - b.start })
	out, done := make([]byte, 0, len(text)), 0
	for _, s := range gone {
		out, done = append(out, text[done:s.start]...), s.end
	}
	return append(out, text[done:]...)
}

// DropUnmapped is a function for [Rewriter.Unmapped] that drops all: no URL leads a player past the proxy.
func DropUnmapped(Ref) Action { return Drop }
