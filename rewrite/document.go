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

const maxSize = 8 << 20

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

func (d *document) modify() error {
	hint := d.hint()
	if hint == mediaHint {
		hint = noHint // it has a Content-Encoding, or may begin like a playlist
	}
	switch {
	case d.head:
		if hint == playlistHint && !isMediaPath(d.path) {
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
	switch {
	case !list:
		label = hls.PlaylistType
	case hls.ByType(label) != hls.Playlist: // players tell lists from HLS by the label
		label = listType
	}
	d.replace(out)
	d.resp.Header.Set("Content-Type", label)
	d.relabel(len(out))
	return nil
}

const listType = "audio/x-mpegurl"

// mayStream reports whether a list may be longer than what is otherwise held. It can be if no option has to see all of it.
func (d *document) mayStream() bool { return d.rw.MaxSize > maxSize && !d.rw.Window.isSet() }

// streamList gives the response a body that is rewritten as it is read, if it is that of a list of more than listHead bytes.
// If not, what was read of it is put back.
func (d *document) streamList(s *source) (done bool, err error) {
	s.done, s.seen = true, bytes.Buffer{}
	head, err := readLimited(io.MultiReader(bytes.NewReader(s.first), s.plain), listHead, -1)
	s.first = head
	switch {
	case err == nil: // that is all
		return false, nil
	case err != ErrTooLarge:
		s.body.Close()
		return false, s.failure(err)
	case !looksLikePlaylist(head) || !isList(head) || defines(head) || lastEntry(head, 0) == 0:
		return false, nil
	case d.resp.ContentLength > d.limit():
		s.body.Close()
		return false, badGateway("response is too large", ErrTooLarge)
	}
	b := &listBody{d: d, s: s, text: head, fresh: true, pass: d.pass(0)}
	b.pass.piece, b.pass.behind = firstPiece, new(string)
	d.replace(nil)
	d.resp.Body = b
	d.describe(-1)
	return true, nil
}

// rewriteJSON rewrites the response if it is an asset list, a steering manifest or a list of chapters. Any other, also one that
// is too large or cut short, passes as it came.
func (d *document) rewriteJSON() error {
	body := d.resp.Body
	raw, err := readLimited(body, d.limit(), d.resp.ContentLength)
	switch err {
	case ErrTooLarge:
		err = nil // the rest is read later
	case nil:
		if done, err := d.rewriteText(raw); done || err != nil {
			body.Close()
			return err
		}
	}
	seen := bytes.NewBuffer(raw)
	d.resp.Body = &rewound{body: body, seen: seen, err: err}
	return nil
}

// rewriteText rewrites a document by what its text is.
func (d *document) rewriteText(raw []byte) (done bool, _ error) {
	s := &source{body: io.NopCloser(bytes.NewReader(raw)), done: true} // raw can be put back
	plain, err := decoder(coding.List(d.resp.Header), s)
	if err != nil {
		return false, nil
	}
	text, err := readLimited(plain, d.limit(), int64(len(raw)))
	if err != nil {
		return false, nil
	}
	if isMagicLine(text[playlistStart(text):]) && looksLikePlaylist(text) {
		s.first, s.plain = text, bytes.NewReader(nil)
		return true, d.rewritePlaylist(s)
	}
	out, err := appendJSON(d.rw, d.pass(len(text)), nil, text)
	if err != nil || bytes.Equal(out, text) {
		return false, err
	}
	d.replace(out)
	d.relabel(len(out))
	return true, nil
}

// rewriteVTT rewrites a body that begins like captions, if its first cue shows that it is a track of thumbnails.
func (d *document) rewriteVTT(s *source) error {
	const most = 64 << 10
	var err error
	var c cues
	buf := make([]byte, 4<<10)
	for {
		decided, pictures := false, false
		c.payloads(s.first, err == io.EOF, func(start, end int) bool {
			decided, pictures = true, isPicture(s.first[start:end])
			return false
		})
		switch {
		case pictures:
			return d.rewriteThumbnails(s)
		case decided, err != nil, len(s.first) > most:
			d.putBack(s)
			return nil
		}
		var n int
		n, err = s.plain.Read(buf)
		s.first = append(s.first, buf[:n]...)
	}
}

func (d *document) rewriteThumbnails(s *source) error {
	text, err := d.read(s)
	if err != nil {
		return err
	}
	out, err := appendThumbnails(d.rw, d.pass(len(text)), make([]byte, 0, 2*len(text)), text)
	if err != nil {
		return err
	}
	d.replace(out)
	d.relabel(len(out))
	return nil
}

// limit is the most bytes that a document may have. One more is still a number: it shows that a document is too long.
func (d *document) limit() int64 {
	if d.rw.MaxSize > 0 {
		return min(d.rw.MaxSize, math.MaxInt64-1)
	}
	return maxSize
}

// read reads the rest of the body, decoded, and closes it.
func (d *document) read(s *source) ([]byte, error) {
	defer s.body.Close()
	s.done = true
	s.seen = bytes.Buffer{}
	limit := d.limit()
	if d.resp.ContentLength > limit {
		return nil, badGateway("response is too large", ErrTooLarge)
	}
	expected := d.resp.ContentLength
	text, err := readLimited(io.MultiReader(bytes.NewReader(s.first), s.plain), limit, expected)
	if err != nil {
		return nil, s.failure(err)
	}
	return text, nil
}

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
