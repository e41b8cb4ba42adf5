package origin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

func TestLimitsOfRequests(t *testing.T) {
	for name, p := range map[string]*origin.Proxy{
		"all": {MaxRequests: 2}, "per client": {MaxPerClient: 2}, "both": {MaxRequests: 3, MaxPerClient: 2},
		"by name": {MaxPerClient: 2, Client: func(*http.Request) string { return "one" }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, p)
			f.origin.Handle("/slow.ts", faultorigin.Script{Hang: true})
			f.origin.Handle("/a.ts", video("abc"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tr := client(t)
			for range 2 {
				go func() {
					r, _ := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+"/slow.ts", nil)
					if resp, err := tr.RoundTrip(r); err == nil {
						resp.Body.Close()
					}
				}()
			}
			require.Eventually(t, func() bool { return f.origin.Open() == 2 }, time.Minute, time.Millisecond)
			for range 5 {
				resp, _ := f.get(t, "/a.ts")
				require.Equal(t, 503, resp.StatusCode)
				require.Equal(t, "1", resp.Header.Get("Retry-After"))
			}
			require.Zero(t, f.origin.Requests("/a.ts"))
			cancel()
			require.Eventually(t, func() bool {
				resp, _ := f.get(t, "/a.ts")
				return resp.StatusCode == 200
			}, time.Minute, time.Millisecond)
		})
	}
}

func TestClientsAreToldApart(t *testing.T) {
	p := &origin.Proxy{
		MaxPerClient: 1,
		Upstream:     func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
	}
	inner := 0
	var nested func(remote string) int
	next := ""
	p.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if inner++; inner == 1 {
			return nil, coded{nested(next)}
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})
	nested = func(remote string) int {
		r := httptest.NewRequest(http.MethodGet, "/x.ts", nil)
		r.RemoteAddr = remote
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w.Code
	}
	for _, row := range []struct {
		first, second string
		same          bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true}, {"192.0.2.1:1", "192.0.2.2:1", false},
		{"[2001:db8::1]:1", "[2001:db8::ffff:1]:1", true}, {"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"[fe80::1%a]:1", "[fe80::2%b]:1", true}, {"pipe", "pipe", true}, {"pipe", "other", false},
		{"vm(3):1024", "vm(3):1025", true}, {"vm(3):1024", "vm(4):1024", false}, {"[::ffff:192.0.2.1]:1", "192.0.2.1:2", true},
	} {
		inner, next = 0, row.second
		code := nested(row.first)
		require.Equal(t, map[bool]int{true: 503, false: 502}[row.same], code, row) // 502: the result of a hook's code 200
	}
}

// What is remembered of a request does not grow with its URL: a viewer may write long ones.
func TestLongURLsLeaveNothing(t *testing.T) {
	answer := func(r *http.Request, status int, header ...string) *http.Response {
		resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: r}
		for i := 0; i < len(header); i += 2 {
			resp.Header.Set(header[i], header[i+1])
		}
		return resp
	}
	long := strings.Repeat("a", 512<<10)
	for name, row := range map[string]struct {
		method, path string // with the number of the request
		upstream     func(u *url.URL, n int) string
		answer       func(*http.Request) *http.Response
	}{
		"held redirects": {"GET", "/live%d.m3u8?" + long, func(u *url.URL, n int) string { return "http://a.example" + u.RequestURI() }, func(r *http.Request) *http.Response {
			if strings.HasPrefix(r.URL.Path, "/live") {
				return answer(r, 302, "Location", "/s.m3u8?"+r.URL.Path)
			}
			return answer(r, 200)
		}},
		"held redirects to long URLs": {"GET", "/live%d.m3u8", func(u *url.URL, n int) string { return "http://a.example" + u.Path }, func(r *http.Request) *http.Response {
			if strings.HasPrefix(r.URL.Path, "/live") {
				return answer(r, 302, "Location", "/s.m3u8?"+r.URL.Path+long)
			}
			return answer(r, 200)
		}},
		"hosts that refuse HEAD": {"HEAD", "/%d.ts", func(u *url.URL, n int) string { return fmt.Sprintf("http://h%d.example/a.ts?%s", n, long) }, func(r *http.Request) *http.Response {
			if r.Method == "HEAD" {
				return answer(r, 405)
			}
			return answer(r, 200)
		}},
		"streams in trouble": {"GET", "/live/%d/" + long + "/a.ts", func(u *url.URL, n int) string { return "http://a.example" + u.Path }, func(r *http.Request) *http.Response {
			return answer(r, 500)
		}},
		"streams below a long query": {"GET", "/live/%d/a.ts", func(u *url.URL, n int) string { return "http://a.example" + u.Path + "?" + long }, func(r *http.Request) *http.Response {
			return answer(r, 500)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			const requests = 16
			pool, err := origin.NewPool(origin.PoolConfig{
				Origins: []string{"http://a.example"}, Base: roundTrip(func(r *http.Request) (*http.Response, error) { return row.answer(r), nil }),
			})
			require.NoError(t, err)
			n := 0
			p := &origin.Proxy{
				Upstream: func(u *url.URL) (string, error) { return row.upstream(u, n), nil }, Transport: pool, HoldRedirects: time.Hour,
				OnFailure: func(*http.Request, error) {},
			}
			before := heapInUse()
			for n = range requests {
				p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(row.method, fmt.Sprintf(row.path, n), nil))
			}
			require.Eventually(t, func() bool { // on a busy machine, goroutines of the last requests still end
				return heapInUse()-before < int64(requests*len(long)/2)
			}, time.Minute, 10*time.Millisecond)
			runtime.KeepAlive(p)
		})
	}
}

func heapInUse() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
