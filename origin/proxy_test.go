package origin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// front is a Proxy before an origin that misbehaves: /PATH is /PATH there.
type front struct {
	*httptest.Server
	origin *faultorigin.Origin
	proxy  *origin.Proxy
}

func newFront(t *testing.T, p *origin.Proxy) *front {
	t.Helper()
	f := &front{origin: faultorigin.New(t), proxy: p}
	if p.Upstream == nil {
		p.Upstream = func(u *url.URL) (string, error) { return f.origin.URL + u.RequestURI(), nil }
	}
	if p.Transport == nil {
		p.Transport = transportOf(t, &origin.Guard{Allow: prefixes("127.0.0.1/32")})
	}
	f.Server = httptest.NewServer(p)
	t.Cleanup(f.Server.Close)
	return f
}

// client is a transport of the test's own, so that no connection outlives it.
func client(t *testing.T) *http.Transport {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// do sends a request and reads the answer. The error is that of the body.
func (f *front) do(t *testing.T, method, path string, header ...string) (*http.Response, []byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, f.URL+path, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := client(t).RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func (f *front) get(t *testing.T, path string, header ...string) (*http.Response, string) {
	t.Helper()
	resp, body, err := f.do(t, http.MethodGet, path, header...)
	require.NoError(t, err)
	return resp, string(body)
}

func (f *front) last() faultorigin.Request {
	log := f.origin.Log()
	return log[len(log)-1]
}

func video(body string) faultorigin.Script {
	return faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: []byte(body)}
}

func TestStatusesPassAsTheyAre(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for _, status := range []int{200, 201, 203, 204, 226, 304, 400, 401, 403, 404, 410, 412, 416, 418, 429, 451, 500, 502, 503, 504, 599} {
		path := fmt.Sprintf("/%d.ts", status)
		f.origin.Handle(path, faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(status)
			if status != 204 && status != 304 {
				io.WriteString(w, "body")
			}
		})})
		resp, body := f.get(t, path)
		require.Equal(t, status, resp.StatusCode)
		require.Equal(t, "7", resp.Header.Get("Retry-After"), "the viewer decides when to come again")
		require.Empty(t, resp.Header.Get("WWW-Authenticate"), "a browser would ask for a password in the name of this domain")
		if status != 204 && status != 304 {
			require.Equal(t, "body", body)
		}
		require.Equal(t, 1, f.origin.Requests(path))
	}
}

func TestMethods(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.ts", video("abc"))
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "CONNECTX"} {
		resp, _, err := f.do(t, method, "/a.ts")
		require.NoError(t, err)
		require.Equal(t, 405, resp.StatusCode, method)
		require.Equal(t, "GET, HEAD", resp.Header.Get("Allow"))
	}
	require.Zero(t, f.origin.Requests(""))
	resp, body, err := f.do(t, http.MethodHead, "/a.ts")
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.EqualValues(t, 3, resp.ContentLength)
	require.Equal(t, "video/mp2t", resp.Header.Get("Content-Type"))
	require.Empty(t, body)
	require.Equal(t, http.MethodHead, f.last().Method)
}

func TestHeadersOut(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.ts", video("abc"))
	f.get(t, "/a.ts?x=1,2&b=%2f&a", "Accept", "*/*", "User-Agent", "player/1", "Range", "bytes=1-", "If-Range", `"e"`,
		"If-None-Match", `"a"`, "If-None-Match", `"b"`, "If-Modified-Since", "Fri, 20 Nov 2026 11:00:00 GMT",
		"Cookie", "a=b", "Authorization", "Bearer t", "Referer", "https://page.example/", "Origin", "https://page.example",
		"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Host", "evil.example", "Forwarded", "for=1.2.3.4", "X-Http-Method-Override", "DELETE",
		"X-Original-Url", "/admin", "Proxy-Authorization", "Basic x", "Keep-Alive", "5", "Te", "trailers", "Upgrade", "h2c", "Connection", "Accept",
		"Accept-Encoding", "gzip, br", "Icy-Metadata", "1", "Cmcd-Request", "x", "Accept-Language", "de")
	got := f.last()
	require.Equal(t, "/a.ts?x=1,2&b=%2f&a", got.URI, "the query keeps its bytes")
	require.Equal(t, strings.TrimPrefix(f.origin.URL, "http://"), got.Host)
	want := http.Header{
		"User-Agent": {"player/1"}, "Range": {"bytes=1-"}, "If-Range": {`"e"`}, "If-None-Match": {`"a"`, `"b"`},
		"If-Modified-Since": {"Fri, 20 Nov 2026 11:00:00 GMT"}, "Accept-Encoding": {"identity"}, "Via": got.Header["Via"],
	}
	require.Equal(t, want, got.Header, "Accept is named by Connection, the others are not in the list")
	require.Regexp(t, `^1\.1 hlsproxy-[a-z2-7]{8}$`, got.Header.Get("Via"))
}

