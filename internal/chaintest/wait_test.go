package chaintest_test

import (
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

// slowBase is an origin whose header takes its time.
type slowBase time.Duration

func (d slowBase) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(time.Duration(d)):
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: http.NoBody, Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
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
				time.Sleep(time.Minute) // what goes on without viewers
			})
		})
	}
}
