package sign

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// The first byte of a token is the version of the format and what the token carries.
const (
	version      = 0x10
	hasDirectory = 1
	hasNotBefore = 2
	hasUntil     = 4
	hasSession   = 8
	knownFlags   = hasDirectory | hasNotBefore | hasUntil | hasSession
)

const (
	timeSize     = 5
	longestTime  = 1<<(8*timeSize) - 1
	longestToken = 1024
	longestDepth = 255
)

// header is the part of a token that its MAC covers.
type header struct {
	key       string
	grant     Grant // without its claims, which a token does not carry
	directory bool
	depth     int // the number of segments of the directory
}

// append writes h. There is one spelling for each value.
func (h *header) append(dst []byte) []byte {
	flags := byte(version)
	if h.directory {
		flags |= hasDirectory
	}
	if !h.grant.NotBefore.IsZero() {
		flags |= hasNotBefore
	}
	if !h.grant.Until.IsZero() {
		flags |= hasUntil
	}
	if h.grant.Session != "" {
		flags |= hasSession
	}
	dst = append(dst, flags)
	if h.directory {
		dst = append(dst, byte(h.depth))
	}
	dst = appendTime(dst, h.grant.Expires)
	if flags&hasNotBefore != 0 {
		dst = appendTime(dst, h.grant.NotBefore)
	}
	if flags&hasUntil != 0 {
		dst = appendTime(dst, h.grant.Until)
	}
	if flags&hasSession != 0 {
		dst = append(append(dst, byte(len(h.grant.Session))), h.grant.Session...)
	}
	return append(append(dst, byte(len(h.key))), h.key...)
}

func appendTime(dst []byte, t time.Time) []byte {
	u := uint64(t.Unix())
	return append(dst, byte(u>>32), byte(u>>24), byte(u>>16), byte(u>>8), byte(u))
}

// reader decodes a token. After a mistake it returns zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.bad, r.rest = true, nil
		return make([]byte, n)
	}
	p := r.rest[:n]
	r.rest = r.rest[n:]
	return p
}

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) time() time.Time {
	p := r.take(timeSize)
	return time.Unix(int64(p[0])<<32|int64(binary.BigEndian.Uint32(p[1:])), 0)
}

func (r *reader) string() string { return string(r.take(int(r.byte()))) }

// parseToken returns the header of a token, the bytes of that header, and the MAC. It refuses a token in any spelling but that
// of append.
func parseToken(text string) (h header, head, mac []byte, ok bool) {
	if len(text) > longestToken {
		return h, nil, nil, false
	}
	raw, err := base64url.DecodeString(text)
	// The decoder skips line ends, so a text with line ends is too long.
	if err != nil || base64url.EncodedLen(len(raw)) != len(text) || len(raw) < macSize {
		return h, nil, nil, false
	}
	head, mac = raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	r := reader{rest: head}
	flags := r.byte()
	if flags&^knownFlags != version {
		return h, nil, nil, false
	}
	if flags&hasDirectory != 0 {
		h.directory, h.depth = true, int(r.byte())
	}
	h.grant.Expires = r.time()
	if flags&hasNotBefore != 0 {
		h.grant.NotBefore = r.time()
	}
	if flags&hasUntil != 0 {
		h.grant.Until = r.time()
	}
	if flags&hasSession != 0 {
		h.grant.Session = r.string()
		r.bad = r.bad || h.grant.Session == ""
	}
	h.key = r.string()
	return h, head, mac, !r.bad && len(r.rest) == 0
}

// fits reports whether g fits into a token.
func (g *Grant) fits() bool {
	for _, t := range []time.Time{g.Expires, g.NotBefore, g.Until} {
		if !t.IsZero() && (t.Unix() < 0 || t.Unix() > longestTime) {
			return false
		}
	}
	return !g.Expires.IsZero() && len(g.Session) <= 255 && (g.Directory == "" || strings.HasSuffix(g.Directory, "/") && link.Plain([]byte(g.Directory)))
}

// appendPrefix appends what the MAC of a token covers besides the URL.
func appendPrefix(dst, head []byte, claims string) []byte {
	dst = append(append(dst, head...), 'R') // for reading
	return append(appendLen(dst, len(claims)), claims...)
}

// appendDirectory adds the path of a directory to a message. The query is free.
func appendDirectory(dst, dir []byte) []byte {
	return append(append(appendLen(dst, len(dir)), dir...), 0)
}

// queryRoom is for parameters on the stack. If there are more, they are moved to the heap.
const queryRoom = 256

// appendExact adds a path, and the parameters of a query that the signature covers.
func appendExact(dst, path, query []byte, hasQuery bool, c *Config) []byte {
	var room [queryRoom]byte
	counted := room[:0]
	if hasQuery {
		counted = link.AppendQuery(counted, query, c.Param, c.Ignore)
	}
	dst = append(appendLen(dst, len(path)), path...)
	return append(appendLen(dst, len(counted)), counted...)
}

// appendWhole is appendExact for what link.SplitPlainly has split. query begins with its question mark.
func appendWhole(dst, path, query []byte) []byte {
	dst = append(appendLen(dst, len(path)), path...)
	if len(query) == 0 {
		return append(dst, 0)
	}
	return append(append(appendLen(dst, len(query)), '&'), query[1:]...)
}

func appendLen(dst []byte, n int) []byte {
	if n < 0x80 {
		return append(dst, byte(n))
	}
	return binary.AppendUvarint(dst, uint64(n))
}