func TestHeadersOutByList(t *testing.T) {
	f := newFront(t, &origin.Proxy{Header: []string{"authorization", "X-Key", "Connection", "Transfer-Encoding", "Host", "Content-Length", "Accept-Encoding"}})
	f.origin.Handle("/a.ts", video("abc"))
	f.get(t, "/a.ts", "Authorization", "Bearer t", "X-Key", "k", "Range", "bytes=1-", "User-Agent", "player")
	h := f.last().Header
	require.Equal(t, http.Header{"Authorization": {"Bearer t"}, "X-Key": {"k"}, "Accept-Encoding": {"identity"}, "Via": h["Via"]}, h)
}

func TestHeadersIn(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	pass := http.Header{
		"Content-Type": {"video/mp4"}, "Etag": {`"e"`}, "Last-Modified": {"Fri, 20 Nov 2026 11:00:00 GMT"}, "Cache-Control": {"max-age=6", "public"},
		"Expires": {"0"}, "Age": {"3"}, "Vary": {"Accept"}, "Accept-Ranges": {"bytes"}, "Content-Language": {"de"},
		"Content-Encoding": {"br"}, "Cmsd-Static": {"ot=v"}, "Cache-Status": {"x; hit"}, "Date": {"Fri, 20 Nov 2026 11:00:00 GMT"},
	}
	stop := http.Header{
		"Set-Cookie": {"a=b"}, "Access-Control-Allow-Origin": {"https://other.example"}, "Access-Control-Expose-Headers": {"X"},
		"Alt-Svc": {`h3=":443"`}, "Strict-Transport-Security": {"max-age=1"}, "Server": {"nginx/1.2.3"}, "X-Powered-By": {"php"},
		"Via": {"1.1 inner.host"}, "Location": {"http://10.0.0.1/"}, "Content-Location": {"/secret"}, "Refresh": {"0; url=http://evil.example"},
		"Link": {"</x>; rel=preload"}, "Clear-Site-Data": {`"*"`}, "Service-Worker-Allowed": {"/"}, "Public-Key-Pins": {"x"}, "Nel": {"{}"},
		"Report-To": {"{}"}, "Reporting-Endpoints": {"x"}, "Keep-Alive": {"timeout=5"}, "Proxy-Authenticate": {"Basic"}, "Upgrade": {"h2"},
		"X-Hop": {"1"}, "Connection": {"X-Hop, Digest"}, "Digest": {"x"}, "Timing-Allow-Origin": {"*"}, "Origin-Trial": {"x"}, "Www-Authenticate": {"Basic"},
		"Cross-Origin-Resource-Policy": {"same-origin"}, "X-Frame-Options": {"DENY"}, "X-Accel-Redirect": {"/internal"}, "X-Sendfile": {"/etc/passwd"},
	}
	f.origin.Handle("/a.mp4", faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range []http.Header{pass, stop} {
			for name, values := range h {
				w.Header()[name] = values
			}
		}
		io.WriteString(w, "abc")
	})})
	resp, body := f.get(t, "/a.mp4")
	require.Equal(t, "abc", body)
	want := pass.Clone()
	want["Content-Length"] = []string{"3"}
	want["X-Content-Type-Options"] = []string{"nosniff"}
	require.Equal(t, want, resp.Header)
}

func TestPagesAndImagesAreHarmless(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for contentType, harmless := range map[string]bool{
		"text/html": true, "TEXT/HTML; charset=utf-8": true, "image/svg+xml": true, "application/xml": true, "application/javascript": true, "": true,
		"video/mp4": false, "audio/aac": false, "application/vnd.apple.mpegurl": false,
	} {
		h := http.Header{"Content-Type": {contentType}}
		f.origin.Handle("/x", faultorigin.Script{Header: h, Body: []byte("<script>alert(1)</script>")})
		resp, _ := f.get(t, "/x")
		require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
		require.Equal(t, harmless, strings.Contains(resp.Header.Get("Content-Security-Policy"), "sandbox"), contentType)
	}
}

