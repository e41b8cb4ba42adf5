package e2e

import (
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func (s *server) proxied(target string) string {
	return s.URL + "/proxy?url=" + url.QueryEscape(target)
}

func TestCORSProxyPlaysEveryShape(t *testing.T) {
	o := newOrigin(t, media(t))
	p := startExample(t, "corsproxy", "-allow", "127.0.0.0/8", "-cache", "256MiB")
	everyShape(t, func(s shape) string { return p.proxied(o.URL + "/" + s.playlist) })
	for _, s := range shapes {
		if s.name != "AES-128" { // keys are never kept
			require.Equal(t, 1, o.asked("/"+s.asked), "the players of %s shared what the first one fetched", s.name)
		}
	}
	for _, r := range o.seen() {
		require.Empty(t, r.Header.Get("Origin"))
		require.Empty(t, r.Header.Get("Cookie"))
	}
}

// everyShape plays all shapes in all players, the browsers at the same time.
func everyShape(t *testing.T, link func(shape) string) {
	t.Helper()
	for _, s := range shapes {
		t.Run("ffmpeg "+s.name, func(t *testing.T) {
			ffmpegPlays(t, link(s))
			require.Equal(t, frames, packets(t, link(s)))
		})
	}
	var players []*playing
	for _, s := range shapes {
		players = append(players, play(t, link(s), false))
	}
	for i, s := range shapes {
		t.Run("hls.js "+s.name, func(t *testing.T) { players[i].in(t).shows(3) })
	}
}

func TestCORSProxyPlaysSignedLinksOnly(t *testing.T) {
	o := newOrigin(t, media(t))
	p := startExample(t, "corsproxy", "-allow", "127.0.0.0/8", "-key", "correct horse")
	unsigned := p.proxied(o.URL + "/mv/master.m3u8")
	require.Contains(t, ffmpegFails(t, unsigned), "401")
	require.Equal(t, 401, play(t, unsigned, false).fails().Code)
	require.Zero(t, o.asked(""))

	link := p.URL + p.form(t, url.Values{"url": {o.URL + "/mv/master.m3u8"}, "key": {"correct horse"}})
	require.Equal(t, frames, packets(t, link))
	ffmpegPlays(t, link)
	play(t, link, false).shows(3)
}

// form lets the page make a link.
func (s *server) form(t *testing.T, values url.Values) string {
	t.Helper()
	resp, err := http.PostForm(s.URL+"/", values)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	found := regexp.MustCompile(`>(/(?:proxy|s)/[^<]*)</a>`).FindSubmatch(body)
	require.NotNil(t, found, "%s", body)
	return html.UnescapeString(string(found[1]))
}

// private is an origin that demands the fields of the link's maker. Each request needs a Referer and a User-Agent. Requests to
// its own host also need a password, a token and the cookie of the playlist. Another host has the video segments, and must not
// get these three.
func private(files http.Handler, faults func(string, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		cookie, _ := r.Cookie("sid")
		host, port, _ := net.SplitHostPort(r.Host)
		own, segment := host == "127.0.0.1", strings.HasPrefix(r.URL.Path, "/mv/video/seg")
		fault := ""
		switch {
		case r.Header.Get("Referer") != "https://site.example/" || r.UserAgent() != "set-top/1":
			fault = "without the fields"
		case !own && (user != "" || cookie != nil || !segment):
			fault = "more than is meant for another host"
		case own && (user != "me" || password != "s3cret" || r.URL.Query().Get("token") != "abc"):
			fault = "without password or token"
		case own && r.URL.Path != "/mv/master.m3u8" && (cookie == nil || cookie.Value != "opened"):
			fault = "without the cookie"
		}
		if fault != "" {
			faults(fault, r)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if own && segment {
			http.Redirect(w, r, "http://localhost:"+port+r.URL.Path, http.StatusFound)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "opened", Path: "/"})
		files.ServeHTTP(w, r)
	})
}

