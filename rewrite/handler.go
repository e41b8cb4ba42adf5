package rewrite

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
)

// Handler rewrites the playlists, and the JSON documents that playlists lead to, among the answers of next, which sees
// the same paths as the players do: references are resolved against Public and the path of the request. What
// ModifyResponse says of responses holds for answers; where it fails, the answer is the status of the error with a bare
// text. Everything else streams through as it comes.
//
// Range and the conditional fields are taken from requests for the extensions .m3u8, .m3u and .json before next sees
// them, as they speak of bytes that next has never sent; HEAD for these is answered by way of GET.
func (rw *Rewriter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ext := strings.ToLower(path.Ext(r.URL.Path))
		if ext != "" && isMediaExtension([]byte(ext[1:])) || r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		inner := r
		if ext == ".m3u8" || ext == ".m3u" || ext == ".json" {
			inner = wholeRequest(r)
		}
		c := &capture{ResponseWriter: w, doc: rw.documentFor(r, inner.Method)}
		next.ServeHTTP(c, inner)
		c.finish()
	})
}

// wholeRequest is r without what would make the answer less than the whole.
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

func (rw *Rewriter) documentFor(r *http.Request, method string) *document {
	base := r.URL.EscapedPath()
	if strings.HasPrefix(r.RequestURI, "/") {
		// Unlike the URL it is what the player asked for, whatever http.StripPrefix did on the way.
		base, _, _ = strings.Cut(r.RequestURI, "?")
	}
	if r.URL.RawQuery != "" {
		base += "?" + r.URL.RawQuery
	}
	return &document{
		rw: rw, ctx: r.Context(), base: rw.Public + base, path: r.URL.Path, sight: same, head: method == http.MethodHead,
	}
}

// capture is the ResponseWriter that next writes to. It holds an answer back until it is known not to be a document.
type capture struct {
	http.ResponseWriter
	doc    *document
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
	expected := c.doc.expected()
	switch {
	case status != http.StatusOK || expected == isMedia:
		c.pass()
	case expected == isUnknown && !c.doc.head:
		c.mode = wondering
	default:
		c.mode = holding
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
	if c.mode == passing {
		return c.ResponseWriter.Write(p)
	}
	if int64(c.body.Len()+len(p)) > c.doc.limit() {
		return c.overflow(p)
	}
	c.body.Write(p)
	if c.mode == wondering {
		switch playlist, err := startsPlaylist(bytes.NewReader(c.body.Bytes())); {
		case playlist:
			c.mode = holding
		case err == nil && !isBeginning(c.body.Bytes()):
			return len(p), c.pass()
		}
	}
	return len(p), nil
}

// overflow is Write for what is more than a document may have.
func (c *capture) overflow(p []byte) (int, error) {
	if c.doc.expected() == isJSON {
		if err := c.pass(); err != nil {
			return 0, err
		}
		return c.ResponseWriter.Write(p)
	}
	c.tooLarge = true
	return 0, errTooLarge
}

// isBeginning tells whether more bytes could make a playlist of text.
func isBeginning(text []byte) bool {
	return strings.HasPrefix(magic, string(text)) || strings.HasPrefix(bom+magic, string(text))
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

// Unwrap is for http.ResponseController.
func (c *capture) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// finish answers with what was held back.
func (c *capture) finish() {
	switch c.mode {
	case starting:
		c.WriteHeader(http.StatusOK)
		if c.mode != holding {
			return
		}
	case wondering:
		c.pass()
		return
	case passing:
		return
	}
	resp := c.doc.resp
	resp.Body, resp.ContentLength = io.NopCloser(&c.body), int64(c.body.Len())
	err := badGateway("answer is too large", errTooLarge)
	if !c.tooLarge {
		err = c.doc.modify()
	}
	if err != nil {
		status := http.StatusBadGateway
		var known interface{ HTTPStatus() int }
		if errors.As(err, &known) {
			status = known.HTTPStatus()
		}
		http.Error(c.ResponseWriter, http.StatusText(status), status)
		return
	}
	c.ResponseWriter.WriteHeader(c.status)
	io.Copy(c.ResponseWriter, resp.Body)
}
