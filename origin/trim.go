package origin

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"

	"github.com/hlsproxy/hlsproxy/internal/coding"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// Prefix reports how many first bytes of a body are not part of the media, and the type of the rest ("": as the origin says).
// first is what has arrived of a body with the header h, at most 8 KiB. Prefix is called again with more bytes until known is
// true; with last it gets no more and has to decide. The sooner it knows, the sooner a slow body goes on. Its result must
// depend only on the body. It may be called concurrently, and must change neither first nor h.
type Prefix func(first []byte, last bool, h http.Header) (drop int, contentType string, known bool)

// trimWindow is how many first bytes a Prefix sees.
const trimWindow = 8 << 10

// Trim returns a RoundTripper that removes the bytes before the media from the answers of base, as prefix reports them. A nil
// base is the transport of a zero [Guard]; a nil prefix is [TSPrefix]. Put it below a cache, which then holds clean bytes, and
// above a [Pool], which resumes bodies by the origin's bytes.
//
//	&cache.Transport{Base: origin.Trim(pool, nil)}
//
// Nobody above sees the prefix: lengths, ranges and Content-Range count from its end, an entity tag is changed ("e" becomes
// "e;68", and is sent to the origin as "e"), and digests are removed. Trim remembers the prefixes of the last 2048 to 4096
// URLs, with the validators of their versions. If the prefix is unknown, a range costs a request for the first 8 KiB before its
// own, and a HEAD costs one more request. A condition goes to the origin only if Trim knows the version that it names;
// otherwise Trim evaluates it against the origin's whole answer. Several ranges at once are answered with the whole.
//
// A body with a content coding, methods other than GET and HEAD, and answers other than 200 and 206 pass unchanged. If the body
// breaks before the prefix is known, RoundTrip fails.
func Trim(base http.RoundTripper, prefix Prefix) http.RoundTripper {
	if base == nil {
		base = new(Guard).Transport()
	}
	if prefix == nil {
		prefix = TSPrefix
	}
	return &trim{base: base, prefix: prefix}
}

type trim struct {
	base   http.RoundTripper
	prefix Prefix
	known  cutoffs
}

func (t *trim) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	switch {
	case r.Body != nil && r.Body != http.NoBody:
		return t.base.RoundTrip(r)
	case r.Method == http.MethodGet, r.Method == "":
		resp, err = t.get(r)
	case r.Method == http.MethodHead:
		resp, err = t.head(r)
	default:
		return t.base.RoundTrip(r)
	}
	if err != nil {
		return nil, err
	}
	resp.Request = r
	return resp, nil
}

// ask sends r with another method and these fields, without its conditions and its range.
func (t *trim) ask(r *http.Request, method string, fields http.Header) (*http.Response, error) {
	out := r.WithContext(r.Context())
	out.Method, out.Header = method, maps.Clone(r.Header)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	for _, name := range [...]string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		delete(out.Header, name)
	}
	maps.Copy(out.Header, fields)
	resp, err := t.base.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	resp.Request = out
	return resp, nil
}

func (t *trim) get(r *http.Request) (*http.Response, error) {
	resp, err := t.part(r)
	if resp == nil && err == nil {
		resp, err = t.whole(r)
	}
	if err != nil {
		return nil, err
	}
	return judged(r, resp), nil
}

// judged evaluates the conditions of r that were not sent to the origin.
func judged(r *http.Request, resp *http.Response) *http.Response {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
	default:
		return resp
	}
	status := httprange.Precondition(r, resp.Header)
	if status == http.StatusOK {
		return resp
	}
	drop(resp)
	setStatus(resp, status)
	return resp
}

// setStatus turns an answer into one without a body.
func setStatus(resp *http.Response, status int) {
	resp.StatusCode, resp.Status, resp.Body = status, strconv.Itoa(status)+" "+http.StatusText(status), http.NoBody
	setLength(resp, 0)
	for _, name := range [...]string{"Content-Length", "Content-Range", "Content-Type"} {
		delete(resp.Header, name)
	}
}

