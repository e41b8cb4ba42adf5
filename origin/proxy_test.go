package origin_test

import (
	"bytes"
	"compress/gzip"
	"context"
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
		p.Transport = transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.1/32")})
	}
	f.Server = httptest.NewServer(p)
	t.Cleanup(f.Server.Close)
	return f
}

// client is a transport of the test itself, so that no connection outlives the test.
func client(t *testing.T) *http.Transport {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// do sends a request and reads the answer. err is the error of the body.
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

	f.origin.Handle("/d", faultorigin.Script{Status: 302, Header: http.Header{"Location": {"/b/y.m3u8"}}})
	for _, path := range []string{"/a/x.m3u8", "/c", "/d"} {
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

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestUpstreamURLs(t *testing.T) {
	for raw, status := range map[string]int{
		"": 400, "seg.ts": 400, "/a.ts": 400, "//a.example/": 400, "ftp://a.example/": 400, "file:///etc/passwd": 400, "http:///x": 400,
		"http://u:p@a.example/": 400, "http://u@a.example/": 400, "http:a.example": 400, "http://a%zz/": 400, "http://a.example/%zz": 200, "http://a.example/50%/?50%": 200, "http://:80/": 400,
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
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, time.Minute, 10*time.Millisecond)
}
