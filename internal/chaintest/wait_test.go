package chaintest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// slowBase is an origin whose header takes this long.
type slowBase time.Duration

func (d slowBase) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(time.Duration(d)):
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: http.NoBody, Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// slowBody is an origin whose body pauses for this long.
type slowBody time.Duration

func (d slowBody) RoundTrip(r *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	go func() {
		io.WriteString(w, "one")
		time.Sleep(time.Duration(d))
		io.WriteString(w, "two")
		w.Close()
	}()
	context.AfterFunc(r.Context(), func() { body.CloseWithError(context.Cause(r.Context())) })
	return &http.Response{StatusCode: 200, ContentLength: 6, Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: body, Request: r}, nil
}

// The Idle of the proxy is that of the cache as well.
func TestOneIdleForAll(t *testing.T) {
	for name, row := range map[string]struct {
		proxy, cache, pause time.Duration
		whole               bool
	}{
		"defaults":       {0, 0, 15 * time.Second, false},
		"the proxy's":    {30 * time.Second, 0, 15 * time.Second, true},
		"over the cache": {30 * time.Second, time.Second, 15 * time.Second, true},
		"no limit":       {-1, 0, time.Hour, true},
		"less":           {2 * time.Second, 0, 5 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, private := range []string{"", "private"} {
				synctest.Test(t, func(t *testing.T) {
					base := roundTrip(func(r *http.Request) (*http.Response, error) {
						resp, err := slowBody(row.pause).RoundTrip(r)
						resp.Header.Set("Cache-Control", private)
						return resp, err
					})
					p := &origin.Proxy{
						Idle: row.proxy, OnFailure: func(*http.Request, error) {},
						Upstream:  func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
						Transport: &cache.Transport{Idle: row.cache, MinRate: -1, Base: base},
					}
					w := httptest.NewRecorder()
					serve := func() { p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil)) }
					if row.whole {
						serve()
						require.Equal(t, "onetwo", w.Body.String())
					} else {
						require.Panics(t, serve, "the connection breaks")
					}
					time.Sleep(2 * time.Hour) // time for fills without viewers
				})
			}
		})
	}
}

// The Wait of the proxy is that of the cache as well, unless the cache waits longer.
func TestOneWaitForAll(t *testing.T) {
	for name, row := range map[string]struct {
		wait, idle, header time.Duration
		status             int
	}{
		"defaults":       {0, 0, 15 * time.Second, 504},
		"the proxy's":    {30 * time.Second, 0, 15 * time.Second, 200},
		"over the cache": {30 * time.Second, time.Second, 15 * time.Second, 200},
		"no limit":       {-1, 0, time.Hour, 200},
		"less":           {2 * time.Second, 0, 5 * time.Second, 504},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &origin.Proxy{
					Wait: row.wait, OnFailure: func(*http.Request, error) {},
					Upstream:  func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
					Transport: &cache.Transport{Idle: row.idle, Base: slowBase(row.header)},
				}
				w := httptest.NewRecorder()
				p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
				require.Equal(t, row.status, w.Code)
				time.Sleep(time.Minute) // time for fills without viewers
			})
		})
	}
}
