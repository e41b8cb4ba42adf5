package chaintest_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// habitChain is the chain of docs/cors-proxy.md, with the options that a habit needs.
func habitChain(t *testing.T, habit faultorigin.Habit, at string, cached bool) string {
	t.Helper()
	guard := origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	proxy := &origin.Proxy{}
	urls := rewrite.Query("/proxy", "url")
	playlists := &rewrite.Rewriter{Map: urls}
	for i := 0; i+1 <= len(habit.Flags); i++ {
		switch habit.Flags[i] {
		case "-port":
			guard.Ports = []string{habit.Flags[i+1]}
		case "-via-proxy":
			guard.Via = must(url.Parse(at))
		case "-no-via":
			proxy.NoVia = true
		case "-insecure":
			guard.Insecure = []string{habit.Flags[i+1]}
		case "-downgrade":
			proxy.Downgrade = true
		case "-wait":
			proxy.Wait = must(time.ParseDuration(habit.Flags[i+1]))
		case "-max-playlist":
			playlists.MaxSize = 16 << 20
		}
	}
	var transport http.RoundTripper = must(origin.NewGuard(guard)).Transport()
	if cached {
		transport = &cache.Transport{Base: transport, Store: cache.NewMemory(64 << 20)}
	}
	proxy.Upstream, proxy.Transport, proxy.ModifyResponse = urls.Upstream, transport, playlists.ModifyResponse
	front := httptest.NewServer(must(corsmw.New(corsmw.Config{Origins: []string{"*"}})).Handler(rangeserve.Handler(proxy)))
	t.Cleanup(front.Close)
	return front.URL
}

// habitFiles are a playlist and the files that it names.
func habitFiles() fstest.MapFS {
	files, list := fstest.MapFS{}, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"
	for i := range 3 {
		name := fmt.Sprintf("seg%03d.ts", i)
		packet := append([]byte("G\x40\x00\x10"), bytes.Repeat([]byte{byte(i)}, 184)...)
		files["ts/"+name] = &fstest.MapFile{Data: bytes.Repeat(packet, 400)}
		list += "#EXTINF:2,\n" + name + "\n"
	}
	files["ts/index.m3u8"] = &fstest.MapFile{Data: []byte(list + "#EXT-X-ENDLIST\n")}
	return files
}

// players have connections of their own: any httptest.Server that closes also closes the idle ones of http.DefaultTransport,
// and a test in parallel may be about to use one.
var players = &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}

// asked is an answer as players use it: they decode gzip.
func asked(t *testing.T, method, u, field string) (*http.Response, []byte) {
	t.Helper()
	r := must(http.NewRequest(method, u, nil))
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("Accept", "*/*")
	if field != "" {
		r.Header.Set("Range", field)
	}
	resp, err := players.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	var body io.Reader = resp.Body
	if method == http.MethodGet && resp.Header.Get("Content-Encoding") == "gzip" && resp.StatusCode == http.StatusOK {
		body = must(gzip.NewReader(resp.Body))
	}
	data, err := io.ReadAll(body)
	require.NoError(t, err)
	return resp, data
}

// A stream that plays directly plays through the chain: the playlist is read, and its files come unchanged, by GET, by HEAD and
// in parts, for the first viewer and for the second.
func TestSloppyOrigins(t *testing.T) {
	files := habitFiles()
	for _, habit := range faultorigin.Habits {
		for _, cached := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%s/%v", habit.Group, habit.Name, cached), func(t *testing.T) {
				t.Parallel()
				if testing.Short() && len(habit.Flags) > 0 && habit.Flags[0] == "-wait" {
					t.Skip("waits for a slow origin")
				}
				at := faultorigin.Sloppy(t, files, habit)
				front := habitChain(t, habit, at, cached)
				name := habit.As
				if name == "" {
					name = "ts/index.m3u8"
				}
				for range 2 {
					resp, list := asked(t, http.MethodGet, front+"/proxy?url="+url.QueryEscape(at+"/"+name), "")
					require.True(t, isFine(resp.StatusCode), resp.Status)
					n := 0
					for line := range strings.Lines(string(list)) {
						if line = strings.TrimRight(line, "\r\n"); strings.HasPrefix(line, "/proxy") && n < 3 {
							requireSegment(t, front+strings.TrimRight(line, " \t"), files[fmt.Sprintf("ts/seg%03d.ts", n)].Data, habit.Group == "ranges")
							n++
						}
					}
					require.Equal(t, 3, n, "%s", list)
				}
			})
		}
	}
}

// isFine reports whether players use a body with this status.
func isFine(status int) bool { return status/100 == 2 && status != http.StatusPartialContent }

// requireSegment requests a segment in three ways. lies: the origin's statements about ranges are false.
func requireSegment(t *testing.T, u string, want []byte, lies bool) {
	t.Helper()
	resp, body := asked(t, http.MethodGet, u, "")
	require.True(t, isFine(resp.StatusCode), resp.Status)
	require.True(t, bytes.Equal(want, body), "%d bytes that begin with %.20q", len(body), body)
	coded := resp.Header.Get("Content-Encoding") != ""
	resp, _ = asked(t, http.MethodHead, u, "")
	require.True(t, isFine(resp.StatusCode), "HEAD: %s", resp.Status)
	if coded {
		return
	}
	if resp.ContentLength >= 0 {
		require.EqualValues(t, len(want), resp.ContentLength, "HEAD")
	}
	resp, body = asked(t, http.MethodGet, u, "bytes=188-375")
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		require.Equal(t, want[188:376], body)
	case resp.StatusCode == http.StatusBadGateway && lies:
	default:
		require.True(t, isFine(resp.StatusCode), "a part: %s", resp.Status)
		require.True(t, bytes.Equal(want, body))
	}
}
