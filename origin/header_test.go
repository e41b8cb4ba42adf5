package origin_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// Fixed fields go only to the host that they are for, whatever redirects say, and nobody above sees them.
func TestWithHeader(t *testing.T) {
	var other http.Header
	away := newCounted(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) { other = r.Header.Clone() })
	o := faultorigin.New(t)
	home, err := url.Parse(o.URL)
	require.NoError(t, err)
	base := origin.WithHeader(transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")}), func(r *http.Request) http.Header {
		if r.URL.Host != home.Host {
			return nil
		}
		return http.Header{"authorization": {"Bearer secret"}, "User-Agent": {"ours"}, "Host": {"virtual.example"}}
	})
	o.Handle("/a.ts", video("abc"))
	o.Handle("/same.ts", to(302, "/a.ts"))
	o.Handle("/away.ts", to(302, away.URL+"/a.ts"))
	var seen []*http.Request
	f := newFront(t, &origin.Proxy{
		Transport: base,
		Upstream:  func(u *url.URL) (string, error) { return o.URL + u.RequestURI(), nil },
		ModifyResponse: func(resp *http.Response) error {
			seen = append(seen, resp.Request)
			return nil
		},
	})
	resp, body := f.get(t, "/same.ts", "User-Agent", "the viewer's", "Authorization", "the viewer's")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "abc", body)
	for _, r := range o.Log() {
		require.Equal(t, "Bearer secret", r.Header.Get("Authorization"))
		require.Equal(t, "ours", r.Header.Get("User-Agent"))
		require.Equal(t, "virtual.example", r.Host)
	}
	f.get(t, "/away.ts")
	require.Empty(t, other.Get("Authorization"))
	for _, r := range seen {
		require.Empty(t, r.Header.Get("Authorization"))
	}
}

func TestWithHeaderChangesNothingOfTheCallers(t *testing.T) {
	fields := http.Header{"X-Key": {"k"}}
	rt := origin.WithHeader(roundTrip(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, "k", r.Header.Get("X-Key"))
		spoil(r.Header)
		if r.URL.Path == "/fails" {
			return nil, errors.New("no")
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}), func(*http.Request) http.Header { return fields })
	for _, h := range []http.Header{nil, {}, {"X-Key": {"the viewer's"}}} {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "a.example"}, Header: h}
		before := h.Clone()
		resp, err := rt.RoundTrip(r)
		require.NoError(t, err)
		require.Same(t, r, resp.Request)
		require.Equal(t, before, r.Header)
		require.Equal(t, http.Header{"X-Key": {"k"}}, fields)
	}
	_, err := rt.RoundTrip(&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "a.example", Path: "/fails"}})
	require.Error(t, err)
	_, err = origin.WithHeader(nil, func(*http.Request) http.Header { return nil }).RoundTrip(
		(&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "10.0.0.1"}, Header: http.Header{}}).WithContext(t.Context()))
	requireForbidden(t, err, "nil is guarded")
}
