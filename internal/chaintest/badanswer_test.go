package chaintest_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
)

// Whatever an origin does, a player gets a readable status or a body that breaks, and the next player gets the truth.
func TestBadAnswersAreToldAndNotKept(t *testing.T) {
	ch := newChain(t, chainConfig{idle: time.Minute, wait: time.Minute}) // on a loaded machine it takes a while to inspect a bomb
	const mpegurl, small = "application/vnd.apple.mpegurl", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg.ts\n"
	raw := func(head string, body string) faultorigin.Script {
		return faultorigin.Script{Raw: []byte("HTTP/1.1 " + head + "\r\n\r\n" + body)}
	}
	encoded := func(encoding string, body []byte) faultorigin.Script {
		return faultorigin.Script{Header: http.Header{"Content-Type": {mpegurl}, "Content-Encoding": {encoding}}, Body: body}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, err := z.Write(append([]byte("#EXTM3U\n"), bytes.Repeat([]byte("#\n"), 16<<20)...))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, row := range map[string]struct {
		path   string
		script faultorigin.Script
		status int // 0: a body that breaks
	}{
		"dies at the header":            {"a.ts", raw("200 OK\r\nContent-Length: 1000", ""), 502},
		"dies at the header, chunked":   {"a.ts", raw("200 OK\r\nTransfer-Encoding: chunked", ""), 502},
		"dies in its first chunk size":  {"a.ts", raw("200 OK\r\nTransfer-Encoding: chunked", "5"), 502},
		"dies in the middle":            {"a.ts", raw("200 OK\r\nContent-Length: 1000", "abc"), 0},
		"last chunk missing":            {"a.ts", raw("200 OK\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n"), 0},
		"playlist dies in the middle":   {"a.m3u8", raw("200 OK\r\nContent-Length: 1000", small), 502},
		"playlist without last chunk":   {"a.m3u8", raw("200 OK\r\nTransfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n", len(small), small)), 502},
		"unasked part":                  {"a.ts", raw("206 Partial Content\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3", "abc"), 502},
		"unasked part of a playlist":    {"a.m3u8", raw("206 Partial Content\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3", "#EX"), 502},
		"unasked 304":                   {"a.ts", raw("304 Not Modified", ""), 502},
		"unasked 416":                   {"a.ts", raw("416 Range Not Satisfiable\r\nContent-Length: 0", ""), 502},
		"switches protocols":            {"a.ts", raw("101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade", "x"), 502},
		"playlist in zstd":              {"a.m3u8", encoded("zstd", []byte("(\xb5/\xfd")), 502},
		"playlist in br":                {"a.m3u8", encoded("br", []byte("\x0b")), 502},
		"playlist in half a gzip":       {"a.m3u8", encoded("gzip", bomb.Bytes()[:20]), 502},
		"playlist in a bomb":            {"a.m3u8", encoded("gzip", bomb.Bytes()), 502},
		"playlist without an end":       {"a.m3u8", faultorigin.Script{Body: []byte("#EXTM3U\n" + strings.Repeat("#\n", 1<<15)), Chunked: true, Loop: true}, 502},
		"line without an end, by type":  {"a", faultorigin.Script{Header: http.Header{"Content-Type": {mpegurl}}, Body: bytes.Repeat([]byte("#EXTM3U"), 1<<14), Chunked: true, Loop: true}, 502},
		"header of half a megabyte":     {"a.ts", raw("200 OK\r\nX: "+strings.Repeat("x", 512<<10), ""), 502},
		"two redirects":                 {"a.ts", faultorigin.Script{Status: 302, Header: http.Header{"Location": {"/x.ts", "/y.ts"}}}, 502},
		"429":                           {"a.ts", faultorigin.Script{Status: 429, Header: http.Header{"Retry-After": {"7"}}}, 429},
		"503 of a playlist":             {"a.m3u8", faultorigin.Script{Status: 503, Header: http.Header{"Retry-After": {"7"}}}, 503},
		"a page typed as a segment":     {"a.ts", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: []byte("<!doctype html>")}, 200},
		"a page for a segment":          {"a.m4s", faultorigin.Script{Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<p>")}, 200},
		"an API's apology":              {"a.m4s", faultorigin.Script{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte("{}")}, 200},
		"a page for a playlist by name": {"a.m3u8", faultorigin.Script{Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<p>")}, 502},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/" + strings.ReplaceAll(name, " ", "-") + "/" + row.path
			good := faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: []byte("good")}
			if strings.HasSuffix(row.path, ".m3u8") {
				good = faultorigin.Script{Header: http.Header{"Content-Type": {mpegurl}}, Body: []byte(small)}
			}
			ch.origin.Handle(path, row.script)
			resp, body, err := get(t, ch.URL+"/live"+path)
			if row.status == 0 {
				require.Error(t, err, "%q came to a clean end", body)
			} else {
				require.NoError(t, err)
				require.Equal(t, row.status, resp.StatusCode, "%.100s", body)
			}
			require.Equal(t, []string{"*"}, resp.Header.Values("Access-Control-Allow-Origin"))
			require.Empty(t, resp.Header.Get("Location"))
			if row.status == 429 || row.status == 503 {
				require.Equal(t, "7", resp.Header.Get("Retry-After"))
				require.Equal(t, 1, ch.origin.Requests(path), "no storm of retries")
			}
			ch.origin.Handle(path, good)
			want := strings.ReplaceAll(string(good.Body), "\nseg", "\n/live"+strings.TrimSuffix(path, row.path)+"seg")
			require.Eventually(t, func() bool { // an answer under way may be joined
				resp, body, err := get(t, ch.URL+"/live"+path)
				return err == nil && resp.StatusCode == http.StatusOK && string(body) == want
			}, time.Minute, 10*time.Millisecond, "nothing of it is kept")
		})
	}
}