// A sealed link plays a private stream in a browser and in a program.
func TestCORSProxyPlaysPrivateStreams(t *testing.T) {
	var mu sync.Mutex
	var wrong []string
	o := startOrigin(t, private(folder(media(t)), func(fault string, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		wrong = append(wrong, fault+": "+r.Host+r.URL.String())
	}))
	p := startExample(t, "corsproxy", "-allow", "127.0.0.0/8", "-key", "correct horse", "-cache", "64MiB")
	stream := strings.Replace(o.URL, "//", "//me:s3cret@", 1) + "/mv/master.m3u8?token=abc"
	bare := p.URL + p.form(t, url.Values{"url": {o.URL + "/mv/master.m3u8"}, "key": {"correct horse"}, "hide": {"on"}})
	require.Contains(t, ffmpegFails(t, bare), "403")
	mu.Lock()
	require.NotEmpty(t, wrong, "the origin asks for it")
	wrong = nil
	mu.Unlock()

	link := p.URL + p.form(t, url.Values{
		"url": {stream}, "key": {"correct horse"}, "header": {"Referer: https://site.example/\nUser-Agent: set-top/1"}, "inherit": {"token"}, "cookies": {"on"},
	})
	for _, secret := range []string{"s3cret", "abc", "site.example", o.Listener.Addr().String()} {
		require.NotContains(t, strings.TrimPrefix(link, p.URL), secret)
	}
	watched := play(t, link, false)
	require.Equal(t, frames, packets(t, link))
	ffmpegPlays(t, link)
	watched.shows(3)
	mu.Lock()
	defer mu.Unlock()
	require.Empty(t, wrong)
	asked := map[bool]int{}
	for _, r := range o.seen() {
		asked[strings.HasPrefix(r.Host, "localhost:")]++
	}
	require.NotZero(t, asked[true], "a redirect led to another host")
}

func TestCORSProxyCredentials(t *testing.T) {
	o := newOrigin(t, media(t))
	star := startExample(t, "corsproxy", "-allow", "127.0.0.0/8")
	e := play(t, star.proxied(o.URL+"/ts/index.m3u8"), true).fails()
	require.Zero(t, e.Code, "a browser with credentials refuses the origin *")

	named := startExample(t, "corsproxy", "-allow", "127.0.0.0/8", "-credentials", "-cors", theBrowser.origin())
	play(t, named.proxied(o.URL+"/ts/index.m3u8"), true).shows(3)
	other := startExample(t, "corsproxy", "-allow", "127.0.0.0/8", "-cors", "https://www.example.com")
	require.Zero(t, play(t, other.proxied(o.URL+"/ts/index.m3u8"), false).fails().Code)
}

// The status of an error reaches the player, since errors have CORS headers too.
func TestCORSProxyErrorsAreReadable(t *testing.T) {
	o := startOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/refused"):
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<!doctype html><title>Not what you came for</title>")
		}
	}))
	p := startExample(t, "corsproxy", "-allow", "127.0.0.0/8")
	for name, row := range map[string]struct {
		target string
		code   int
	}{
		"refused by the origin": {o.URL + "/refused.m3u8", 403},
		"page for a playlist":   {o.URL + "/page.m3u8", 502},
		"forbidden address":     {"http://10.0.0.1/index.m3u8", 403},
		"no URL":                {"index.m3u8", 400},
	} {
		t.Run(name, func(t *testing.T) {
			e := play(t, p.proxied(row.target), false).fails()
			require.Equal(t, "manifestLoadError", e.Details)
			require.Equal(t, row.code, e.Code)
			ffmpegFails(t, p.proxied(row.target))
		})
	}
	t.Run("straight", func(t *testing.T) {
		require.Zero(t, play(t, o.URL+"/refused.m3u8", false).fails().Code, "without CORS headers the status is hidden")
	})
}
