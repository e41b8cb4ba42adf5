package link

import (
	"bytes"
	"iter"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// Plain reports whether a path means the same to every reader, so that "below this directory" has a meaning. Only the last
// segment may be empty. No segment is a dot segment or holds a slash, a backslash or NUL in disguise, however often escaped.
func Plain(path []byte) bool {
	if len(path) == 0 || path[0] != '/' {
		return false
	}
	for rest := path[1:]; ; {
		segment, after, more := bytes.Cut(rest, []byte{'/'})
		if len(segment) == 0 && more || !isPlainSegment(segment) {
			return false
		}
		if !more {
			return true
		}
		rest = after
	}
}

func isPlainSegment(s []byte) bool {
	if wire.Climbs(s) || bytes.IndexByte(s, '\\') >= 0 {
		return false
	}
	if !HasOdd(s, &outOfASCII) {
		return true
	}
	for range mostLayers {
		next, found := unescape(s)
		if !found {
			return true
		}
		if bytes.ContainsAny(next, "/\\\x00") || hasOverlong(next) {
			return false
		}
		s = next
	}
	return false
}

// outOfASCII are the bytes that may make a segment mean more than its letters.
var outOfASCII = Not(Unreserved + "!$&'()*+,;=:@[]")

// mostLayers is how many layers of escaping are looked through. Each proxy in a row may add one. More layers only keep a server
// busy.
const mostLayers = 8

// unescape removes one layer of escapes.
func unescape(s []byte) (out []byte, found bool) {
	out = wire.AppendUnescaped(make([]byte, 0, len(s)), s)
	return out, len(out) < len(s)
}

// hasOverlong finds the two-byte forms of . / and \ that careless UTF-8 decoders accept (RFC 3629, section 10).
func hasOverlong(s []byte) bool {
	for _, form := range [...]string{"\xc0\xae", "\xc0\xaf", "\xc1\x9c"} {
		if bytes.Contains(s, []byte(form)) {
			return true
		}
	}
	return false
}

// DirectoryOf cuts path behind its last slash.
func DirectoryOf(path []byte) (dir, name []byte) {
	i := bytes.LastIndexByte(path, '/') + 1
	return path[:i], path[i:]
}

// DepthOf is the number of segments of a directory.
func DepthOf(dir []byte) int { return bytes.Count(dir, []byte{'/'}) - 1 }

// Ancestor returns the directory of depth segments that path lies in or below.
func Ancestor(path []byte, depth int) ([]byte, bool) {
	for i, c := range path {
		if c != '/' {
			continue
		}
		if depth == 0 {
			return path[:i+1], true
		}
		depth--
	}
	return nil, false
}

// Readings are the file names that servers could take a segment of a path for. A server may decode a layer of escapes. It may
// ignore what follows a ; or ? (path parameters) or a : (streams of files), and blanks and dots at the end.
func Readings(segment []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for range mostLayers + 1 { // a path with more layers is not plain
			for i := 0; i <= len(segment); i++ {
				if i < len(segment) && !strings.ContainsRune(";?#:", rune(segment[i])) {
					continue
				}
				if !yield(bytes.TrimRightFunc(segment[:i], func(r rune) bool { return r <= ' ' || r == '.' })) {
					return
				}
			}
			if bytes.IndexByte(segment, '%') < 0 {
				return
			}
			segment, _ = unescape(segment)
		}
	}
}

// Bare decodes all layers of escapes.
func Bare(path []byte) []byte {
	for found := true; found; {
		path, found = unescape(path)
	}
	return path
}

// NamesEnding reports whether a segment of path has the ending in any spelling that a server may take for it.
func NamesEnding(path []byte, ending string) bool {
	for segment := range bytes.SplitSeq(path, []byte{'/'}) {
		for name := range Readings(segment) {
			if n := len(name) - len(ending); n >= 0 && bytes.EqualFold(name[n:], []byte(ending)) {
				return true
			}
		}
	}
	return false
}
