package rewrite

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/coding"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
)

// capture is the ResponseWriter that next writes to. It holds an answer back until it is known not to be a document.
type capture struct {
	http.ResponseWriter
	doc    *document
	hint   hint
	mode   captureMode
	status int
	body   bytes.Buffer

	tooLarge bool
}

type captureMode uint8

const (
	starting  captureMode = iota // no header yet
	wondering                    // the first bytes will tell
	holding                      // a document: held back as a whole
	passing                      // anything else
)

// WriteHeader decides, as far as the header tells.
func (c *capture) WriteHeader(status int) {
	if c.mode != starting || status < 200 {
		if c.mode == starting || c.mode == passing {
			c.ResponseWriter.WriteHeader(status)
		}
		return
	}
	c.status = status
	c.doc.resp = &http.Response{StatusCode: status, Header: c.Header()}
	c.hint = c.doc.hint()
	coded := coding.List(c.Header())
	switch {
	case !hasDocument(status) || c.hint == mediaHint || c.hint == noHint && len(coded) > 0:
		c.pass()
	case c.doc.head: // there is no body to wait for
		_ = c.doc.modify() // which changes the header only
		c.pass()
	case c.hint == jsonHint || len(coded) > 0:
		c.mode = holding
	default:
		c.mode = wondering
	}
}

// pass lets go of what was held back.
func (c *capture) pass() error {
	c.mode = passing
	c.ResponseWriter.WriteHeader(c.status)
	if c.body.Len() == 0 {
		return nil
	}
	_, err := c.ResponseWriter.Write(c.body.Bytes())
	c.body = bytes.Buffer{}
	return err
}

func (c *capture) Write(p []byte) (int, error) {
	if c.mode == starting {
		c.WriteHeader(http.StatusOK)
	}
	if c.mode == wondering {
		if err := c.wonder(p); err != nil {
			return 0, err
		}
	}
	if c.mode == passing {
		return c.ResponseWriter.Write(p)
	}
	if int64(c.body.Len()+len(p)) > c.doc.limit() {
		return c.overflow(p)
	}
	return c.body.Write(p)
}

// wonder takes the next of the first bytes, and decides by them as soon as they are enough.
func (c *capture) wonder(p []byte) error {
	held := c.body.Len()
	start := append(bytes.Clone(c.body.Bytes()), p[:min(len(p), max(hls.SniffLen-held, 0))]...)
	switch c.doc.judge(c.hint, start, false) {
	case isPlaylist, isWrong, isCaptions:
		c.mode = holding
	case isOther:
		if hls.ByType(c.Header().Get("Content-Type")) == hls.Playlist {
			c.Header().Set("Content-Type", otherType(c.doc.path, start))
		}
		return c.pass()
	}
	return nil
}

func (c *capture) isVTT() bool {
	is, _ := startsVTT(c.body.Bytes())
	return is
}

// overflow is Write for what is more than a document may have.
func (c *capture) overflow(p []byte) (int, error) {
	if c.hint == jsonHint || c.isVTT() {
		if err := c.pass(); err != nil {
			return 0, err
		}
		return c.ResponseWriter.Write(p)
	}
	c.tooLarge = true
	return 0, ErrTooLarge
}

// FlushError passes a flush on unless there is something that must not go out yet.
func (c *capture) FlushError() error {
	if c.mode == starting {
		c.WriteHeader(http.StatusOK)
	}
	if c.mode != passing {
		return nil
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Flush is for handlers that look for an http.Flusher.
func (c *capture) Flush() { _ = c.FlushError() }

// Unwrap is for http.ResponseController.
func (c *capture) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// finish answers with what was held back.
func (c *capture) finish(r *http.Request) {
	if c.mode == starting {
		c.WriteHeader(http.StatusOK)
	}
	switch {
	case c.mode == passing:
		return
	case c.mode == wondering && c.hint == noHint:
		c.pass()
		return
	}
	resp := c.doc.resp
	resp.Body, resp.ContentLength = io.NopCloser(&c.body), int64(c.body.Len())
	err := error(nil)
	switch {
	case c.tooLarge:
		err = badGateway("answer is too large", ErrTooLarge)
	case c.isShort():
		err = badGateway("answer broke off", io.ErrUnexpectedEOF)
	default:
		err = c.doc.modify()
	}
	if err != nil {
		c.doc.rw.report(r, err)
		c.fail(err)
		return
	}
	c.ResponseWriter.WriteHeader(c.status)
	_, _ = io.Copy(c.ResponseWriter, resp.Body) // a client that leaves is no failure
	if list, ok := resp.Body.(*listBody); ok && list.err != nil && list.err != io.EOF {
		c.doc.rw.report(r, list.err)
		panic(http.ErrAbortHandler) // the header was sent, and half a list must not look whole
	}
}

// isShort tells whether the answer has fewer bytes than it announced. net/http tells a broken answer by that.
func (c *capture) isShort() bool {
	n, err := strconv.ParseInt(c.Header().Get("Content-Length"), 10, 64)
	return err == nil && n > int64(c.body.Len())
}

// fail answers in place of next, whose header speaks of something else.
func (c *capture) fail(err error) {
	h := c.Header()
	for _, name := range slices.Concat(stale, []string{"Age", "Expires", "Cdn-Cache-Control", "Surrogate-Control", "Content-Disposition"}) {
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store")
	status, ok := httpstatus.Of(err)
	if !ok {
		status = http.StatusBadGateway
	}
	http.Error(c.ResponseWriter, http.StatusText(status), status)
}

// wholeRequest is r without the fields that would make the answer less than the whole.
func wholeRequest(r *http.Request) *http.Request {
	whole := r.Clone(r.Context())
	if r.Method == http.MethodHead {
		whole.Method = http.MethodGet
	}
	for _, name := range []string{
		"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Accept-Encoding",
	} {
		whole.Header.Del(name)
	}
	return whole
}

// documentFor is what next answers to r; method is that of the request that next sees.
func documentFor(rw *Rewriter, r *http.Request, method string) *document {
	base := r.URL.EscapedPath()
	if uri := strings.TrimPrefix(strings.TrimPrefix(r.RequestURI, r.URL.Scheme+"://"), r.URL.Host); strings.HasPrefix(uri, "/") {
		// Unlike the URL, it is the player's own, whatever http.StripPrefix did on the way.
		base, _, _ = strings.Cut(uri, "?")
	}
	base = "/" + strings.TrimLeft(base, "/\\") // two slashes would begin the name of a host
	if r.URL.RawQuery != "" {
		base += "?" + r.URL.RawQuery
	}
	return &document{
		rw: rw, ctx: r.Context(), base: rw.Public + base, path: r.URL.Path, relation: same, head: method == http.MethodHead,
	}
}
