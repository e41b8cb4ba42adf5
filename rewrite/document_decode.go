package rewrite

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hlsproxy/hlsproxy/internal/coding"
)

// decoder takes the codings off body. A coding is left out if the first bytes show that the body does not have it. So is one
// that cannot be decoded, if they show a text. It waits for two bytes, and for a few more where these may be a text.
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
		case name == "gzip", name == "deflate" && string(head) == gzipMagic:
			if err = nil; string(head) == gzipMagic {
				left--
				body, err = gunzip(r)
			}
		case name == "deflate" && !startsText(r, head):
			left--
			body, err = inflate(r, head)
		case name != "deflate" && !startsText(r, head):
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

// startsText tells whether a document, or a byte order mark, begins with head, the first bytes of r. Compressed bytes may be
// printable for once, but not for long.
func startsText(r *bufio.Reader, head []byte) bool {
	const enough = 64
	if len(head) < 2 {
		return len(head) == 0 || isPrintable(head) && head[0] < 0x80
	}
	if string(head) != bom[:2] && (!isPrintable(head) || head[0] >= 0x80 || head[1] >= 0x80 || isZlib(head)) {
		return false
	}
	first, _ := r.Peek(enough)
	return isPrintable(first) && (head[0] == '#' || utf8.Valid(first[:len(first)-cutRune(first)]))
}

// cutRune is how many bytes at the end of text begin a rune that text cuts off.
func cutRune(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

// inflate decodes deflate, which RFC 9110 section 8.4.1.2 defines with a zlib header and some servers send without. As players
// do, it reads no checksum.
func inflate(r *bufio.Reader, head []byte) (io.Reader, error) {
	if isZlib(head) {
		if head[1]&0x20 != 0 {
			return nil, zlib.ErrDictionary
		}
		_, _ = r.Discard(len(head))
	}
	return flate.NewReader(r), nil
}

func isZlib(head []byte) bool {
	const deflated = 8
	return len(head) == 2 && head[0]&0x0f == deflated && head[0]>>4 < 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0
}

// gunzipped decodes gzip (RFC 1952) as players do: a text is whole when its last block is. What should follow, its checksum and
// its length, may be wrong or missing, and anything else may follow.
type gunzipped struct {
	r     *bufio.Reader
	plain io.ReadCloser
	err   error // that ended it
}

func gunzip(r *bufio.Reader) (io.Reader, error) {
	if err := skipGzipHeader(r); err != nil {
		return nil, err
	}
	return &gunzipped{r: r, plain: flate.NewReader(r)}, nil
}

func (g *gunzipped) Read(p []byte) (n int, err error) {
	for g.err == nil {
		if n, err = g.plain.Read(p); err == io.EOF {
			err = g.next()
		}
		if g.err = err; n > 0 {
			return n, nil
		}
	}
	return 0, g.err
}

// next goes to the next member. io.EOF: there is none.
func (g *gunzipped) next() error {
	const footer = 8
	if _, err := g.r.Discard(footer); err != nil {
		return err
	}
	if next, err := g.r.Peek(len(gzipMagic)); string(next) != gzipMagic {
		return orEOF(err)
	}
	if err := skipGzipHeader(g.r); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // there was to be more
		}
		return err
	}
	return g.plain.(flate.Resetter).Reset(g.r, nil) // there may be many members, and a reader takes 50 KB
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// skipGzipHeader reads the header of a member.
func skipGzipHeader(r *bufio.Reader) error {
	const (
		fixed, method, deflate, flags = 10, 2, 8, 3

		hasCRC, hasExtra, hasName, hasComment = 1 << 1, 1 << 2, 1 << 3, 1 << 4
	)
	var head [fixed]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if string(head[:2]) != gzipMagic || head[method] != deflate {
		return gzip.ErrHeader
	}
	if head[flags]&hasExtra != 0 {
		var length [2]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return err
		}
		if _, err := r.Discard(int(binary.LittleEndian.Uint16(length[:]))); err != nil {
			return err
		}
	}
	for _, text := range [...]byte{hasName, hasComment} {
		if head[flags]&text != 0 {
			if _, err := r.ReadSlice(0); err != nil {
				return err
			}
		}
	}
	if head[flags]&hasCRC != 0 {
		_, err := r.Discard(2)
		return err
	}
	return nil
}

// utf16Order is the order of the bytes of a playlist in UTF-16, if first is the beginning of one. Editors and shells of Windows
// write such files, and browsers read them if there is a byte order mark.
func utf16Order(first []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(first, []byte("\xff\xfe#\x00E\x00X\x00T\x00")):
		return binary.LittleEndian
	case bytes.HasPrefix(first, []byte("\xfe\xff\x00#\x00E\x00X\x00T")):
		return binary.BigEndian
	}
	return nil
}

// utf16Reader reads UTF-16 as UTF-8.
type utf16Reader struct {
	r     *bufio.Reader
	order binary.ByteOrder
	out   []byte // not taken yet
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	const most = 1 << 10
	if len(u.out) == 0 {
		unit, err := u.unit()
		for u.out = u.out[:0]; err == nil; unit, err = u.unit() {
			if utf16.IsSurrogate(unit) {
				var second [2]byte
				if next, _ := u.r.Peek(2); copy(second[:], next) == 2 {
					if pair := utf16.DecodeRune(unit, rune(u.order.Uint16(second[:]))); pair != utf8.RuneError {
						unit = pair
						_, _ = u.r.Discard(2)
					}
				}
			}
			u.out = utf8.AppendRune(u.out, unit)
			if len(u.out) >= most || u.r.Buffered() < 2 {
				break
			}
		}
		if len(u.out) == 0 {
			return 0, err
		}
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

// unit reads 16 bits. A byte alone at the end is nothing.
func (u *utf16Reader) unit() (rune, error) {
	var b [2]byte
	_, err := io.ReadFull(u.r, b[:])
	if err == io.ErrUnexpectedEOF {
		if _, err = u.r.Peek(1); err == nil {
			err = io.EOF
		}
	}
	return rune(u.order.Uint16(b[:])), err
}
