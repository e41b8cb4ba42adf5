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

// Prefix tells how many first bytes of a body are not the media's, and what the type of the rest is ("": as the origin
// says). It is shown what has come of a body whose header is h, at most 8 KiB, and asked again as more comes, until it is
// known; last says that it is shown no more and has to decide. The sooner it knows, the sooner a slow body goes on. Its
// word must depend on the body alone. It may be called concurrently, and must change neither first nor h.
type Prefix func(first []byte, last bool, h http.Header) (drop int, contentType string, known bool)

// trimWindow is how many first bytes a Prefix is shown.
const trimWindow = 8 << 10

// Trim returns a RoundTripper that takes off what stands in front of the media in the answers of base, as prefix says. A nil
// base is the transport of a zero [Guard]; a nil prefix is [TSPrefix]. Let it stand below a cache, which then holds clean
// bytes, and above a [Pool], whose resumption then sees those of the origin.
//
//	&cache.Transport{Base: origin.Trim(pool, nil)}
//
// Nobody above sees the prefix: lengths, ranges and Content-Range count from behind it, an entity tag is made another one
// ("e" becomes "e;68", and is asked for as "e"), digests go. What there is to drop is remembered for the last 2048 to 4096
// URLs, with the validators of the version that it was found in. A part of a body that is not known costs a question for its
// first 8 KiB before its own, and a HEAD one more; a condition is sent to the origin only if the version that it names
// is known, else judged by the origin's whole answer. Several ranges at once are answered with the whole.
//
// A body with a content coding, other methods than GET and HEAD, and other answers than 200 and 206 pass as they are. If the
// body breaks before the prefix is known, RoundTrip fails.
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

// ask sends r with another method, without its conditions and its range but with those fields.
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

// judged answers the conditions of r that the origin was not told.
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

// setStatus makes an answer without a body of one that had one.
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

// trimmed takes the prefix off a whole answer.
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
		delete(resp.Header, "Content-Range") // some servers send it with everything
		setLength(resp, max(size-c.drop, httprange.Unknown))
	}
	return resp, nil
}

// look reads the beginning of a body of n bytes, no more of it than the Prefix needs. The error is io.EOF where that is all.
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

// part answers a request for one range. It gives nothing where the whole is to be asked for.
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

// partOf asks for a range of the version that is known. It gives nothing where there is another one, or the whole is needed.
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

// rangeFields ask for a part of that version, without a coding that would change what the positions count.
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

// unsatisfied is a 416.
func (c cutoff) unsatisfied() *http.Response {
	resp := &http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: c.validators()}
	setStatus(resp, http.StatusRequestedRangeNotSatisfiable)
	resp.Header["Content-Range"] = []string{httprange.Unsatisfied(c.size - c.drop)}
	return resp
}

// probe learns of a body by its first bytes. Where it learns nothing, resp is the answer, or nil if the whole is to be
// asked for.
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
	_, _ = io.CopyN(io.Discard, resp.Body, trimWindow) // the connection can be used again
	found.size = part.Size
	t.known.put(r, found)
	return &found, nil, nil
}

// head answers a HEAD, by way of a GET where the body is not known.
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

// headByGet answers a HEAD that the origin has answered, of a body that is not known.
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

// dressHead changes the answer to a HEAD.
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