// whole asks for the whole body.
func (t *trim) whole(r *http.Request) (*http.Response, error) {
	fields := http.Header{}
	known, ok := t.known.get(r)
	ok = ok && known.ask(r.Header, fields)
	resp, err := t.ask(r, http.MethodGet, fields)
	if err != nil {
		return nil, err
	}
	if ok && resp.StatusCode == http.StatusNotModified && known.changes() {
		known.setTag(resp.Header)
		delete(resp.Header, "Content-Type")
		delete(resp.Header, "Content-Length")
	}
	return t.trimmed(r, resp)
}

// trimmed removes the prefix from a whole answer.
func (t *trim) trimmed(r *http.Request, resp *http.Response) (*http.Response, error) {
	if !httprange.MakeWhole(resp) || resp.StatusCode != http.StatusOK || coding.Is(resp.Header) {
		return resp, nil
	}
	size := resp.ContentLength
	first, c, err := t.look(resp, size)
	if err != nil && err != io.EOF {
		resp.Body.Close()
		return nil, err
	}
	rest := io.Reader(resp.Body)
	if err == io.EOF {
		rest = broken{io.EOF}
	}
	if !resp.Uncompressed {
		t.known.put(r, c)
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first[c.drop:]), rest), resp.Body}
	if size >= 0 {
		resp.Body = httprange.Exact(resp.Body, size-c.drop)
	}
	c.dress(resp.Header)
	if c.drop > 0 {
		delete(resp.Header, "Content-Range") // some servers send it with every answer
		setLength(resp, max(size-c.drop, httprange.Unknown))
	}
	return resp, nil
}

// look reads the beginning of a body of n bytes, as much as the Prefix needs. The error is io.EOF if that is the whole body.
func (t *trim) look(resp *http.Response, n int64) (first []byte, c cutoff, err error) {
	first = make([]byte, 0, trimWindow)
	for empty := 0; empty < 100; {
		m, err := resp.Body.Read(first[len(first):trimWindow])
		first = first[:len(first)+m]
		have := int64(len(first))
		switch {
		case err == io.EOF && have < n:
			return nil, c, fmt.Errorf("origin: body broke in its first bytes: %w", io.ErrUnexpectedEOF)
		case err != nil && err != io.EOF:
			return nil, c, fmt.Errorf("origin: body broke in its first bytes: %w", err)
		case err == nil && m == 0:
			empty++
			continue
		}
		last := err == io.EOF || have == trimWindow || have == n
		drop, contentType, known, wrong := t.judge(first, last, resp.Header)
		switch {
		case wrong != nil:
			return nil, c, wrong
		case known || last:
			return first, newCutoff(max(0, min(int64(drop), have)), contentType, n, resp.Header), err
		}
	}
	return nil, c, fmt.Errorf("origin: body broke in its first bytes: %w", io.ErrNoProgress)
}

// judge calls the hook.
func (t *trim) judge(first []byte, last bool, h http.Header) (drop int, contentType string, known bool, err error) {
	defer caught(&err)
	drop, contentType, known = t.prefix(first, last, h)
	return drop, contentType, known, nil
}

// part answers a request for one range. It returns nil if the whole must be requested.
func (t *trim) part(r *http.Request) (*http.Response, error) {
	field, ok := httprange.Asked(r)
	if !ok {
		return nil, nil
	}
	want, ok := httprange.ParseOne(field)
	if !ok {
		return nil, nil
	}
	if c, ok := t.known.get(r); ok {
		if resp, err := t.partOf(r, want, c); resp != nil && resp.StatusCode != http.StatusRequestedRangeNotSatisfiable || err != nil {
			return resp, err
		}
	}
	c, resp, err := t.probe(r)
	if c == nil {
		return resp, err
	}
	return t.partOf(r, want, *c)
}

