package sloppy

import "bytes"

// AppendTidy appends to dst the header of an answer, as End delimits it, in a form that net/http accepts, if there is one.
//
//   - "ICY 200 OK" becomes an answer of HTTP/1.0. Any other version that is not HTTP/1 becomes HTTP/1.1.
//   - A line without a colon or with an invalid name is left out, together with lines that continue it. A second status
//     line is such a line.
//   - Blanks before a colon are removed (RFC 9112 section 5.1), and control characters become blanks (RFC 9110 section 5.5).
//   - An invalid Transfer-Encoding ("identity", "none", "binary") is removed, and a Content-Length that repeats one number has
//     it once. If it is the only field that frames the body, "+3", "3;" and "3.0" become 3, and any other value is removed: the
//     body then ends with the connection.
//
// A line that only looks like one of the two fields that frame a body stays: to remove it would be a guess.
func AppendTidy(dst, header []byte) []byte {
	line, rest := cutLine(header[blankLines(header):])
	alone := framed(rest) == 1
	dst = append(appendStatusLine(dst, line), "\r\n"...)
	kept := false // whether the last line was kept; lines that continue it follow it
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
			dst = appendClean(dst, line) // it is the rest of a value
		} else {
			dst = appendField(dst, line, alone)
		}
		if kept = len(dst) > before; kept {
			dst = append(dst, "\r\n"...)
		}
	}
	return append(dst, "\r\n"...)
}

// appendStatusLine accepts any line that names a protocol and a status.
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
		return append(dst, line...) // a status has three digits
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

// framed counts the lines that frame the body or look like it, and those that continue them.
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

// frames reports whether a line may say where the body ends.
func frames(line []byte) bool {
	name := nameOf(line)
	_, value, _ := bytes.Cut(line, []byte{':'})
	return looksLikeFraming(name) && !(isName(name, transferEncoding) && len(codings(value)) == 0)
}

func nameOf(line []byte) []byte {
	name, _, _ := bytes.Cut(line, []byte{':'})
	return bytes.TrimRight(name, " \t")
}

// appendField appends a field, and leaves out an invalid one. alone: at most one line frames the body.
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

// length is the number at the beginning of a value, if nothing that belongs to a number follows it. Nil: there is none.
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

// looksLikeFraming compares only letters and hyphens.
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

// codings removes invalid codings from a Transfer-Encoding. Anything that may be a misspelt "chunked" stays.
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

// once turns a list of the same number into that number (RFC 9110 section 8.6). Any other value stays.
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

// appendClean replaces control characters by blanks.
func appendClean(dst, text []byte) []byte {
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}