func TestRangeRules(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	body := strings.Repeat("0123456789", 100)
	for _, path := range []string{"/a.ts", "/a.m3u8", "/A.M3U", "/list"} {
		contentType := "video/mp2t"
		if path != "/a.ts" {
			contentType = "application/x-mpegURL; charset=utf-8"
		}
		f.origin.Handle(path, faultorigin.Script{Ranges: true, Header: http.Header{"Content-Type": {contentType}, "Etag": {`"e"`}}, Body: []byte(body)})
	}
	for _, row := range []struct {
		name, path, sent string
		header           []string
		status           int
		want             string
		requests         int
	}{
		{"one range", "/a.ts", "bytes=2-4", []string{"Range", "bytes=2-4"}, 206, "234", 1},
		{"suffix", "/a.ts", "bytes=-3", []string{"Range", "bytes=-3"}, 206, "789", 1},
		{"open", "/a.ts", "bytes=997-", []string{"Range", "bytes=997-"}, 206, "789", 1},
		{"with If-Range", "/a.ts", "bytes=2-4", []string{"Range", "bytes=2-4", "If-Range", `"e"`}, 206, "234", 1},
		{"with another If-Range", "/a.ts", "bytes=2-4", []string{"Range", "bytes=2-4", "If-Range", `"f"`}, 200, body, 1},
		{"from 0", "/a.ts", "", []string{"Range", "bytes=0-", "If-Range", `"f"`}, 200, body, 1},
		{"several", "/a.ts", "", []string{"Range", "bytes=0-1,5-6"}, 200, body, 1},
		{"two lines", "/a.ts", "", []string{"Range", "bytes=0-1", "Range", "bytes=5-6"}, 200, body, 1},
		{"another unit", "/a.ts", "", []string{"Range", "items=0-5"}, 200, body, 1},
		{"backwards", "/a.ts", "", []string{"Range", "bytes=5-2"}, 200, body, 1},
		{"nonsense", "/a.ts", "", []string{"Range", "bytes=x"}, 200, body, 1},
		{"past the end", "/a.ts", "bytes=2000-", []string{"Range", "bytes=2000-"}, 416, "", 1},
		{"playlist", "/a.m3u8", "", []string{"Range", "bytes=2-4", "If-Range", `"e"`}, 200, body, 1},
		{"playlist in capitals", "/A.M3U", "", []string{"Range", "bytes=2-4"}, 200, body, 1},
		{"playlist by its type", "/list", "", []string{"Range", "bytes=2-4"}, 200, body, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := f.origin.Requests("")
			resp, body := f.get(t, row.path, row.header...)
			require.Equal(t, row.status, resp.StatusCode)
			require.Equal(t, row.sent, f.last().Header.Get("Range"))
			require.Equal(t, row.requests, f.origin.Requests("")-before)
			switch row.status {
			case 416:
				require.Equal(t, "bytes */1000", resp.Header.Get("Content-Range"))
			case 206:
				require.NotEmpty(t, resp.Header.Get("Content-Range"))
				require.Equal(t, `"e"`, resp.Header.Get("Etag"))
				fallthrough
			default:
				require.Equal(t, row.want, body)
			}
		})
	}
	_, _, err := f.do(t, http.MethodHead, "/a.ts", "Range", "bytes=1-2")
	require.NoError(t, err)
	require.Empty(t, f.last().Header.Get("Range"), "Range has a meaning for GET only")
}