// partOf requests a range of the known version. It returns nil if the origin has another version, or if the whole is needed.
func (t *trim) partOf(r *http.Request, want httprange.Spec, c cutoff) (*http.Response, error) {
	if !httprange.IfRange(r.Header, c.validators()) {
		return nil, nil
	}
	asked, err := c.shift(want)
	switch {
	case err == httprange.ErrUnsatisfiable:
		return c.unsatisfied(), nil
	case err != nil:
		return nil, nil
	}
	resp, err := t.ask(r, http.MethodGet, c.rangeFields(asked))
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return t.trimmed(r, resp)
	case http.StatusPartialContent:
		if c.cut(resp, asked) {
			return resp, nil
		}
	case http.StatusRequestedRangeNotSatisfiable:
	default:
		return resp, nil
	}
	drop(resp)
	return nil, nil
}

// rangeFields request a range of that version, without a coding, which would change the positions.
func (c cutoff) rangeFields(s httprange.Spec) http.Header {
	field := strconv.AppendInt([]byte("bytes="), s.First, 10)
	field = append(field, '-')
	if s.Last >= 0 {
		field = strconv.AppendInt(field, s.Last, 10)
	}
	h := http.Header{"Range": {string(field)}, "Accept-Encoding": {"identity"}}
	if tag := c.raw.Get("Etag"); httprange.StrongETag(tag) {
		h["If-Range"] = []string{tag}
	}
	return h
}

// unsatisfied is a 416 answer.
func (c cutoff) unsatisfied() *http.Response {
	resp := &http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: c.validators()}
	setStatus(resp, http.StatusRequestedRangeNotSatisfiable)
	resp.Header["Content-Range"] = []string{httprange.Unsatisfied(c.size - c.drop)}
	return resp
}

// probe learns about a body from its first bytes. If it learns nothing, resp is the answer, or nil if the whole must be
// requested.
func (t *trim) probe(r *http.Request) (c *cutoff, resp *http.Response, err error) {
	resp, err = t.ask(r, http.MethodGet, cutoff{}.rangeFields(httprange.Spec{First: 0, Last: trimWindow - 1}))
	if err != nil {
		return nil, nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		resp, err = t.trimmed(r, resp)
		return nil, resp, err
	case http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		defer resp.Body.Close()
	default:
		return nil, resp, nil
	}
	part, ok := httprange.ParseContentRange(resp.Header)
	if !ok || part.First != 0 || part.Last != trimWindow-1 && part.Last != part.Size-1 || part.Last >= trimWindow || coding.Is(resp.Header) {
		return nil, nil, nil
	}
	_, found, err := t.look(resp, part.Length())
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, trimWindow) // so that the connection can be reused
	found.size = part.Size
	t.known.put(r, found)
	return &found, nil, nil
}

// head answers a HEAD, with a GET if the body is unknown.
func (t *trim) head(r *http.Request) (*http.Response, error) {
	resp, err := t.ask(r, http.MethodHead, nil)
	if err != nil || !httprange.MakeWhole(resp) || resp.StatusCode != http.StatusOK || coding.Is(resp.Header) {
		return resp, err
	}
	c, ok := t.known.get(r)
	if !ok || !c.isOf(resp.Header) {
		drop(resp)
		return t.headByGet(r, resp)
	}
	c.dressHead(resp)
	return judged(r, resp), nil
}

// headByGet completes the origin's answer to a HEAD with a GET, because the body is unknown.
func (t *trim) headByGet(r *http.Request, head *http.Response) (*http.Response, error) {
	c, resp, err := t.probe(r)
	if err == nil && c != nil && c.isOf(head.Header) {
		c.dressHead(head)
		return judged(r, head), nil
	}
	if err == nil && resp == nil {
		if resp, err = t.ask(r, http.MethodGet, nil); err == nil {
			resp, err = t.trimmed(r, resp)
		}
	}
	if err != nil {
		return nil, err
	}
	drop(resp)
	resp.Body = http.NoBody
	return judged(r, resp), nil
}

// dressHead adapts the answer to a HEAD.
func (c cutoff) dressHead(resp *http.Response) {
	c.dress(resp.Header)
	size := c.size
	if size < 0 {
		size = resp.ContentLength
	}
	if c.drop > 0 {
		setLength(resp, max(size-c.drop, httprange.Unknown))
	}
}
