// Package sloppy turns HTTP/1 answers that players accept into valid ones: a status line of a radio server, lines without a
// colon, control characters, a second status line. Well-formed answers stay as they are. Answers that could be read as two
// different bodies also stay as they are, and net/http refuses them, except one kind, which HasTwoEnds recognises.
package sloppy

import (
	"bytes"
	"encoding/binary"

	"github.com/hlsproxy/hlsproxy/internal/tchar"
)

// End is the length of the header at the beginning of an answer, including its blank line. It is 0 while the header is
// incomplete. Blank lines before the header, which some servers send after a body, belong to it.
func End(answer []byte) int {
	at := blankLines(answer)
	for {
		i := bytes.IndexByte(answer[at:], '\n')
		if i < 0 {
			return 0
		}
		line := answer[at : at+i]
		at += i + 1
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return at
		}
	}
}

func blankLines(answer []byte) (n int) {
	for n < len(answer) && (answer[n] == '\r' || answer[n] == '\n') {
		n++
	}
	return n
}

// Status is the status of a well-formed header, 0 for any other.
func Status(header []byte) int {
	if !isStatusLine(header) {
		return 0
	}
	d := header[9:12]
	return int(d[0]-'0')*100 + int(d[1]-'0')*10 + int(d[2]-'0')
}

// isStatusLine reports whether a line begins like an HTTP/1 status line.
func isStatusLine(line []byte) bool {
	const version = "HTTP/1."
	if len(line) < 13 || string(line[:len(version)]) != version || !isDigit(line[7]) || line[8] != ' ' {
		return false
	}
	end := line[12] == ' ' || line[12] == '\r' || line[12] == '\n'
	return isDigit(line[9]) && isDigit(line[10]) && isDigit(line[11]) && end
}

// WellFormed reports whether a header needs no change. It looks once at each byte.
func WellFormed(header []byte) bool {
	if !isStatusLine(header) {
		return false
	}
	line, rest := cutLine(header)
	if hasControl(line) {
		return false
	}
	length, coded := false, false
	for len(rest) > 0 {
		if line, rest = cutLine(rest); len(line) == 0 {
			break
		}
		colon := nameLength(line)
		if colon <= 0 || colon == len(line) || line[colon] != ':' || hasControl(line[colon:]) {
			return false
		}
		if name, value := line[:colon], line[colon+1:]; isFraming(name) {
			te := isName(name, transferEncoding)
			if te && !isChunked(value) || !te && !isNumber(value) {
				return false
			}
			coded, length = coded || te, length || !te
		}
	}
	return !length || !coded
}

// HasTwoEnds reports whether a tidy header has both fields that say where a body ends. A server on the way may use the other
// one: RFC 9112 section 6.3 treats it as an error, while net/http goes by the chunks.
func HasTwoEnds(header []byte) bool {
	length, coded := false, false
	_, rest := cutLine(header)
	for len(rest) > 0 {
		var line []byte
		line, rest = cutLine(rest)
		name, _, _ := bytes.Cut(line, []byte{':'})
		length = length || isName(name, contentLength)
		coded = coded || isName(name, transferEncoding)
	}
	return length && coded
}

func cutLine(text []byte) (line, rest []byte) {
	i := bytes.IndexByte(text, '\n')
	if i < 0 {
		return text, nil
	}
	return bytes.TrimSuffix(text[:i], []byte{'\r'}), text[i+1:]
}

// nameLength is how many bytes at the beginning of a line are valid in a name (RFC 9110 section 5.6.2).
func nameLength(line []byte) int {
	for i, c := range line {
		if !tchar.Is(c) {
			return i
		}
	}
	return len(line)
}

// hasControl reports whether a value or a reason contains forbidden bytes (RFC 9110 section 5.5).
func hasControl(text []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for len(text) >= 8 {
		w := binary.LittleEndian.Uint64(text)
		del := w ^ 0x7f*ones
		// The top bit marks a byte that is a control character. Bytes after the first one may be marked wrongly.
		if ((w-' '*ones)&^w|(del-ones)&^del)&tops != 0 && isOdd(text[:8]) {
			return true
		}
		text = text[8:]
	}
	return isOdd(text)
}

func isOdd(text []byte) bool {
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

const (
	contentLength    = "content-length"
	transferEncoding = "transfer-encoding"
)

func isName(name []byte, lower string) bool {
	return len(name) == len(lower) && bytes.EqualFold(name, []byte(lower))
}

// isFraming reports whether a name is one of the two fields that say where a body ends.
func isFraming(name []byte) bool {
	return isName(name, contentLength) || isName(name, transferEncoding)
}

func isChunked(value []byte) bool {
	return bytes.EqualFold(bytes.Trim(value, " \t"), []byte("chunked"))
}

// isNumber reports whether a value is a valid length.
func isNumber(value []byte) bool {
	value = bytes.Trim(value, " \t")
	n := digits(value)
	return n > 0 && n == len(value)
}

// digits is how many digits a value begins with. It is 0 if the number is too large for a length.
func digits(value []byte) (n int) {
	const most = 18
	zeros := 0
	for n < len(value) && isDigit(value[n]) {
		if n == zeros && value[n] == '0' {
			zeros++
		}
		n++
	}
	if n-zeros > most {
		return 0
	}
	return n
}

func isDigit(c byte) bool { return c-'0' <= 9 }