func TestWrongPartialAnswers(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for name, row := range map[string]struct {
		asked, given string
		body         string
		ok           bool
	}{
		"nobody asked":        {"", "bytes 0-2/10", "abc", false},
		"without a range":     {"bytes=0-2", "", "abc", false},
		"other bytes":         {"bytes=5-7", "bytes 0-2/10", "abc", false},
		"more than asked":     {"bytes=5-6", "bytes 5-7/10", "abc", false},
		"length of another":   {"bytes=5-7", "bytes 5-7/10", "abcd", false},
		"past its own end":    {"bytes=5-7", "bytes 5-7/6", "abc", false},
		"another unit":        {"bytes=5-7", "items 5-7/10", "abc", false},
		"wrong suffix":        {"bytes=-3", "bytes 5-7/10", "abc", false},
		"as asked":            {"bytes=5-7", "bytes 5-7/10", "abc", true},
		"less than asked":     {"bytes=5-9", "bytes 5-7/10", "abc", true},
		"size not known":      {"bytes=5-", "bytes 5-7/*", "abc", true},
		"suffix":              {"bytes=-3", "bytes 7-9/10", "abc", true},
		"suffix of a short":   {"bytes=-9", "bytes 0-2/3", "abc", true},
		"hint far beyond":     {"bytes=7-9007199254740991", "bytes 7-9/10", "abc", true},
		"suffix, no size":     {"bytes=-3", "bytes 7-9/*", "abc", true},
		"backwards from here": {"bytes=5-7", "bytes 7-5/10", "abc", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Content-Type": {"video/mp4"}}
			if row.given != "" {
				h.Set("Content-Range", row.given)
			}
			f.origin.Handle("/a.mp4", faultorigin.Script{Status: 206, Header: h, Body: []byte(row.body)})
			var header []string
			if row.asked != "" {
				header = []string{"Range", row.asked}
			}
			resp, body := f.get(t, "/a.mp4", header...)
			if row.ok {
				require.Equal(t, 206, resp.StatusCode)
				require.Equal(t, row.body, body)
			} else {
				require.Equal(t, 502, resp.StatusCode)
				require.NotContains(t, body, "abc")
			}
		})
	}
}

// upper is a hook that changes playlists, and their length.
func upper(seen *[]*http.Request) func(*http.Response) error {
	var mu sync.Mutex
	return func(resp *http.Response) error {
		mu.Lock()
		*seen = append(*seen, resp.Request)
		mu.Unlock()
		if !strings.HasSuffix(resp.Header.Get("Content-Type"), "mpegurl") {
			return nil
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		resp.Body.Close()
		body = append(bytes.ToUpper(body), "!!!"...)
		resp.Body = io.NopCloser(bytes.NewReader(body))
		resp.ContentLength = int64(len(body))
		resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
		resp.Header.Del("Etag")
		return nil
	}
}

func TestModifyResponse(t *testing.T) {
	var seen []*http.Request
	f := newFront(t, &origin.Proxy{ModifyResponse: upper(&seen)})
	list := http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}, "Etag": {`"e"`}}
	f.origin.Handle("/a/x.m3u8", faultorigin.Script{Status: 302, Header: http.Header{"Location": {"../b/y.m3u8?t=1"}}})
	f.origin.Handle("/b/y.m3u8", faultorigin.Script{Header: list, Body: []byte("#extm3u")})
	f.origin.Handle("/c", faultorigin.Script{Ranges: true, Header: list, Body: []byte("#extm3u")})
	resp, body := f.get(t, "/a/x.m3u8", "If-None-Match", `"e"`)
	require.Equal(t, "#EXTM3U!!!", body)
	require.EqualValues(t, 10, resp.ContentLength)
	require.Equal(t, f.origin.URL+"/b/y.m3u8?t=1", seen[0].URL.String(), "the base of relative URIs")
	require.Empty(t, f.last().Header.Get("If-None-Match"), "the validator is not that of what the viewer has")

	for _, path := range []string{"/a/x.m3u8", "/c"} {
		resp, _, err := f.do(t, http.MethodHead, path)
		require.NoError(t, err)
		require.EqualValues(t, 10, resp.ContentLength, "a HEAD has the header of the GET")
		require.Empty(t, resp.Header.Get("Etag"))
	}
	resp, body = f.get(t, "/c", "Range", "bytes=1-2")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "#EXTM3U!!!", body)
}

func TestContextReachesTheHook(t *testing.T) {
	type key struct{}
	var got any
	p := &origin.Proxy{ModifyResponse: func(r *http.Response) error {
		got = r.Request.Context().Value(key{})
		r.Header.Set("X-Own", "1")
		return nil
	}}
	f := newFront(t, p)
	f.origin.Handle("/a.ts", video("abc"))
	r := httptest.NewRequest(http.MethodGet, "/a.ts", nil)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "grant")))
	require.Equal(t, "grant", got)
	require.Equal(t, "1", w.Header().Get("X-Own"), "what a hook sets is passed on")
}

