package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/internal/freeport"
	"github.com/stretchr/testify/require"
)

// start runs the program until the test ends and returns its address and the links that it prints.
func start(t *testing.T, args ...string) (base string, links []string) {
	t.Helper()
	p := servetest.Start(t, run, append([]string{"-allow", "127.0.0.0/8"}, args...)...)
	links = p.Said(t, "play ", 2)
	for i, link := range p.Said(t, "or open ", 2) {
		require.Equal(t, p.URL+"/#"+strings.TrimPrefix(links[i], p.URL), link)
	}
	return p.URL, links
}

// get sends a request as a page of another origin does.
func get(t *testing.T, target string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	r.Header.Set("Origin", "https://page.example")
	return servetest.Answer(t, r)
}

// stream is an origin of one live stream, in folders.
func stream(t *testing.T) *faultorigin.Origin {
	o := faultorigin.New(t)
	mpegurl := http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}}
	master := "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/index.m3u8\n"
	media := "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n" + o.URL + "/low/seg1.ts?x=1,2\n"
	o.Handle("/master.m3u8", faultorigin.Script{Header: mpegurl, Body: []byte(master)})
	o.Handle("/index.m3u8", faultorigin.Script{Header: mpegurl, Body: []byte(media)})
	o.Handle("/low/index.m3u8", faultorigin.Script{Header: mpegurl, Body: []byte(media)})
	o.Handle("/low/seg1.ts", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: bytes.Repeat([]byte("media"), 1000)})
	return o
}

