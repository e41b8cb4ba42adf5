package sloppy

import "bytes"

// AppendTidy appends to dst the header of an answer, as End has cut it off, in a form that net/http takes if there is one.
//
//   - "ICY 200 OK" is an answer of HTTP/1.0, and a version that is none of HTTP/1 one of HTTP/1.1.
//   - A line without a colon, or with a name that is none, is left out, together with lines that continue it. A second status
//     line is such a line.
//   - Blanks before a colon go, as RFC 9112 section 5.1 wants it, and control characters become blanks (RFC 9110 section 5.5).
//   - "identity" is no Transfer-Encoding, and a Content-Length that says the same twice says it once.
//
// A line that only looks like one of the two fields that frame a body stays: to leave it out would be a guess.
func AppendTidy(dst, header []byte) []byte {
	line, rest := cutLine(header[blankLines(header):])
	dst = append(appendStatusLine(dst, line), "\r\n"...)
	kept := false // the last line; what continues it is kept, too
	for len(rest) > 0 {
		if line, rest = cutLine(rest); len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if kept {
				dst = append(appendClean(dst, line), "\r\n"...)
			}
			continue
		}
		before := len(dst)
		dst = appendField(dst, line)
		if kept = len(dst) > before; kept {
			dst = append(dst, "\r\n"...)
		}
	}
	return append(dst, "\r\n"...)
}

// appendStatusLine takes whatever names a protocol and a status.
func appendStatusLine(dst, line []byte) []byte {
	if isStatusLine(append(line[:len(line):len(line)], '\n')) {
		return appendClean(dst, line)
	}
	protocol, status, _ := bytes.Cut(line, []byte{' '})
	status = bytes.TrimLeft(status, " ")
	icy := bytes.EqualFold(protocol, []byte("ICY"))
	http := len(protocol) >= 4 && bytes.EqualFold(protocol[:4], []byte("HTTP"))
	if !icy && !http || len(status) < 3 || !isDigit(status[0]) || !isDigit(status[1]) || !isDigit(status[2]) {
		return append(dst, line...)
	}
	reason := status[3:]
	if len(reason) > 0 && isDigit(reason[0]) {
		return append(dst, line...) // no status has four digits
	}
	switch {
	case icy, bytes.HasSuffix(protocol, []byte("/1.0")), len(protocol) == 4:
		dst = append(dst, "HTTP/1.0 "...)
	default:
		dst = append(dst, "HTTP/1.1 "...)
	}
	dst = append(append(dst, status[:3]...), ' ')
	return appendClean(dst, bytes.TrimLeft(reason, " "))
}

// appendField leaves out what is no field.
func appendField(dst, line []byte) []byte {
	name, value, found := bytes.Cut(line, []byte{':'})
	if !found {
		return dst
	}
	name = bytes.TrimRight(name, " \t")
	if len(name) == 0 || nameLength(name) < len(name) {
		if looksLikeFraming(name) {
			return append(dst, line...)
		}
		return dst
	}
	switch {
	case isName(name, transferEncoding):
		if value = withoutIdentity(value); len(value) == 0 {
			return dst
		}
	case isName(name, contentLength):
		value = once(value)
	}
	return appendClean(append(append(dst, name...), ": "...), bytes.Trim(value, " \t"))
}

// looksLikeFraming compares letters and hyphens only.
func looksLikeFraming(name []byte) bool {
	letters := make([]byte, 0, len(transferEncoding))
	for _, c := range name {
		if c == '-' || c == '_' || c|0x20-'a' < 26 {
			if c == '_' {
				c = '-'
			}
			if letters = append(letters, c); len(letters) > len(transferEncoding) {
				return false
			}
		}
	}
	return isFraming(letters)
}

func withoutIdentity(value []byte) []byte {
	var kept [][]byte
	for member := range bytes.SplitSeq(value, []byte{','}) {
		if member = bytes.Trim(member, " \t"); len(member) > 0 && !bytes.EqualFold(member, []byte("identity")) {
			kept = append(kept, member)
		}
	}
	return bytes.Join(kept, []byte(", "))
}

// once makes one number of a list of the same number (RFC 9110 section 8.6). Any other value stays.
func once(value []byte) []byte {
	first, _, more := bytes.Cut(value, []byte{','})
	first = bytes.Trim(first, " \t")
	if !more || len(first) == 0 {
		return value
	}
	for member := range bytes.SplitSeq(value, []byte{','}) {
		if !bytes.Equal(bytes.Trim(member, " \t"), first) {
			return value
		}
	}
	return first
}

// appendClean puts blanks in the place of control characters.
func appendClean(dst, text []byte) []byte {
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}
