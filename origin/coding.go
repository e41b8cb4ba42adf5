package origin

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// mendCoding takes content codings off the header that are none, or that the body does not have: players look at the bytes
// (RFC 9110 section 8.4; origins write aws-chunked, utf-8, binary and worse). What may be there stays.
func mendCoding(resp *http.Response) error {
	lines := resp.Header["Content-Encoding"]
	if len(lines) == 0 {
		return nil
	}
	var codings []string
	for _, line := range lines {
		for c := range strings.SplitSeq(line, ",") {
			if c = strings.ToLower(strings.TrimSpace(c)); isCoding(c) {
				codings = append(codings, c)
			}
		}
	}
	if len(codings) > 0 && resp.Request.Method != http.MethodHead && hasBody(resp.StatusCode) && resp.StatusCode != http.StatusPartialContent {
		first, err := peek(resp)
		if err != nil && err != io.EOF {
			return err
		}
		codings = applied(codings, first)
	}
	if len(codings) == 0 {
		delete(resp.Header, "Content-Encoding")
	} else {
		resp.Header["Content-Encoding"] = []string{strings.Join(codings, ", ")}
	}
	return nil
}

// isCoding reports the content codings of the IANA registry.
func isCoding(c string) bool {
	switch c {
	case "gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz", "exi", "pack200-gzip", "aes128gcm":
		return true
	}
	return false
}

// peeked is how many bytes are enough to tell what a body is.
const peeked = 1024

// peek reads what there is of the beginning of a body, and puts it back.
func peek(resp *http.Response) ([]byte, error) {
	first := make([]byte, peeked)
	n, err := 0, error(nil)
	for n < 2 && err == nil {
		var m int
		m, err = resp.Body.Read(first[n:])
		n += m
	}
	first = first[:n]
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = broken{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first), rest), resp.Body}
	if n > 0 {
		err = nil
	}
	return first, err
}

// broken is a body that has ended.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// applied are those of the codings, the last one outermost, that a body beginning so can have.
func applied(codings []string, first []byte) []string {
	n := len(codings) - 1
	if n < 0 {
		return nil
	}
	isGzip := codings[n] == "gzip" || codings[n] == "x-gzip"
	switch {
	case isGzip && !bytes.HasPrefix(first, []byte{0x1f, 0x8b}),
		codings[n] == "zstd" && !bytes.HasPrefix(first, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		isKnown(first):
		return applied(codings[:n], first)
	case isGzip && n > 0:
		return append(applied(codings[:n], inflated(first)), codings[n])
	}
	return codings
}

// isKnown reports bytes that are media or text as they are. Two or three bytes do not say that.
func isKnown(first []byte) bool {
	k := hls.Sniff(first, false)
	return k == hls.Playlist || k.IsMedia() && k != hls.Audio || k.IsDocument() || k == hls.List
}

// inflated is what the beginning of a body begins with once gzip is off.
func inflated(first []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(first))
	if err != nil {
		return nil
	}
	out := make([]byte, peeked)
	n, _ := io.ReadFull(r, out)
	return out[:n]
}
