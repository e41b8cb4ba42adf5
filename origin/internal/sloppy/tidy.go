package sloppy

import "bytes"

// AppendTidy appends to dst the header of an answer, as End has cut it off, in a form that net/http takes if there is one.
//
//   - "ICY 200 OK" is an answer of HTTP/1.0, and a version that is none of HTTP/1 one of HTTP/1.1.
//   - A line without a colon, or with a name that is none, is left out, together with lines that continue it. A second status
//     line is such a line.
//   - Blanks before a colon go, as RFC 9112 section 5.1 wants it, and control characters become blanks (RFC 9110 section 5.5).
//   - A Transfer-Encoding that is none ("identity", "none", "binary") goes, and a Content-Length that says the same twice says
//     it once. If that is the only field that frames the body, "+3", "3;" and "3.0" are 3, and what is no number is no length:
//     the body then ends with the connection.
//
// A line that only looks like one of the two fields that frame a body stays: to leave it out would be a guess.
func AppendTidy(dst, header []byte) []byte {
	line, rest := cutLine(header[blankLines(header):])
	alone := framed(rest) == 1
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
		if len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') && looksLikeFraming(nameOf(line)) {
			dst = appendClean(dst, line) // it is half of a value
		} else {
			dst = appendField(dst, line, alone)
		}
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

// framed counts the lines that frame the body, or look like it, and those that continue them.
func framed(rest []byte) (n int) {
	before := false
	for len(rest) > 0 {
		var line []byte
		line, rest = cutLine(rest)
		if len(line) == 0 || line[0] != ' ' && line[0] != '\t' {
			before = frames(line)
		}
		if before {
			n++
		}
	}
	return n
}

// frames reports a line that may say where the body ends.
func frames(line []byte) bool {
	name := nameOf(line)
	_, value, _ := bytes.Cut(line, []byte{':'})
	return looksLikeFraming(name) && !(isName(name, transferEncoding) && len(codings(value)) == 0)
}

func nameOf(line []byte) []byte {
	name, _, _ := bytes.Cut(line, []byte{':'})
	return bytes.TrimRight(name, " \t")
}

// appendField leaves out what is no field. alone says that no more than one line frames the body.
func appendField(dst, line []byte, alone bool) []byte {
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
		if value = codings(value); len(value) == 0 {
			return dst
		}
	case isName(name, contentLength):
		if value = once(value); alone && bytes.IndexByte(value, ',') < 0 {
			if value = length(value); len(value) == 0 {
				return dst
			}
		}
	}
	return appendClean(append(append(dst, name...), ": "...), bytes.Trim(value, " \t"))
}

// length is the number that a value begins with, if no more than an end follows it that is none of a number; nil: it has none.
func length(value []byte) []byte {
	value = bytes.TrimPrefix(bytes.Trim(value, " \t"), []byte{'+'})
	n := digits(value)
	number, end := value[:n], value[n:]
	if rest, ok := bytes.CutPrefix(end, []byte{'.'}); ok {
		end = bytes.TrimLeft(rest, "0")
	}
	if n == 0 || len(end) > 0 && end[0] != ';' && end[0] != ' ' && end[0] != '\t' {
		return nil
	}
	return number
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

// codings takes out of a Transfer-Encoding what is no coding. What may be a misspelt "chunked" stays.
func codings(value []byte) []byte {
	var kept [][]byte
	for member := range bytes.SplitSeq(value, []byte{','}) {
		if member = bytes.Trim(member, " \t"); !isNone(member) {
			kept = append(kept, member)
		}
	}
	return bytes.Join(kept, []byte(", "))
}

func isNone(member []byte) bool {
	for _, none := range [...]string{"", "identity", "none", "binary", "7bit", "8bit", "utf-8"} {
		if bytes.EqualFold(member, []byte(none)) {
			return true
		}
	}
	return false
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
