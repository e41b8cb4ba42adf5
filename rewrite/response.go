package rewrite

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ModifyResponse rewrites the body of a response that is a playlist, or a JSON document that playlists lead to (an asset
// list, a steering manifest), and leaves every other response untouched and unread. It is a hook for
// httputil.ReverseProxy and its like. References are resolved against the URL of resp.Request, which therefore has to
// be that of the last redirect; the hooks of the Rewriter get its context.
//
// Only a response with status 200 is looked at. A playlist is one by its Content-Type or by the #EXTM3U it begins with;
// a body of another type is read no further than its first byte that differs, and not at all if its type is video or
// audio. gzip and deflate are decoded. Afterwards the response has the type application/vnd.apple.mpegurl, the length
// of the new body, and none of the header fields that described the old one; a response to HEAD has the same, without
// a length.
//
// The error has status 502 where a playlist was expected, by type or by the extension .m3u8 or .m3u, and something else
// came, or one that is larger than MaxSize, or in an unknown encoding; other errors are those of reading the body and
// of Append.
func (rw *Rewriter) ModifyResponse(resp *http.Response) error {
	d := &document{rw: rw, resp: resp, ctx: context.Background(), sight: mapped}
	req := resp.Request
	if req != nil {
		d.path = req.URL.Path
	}
	if resp.StatusCode != http.StatusOK || d.expected() == isMedia {
		return nil // nearly all there is, and worth no more work
	}
	if req != nil {
		d.ctx = req.Context()
		d.base = baseOf(req.URL)
		d.head = req.Method == http.MethodHead
		if req.Response != nil { // net/http: the redirect that led here
			d.sight = redirected
		}
	}
	return d.modify()
}

// baseOf spells a URL as it was given.
func baseOf(u *url.URL) string {
	base := *u
	base.User = nil
	return base.String()
}

// document is a response that may be one of those which are rewritten.
type document struct {
	rw    *Rewriter
	resp  *http.Response
	ctx   context.Context
	base  string // the URL against which references are resolved
	path  string // its path
	head  bool   // the answer to HEAD
	sight sight
}

func (d *document) modify() error {
	expected := d.expected()
	switch {
	case d.head:
		if expected == isPlaylist {
			d.describe(-1)
		}
		return nil
	case d.resp.Body == nil:
		return nil
	case expected == isUnknown:
		if playlist, err := d.sniff(); err != nil || !playlist {
			return err
		}
		expected = isPlaylist
	}
	if expected == isJSON {
		return d.rewriteJSON()
	}
	return d.rewritePlaylist()
}

func (d *document) rewritePlaylist() error {
	text, err := d.read()
	if err != nil {
		return err
	}
	if !looksLikePlaylist(text) {
		return badGateway("response is no playlist", nil)
	}
	const growth = 2 // a guess that spares most playlists a second allocation
	buf := make([]byte, 0, growth*len(text)+512)
	out, err := d.rw.append(d.ctx, buf, text, d.base, d.sight, d.most(len(text)))
	if err != nil {
		return err
	}
	d.replace(out)
	d.describe(len(out))
	return nil
}

// most is how many bytes a document of so many may become.
func (d *document) most(length int) int {
	return min(max(maxOutput, mostGrowth*length), mostGrowth*int(min(d.limit(), math.MaxInt/mostGrowth)))
}

// replace gives the response a new body.
func (d *document) replace(body []byte) {
	d.resp.Body = &bodyOf{rest: body}
	d.resp.Uncompressed = false
	d.resp.TransferEncoding = nil
	d.resp.Trailer = nil
}

// describe sets the header of a rewritten playlist; -1: the length is not known.
func (d *document) describe(length int) {
	d.resp.Header.Set("Content-Type", playlistType)
	d.relabel(length)
}

// stale are the fields that describe the bytes of the upstream, or name its address.
var stale = []string{
	"Etag", "Last-Modified", "Content-Md5", "Digest", "Repr-Digest", "Content-Digest", "Content-Encoding",
	"Accept-Ranges", "Content-Range", "Transfer-Encoding", "Content-Length", "Content-Location", "Trailer",
}

func (d *document) relabel(length int) {
	h := d.resp.Header
	for _, name := range stale {
		h.Del(name)
	}
	d.resp.ContentLength = int64(length)
	if length >= 0 {
		h.Set("Content-Length", strconv.Itoa(length))
	}
	if d.rw.Sign != nil {
		h.Set("Cache-Control", privately(h.Values("Cache-Control")))
		for _, name := range []string{"Surrogate-Control", "Cdn-Cache-Control"} {
			h.Del(name)
		}
	}
}

// privately is a Cache-Control under which no shared cache keeps one viewer's links for the next, and that otherwise
// says the same.
func privately(values []string) string {
	kept := []string{"private"}
	for directive := range strings.SplitSeq(strings.Join(values, ","), ",") {
		directive = strings.TrimSpace(directive)
		name, _, _ := strings.Cut(strings.ToLower(directive), "=")
		switch name {
		case "", "public", "private", "s-maxage", "proxy-revalidate":
		default:
			kept = append(kept, directive)
		}
	}
	return strings.Join(kept, ", ")
}

// bodyOf is a body that is there as a whole.
type bodyOf struct{ rest []byte }

func (b *bodyOf) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// WriteTo writes what is left in one Write.
func (b *bodyOf) WriteTo(w io.Writer) (int64, error) {
	if len(b.rest) == 0 {
		return 0, nil
	}
	n, err := w.Write(b.rest)
	b.rest = b.rest[n:]
	return int64(n), err
}

func (*bodyOf) Close() error { return nil }

// looksLikePlaylist tells whether a text that is said to be a playlist is one.
func looksLikePlaylist(text []byte) bool {
	start := playlistStart(text)
	if !isMagicLine(text[start:]) {
		return false
	}
	first := bytes.TrimLeft(bytes.TrimPrefix(text, []byte(bom)), " \t\r\n")
	return first[0] != '<' && first[0] != '{' && first[0] != '['
}
