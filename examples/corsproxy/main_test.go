package main

import (
	"bytes"
	"context"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve/servetest"
	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/internal/freeport"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, args ...string) string { return servetest.Start(t, run, args...).URL }

// get sends a request as a page of another origin does.
func get(t *testing.T, target string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	r.Header.Set("Origin", "https://page.example")
	return servetest.Answer(t, r)
}

const playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg1.ts\n#EXT-X-ENDLIST\n"

var mpegurl = http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}}

func stream(t *testing.T) *faultorigin.Origin {
	o := faultorigin.New(t)
	o.Handle("/a/index.m3u8", faultorigin.Script{Header: mpegurl, Body: []byte(playlist)})
	o.Handle("/a/seg1.ts", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: bytes.Repeat([]byte("media"), 1000)})
	return o
}

// segment is the one segment that a playlist names.
func segment(t *testing.T, base, playlist string) string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^/proxy/seg1\.ts\?.*$`).FindString(playlist)
	require.NotEmpty(t, line, playlist)
	return base + line
}

func TestPlaylistAndSegmentsComeThroughTheProxyAndTheCache(t *testing.T) {
	o := stream(t)
	base := start(t, "-allow", "127.0.0.0/8", "-cache", "1MiB")
	for range 2 {
		resp, body := get(t, base+"/proxy?url="+url.QueryEscape(o.URL+"/a/index.m3u8"))
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
		resp, media := get(t, segment(t, base, body))
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "video/mp2t", resp.Header.Get("Content-Type"))
		require.Equal(t, "sandbox; default-src 'none'", resp.Header.Get("Content-Security-Policy"))
		require.Len(t, media, 5000)
	}
	require.Equal(t, 1, o.Requests("/a/seg1.ts"))
}

func TestHostLimitsWhatIsReached(t *testing.T) {
	o := stream(t)
	base := start(t, "-allow", "127.0.0.0/8", "-host", "media.example")
	resp, _ := get(t, base+"/proxy?url="+url.QueryEscape(o.URL+"/a/index.m3u8"))
	require.Equal(t, 403, resp.StatusCode)
	require.Zero(t, o.Requests(""))
}

func TestCORSOriginsAndCredentials(t *testing.T) {
	o := stream(t)
	base := start(t, "-allow", "127.0.0.0/8", "-cors", "https://page.example", "-credentials")
	resp, _ := get(t, base+"/proxy?url="+url.QueryEscape(o.URL+"/a/index.m3u8"))
	require.Equal(t, "https://page.example", resp.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", resp.Header.Get("Access-Control-Allow-Credentials"))
}

func TestOnlySignedLinksWorkWithAKey(t *testing.T) {
	o := stream(t)
	base := start(t, "-allow", "127.0.0.0/8", "-key", "correct horse")
	target := o.URL + "/a/index.m3u8"

	resp, _ := get(t, base+"/proxy?url="+url.QueryEscape(target))
	require.Equal(t, 401, resp.StatusCode)
	require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))

	link := base + makeLink(t, base, target, "correct horse")
	resp, body := get(t, link)
	require.Equal(t, 200, resp.StatusCode, "%s: %s", link, body)
	child := segment(t, base, body)
	resp, _ = get(t, child)
	require.Equal(t, 200, resp.StatusCode)

	seen := o.Requests("")
	for _, wrong := range []string{
		strings.Replace(link, "index.m3u8", "other.m3u8", 2),
		strings.Replace(child, "seg1.ts", "seg2.ts", 2),
		strings.Replace(link, "url=", "url=http%3A%2F%2F127.0.0.1%2F&url=", 1),
	} {
		resp, body := get(t, wrong)
		require.Equal(t, 403, resp.StatusCode, "%s: %s", wrong, body)
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
	}
	require.Equal(t, seen, o.Requests(""), "nothing reached the origin")
}

func makeLink(t *testing.T, base, target, key string) string {
	t.Helper()
	resp, err := http.PostForm(base+"/", url.Values{"url": {target}, "key": {key}})
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode, "%s", body)
	m := regexp.MustCompile(`<a id="link">([^<]*)</a>`).FindSubmatch(body)
	require.NotNil(t, m, "%s", body)
	return html.UnescapeString(string(m[1]))
}

func TestTheFormMakesNoLinkWithoutTheKey(t *testing.T) {
	base := start(t, "-key", "correct horse")
	for name, row := range map[string]struct {
		form   url.Values
		status int
	}{
		"no key":    {url.Values{"url": {"https://a.example/x.m3u8"}}, 403},
		"wrong key": {url.Values{"url": {"https://a.example/x.m3u8"}, "key": {"wrong"}}, 403},
		"no url":    {url.Values{"key": {"correct horse"}}, 400},
		"bad url":   {url.Values{"url": {"javascript:alert(1)"}, "key": {"correct horse"}}, 400},
	} {
		resp, err := http.PostForm(base+"/", row.form)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, row.status, resp.StatusCode, name)
		require.NotContains(t, string(body), "/proxy", name)
	}
	resp, body := get(t, base+"/?url=https://a.example/x.m3u8&key=correct%20horse")
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, body, `name="key"`)
	require.NotContains(t, body, "/proxy", "a link is made by POST only")
}

func TestTheFormPlaysWithoutAKey(t *testing.T) {
	o := stream(t)
	base := start(t, "-allow", "127.0.0.0/8")
	resp, body := get(t, base+makeLink(t, base, o.URL+"/a/index.m3u8", ""))
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, body, "#EXTM3U")
	resp, _ = get(t, base+"/nothing")
	require.Equal(t, 404, resp.StatusCode)
}

func TestBadInput(t *testing.T) {
	o := stream(t)
	base := start(t, "-allow", "127.0.0.1/32", "-cache", "64MiB")
	signed := start(t, "-allow", "127.0.0.1/32", "-key", "k")
	hasty := start(t, "-allow", "127.0.0.1/32", "-wait", "500ms")
	closed, err := freeport.Addr()
	require.NoError(t, err)
	o.Handle("/html.m3u8", faultorigin.Script{Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<html>no</html>")})
	o.Handle("/big.m3u8", faultorigin.Script{Header: mpegurl, Body: append([]byte(playlist), bytes.Repeat([]byte("#\n"), 5<<20)...)})
	o.Handle("/silent.m3u8", faultorigin.Script{Hang: true})
	o.Handle("/inside.ts", faultorigin.Script{Status: 302, Header: http.Header{"Location": {"http://10.0.0.1/secret"}}})

	type row struct {
		url    string // as a client writes it
		status int
	}
	at := func(target string) string { return base + "/proxy?url=" + url.QueryEscape(target) }
	rows := map[string]row{
		"no url":                {base + "/proxy", 400},
		"empty url":             {base + "/proxy?url=", 400},
		"relative url":          {at("seg.ts"), 400},
		"bad escape":            {base + "/proxy?url=http%3A%2F%2Fa%zz", 400},
		"other scheme":          {at("file:///etc/passwd"), 400},
		"redirect inside":       {at(o.URL + "/inside.ts"), 403},
		"the proxy itself":      {at(base + "/"), 403},
		"refused":               {at("http://" + closed + "/x.ts"), 502},
		"silent":                {hasty + "/proxy?url=" + url.QueryEscape(o.URL+"/silent.m3u8"), 504},
		"page for a playlist":   {at(o.URL + "/html.m3u8"), 502},
		"oversized playlist":    {at(o.URL + "/big.m3u8"), 502},
		"missing at the origin": {at(o.URL + "/none.ts"), 404},
		"no token":              {signed + "/proxy?url=" + url.QueryEscape(o.URL+"/a/index.m3u8"), 401},
	}
	link := signed + makeLink(t, signed, o.URL+"/a/index.m3u8", "k")
	rows["forged token"] = row{link[:len(link)-4] + "AAAA", 403}
	for name, host := range map[string]string{
		"private": "10.1.2.3", "other loopback": "127.0.0.2", "loopback v6": "[::1]", "link-local": "169.254.1.1", "cgnat": "100.64.0.1",
		"ula": "[fd00::1]", "multicast": "224.0.0.1", "nat64": "[64:ff9b::a00:1]", "v4-mapped": "[::ffff:10.0.0.1]", "metadata": "169.254.169.254",
	} {
		rows[name] = row{at("http://" + host + "/a.m3u8"), 403}
	}
	t.Run("rows", func(t *testing.T) {
		for name, row := range rows {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				begun := time.Now()
				resp, body := get(t, row.url)
				require.Equal(t, row.status, resp.StatusCode, body)
				require.Equal(t, []string{"*"}, resp.Header.Values("Access-Control-Allow-Origin"))
				require.Empty(t, resp.Header.Get("Location"))
				require.Less(t, time.Since(begun), time.Minute)
				for _, secret := range []string{"http:", "127.0.0.1", "10.", "secret", "passwd"} {
					require.NotContains(t, body, secret)
				}
			})
		}
	})
}

func TestListeningBeyondLoopbackNeedsALimit(t *testing.T) {
	for name, row := range map[string]struct {
		args []string
		ok   bool
	}{
		"nothing": {nil, false},
		"allow":   {[]string{"-allow", "10.0.0.0/8"}, false},
		"key":     {[]string{"-key", "k"}, true},
		"host":    {[]string{"-host", "media.example"}, true},
		"open":    {[]string{"-open"}, true},
	} {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err := run(ctx, append([]string{"-addr", "0.0.0.0:0"}, row.args...), io.Discard)
		if row.ok {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, "-key or -host", name)
		}
	}
}

func TestBadFlags(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	for _, args := range [][]string{
		{"-allow", "10.0.0.0"}, {"-cache", "much"}, {"-cache", "-1"}, {"-cache", "99999999999TiB"}, {"-credentials"}, {"extra"},
		{"-cors", "not an origin"}, {"-addr", "127.0.0.1:-1"}, {"-key", "k", "-ttl", "-1s"}, {"-key", ""},
		{"-host", ""}, {"-host", "*"}, {"-host", "https://cdn.example"}, {"-host", "cdn.example:8443"}, {"-host", "*.cdn.example/x"},
		{"-port", "http"}, {"-port", "9-1"}, {"-port", "0"}, {"-via-proxy", "ftp://h:1"}, {"-via-proxy", "127.0.0.1:1080"}, {"-wait", "long"}, {"-max-playlist", "1 MB"},
		{"-public", "media.example"}, {"-public", "https://media.example/"}, {"-public", "ftp://media.example"},
	} {
		require.Error(t, run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), io.Discard), "%v", args)
	}
}

// A page may send and read the fields that -header passes on. Browsers ask first.
func TestPagesMaySendAndReadTheFieldsThatArePassedOn(t *testing.T) {
	o := stream(t)
	base := start(t, "-allow", "127.0.0.0/8", "-header", "X-Api-Key")
	servetest.RequirePassedOn(t, base+"/proxy?url="+url.QueryEscape(o.URL+"/a/index.m3u8"), "X-Api-Key")
}

// An origin that needs a flag is refused without it, and plays with it.
func TestEachFlagOpensWhatItIsFor(t *testing.T) {
	files := fstest.MapFS{"ts/index.m3u8": {Data: []byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nseg000.ts\n")}, "ts/seg000.ts": {Data: make([]byte, 188)}}
	for _, habit := range faultorigin.Habits {
		if habit.Flags == nil {
			continue
		}
		t.Run(habit.Name, func(t *testing.T) {
			t.Parallel()
			o := faultorigin.Sloppy(t, files, habit)
			get := func(t *testing.T, flags ...string) (int, string) {
				t.Parallel() // a flag that is about time takes this time
				if habit.Flags[0] != "-wait" {
					flags = append(flags, "-wait", "5m") // a busy machine reads nine megabytes slowly
				}
				base := start(t, append([]string{"-allow", "127.0.0.0/8"}, flags...)...)
				resp, err := http.Get(base + "/proxy?url=" + url.QueryEscape(o+"/ts/index.m3u8"))
				require.NoError(t, err)
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				return resp.StatusCode, string(text)
			}
			t.Run("with the flag", func(t *testing.T) {
				status, text := get(t, strings.Split(strings.ReplaceAll(strings.Join(habit.Flags, " "), "ORIGIN", o), " ")...)
				require.Equal(t, 200, status)
				require.Contains(t, text, "/proxy/seg000.ts?url=")
			})
			if flag := habit.Flags[0]; flag == "-port" || flag == "-via-proxy" {
				return // what -allow opens is open on any port, and without a proxy
			}
			t.Run("without it", func(t *testing.T) {
				status, _ := get(t)
				require.GreaterOrEqual(t, status, 400)
			})
		})
	}
}
