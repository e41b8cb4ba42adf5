package chaintest_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// Fields that are added below the cache, such as credentials, do not keep viewers from sharing.
func TestFieldsBelowTheCacheLetViewersShare(t *testing.T) {
	o := faultorigin.New(t)
	o.Handle("/a.ts", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: []byte("abc")})
	guard := must(origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}))
	base := origin.WithHeader(guard.Transport(), func(*http.Request) http.Header { return http.Header{"Authorization": {"Bearer secret"}} })
	front := httptest.NewServer(&origin.Proxy{
		Transport: &cache.Transport{Base: base, Store: cache.NewMemory(1 << 20)},
		Upstream:  func(u *url.URL) (string, error) { return o.URL + u.RequestURI(), nil },
	})
	t.Cleanup(front.Close)
	for range 2 {
		resp, body, err := get(t, front.URL+"/a.ts", "User-Agent", "the viewer's", "Authorization", "the viewer's")
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "abc", string(body))
	}
	require.Equal(t, 1, o.Requests("/a.ts"), "one viewer's answer is the next one's")
	require.Equal(t, "Bearer secret", o.Log()[0].Header.Get("Authorization"))
}