type coded struct{ status int }

func (e coded) Error() string   { return "http://10.0.0.1/secret" }
func (e coded) HTTPStatus() int { return e.status }

type later struct{ coded }

func (later) RetryAfter() time.Duration { return 2500 * time.Millisecond }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestErrorsHaveAStatusAndTellNothing(t *testing.T) {
	plain := errors.New("dial tcp 10.0.0.1:80: refused, http://10.0.0.1/secret")
	wrap := func(err error) error { return fmt.Errorf("http://10.0.0.1/secret: %w", err) }
	for name, row := range map[string]struct {
		upstream, transport, modify error
		status                      int
	}{
		"upstream":                     {upstream: plain, status: 400},
		"upstream, coded":              {upstream: wrap(coded{404}), status: 404},
		"upstream, forbidden":          {upstream: wrap(&origin.ForbiddenError{}), status: 403},
		"transport":                    {transport: plain, status: 502},
		"transport, coded":             {transport: wrap(coded{503}), status: 503},
		"transport, forbidden":         {transport: &url.Error{Op: "Get", URL: "http://10.0.0.1/", Err: &origin.ForbiddenError{}}, status: 403},
		"transport, deadline":          {transport: wrap(context.DeadlineExceeded), status: 504},
		"transport, a senseless code":  {transport: coded{200}, status: 502},
		"modify":                       {modify: plain, status: 502},
		"modify, coded":                {modify: wrap(coded{403}), status: 403},
		"transport, later":             {transport: wrap(later{coded{503}}), status: 503},
		"transport, overloaded, plain": {transport: coded{503}, status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			p := &origin.Proxy{
				Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", row.upstream },
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if row.transport != nil {
						return nil, row.transport
					}
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
				}),
				ModifyResponse: func(*http.Response) error { return row.modify },
			}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
			require.Equal(t, row.status, w.Code)
			require.Equal(t, http.StatusText(row.status)+"\n", w.Body.String())
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
			if row.status == 503 {
				require.Equal(t, map[bool]string{true: "3", false: "1"}[errors.As(row.transport, &later{})], w.Header().Get("Retry-After"))
			}
		})
	}
}

func TestUpstreamURLs(t *testing.T) {
	for raw, status := range map[string]int{
		"": 400, "seg.ts": 400, "/a.ts": 400, "//a.example/": 400, "ftp://a.example/": 400, "file:///etc/passwd": 400, "http:///x": 400,
		"http://u:p@a.example/": 400, "http://u@a.example/": 400, "http:a.example": 400, "http://a%zz/": 400, "http://a.example/%zz": 400, "http://:80/": 400,
		"http://a.example/\x00": 400, "https://a.example/x?y#z": 200, "HTTP://a.example": 200,
	} {
		var got *url.URL
		p := &origin.Proxy{
			Upstream: func(*url.URL) (string, error) { return raw, nil },
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				got = r.URL
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
			}),
		}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
		require.Equal(t, status, w.Code, raw)
		if status == 200 {
			_, fragment, _ := strings.Cut(raw, "#")
			require.Equal(t, fragment, got.Fragment, "for ModifyResponse; net/http never sends it")
		} else {
			require.Nil(t, got, raw)
		}
	}
}

func TestErrorHandler(t *testing.T) {
	var got error
	p := &origin.Proxy{
		Upstream:  func(*url.URL) (string, error) { return "http://a.example/", nil },
		Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, &origin.ForbiddenError{Reason: "x"} }),
	}
	p.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		got = err
		w.WriteHeader(p.Status(err))
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
	require.Equal(t, 403, w.Code)
	require.ErrorIs(t, got, origin.ErrForbidden)
}

func TestAPanicInAHookCostsOneAnswer(t *testing.T) {
	for name, p := range map[string]*origin.Proxy{
		"upstream": {Upstream: func(*url.URL) (string, error) { panic("secret") }},
		"modify": {
			Upstream: func(*url.URL) (string, error) { return "http://a.example/", nil },
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
			}),
			ModifyResponse: func(*http.Response) error { panic("secret") },
		},
		"no upstream at all": {},
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
		require.Equal(t, 500, w.Code, name)
		require.NotContains(t, w.Body.String(), "secret")
	}
	p := &origin.Proxy{Upstream: func(*url.URL) (string, error) { panic(http.ErrAbortHandler) }}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil))
	})
}

