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

	"github.com/hlsproxy/hlsproxy/internal/coding"
	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// ModifyResponse rewrites the body of a response that is a playlist, or a JSON document that playlists lead to (an asset list,
// a steering manifest). It leaves every other response unchanged and unread. It is a hook for httputil.ReverseProxy and similar
// proxies. References are resolved against the URL of resp.Request, which must therefore be the URL after redirects. The hooks
// of the Rewriter get the context of resp.Request.
//
// Only responses with status 200 are considered. Their first bytes decide; the Content-Type and the extension are hints. A body
// is a playlist if it begins with #EXTM3U, after a byte order mark and blanks. If a playlist is expected, by type or by the
// extension .m3u8 or .m3u, a body is also one if #EXTM3U comes later in a text, or if it is a list of URLs or of names of
// media, one on each line (it then keeps its type). Media, keys and captions, by their first bytes, pass unchanged, under a
// type of their own. So does any other text that is a playlist only by its type. Nothing is read after the first byte that
// rules a playlist out.
//
// A WebVTT track whose first cue is the URL of a picture ("a.jpg#xywh=0,0,160,90") is a track of thumbnails: its pictures are
// rewritten like the URIs of a playlist, with their fragments. Captions keep every byte.
//
// gzip and deflate are decoded. An invalid Content-Encoding (aws-chunked, utf-8, none, ..), or one that the bytes contradict,
// is dropped. br and zstd are not decoded: do not accept them from origins; origin.Proxy does not. The rewritten response has
// the type application/vnd.apple.mpegurl, the length of the new body, and no header field that described the old one. A
// response to HEAD has the same, without a length.
//
// The error has status 502 if a playlist was expected and HTML, JSON or, with the extension of a playlist, another text came
// (the error quotes its beginning), if the playlist is larger than MaxSize, or if its encoding is unknown. Other errors are
// those of reading the body and of Append.
func (rw *Rewriter) ModifyResponse(resp *http.Response) error {
	d := document{rw: rw, resp: resp, ctx: context.Background(), relation: mapped}
	req := resp.Request
	if req != nil {
		d.path = req.URL.Path
	}
	if len(resp.Header["Content-Encoding"]) > 0 {
		coding.Set(resp.Header, coding.List(resp.Header))
	}
	if !hasDocument(resp.StatusCode) {
		return nil
	}
	if d.hint() == mediaHint && len(resp.Header["Content-Encoding"]) == 0 && (req != nil && req.Method == http.MethodHead || !d.look()) {
		return nil // nearly all responses, which need no further work
	}
	return d.modifyFor(req)
}

// modifyFor takes a copy, so that only a document that is worked on takes memory.
func (d document) modifyFor(req *http.Request) error {
	if req != nil {
		d.ctx = req.Context()
		d.base = baseOf(req.URL)
		d.head = req.Method == http.MethodHead
		if req.Response != nil { // net/http: the redirect that led here
			d.relation = redirected
			d.entry = baseOf(firstAsked(req))
		}
	}
	return d.modify()
}

// hasDocument reports whether players use the body of this answer. They also do with 203 and some other statuses.
func hasDocument(status int) bool {
	return status >= 200 && status < 300 && status != http.StatusNoContent && status != http.StatusResetContent && status != http.StatusPartialContent
}

// baseOf is the URL as it was given.
func baseOf(u *url.URL) string {
	base := *u
	base.User = nil
	return base.String()
}

// firstAsked is the URL from which redirects led to a request.
func firstAsked(req *http.Request) *url.URL {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req.URL
}

// document is a response that may have to be rewritten.
type document struct {
	rw       *Rewriter
	resp     *http.Response
	ctx      context.Context
	base     string // the URL against which references are resolved
	entry    string // the URL from which redirects led to it; "": none
	path     string // the path of base
	head     bool   // it answers a HEAD
	relation relation
}

func (d *document) modify() error {
	hint := d.hint()
	if hint == mediaHint {
		hint = noHint // it has a Content-Encoding, or may begin like a playlist
	}
	switch {
	case d.head:
		if hint == playlistHint && !d.namesMedia() {
			d.describe(-1)
		}
		return nil
	case d.resp.Body == nil:
		return nil
	case hint == jsonHint:
		return d.rewriteJSON()
	}
	s := &source{body: d.resp.Body}
	v, err := d.sniff(s, hint)
	switch {
	case err == nil && v == isCaptions:
		return d.rewriteVTT(s)
	case hint == noHint && (err != nil || v != isPlaylist):
		d.putBack(s)
		return nil
	case err != nil:
		s.body.Close()
		return s.failure(err)
	case v == isWrong:
		s.body.Close()
		return wrong(s.first)
	case v == isOther:
		d.putBack(s)
		if hls.ByType(d.resp.Header.Get("Content-Type")) == hls.Playlist {
			d.resp.Header.Set("Content-Type", otherType(d.path, s.first))
		}
		return nil
	}
	return d.rewritePlaylist(s)
}

func (d *document) rewritePlaylist(s *source) error {
	if d.mayStream() {
		if done, err := d.streamList(s); done || err != nil {
			return err
		}
	}
	text, err := d.read(s)
	if err != nil {
		return err
	}
	list := false
	if !looksLikePlaylist(text) {
		k := hls.Sniff(text, true)
		if list = k == hls.List; !list && (d.namesPlaylist() || k.IsDocument()) {
			return wrong(text)
		}
		if !list { // it is not a playlist, but labelled as one
			d.replace(text)
			d.relabel(len(text))
			d.resp.Header.Set("Content-Type", otherType(d.path, text))
			return nil
		}
	}
	const growth = 2 // spares most playlists a second allocation
	buf := make([]byte, 0, growth*len(text)+512)
	out, err := d.rw.append(d.pass(len(text)), buf, text)
	if err != nil {
		return err
	}
	label := d.resp.Header.Get("Content-Type")
	d.replace(out)
	d.describe(len(out))
	if list { // players tell lists from HLS by the label
		if hls.ByType(label) != hls.Playlist {
			label = listType
		}
		d.resp.Header.Set("Content-Type", label)
	}
	return nil
}

const listType = "audio/x-mpegurl"

// pass is what a pass over a text of this length needs.
func (d *document) pass(length int) *pass {
	return &pass{ctx: d.ctx, url: d.base, entry: d.entry, relation: d.relation, most: d.most(length)}
}

// most is how many bytes a document of this length may become.
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

// describe sets the header of a rewritten playlist; -1: the length is unknown.
func (d *document) describe(length int) {
	d.resp.Header.Set("Content-Type", hls.PlaylistType)
	d.relabel(length)
}

// stale are the fields that describe the bytes of the upstream, or reveal its address.
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

// privately returns a Cache-Control that keeps shared caches from storing one viewer's links, and is otherwise the same.
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

// looksLikePlaylist reports whether a text with the label of a playlist is one.
func looksLikePlaylist(text []byte) bool {
	start := playlistStart(text)
	if !isMagicLine(text[start:]) {
		return false
	}
	first := bytes.TrimLeft(bytes.TrimPrefix(text, []byte(bom)), " \t\r\n")
	return first[0] != '<' && first[0] != '{' && first[0] != '['
}
