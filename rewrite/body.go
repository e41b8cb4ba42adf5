package rewrite

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

const (
	maxDeclared   = 8 << 20
	maxUndeclared = 4 << 20
)

// encoding is the Content-Encoding of a response: "" for none.
func encoding(resp *http.Response) string {
	e := strings.ToLower(strings.TrimSpace(strings.Join(resp.Header.Values("Content-Encoding"), ",")))
	switch e {
	case "identity":
		return ""
	case "x-gzip":
		return "gzip"
	}
	return e
}

// limit is the most bytes that a document may have. One that does not say how many they are may have no end.
func (d *document) limit() int64 {
	switch {
	case d.rw.MaxSize > 0:
		return d.rw.MaxSize
	case d.resp.ContentLength < 0 || encoding(d.resp) != "":
		return maxUndeclared
	}
	return maxDeclared
}

// read reads the body, decoded, and closes it. An error of the network stays what it is, so that a time-out can be told.
func (d *document) read() ([]byte, error) {
	defer d.resp.Body.Close()
	limit := d.limit()
	body := &remembering{Reader: d.resp.Body}
	plain, err := decoder(encoding(d.resp), body)
	if err == nil && d.resp.ContentLength > limit {
		err = badGateway("response is too large", ErrTooLarge)
	}
	var text []byte
	if err == nil {
		text, err = readLimited(plain, limit, d.resp.ContentLength)
	}
	switch {
	case err == nil:
		return text, nil
	case body.err != nil:
		return nil, fmt.Errorf("rewrite: reading the response: %w", body.err)
	}
	return nil, badGateway("reading the response", err)
}

// remembering keeps the error that reading ended in, to tell it from one of the decoder.
type remembering struct {
	io.Reader
	err error
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// readLimited reads a body of at most limit bytes. length is how many it says it has, -1: it does not. What came before an
// error comes with it.
func readLimited(r io.Reader, limit, length int64) ([]byte, error) {
	text, err := gather(io.LimitReader(r, limit+1), min(length, limit))
	if err == nil && int64(len(text)) > limit {
		err = ErrTooLarge
	}
	return text, err
}

// gather is io.ReadAll without the garbage: it takes the bytes in pieces, the first as long as they are expected to be.
func gather(r io.Reader, expected int64) ([]byte, error) {
	const first, last = 16 << 10, 1 << 20
	var pieces [][]byte
	for size := max(int(expected)+1, first); ; size = min(2*size, last) {
		piece, err := readFull(r, make([]byte, size))
		pieces = append(pieces, piece)
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			if len(pieces) == 1 {
				return piece, err
			}
			return slices.Concat(pieces...), err
		}
	}
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

func decoder(encoding string, body io.Reader) (io.Reader, error) {
	switch encoding {
	case "":
		return body, nil
	case "gzip":
		return gzip.NewReader(body)
	case "deflate":
		return inflate(body)
	}
	return nil, fmt.Errorf("content encoding %q is not known", encoding)
}

// inflate decodes deflate, which RFC 9110 section 8.4.1.2 defines with a zlib header and some servers send without.
func inflate(body io.Reader) (io.Reader, error) {
	r := bufio.NewReader(body)
	head, err := r.Peek(2)
	if err != nil {
		return nil, err
	}
	const deflated = 8
	if head[0]&0x0f == deflated && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}
