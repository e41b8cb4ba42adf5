package chaintest_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hidden keeps a Proxy from seeing that a cache is right below it. So the cache makes the header of each answer.
type hidden struct{ http.RoundTripper }

// hooks are what a ModifyResponse may do to the header of an answer.
var hooks = map[string]func(*http.Response) error{
	"none": nil,
	"looks": func(r *http.Response) error {
		for name := range r.Header {
			if strings.HasPrefix(name, "X-") || name == "Access-Control-Allow-Origin" || name == "Content-Security-Policy" {
				return errors.New("sees a field of an outer handler, or one that does not pass")
			}
		}
		return nil
	},
	"changes values": func(r *http.Response) error {
		for name, values := range r.Header {
			if name != "Content-Length" {
				values[0] += "+"
				r.Header[name] = append(values, "more")
			}
		}
		return nil
	},
	"sets": func(r *http.Response) error {
		r.Header.Set("X-Hook", "1")
		r.Header.Set("X-Outer", "hook")
		r.Header.Add("Vary", "X-Hook")
		r.Header.Del("Etag")
		return nil
	},
	"removes all":      func(r *http.Response) error { clear(r.Header); return nil },
	"a map of its own": func(r *http.Response) error { r.Header = http.Header{"X-Hook": {"1"}}; return nil },
	"a copy":           func(r *http.Response) error { r.Header = maps.Clone(r.Header); r.Header.Set("X-Hook", "1"); return nil },
	"of the connection": func(r *http.Response) error {
		r.Header["Connection"] = []string{"X-Hook, X-Outer"}
		r.Header["X-Hook"], r.Header["X-Outer"], r.Header["Upgrade"] = []string{"1"}, []string{"hook"}, []string{"x"}
		return nil
	},
	"another body": func(r *http.Response) error {
		r.Body, r.ContentLength = struct {
			io.Reader
			io.Closer
		}{strings.NewReader("another"), r.Body}, -1
		r.Header.Del("Content-Length")
		return nil
	},
	"fails":  func(r *http.Response) error { r.Header.Set("X-Hook", "1"); return errors.New("fails") },
	"panics": func(r *http.Response) error { r.Header.Set("X-Hook", "1"); panic("panics") },
	"aborts": func(r *http.Response) error { r.Header.Set("X-Hook", "1"); panic(http.ErrAbortHandler) },
}

// meddler is a RoundTripper of a service between a Proxy and a cache.
type meddler struct {
	http.RoundTripper
	do func(base http.RoundTripper, r *http.Request) (*http.Response, error)
}

func (m *meddler) RoundTrip(r *http.Request) (*http.Response, error) { return m.do(m.RoundTripper, r) }

// meddlers are what it may do with the answers of the cache.
var meddlers = map[string]func(http.RoundTripper, *http.Request) (*http.Response, error){
	"changes values": func(base http.RoundTripper, r *http.Request) (*http.Response, error) {
		resp, err := base.RoundTrip(r)
		if err == nil {
			for _, values := range resp.Header {
				values[0] += "!"
			}
			resp.Header.Set("Etag", `"changed"`)
			resp.Header.Del("Content-Length")
		}
		return resp, err
	},
	"asks twice at a time": func(base http.RoundTripper, r *http.Request) (*http.Response, error) {
		var late sync.WaitGroup
		late.Go(func() {
			if resp, err := base.RoundTrip(r); err == nil {
				resp.Header.Set("X-Late", "1")
				resp.Body.Close()
			}
		})
		resp, err := base.RoundTrip(r)
		late.Wait()
		return resp, err
	},
	"answers itself": func(base http.RoundTripper, r *http.Request) (*http.Response, error) {
		resp, err := base.RoundTrip(r)
		if err == nil {
			resp.Header.Set("Etag", `"unused"`)
			resp.Body.Close()
		}
		return &http.Response{
			StatusCode: 200, Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: io.NopCloser(strings.NewReader("self")), ContentLength: 4, Request: r,
		}, nil
	},
}

// service is a Proxy with a hook in front of a cache that holds /seg1.ts, and an outer handler with fields of its own. It
// recovers panics.
type service struct{ http.Handler }

func newService(t *testing.T, hook func(*http.Response) error, upstream http.Header, between func(http.RoundTripper) http.RoundTripper) service {
	t.Helper()
	store := &cache.Transport{Store: cache.NewMemory(1 << 20), Base: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, Header: upstream.Clone(), Body: io.NopCloser(strings.NewReader("segment")), ContentLength: 7, Request: r,
		}, nil
	})}
	proxy := func(below http.RoundTripper, hook func(*http.Response) error) *origin.Proxy {
		return &origin.Proxy{
			Upstream:  func(u *url.URL) (string, error) { return "http://origin.example" + u.Path, nil },
			Transport: below, ModifyResponse: hook, OnFailure: func(*http.Request, error) {},
		}
	}
	fills := service{proxy(store, nil)}
	require.Eventually(t, func() bool { return strings.Contains(fills.ask("GET", nil), "hlsproxy; hit]") }, 10*time.Second, time.Millisecond)
	inner := proxy(between(store), hook)
	return service{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Vary"] = []string{"Origin"}
		h.Set("X-Outer", "outer")
		h.Set("Cache-Control", "private")
		h.Set("Access-Control-Allow-Origin", "*")
		defer func() {
			if recover() != nil {
				w.WriteHeader(599)
			}
		}()
		inner.ServeHTTP(w, r)
	})}
}

