package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hiddenLink lets the form make a link that does not show the origin.
func hiddenLink(t *testing.T, base string, form url.Values) (link string, status int) {
	t.Helper()
	form.Set("hide", "on")
	resp, err := http.PostForm(base+"/", form)
	require.NoError(t, err)
	defer resp.Body.Close()
	var body strings.Builder
	require.NoError(t, resp.Write(&body))
	if m := regexp.MustCompile(`<a id="link">([^<]*)</a>`).FindStringSubmatch(body.String()); m != nil {
		link = base + strings.ReplaceAll(m[1], "&amp;", "&")
	}
	return link, resp.StatusCode
}

// The fields of the form reach the origin with every child, also over a redirect, and no answer shows them.
func TestLinksCarryWhatTheOriginWants(t *testing.T) {
	var sid atomic.Int64
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, err := r.Cookie("sid")
		switch {
		case r.Header.Get("Referer") != "https://site.example/" || r.URL.Query().Get("token") != "abc" && r.URL.Path != "/moved":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/a/index.m3u8":
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: strconv.FormatInt(sid.Add(1), 10), Path: "/"})
			io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg1.ts\n#EXT-X-ENDLIST\n")
		case err != nil || session.Value == "":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/a/seg1.ts":
			http.Redirect(w, r, "/moved", http.StatusFound)
		default:
			io.WriteString(w, "media")
		}
	}))
	defer o.Close()
	base := start(t, "-allow", "127.0.0.0/8", "-key", "correct horse", "-cache", "16MiB")
	link, status := hiddenLink(t, base, url.Values{
		"url": {o.URL + "/a/index.m3u8?token=abc"}, "key": {"correct horse"}, "header": {"Referer: https://site.example/\r\n"}, "inherit": {"token"}, "cookies": {"on"},
	})
	require.Equal(t, 200, status)
	resp, body := get(t, link)
	require.Equal(t, 200, resp.StatusCode, body)
	require.Empty(t, resp.Header["Set-Cookie"])
	child := regexp.MustCompile(`(?m)^/s/.*$`).FindString(body)
	resp, body = get(t, base+child)
	require.Equal(t, 200, resp.StatusCode, body)
	require.Equal(t, "media", body)
	for _, header := range []string{"no colon", "Host: x", "Bad Name: x"} {
		_, status = hiddenLink(t, base, url.Values{"url": {o.URL + "/a/index.m3u8"}, "key": {"correct horse"}, "header": {header}})
		require.Equal(t, 400, status, header)
	}
}

// A player gets a list. Requests for its entries have the fields that the list asks for, and no link shows them.
func TestTheFormTakesAList(t *testing.T) {
	var asked atomic.Pointer[http.Header]
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/get.php" {
			io.WriteString(w, "#EXTM3U\n#EXTINF:-1 tvg-logo=\"http://"+r.Host+"/1.png\",One\nhttp://"+r.Host+"/1.m3u8|Referer=https://site.example/\n")
			return
		}
		h := r.Header.Clone()
		asked.Store(&h)
		w.Header().Set("Content-Type", mpegurl.Get("Content-Type"))
		io.WriteString(w, playlist)
	}))
	defer o.Close()
	base := start(t, "-allow", "127.0.0.0/8", "-key", "correct horse")
	resp, err := http.PostForm(base+"/", url.Values{"url": {o.URL + "/get.php?type=m3u_plus"}, "key": {"correct horse"}})
	require.NoError(t, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NotContains(t, string(page), "<video", "a page cannot play a list")
	link := regexp.MustCompile(`<a id="link">([^<]*)</a>`).FindStringSubmatch(string(page))
	require.NotNil(t, link, "%s", page)
	_, list := get(t, base+link[1])
	require.NotContains(t, list, "site.example")
	require.NotContains(t, list, o.URL)
	require.Regexp(t, `tvg-logo="`+regexp.QuoteMeta(base)+`/s/`, list)
	entry := regexp.MustCompile(`(?m)^http.*$`).FindString(list)
	resp2, body := get(t, entry)
	require.Equal(t, 200, resp2.StatusCode, body)
	require.Equal(t, "https://site.example/", asked.Load().Get("Referer"))
}

// Only -trim removes a picture before each segment.
func TestTrim(t *testing.T) {
	packet := append([]byte{0x47, 0x40, 0x00, 0x10}, make([]byte, 184)...)
	media := bytes.Repeat(packet, 20)
	junk := "GIF89a\x01" + strings.Repeat("\x00", 50) + ";"
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/gif")
		http.ServeContent(w, r, "1.gif", time.Time{}, strings.NewReader(junk+string(media)))
	}))
	defer o.Close()
	for _, trim := range []bool{false, true} {
		args := []string{"-allow", "127.0.0.0/8", "-cache", "1MiB"}
		want := junk + string(media)
		if trim {
			args, want = append(args, "-trim"), string(media)
		}
		base := start(t, args...)
		for range 2 {
			resp, body := get(t, base+"/proxy?url="+url.QueryEscape(o.URL+"/1.gif"))
			require.Equal(t, 200, resp.StatusCode)
			require.Equal(t, want, body)
			require.Equal(t, trim, resp.Header.Get("Content-Type") == "video/mp2t")
			require.EqualValues(t, len(want), resp.ContentLength)
		}
	}
}

func TestHiddenLinksShowNothingOfTheStream(t *testing.T) {
	o := stream(t)
	base := start(t, "-allow", "127.0.0.0/8", "-key", "correct horse")
	link, _ := hiddenLink(t, base, url.Values{"url": {o.URL + "/a/index.m3u8"}, "key": {"correct horse"}})
	require.Regexp(t, "^"+regexp.QuoteMeta(base)+`/s/[\w-]+/index\.m3u8\?hpt=`, link)
	resp, body := get(t, link)
	require.Equal(t, 200, resp.StatusCode, body)
	require.NotContains(t, body, strings.TrimPrefix(o.URL, "http://"))
	child := regexp.MustCompile(`(?m)^/s/[\w-]+/seg1\.ts\?hpt=.*$`).FindString(body)
	require.NotEmpty(t, child, body)
	resp, _ = get(t, base+child)
	require.Equal(t, 200, resp.StatusCode)

	seen := o.Requests("")
	bare, _, _ := strings.Cut(link, "?")
	sealed := strings.Split(bare, "/")[4]
	for name, row := range map[string]struct {
		url    string
		status int
	}{
		"without a token": {bare, 401},
		"forged token":    {link[:len(link)-4] + "AAAA", 403},
		"another name":    {strings.Replace(link, "index.m3u8", "other.m3u8", 1), 403},
		"forged URL":      {strings.Replace(link, sealed, sealed[:len(sealed)-4]+"AAAA", 1), 403},
	} {
		resp, body := get(t, row.url)
		require.Equal(t, row.status, resp.StatusCode, "%s: %s", name, body)
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"), name)
	}
	require.Equal(t, seen, o.Requests(""), "nothing reached the origin")

	for name, row := range map[string]struct {
		url, key string
		status   int
	}{"wrong key": {o.URL, "wrong", 403}, "bad URL": {"javascript:alert(1)", "correct horse", 400}} {
		link, status := hiddenLink(t, base, url.Values{"url": {row.url}, "key": {row.key}})
		require.Equal(t, row.status, status, name)
		require.Empty(t, link, name)
	}
	open := start(t, "-allow", "127.0.0.0/8")
	resp, _ = get(t, open+"/s/"+sealed+"/index.m3u8")
	require.Equal(t, 404, resp.StatusCode, "there are no hidden links without a key")
}
