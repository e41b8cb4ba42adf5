// Package wire says how URLs are sent: which bytes a browser escapes before it sends them, and which paths some server, browser
// or file system reads as leading out of their directory.
package wire

const (
	inPath  = 1 << iota // escaped in a path
	inQuery             // escaped in a query
)

// escaped marks the bytes that the URL standard of browsers escapes in the path and the query of an http URL, and the bytes
// that net/url cannot send in a path unchanged.
var escaped = func() (t [256]uint8) {
	for c := range t {
		if c <= ' ' || c >= 0x7f {
			t[c] = inPath | inQuery
		}
	}
	for _, c := range []byte(`"<>`) {
		t[c] = inPath | inQuery
	}
	for _, c := range []byte("\\^`{|}") {
		t[c] = inPath
	}
	t['\''] = inQuery
	return t
}()

// UpperHex are the hexadecimal digits that escapes are written in.
const UpperHex = "0123456789ABCDEF"

// AppendPath appends a path as it is sent. Escapes stay as they are; a percent sign that begins none is escaped.
func AppendPath(dst, path []byte) []byte {
	for i, c := range path {
		if escaped[c]&inPath != 0 || c == '%' && !IsEscape(path[i:]) {
			dst = append(dst, '%', UpperHex[c>>4], UpperHex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendQuery appends a query as it is sent. Percent signs stay as they are, also those that begin no escape.
func AppendQuery(dst, query []byte) []byte {
	for _, c := range query {
		if escaped[c]&inQuery != 0 {
			dst = append(dst, '%', UpperHex[c>>4], UpperHex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendTail appends the part of a URL after the authority (path, query, fragment) as it is sent. A fragment is treated like a
// query; it is not sent.
func AppendTail(dst, tail []byte) []byte {
	for i, c := range tail {
		if c == '?' || c == '#' {
			return AppendQuery(AppendPath(dst, tail[:i]), tail[i:])
		}
	}
	return AppendPath(dst, tail)
}

// IsPlain reports whether AppendTail would change nothing. It may return false although nothing would change.
func IsPlain[T string | []byte](tail T) bool {
	for i := range len(tail) {
		if c := tail[i]; escaped[c] != 0 || c == '%' && !IsEscape(tail[i:]) {
			return false
		}
	}
	return true
}

// IsEscape reports whether s, which begins with a percent sign, begins with a percent-encoded byte (RFC 3986 section 2.1).
func IsEscape[T string | []byte](s T) bool {
	return len(s) > 2 && Unhex(s[1]) < 16 && Unhex(s[2]) < 16
}

// AppendUnescaped appends s without one layer of escapes. A percent sign that begins none stays. dst may be s[:0].
func AppendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && IsEscape(s[i:]) {
			c = Unhex(s[i+1])<<4 | Unhex(s[i+2])
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}

// Unhex is the value of a hexadecimal digit. It is above 15 for any other byte.
func Unhex(c byte) byte { return digits[c] }

var digits = func() (table [256]byte) {
	for c := range table {
		table[c] = 0xff
	}
	for i := range byte(16) {
		table["0123456789abcdef"[i]], table["0123456789ABCDEF"[i]] = i, i
	}
	return table
}()