// uri is the one URI of a playlist.
func uri(t *testing.T, playlist string) string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^/.*$`).FindString(playlist)
	require.NotEmpty(t, line, playlist)
	return line
}

func TestSignedLinksOpenTheWholeStream(t *testing.T) {
	o := stream(t)
	base, links := start(t, "-origin", o.URL, "-cache", "1MiB", "-key", "SECRET")
	require.Contains(t, links[0], base+"/live/index.m3u8?")
	require.Contains(t, links[1], base+"/live/master.m3u8?")
	for range 2 {
		resp, master := get(t, links[1])
		require.Equal(t, 200, resp.StatusCode, master)
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
		resp, media := get(t, base+uri(t, master))
		require.Equal(t, 200, resp.StatusCode)
		require.NotContains(t, media, o.URL)
		resp, segment := get(t, base+uri(t, media))
		require.Equal(t, 200, resp.StatusCode)
		require.Len(t, segment, 5000)
	}
	require.Equal(t, 1, o.Requests("/low/seg1.ts"))
	for _, r := range o.Log() {
		require.NotContains(t, r.URI, "hpt")
	}
	for path, status := range map[string]int{"/live/index.m3u8": 401, "/live/low/seg1.ts?x=1,2": 401, "/live/index.m3u8?hpt=AAAA": 403} {
		resp, _ := get(t, base+path)
		require.Equal(t, status, resp.StatusCode, path)
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"), path)
	}
}

func TestSealedLinksHideWhereTheStreamLies(t *testing.T) {
	o := stream(t)
	elsewhere := "https://ads.example/a.ts"
	playlist := "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg1.ts\n#EXTINF:4,\n" + elsewhere + "\n"
	o.Handle("/secret/index.m3u8", faultorigin.Script{Header: http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}}, Body: []byte(playlist)})
	o.Handle("/secret/seg1.ts", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: []byte("media")})
	base, links := start(t, "-origin", o.URL, "-key", "SECRET", "-seal", "-link", "/live/secret/index.m3u8", "-link", "/live/master.m3u8")
	require.Regexp(t, "^"+regexp.QuoteMeta(base)+`/live/[\w-]+/index\.m3u8$`, links[0])
	resp, media := get(t, links[0])
	require.Equal(t, 200, resp.StatusCode, media)
	require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, media, elsewhere, "what is not on an origin stays as it is")
	require.NotContains(t, media, "/secret")
	resp, segment := get(t, base+uri(t, media))
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "media", segment)

	_, master := get(t, links[1])
	resp, media = get(t, base+uri(t, master))
	require.Equal(t, 200, resp.StatusCode)
	resp, segment = get(t, base+uri(t, media))
	require.Equal(t, 200, resp.StatusCode)
	require.Len(t, segment, 5000)
	for _, path := range []string{"/live/secret/index.m3u8", "/live/index.m3u8", "/live/AAAA/index.m3u8"} {
		resp, _ := get(t, base+path)
		require.GreaterOrEqual(t, resp.StatusCode, 400, path)
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"), path)
	}
}

// The HLS draft demands absolute URLs of interstitials, and hls.js plays no others.
func TestInterstitialsHaveAbsoluteURLs(t *testing.T) {
	o := stream(t)
	playlist := "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-DATERANGE:ID=\"1\",CLASS=\"com.apple.hls.interstitial\"," +
		"START-DATE=\"2026-01-01T00:00:00Z\",X-ASSET-URI=\"" + o.URL + "/ad.m3u8\"\n#EXTINF:4,\nseg1.ts\n"
	o.Handle("/index.m3u8", faultorigin.Script{Header: http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}}, Body: []byte(playlist)})
	base, _ := start(t, "-origin", o.URL)
	_, media := get(t, base+"/live/index.m3u8")
	require.Contains(t, media, `X-ASSET-URI="`+base+`/live/ad.m3u8"`)
	base, _ = start(t, "-origin", o.URL, "-public", "https://media.example")
	_, media = get(t, base+"/live/index.m3u8")
	require.Contains(t, media, `X-ASSET-URI="https://media.example/live/ad.m3u8"`)
	require.Contains(t, media, "\n/live/seg1.ts\n")
}

func TestTheOtherOriginTakesOver(t *testing.T) {
	a, b := stream(t), stream(t)
	base, _ := start(t, "-origin", a.URL, "-origin", b.URL+"/")
	_, media := get(t, base+"/live/low/index.m3u8")
	used, other := a, b
	if b.Requests("") > 0 {
		used, other = b, a
	}
	require.Equal(t, "/live/low/seg1.ts?x=1,2", uri(t, media), "an origin's own URL stays hidden, whichever it is")
	used.Server.CloseClientConnections()
	used.Server.Close()
	resp, segment := get(t, base+uri(t, media))
	require.Equal(t, 200, resp.StatusCode)
	require.Len(t, segment, 5000)
	require.Equal(t, 1, other.Requests("/low/seg1.ts"))

	other.Server.CloseClientConnections()
	other.Server.Close()
	resp, body := get(t, base+"/live/low/index.m3u8")
	require.Equal(t, 502, resp.StatusCode)
	require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
	require.NotContains(t, body, "127.0.0.1")
}

func TestOnlyTheOriginsAreReached(t *testing.T) {
	o, elsewhere := stream(t), stream(t)
	o.Handle("/away.ts", faultorigin.Script{Status: 302, Header: http.Header{"Location": {elsewhere.URL + "/low/seg1.ts"}}})
	base, _ := start(t, "-origin", o.URL)
	resp, _ := get(t, base+"/live/away.ts")
	require.Equal(t, 403, resp.StatusCode)
	require.Zero(t, elsewhere.Requests(""))
	for _, path := range []string{"/live/../x", "/live/%2e%2e/x", "/live//x", "/live/%2F"} {
		resp, _ := get(t, base+path)
		require.GreaterOrEqual(t, resp.StatusCode, 300, path)
	}
}

// Each viewer of an endless stream begins at its live edge.
func TestFLVIsPassedOnAsItComes(t *testing.T) {
	o := faultorigin.New(t)
	o.Handle("/stream.flv", faultorigin.Script{
		Header: http.Header{"Content-Type": {"video/x-flv"}}, Body: bytes.Repeat([]byte("flv!"), 256), Chunked: true, Loop: true, Every: 10 * time.Millisecond,
	})
	base, _ := start(t, "-origin", o.URL, "-cache", "1MiB")
	for range 3 {
		ctx, leave := context.WithTimeout(t.Context(), 20*time.Second)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/live/stream.flv", nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.Equal(t, "video/x-flv", resp.Header.Get("Content-Type"))
		_, err = io.ReadFull(resp.Body, make([]byte, 10<<10))
		require.NoError(t, err)
		leave()
		resp.Body.Close()
	}
	require.Eventually(t, func() bool { return o.Open() == 0 }, time.Minute, 10*time.Millisecond, "a stream that nobody watches is not fetched")
}

// An endless TS looks like a segment until it is longer than one. Viewers before that moment go on undisturbed.
func TestEndlessTSIsPassedOn(t *testing.T) {
	o := faultorigin.New(t)
	o.Handle("/stream.ts", faultorigin.Script{
		Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: bytes.Repeat([]byte("transport stream"), 64<<10), Chunked: true, Loop: true,
	})
	base, _ := start(t, "-origin", o.URL, "-cache", "1MiB")
	var bodies []io.ReadCloser
	for range 2 {
		resp, err := http.Get(base + "/live/stream.ts")
		require.NoError(t, err)
		bodies = append(bodies, resp.Body)
		_, err = io.CopyN(io.Discard, resp.Body, 1<<20)
		require.NoError(t, err)
	}
	for range 80 {
		for i, body := range bodies {
			_, err := io.CopyN(io.Discard, body, 1<<20)
			require.NoError(t, err, "viewer %d", i)
		}
	}
	for _, body := range bodies {
		body.Close()
	}
	require.Eventually(t, func() bool { return o.Open() == 0 }, time.Minute, 10*time.Millisecond)
}

func TestFieldsThatAreNamedArePassedOn(t *testing.T) {
	o := faultorigin.New(t)
	o.Handle("/a.ts", faultorigin.Script{Header: http.Header{"X-A": {"1"}, "X-B": {"2"}, "Set-Cookie": {"a=b"}}, Body: []byte("media")})
	base, _ := start(t, "-origin", o.URL, "-header", "x-a", "-header", "Set-Cookie")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/live/a.ts", nil)
	require.NoError(t, err)
	r.Header = http.Header{"X-A": {"3"}, "X-B": {"4"}, "User-Agent": {"player"}}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, []string{"1", "", ""}, []string{resp.Header.Get("X-A"), resp.Header.Get("X-B"), resp.Header.Get("Set-Cookie")})
	sent := o.Log()[0].Header
	require.Equal(t, []string{"3", "", "player"}, []string{sent.Get("X-A"), sent.Get("X-B"), sent.Get("User-Agent")})
}

// A page may send and read the fields that -header passes on. Browsers ask first.
func TestPagesMaySendAndReadTheFieldsThatArePassedOn(t *testing.T) {
	o := stream(t)
	base, _ := start(t, "-origin", o.URL, "-header", "X-Api-Key")
	servetest.RequirePassedOn(t, base+"/live/index.m3u8", "X-Api-Key")
}

func TestPages(t *testing.T) {
	o := stream(t)
	base, _ := start(t, "-origin", o.URL)
	resp, body := get(t, base+"/")
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, body, "<video")
	require.Contains(t, body, `<button value="/live/index.m3u8">`)
	base, _ = start(t, "-origin", o.URL, "-key", "SECRET")
	_, body = get(t, base+"/")
	require.NotContains(t, body, "/live/index.m3u8", "whoever sees the page could watch by a signed link")

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.html"), []byte("mine"), 0o644))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "out")))
	base, _ = start(t, "-origin", o.URL, "-static", dir)
	resp, body = get(t, base+"/")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "mine", body)
	resp, _ = get(t, base+"/out")
	require.NotEqual(t, 200, resp.StatusCode, "a link out of the folder is not followed")
}

func TestADirectoryKeepsTheCacheOverARestart(t *testing.T) {
	o := faultorigin.New(t)
	o.Handle("/seg1.ts", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: []byte("Gmedia")})
	dir := t.TempDir()
	for range 2 {
		t.Run("run", func(t *testing.T) {
			base, _ := start(t, "-origin", o.URL, "-cache", "1MiB", "-dir", dir)
			resp, err := http.Get(base + "/live/seg1.ts")
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, "Gmedia", string(body))
		})
	}
	require.Equal(t, 1, o.Requests(""))
}

func TestBadFlags(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	for _, args := range [][]string{
		{}, {"-origin", "ftp://a.example"}, {"-origin", "a.example"}, {"-origin", "http://"}, {"-origin", "http://a.example:0"}, {"-origin", "http://a.example:x"},
		{"-origin", "http://a.example", "-allow", "10.0.0.0"}, {"-origin", "http://a.example", "-cache", "much"},
		{"-origin", "http://a.example", "-credentials"}, {"-origin", "http://a.example", "extra"}, {"-origin", "http://a.example", "-static", "/does/not/exist"},
		{"-origin", "http://a.example", "-key", "k", "-ttl", "-1s"}, {"-origin", "http://a.example", "-key", "k", "-link", "index.m3u8"},
		{"-origin", "http://a.example", "-seal"}, {"-origin", "http://a.example", "-key", "k", "-seal", "-link", "index.m3u8"},
		{"-origin", "http://a.example", "-dir", "/tmp"}, {"-origin", "http://a.example", "-key", ""}, {"-origin", "http://a.example", "-link", "/x.m3u8"},
		{"-origin", "http://a.example", "-public", "media.example"}, {"-origin", "http://a.example", "-public", "https://media.example/x"},
	} {
		require.Error(t, run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), io.Discard), "%v", args)
	}
}

func TestThePoolsStateNamesNoAddress(t *testing.T) {
	a, b := stream(t), stream(t)
	base, _ := start(t, "-origin", a.URL, "-origin", b.URL)
	a.Server.CloseClientConnections()
	a.Server.Close()
	for i := range 20 { // some belong to either
		resp, _ := get(t, base+"/live/"+strings.Repeat("x", i+1)+"/a.ts")
		require.Equal(t, 404, resp.StatusCode)
	}
	resp, body := get(t, base+"/pool")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	require.Regexp(t, `^\[{"name":"origin 1","state":"left alone",.*},{"name":"origin 2","state":"healthy",.*}\]\n$`, body)
	require.NotContains(t, body, "127.0.0.1")
}

func TestItsOwnListenerIsNoOrigin(t *testing.T) {
	addr, err := freeport.Addr()
	require.NoError(t, err)
	base, _ := start(t, "-origin", "http://"+addr, "-addr", addr)
	for _, path := range []string{"/live/", "/live/index.m3u8", "/live/live/index.m3u8"} {
		resp, _ := get(t, base+path)
		require.Equal(t, 403, resp.StatusCode, path)
	}
}

func TestThePageTellsWhoIsWatching(t *testing.T) {
	o := stream(t)
	for _, args := range [][]string{nil, {"-key", "SECRET-SECRET-SECRET", "-seal"}} {
		base, links := start(t, append([]string{"-origin", o.URL, "-cache", "1MiB"}, args...)...)
		for range 2 {
			resp, _ := get(t, links[0])
			require.Equal(t, 200, resp.StatusCode)
		}
		_, _ = get(t, base+"/live/nothing/at-all.ts")
		resp, body := get(t, base+"/audience")
		require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
		require.Contains(t, body, `"viewers":1,`)
		require.Equal(t, args == nil, strings.Contains(body, `"streams":{"/live/":1}`), body)
		require.NotContains(t, body, o.URL)
	}
}

// The operator can end a session. Other pages, and other names for this address, cannot.
func TestKick(t *testing.T) {
	base, links := start(t, "-origin", stream(t).URL, "-kick")
	resp, _ := get(t, links[0])
	require.Equal(t, 200, resp.StatusCode)
	_, text := get(t, base+"/sessions")
	var all []audience.Session
	require.NoError(t, json.Unmarshal([]byte(text), &all))
	require.Len(t, all, 1)
	for _, c := range []struct {
		host, origin, id string
		status           int
	}{
		{"", "https://evil.example", all[0].ID, 403}, {"rebound.example", "http://rebound.example", all[0].ID, 403},
		{"", base, "x", 404}, {"", base, all[0].ID, 200}, {"", base, all[0].ID, 404},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", base+"/sessions?end="+c.id, nil)
		require.NoError(t, err)
		r.Host = c.host
		r.Header.Set("Origin", c.origin)
		resp, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.status, resp.StatusCode, "%+v", c)
	}
	resp, _ = get(t, links[0])
	require.Equal(t, 403, resp.StatusCode)

	base, _ = start(t, "-origin", stream(t).URL)
	resp, _ = get(t, base+"/sessions")
	require.Equal(t, 404, resp.StatusCode)
	_, text = get(t, base+"/audience")
	require.NotContains(t, text, "kick")
	require.Contains(t, servetest.Fails(t, run, "-origin", "http://a.example", "-kick", "-addr", "0.0.0.0:0"), "loopback")
}
