package rewrite

import (
	"fmt"
	"io"
	"slices"
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
