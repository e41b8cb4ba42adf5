package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
)

// start runs the program until the test ends and returns the URLs that it prints.
func start(t *testing.T, args ...string) (urls []string) {
	t.Helper()
	p := servetest.Start(t, run, append([]string{"-allow", "127.0.0.0/8", "-hold", "50ms"}, args...)...)
	urls = append(urls, p.URL)
	if !slices.Contains(args, "-ask") {
		urls = append(urls, strings.TrimSuffix(p.Said(t, "open ", 1)[0], "/"))
	}
	return append(urls, p.Said(t, "play ", 1)[0])
}

// get sends a request as a page of another origin does.
func get(t *testing.T, target string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	r.Header.Set("Origin", "https://page.example")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return servetest.Answer(t, r)
}

func post(t *testing.T, target string, form url.Values) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, body := servetest.Answer(t, r)
	require.Equal(t, 200, resp.StatusCode, body)
	return body
}

// stream is an origin of two streams with encrypted segments.
func stream(t *testing.T) *faultorigin.Origin {
	o := faultorigin.New(t)
	playlist := faultorigin.Script{
		Header: http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}},
		Body:   []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"1.key\"\n#EXTINF:4,\n1.ts?x=1,2\n"),
	}
	for _, dir := range []string{"/one", "/two"} {
		o.Handle(dir+"/index.m3u8", playlist)
		o.Handle(dir+"/1.ts", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: []byte("media")})
		o.Handle(dir+"/1.key", faultorigin.Script{Body: []byte("sixteen bytes ..")})
	}
	return o
}

// urisOf are the URIs in the playlist of a stream: its key and its segment.
func urisOf(t *testing.T, base, playlist string) (uris []string) {
	t.Helper()
	for _, uri := range regexp.MustCompile(`/live/[^\s"]*`).FindAllString(playlist, -1) {
		uris = append(uris, base+uri)
	}
	require.Len(t, uris, 2, playlist)
	return uris
}

func TestTheBackendDecidesAboutSegmentsToo(t *testing.T) {
	o := stream(t)
	urls := start(t, "-origin", o.URL, "-link", "/live/one/index.m3u8")
	base, link := urls[0], urls[2]
	resp, playlist := get(t, link)
	require.Equal(t, 200, resp.StatusCode, playlist)
	_, token, _ := strings.Cut(link, "?")
	uris := urisOf(t, base, playlist)
	require.Equal(t, base+"/live/one/1.ts?x=1,2&"+token, uris[1])
	for _, uri := range uris {
		resp, _ := get(t, uri)
		require.Equal(t, 200, resp.StatusCode, uri)
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
	}
	resp, _ = get(t, uris[1], "Range", "bytes=0-1")
	require.Equal(t, 206, resp.StatusCode)

	bare, _, _ := strings.Cut(link, "?")
	for _, uri := range []string{bare, base + "/live/one/1.key", base + "/live/one/1.ts?x=1,2"} {
		for query, status := range map[string]int{"": 401, "token=": 401, "token=guess": 403, token + "&" + token: 403} {
			sep := "?"
			if strings.Contains(uri, "?") {
				sep = "&"
			}
			resp, body := get(t, uri+sep+query)
			require.Equal(t, status, resp.StatusCode, "%s: %s", uri, query)
			require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
			require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
			require.Equal(t, http.StatusText(status)+"\n", body)
		}
		resp, _ := get(t, uri, "Authorization", "Bearer "+strings.TrimPrefix(token, "token="))
		require.Equal(t, 200, resp.StatusCode)
	}
	resp, _ = get(t, base+"/live/two/1.ts?"+token)
	require.Equal(t, 403, resp.StatusCode, "of another stream")
	for _, r := range o.Log() {
		require.NotContains(t, r.URI, "token")
		require.NotContains(t, r.Header, "Authorization")
	}
}

func TestARevokedSessionEndsAtOnce(t *testing.T) {
	o := stream(t)
	urls := start(t, "-origin", o.URL, "-link", "/live/one/index.m3u8")
	base, page, link := urls[0], urls[1], urls[2]
	other := regexp.MustCompile(`http[^"]*`).FindString(regexp.MustCompile(`"link":"[^"]*`).FindString(
		post(t, page+"/sessions", url.Values{"viewer": {"B & C"}, "path": {"/live/one/index.m3u8"}}))[7:])
	_, playlist := get(t, link)
	mine := urisOf(t, base, playlist)
	_, playlist = get(t, other)
	theirs := urisOf(t, base, playlist)
	for _, uri := range append(mine, theirs...) {
		resp, _ := get(t, uri)
		require.Equal(t, 200, resp.StatusCode)
	}
	require.Equal(t, 1, o.Requests("/one/1.ts"), "viewers share, whatever their tokens")

	post(t, page+"/revoke", url.Values{"id": {"1"}})
	for _, uri := range append(mine, link) {
		require.Eventually(t, func() bool {
			resp, _ := get(t, uri)
			return resp.StatusCode == http.StatusForbidden
		}, time.Minute, 10*time.Millisecond, uri)
	}
	for _, uri := range append(theirs, other) {
		resp, _ := get(t, uri)
		require.Equal(t, 200, resp.StatusCode, "others watch on")
	}
	require.Equal(t, 1, o.Requests("/one/1.ts"), "what is cached needs a token like what is not")
}

func TestWithoutABackendNobodyWatches(t *testing.T) {
	o := stream(t)
	var status atomic.Int64
	hung := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status.Load() == 0 {
			<-hung
			return
		}
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(backend.Close)
	t.Cleanup(func() { close(hung) })
	base := start(t, "-origin", o.URL, "-ask", backend.URL, "-timeout", "300ms")[0]
	becomes := func(want int) {
		t.Helper()
		for _, path := range []string{"/live/one/index.m3u8", "/live/one/1.ts", "/live/one/1.key"} {
			require.Eventually(t, func() bool {
				resp, body := get(t, base+path+"?token=any")
				require.NotContains(t, body, "127.0.0.1")
				require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
				return resp.StatusCode == want
			}, time.Minute, 20*time.Millisecond, "%s is to become %d", path, want)
		}
	}
	for _, step := range []struct{ backend, viewer int64 }{{200, 200}, {403, 403}, {200, 200}, {401, 403}, {500, 503}, {200, 200}, {302, 503}, {0, 503}, {200, 200}} {
		status.Store(step.backend)
		becomes(int(step.viewer))
	}
	status.Store(200)
	becomes(200)
	backend.CloseClientConnections()
	backend.Listener.Close()
	becomes(503)
	resp, _ := get(t, base+"/live/one/1.ts")
	require.Equal(t, 401, resp.StatusCode, "whoever brings nothing is told so all the same")
}
