package rewrite

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const defaultMaxSize = 8 << 20

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

// limit is the most bytes that a document may have.
func (d *document) limit() int64 {
	if d.rw.MaxSize > 0 {
		return d.rw.MaxSize
	}
	return defaultMaxSize
}

// read reads the body, decoded, and closes it. An error of the network stays what it is, so that a time-out can be told.
func (d *document) read() ([]byte, error) {
	defer d.resp.Body.Close()
	limit := d.limit()
	body := &remembering{Reader: d.resp.Body}
	plain, err := decoder(encoding(d.resp), body)
	if err == nil && d.resp.ContentLength > limit {
		err = badGateway("response is too large", errTooLarge)
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

func readLimited(r io.Reader, limit, length int64) ([]byte, error) {
	var buf bytes.Buffer
	if length > 0 && length <= limit {
		buf.Grow(int(length) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, errTooLarge
	}
	return buf.Bytes(), nil
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