// ask returns all that a viewer gets, as text.
func (s service) ask(method string, header http.Header) string {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/seg1.ts", nil)
	r.Header = header.Clone()
	s.ServeHTTP(w, r)
	h := w.Header()
	h.Del("Age")
	return fmt.Sprint(w.Code, h, w.Body)
}

var date = time.Now().UTC().Format(http.TimeFormat)

var requests = map[string]http.Header{
	"GET": {}, "HEAD": {}, "GET a range": {"Range": {"bytes=1-3"}}, "GET no range": {"Range": {"bytes=70-"}},
	"GET what is new": {"If-None-Match": {`"1"`}}, "GET if": {"If-Match": {`"2"`}},
}

var upstreams = map[string]http.Header{
	"plain": {"Content-Type": {"video/mp2t"}, "Etag": {`"1"`}, "Cache-Control": {"max-age=1000"}, "Date": {date}},
	"rich": {
		"Content-Type": {"video/mp2t"}, "Etag": {`"1"`}, "Cache-Control": {"max-age=1000"}, "Date": {date}, "Vary": {"Accept-Encoding", "Accept"},
		"Content-Language": {"de", "en"}, "Server": {"x"}, "X-Amz-Request-Id": {"1"}, "X-Cache": {"HIT"}, "Accept-Ranges": {"bytes"},
		"Last-Modified": {"Mon, 02 Jan 2006 15:04:05 GMT"}, "Cache-Status": {"up; hit"}, "Access-Control-Allow-Origin": {"https://x.example"},
	},
	"a document": {"Content-Type": {"text/html"}, "Etag": {`"1"`}, "Cache-Control": {"max-age=1000"}, "Date": {date}},
}

// A header that the cache writes into the viewer's own is the same as one that the Proxy has copied, whatever hooks do.
func TestALentHeaderIsThatOfACopy(t *testing.T) {
	for name, hook := range hooks {
		for kind, upstream := range upstreams {
			lent := newService(t, hook, upstream, func(base http.RoundTripper) http.RoundTripper { return base })
			copied := newService(t, hook, upstream, func(base http.RoundTripper) http.RoundTripper { return hidden{base} })
			for request, header := range requests {
				method, _, _ := strings.Cut(request, " ")
				require.Equal(t, copied.ask(method, header), lent.ask(method, header), "%s, %s, %s", name, kind, request)
			}
		}
	}
}

// Whatever a hook, a RoundTripper in between or an outer handler does to a header, no other viewer gets it. The race detector
// watches.
func TestNoHookChangesTheHeaderOfAnotherViewer(t *testing.T) {
	check := func(t *testing.T, s service) {
		for request, header := range requests {
			method, _, _ := strings.Cut(request, " ")
			want := s.ask(method, header)
			var viewers sync.WaitGroup
			for range 8 {
				viewers.Go(func() {
					for range 10 {
						assert.Equal(t, want, s.ask(method, header), request)
					}
				})
			}
			viewers.Wait()
		}
	}
	for name, hook := range hooks {
		t.Run("hook "+name, func(t *testing.T) {
			check(t, newService(t, hook, upstreams["rich"], func(base http.RoundTripper) http.RoundTripper { return base }))
		})
	}
	for name, do := range meddlers {
		t.Run("between "+name, func(t *testing.T) {
			check(t, newService(t, nil, upstreams["plain"], func(base http.RoundTripper) http.RoundTripper { return &meddler{base, do} }))
		})
	}
}

// A hook that sends the request once more to the cache gets a header of its own.
func TestAHookThatAsksAgainGetsAnotherHeader(t *testing.T) {
	var below http.RoundTripper
	s := newService(t, func(r *http.Response) error {
		again, err := below.RoundTrip(r.Request)
		if err != nil {
			return err
		}
		again.Header.Set("X-Again", "1")
		return again.Body.Close()
	}, upstreams["rich"], func(base http.RoundTripper) http.RoundTripper { below = base; return base })
	for range 3 {
		require.Contains(t, s.ask("GET", nil), "segment")
		require.NotContains(t, s.ask("GET", nil), "X-Again")
	}
}

// A cache renews an answer that the viewer already has. It must not touch what the viewer's goroutine changes: the race detector
// would report that.
func TestARenewalLeavesTheViewerAlone(t *testing.T) {
	far := &cache.Transport{Store: cache.NewMemory(1 << 20), Base: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, Header: upstreams["plain"].Clone(), Body: io.NopCloser(strings.NewReader("segment")), ContentLength: 7, Request: r,
		}, nil
	})}
	renewed := make(chan struct{}, 1)
	near := &cache.Transport{
		Store: cache.NewMemory(1 << 20), Base: far, TTL: func(*cache.Entry) time.Duration { return time.Nanosecond },
		StaleWhileRevalidate: time.Hour, OnFill: func(cache.Fill) { renewed <- struct{}{} },
	}
	s := service{&origin.Proxy{
		Upstream: func(u *url.URL) (string, error) { return "http://origin.example" + u.Path, nil }, Transport: near,
	}}
	for _, status := range []string{"stored", "stale", "stale"} {
		require.Contains(t, s.ask("GET", nil), status)
		<-renewed
	}
}
