package rewrite

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hlsproxy/hlsproxy/internal/coding"
)

// failure is why a document could not be read. An error of the network stays what it is, so that a time-out can be told.
func (s *source) failure(err error) error {
	if s.err != nil && s.err != io.EOF {
		return fmt.Errorf("rewrite: reading the response: %w", s.err)
	}
	return badGateway("reading the response", err)
}

// readLimited reads a body of at most limit bytes. length is how many it announces; -1: none. What came before an error comes
// with it.
func readLimited(r io.Reader, limit, length int64) ([]byte, error) {
	const most = 256 << 20 // what is longer comes in pieces: an int of 32 bits holds four times this
	text, err := gather(io.LimitReader(r, limit+1), min(length, limit, most))
	if err == nil && int64(len(text)) > limit {
		err = ErrTooLarge
	}
	return text, err
}

// gather is io.ReadAll without the garbage: it takes the bytes in pieces, the first as long as they are expected to be. A live
// playlist is short, and is read for each viewer. An origin may declare any length and send nothing, so what is expected gets
// at most atOnce bytes of memory, and later four times what has come.
func gather(r io.Reader, expected int64) ([]byte, error) {
	const least, unknown, last, atOnce = 512, 16 << 10, 1 << 20, 128 << 10
	size := unknown
	if expected >= 0 {
		size = max(min(int(expected)+1, atOnce), least)
	}
	text, err := readFull(r, make([]byte, size))
	for err == nil && int64(len(text)) <= expected {
		longer := make([]byte, min(int(expected)+1, 4*len(text)))
		have := copy(longer, text)
		var more []byte
		more, err = readFull(r, longer[have:])
		text = longer[:have+len(more)]
	}
	pieces := [][]byte{text}
	for err == nil {
		size = min(2*size, last)
		var piece []byte
		piece, err = readFull(r, make([]byte, size))
		pieces = append(pieces, piece)
	}
	if err == io.EOF {
		err = nil
	}
	if len(pieces) == 1 {
		return text, err
	}
	return slices.Concat(pieces...), err
}

// readFull is io.ReadFull with the reader's own error.
func readFull(r io.Reader, p []byte) ([]byte, error) {
	n := 0
	for n < len(p) {
		m, err := r.Read(p[n:])
		n += m
		if err != nil {
			return p[:n], err
		}
	}
	return p, nil
}

// decoder takes the codings off body. A coding is left out if the first bytes show that the body does not have it. So is one
// that cannot be decoded, if they show a text. It waits for two bytes.
func decoder(codings []string, body io.Reader) (io.Reader, error) {
	left := coding.Most
	for _, name := range slices.Backward(codings) {
		r := bufio.NewReader(body)
		head, err := r.Peek(2)
		if err != nil && err != io.EOF {
			return nil, err
		}
		body = r
		switch {
		case name == "gzip":
			if err = nil; string(head) == gzipMagic {
				left--
				body, err = gzip.NewReader(r)
			}
		case name == "deflate" && !startsText(head):
			left--
			body, err = inflate(r, head)
		case name != "deflate" && !startsText(head):
			err = fmt.Errorf("content encoding %q is not known", name)
		default:
			err = nil
		}
		if err == nil && left < 0 {
			err = errors.New("too many content codings")
		}
		if err != nil {
			return nil, err
		}
	}
	return body, nil
}

const gzipMagic = "\x1f\x8b"

// startsText tells whether a document, or a byte order mark, begins with these two bytes. Compressed bytes hardly do.
func startsText(head []byte) bool {
	if len(head) < 2 {
		return len(head) == 0 || isPrintable(head) && head[0] < 0x80
	}
	return string(head) == bom[:2] || isPrintable(head) && head[0] < 0x80 && head[1] < 0x80 && !isZlib(head)
}

// inflate decodes deflate, which RFC 9110 section 8.4.1.2 defines with a zlib header and some servers send without.
func inflate(r io.Reader, head []byte) (io.Reader, error) {
	if isZlib(head) {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}

func isZlib(head []byte) bool {
	const deflated = 8
	return len(head) == 2 && head[0]&0x0f == deflated && head[0]>>4 < 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0
}

// bodyOf is a whole body in memory.
type bodyOf struct{ rest []byte }

func (b *bodyOf) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// WriteTo writes the rest in one Write.
func (b *bodyOf) WriteTo(w io.Writer) (int64, error) {
	if len(b.rest) == 0 {
		return 0, nil
	}
	n, err := w.Write(b.rest)
	b.rest = b.rest[n:]
	return int64(n), err
}

func (*bodyOf) Close() error { return nil }
