package sign

import (
	"bytes"
	"iter"
	"strings"
)

// plain reports whether a path means the same to every reader, so that "below this directory" means something: it has no
// empty segment but a last one, no dot segment and no slash, backslash or NUL in disguise, however often escaped.
func plain(path []byte) bool {
	if len(path) == 0 || path[0] != '/' {
		return false
	}
	for rest := path[1:]; ; {
		segment, after, more := bytes.Cut(rest, []byte{'/'})
		if len(segment) == 0 && more || !plainSegment(segment) {
			return false
		}
		if !more {
			return true
		}
		rest = after
	}
}

func plainSegment(s []byte) bool {
	if isDots(s) || bytes.IndexByte(s, '\\') >= 0 {
		return false
	}
	if bytes.IndexByte(s, '%') < 0 {
		return true
	}
	layer := s
	for range mostLayers {
		next, found := unescapeOnce(layer)
		if !found {
			return true
		}
		if isDots(next) || bytes.ContainsAny(next, "/\\\x00") || hasOverlong(next) {
			return false
		}
		layer = next
	}
	return false
}

// mostLayers of escaping are looked through; each proxy in a row adds one. More serve only to keep a server busy.
const mostLayers = 8

// isDots reports whether s is a dot segment, also one with path parameters, which some servers cut off first.
func isDots(s []byte) bool {
	s, _, _ = bytes.Cut(s, []byte{';'})
	return string(s) == "." || string(s) == ".."
}

// unescapeOnce takes one layer of percent-encoding off; what is not an escape stays.
func unescapeOnce(s []byte) (out []byte, found bool) {
	out = make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
			out = append(out, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			found = true
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return out, found
}

// hasOverlong finds the two-byte forms of . / and \ that careless UTF-8 decoders take (RFC 3629, section 10).
func hasOverlong(s []byte) bool {
	for _, form := range [...]string{"\xc0\xae", "\xc0\xaf", "\xc1\x9c"} {
		if bytes.Contains(s, []byte(form)) {
			return true
		}
	}
	return false
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// directoryOf cuts path behind its last slash.
func directoryOf(path []byte) (dir, name []byte) {
	i := bytes.LastIndexByte(path, '/') + 1
	return path[:i], path[i:]
}

// depthOf is the number of segments of a directory.
func depthOf(dir []byte) int { return bytes.Count(dir, []byte{'/'}) - 1 }

// ancestor returns the directory of depth segments that path lies in or below.
func ancestor(path []byte, depth int) ([]byte, bool) {
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

// isRenewed reports whether path is that of a resource which a player fetches again and again by the same URL: a playlist,
// or a steering manifest.
func isRenewed(path []byte) bool {
	for _, ext := range [...]string{".m3u8", ".m3u", ".json"} {
		if len(path) > len(ext) && bytes.EqualFold(path[len(path)-len(ext):], []byte(ext)) {
			return true
		}
	}
	return false
}

// isAlone reports whether a segment of path has an ending that Config.Alone names in any spelling that a server may take for
// it: escaped however often, in capitals, with path parameters, or with more path behind it (as CGI has it).
func (s *Signer) isAlone(path []byte) bool {
	for _, ending := range s.config.Alone {
		if endsAny(path, []byte(ending)) {
			return true
		}
	}
	return false
}

func endsAny(path, ending []byte) bool {
	for segment := range bytes.SplitSeq(path, []byte{'/'}) {
		for name := range readings(segment) {
			if n := len(name) - len(ending); n >= 0 && bytes.EqualFold(name[n:], ending) {
				return true
			}
		}
	}
	return false
}

// readings are the file names that servers could take a segment of a path for: each may take a layer of escapes off, what
// follows a ; or ? off (path parameters), or a : (streams of files), and blanks and dots at the end.
func readings(segment []byte) iter.Seq[[]byte] {
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
			segment, _ = unescapeOnce(segment)
		}
	}
}

// bare takes all layers of escapes off.
func bare(path []byte) []byte {
	for found := true; found; {
		path, found = unescapeOnce(path)
	}
	return path
}