func TestZeroTransportIsGuarded(t *testing.T) {
	s := newCounted(t, "127.0.0.1:0", hello)
	p := &origin.Proxy{Upstream: func(*url.URL) (string, error) { return s.URL, nil }}
	for range 2 {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
		require.Equal(t, 403, w.Code)
	}
	require.Zero(t, s.conns.Load())
}

func TestGzipPassesUntouched(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, strings.Repeat("media", 100))
	z.Close()
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.vtt", faultorigin.Script{Header: http.Header{"Content-Encoding": {"gzip"}, "Content-Type": {"text/vtt"}}, Body: packed.Bytes()})
	resp, body := f.get(t, "/a.vtt")
	require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	require.Equal(t, packed.String(), body)
	require.EqualValues(t, packed.Len(), resp.ContentLength)
}

func TestInformationalAnswersAndTrailers(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.ts", faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</x>; rel=preload")
		w.WriteHeader(103)
		w.WriteHeader(100)
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("Content-Type", "video/mp2t")
		io.WriteString(w, "abc")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "1")
	})})
	resp, body := f.get(t, "/a.ts")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "abc", body)
	require.Empty(t, resp.Trailer)
	require.Empty(t, resp.Header.Get("Link"))
	require.Empty(t, resp.Header.Get("Trailer"))
}

func TestConcurrentRequests(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("serve", func(t *testing.T) {
		f := newFront(t, &origin.Proxy{})
		bodies := map[string]string{}
		for i := range 16 {
			path := fmt.Sprintf("/%d.ts", i)
			bodies[path] = strings.Repeat(path, 20_000)
			f.origin.Handle(path, video(bodies[path]))
		}
		tr := client(t)
		var wg sync.WaitGroup
		for range 8 {
			for path, want := range bodies {
				wg.Go(func() {
					r, _ := http.NewRequest(http.MethodGet, f.URL+path, nil)
					resp, err := tr.RoundTrip(r)
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					if got, err := io.ReadAll(resp.Body); err != nil || string(got) != want {
						t.Errorf("%s: %d bytes, %v", path, len(got), err)
					}
				})
			}
		}
		wg.Wait()
	})
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 5*time.Second, 10*time.Millisecond)
}

func TestForwarded(t *testing.T) {
	var got http.Header
	answer := func(status int, location string) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Location": {location}}, Body: http.NoBody}
	}
	for _, row := range []struct {
		remote        string
		header        []string
		forwarded, x  string
		before, plain string
	}{
		{"192.0.2.1:99", nil, "for=192.0.2.1", "192.0.2.1", "10.0.0.1", "for=10.0.0.1"},
		{"[2001:db8::1%eth0]:99", nil, `for="[2001:db8::1]"`, "2001:db8::1", "10.0.0.1", "for=10.0.0.1"},
		{"[::ffff:192.0.2.1]:99", []string{"X-Forwarded-For", "Forwarded"}, "for=10.0.0.1, for=192.0.2.1", "10.0.0.1, 192.0.2.1", "10.0.0.1", "for=10.0.0.1"},
		{"@", nil, "", "", "10.0.0.1", ""},
	} {
		p := &origin.Proxy{
			Forwarded: true, Header: row.header,
			Upstream: func(u *url.URL) (string, error) { return "http://a.example" + u.Path, nil },
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				got = r.Header
				if r.URL.Path == "/away" {
					return answer(302, "http://b.example/"), nil
				}
				return answer(200, ""), nil
			}),
		}
		ask := func(path string) {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.RemoteAddr = row.remote
			r.Header.Set("X-Forwarded-For", row.before)
			r.Header.Set("Forwarded", row.plain)
			p.ServeHTTP(httptest.NewRecorder(), r)
		}
		ask("/x")
		require.Equal(t, row.forwarded, got.Get("Forwarded"))
		require.Equal(t, row.x, got.Get("X-Forwarded-For"))
		ask("/away")
		require.Empty(t, got.Get("Forwarded"), "another host has no business with it")
		require.Empty(t, got.Get("X-Forwarded-For"))
	}
}
