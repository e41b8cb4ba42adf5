package chaintest_test

import (
	"bytes"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

func TestBadInputHasItsStatusAndCORSAndNamesNobody(t *testing.T) {
	query := func(string) rewrite.Mapper { return rewrite.Query("/proxy", "url") }
	ch := newChain(t, chainConfig{mapper: query})
	hasty := newChain(t, chainConfig{mapper: query, idle: 500 * time.Millisecond}) // too short for the other cases on a busy machine
	o := ch.origin
	closed := must(net.Listen("tcp", "127.0.0.1:0"))
	closed.Close()
	mpegurl := http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}}
	o.Handle("/html.m3u8", faultorigin.Script{Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<html>no</html>")})
	o.Handle("/typed", faultorigin.Script{Header: mpegurl, Body: []byte("<html>no</html>")})
	o.Handle("/big.m3u8", faultorigin.Script{Header: mpegurl, Body: append([]byte("#EXTM3U\n"), bytes.Repeat([]byte("#\n"), 5<<20)...)})
	o.Handle("/silent.ts", faultorigin.Script{Hang: true})
	o.Handle("/refuse.ts", faultorigin.Script{Refuse: true})
	o.Handle("/inside.ts", faultorigin.Script{Status: 302, Header: http.Header{"Location": {"http://10.0.0.1/secret"}}})
	o.Handle("/loop.ts", faultorigin.Script{Status: 302, Header: http.Header{"Location": {"/loop.ts"}}})
	o.Handle("/file.ts", faultorigin.Script{Status: 302, Header: http.Header{"Location": {"file:///etc/passwd"}}})
	o.Handle("/gone.ts", faultorigin.Script{Status: 410})

	rows := []struct {
		name, query string
		status      int
	}{
		{"no url", "", 400},
		{"empty url", "?url=", 400},
		{"relative", "?url=seg.ts", 400},
		{"other scheme", "?url=" + url.QueryEscape("ftp://a.example/x"), 400},
		{"file", "?url=" + url.QueryEscape("file:///etc/passwd"), 400},
		{"bad escape", "?url=http%3A%2F%2Fa%zz", 400},
		{"no host", "?url=" + url.QueryEscape("http:///x"), 400},
		{"userinfo", "?url=" + url.QueryEscape("http://u:p@a.example/x"), 400},
		{"html as playlist by name", "?url=" + url.QueryEscape(o.URL+"/html.m3u8"), 502},
		{"html as playlist by type", "?url=" + url.QueryEscape(o.URL+"/typed"), 502},
		{"oversized playlist", "?url=" + url.QueryEscape(o.URL+"/big.m3u8"), 502},
		{"silent", "?url=" + url.QueryEscape(o.URL+"/silent.ts"), 504},
		{"closed before the header", "?url=" + url.QueryEscape(o.URL+"/refuse.ts"), 502},
		{"refused", "?url=" + url.QueryEscape("http://"+closed.Addr().String()+"/x.ts"), 502},
		{"redirect inside", "?url=" + url.QueryEscape(o.URL+"/inside.ts"), 403},
		{"redirect loop", "?url=" + url.QueryEscape(o.URL+"/loop.ts"), 502},
		{"redirect to a file", "?url=" + url.QueryEscape(o.URL+"/file.ts"), 502},
		{"missing upstream", "?url=" + url.QueryEscape(o.URL+"/nothing.ts"), 404},
		{"gone upstream", "?url=" + url.QueryEscape(o.URL+"/gone.ts"), 410},
	}
	for name, host := range map[string]string{
		"private": "10.1.2.3", "private 172": "172.16.0.1", "private 192": "192.168.1.1", "loopback": "127.0.0.2", "loopback v6": "[::1]",
		"link-local": "169.254.1.1", "link-local v6": "[fe80::1]", "cgnat": "100.64.0.1", "ula": "[fd00::1]", "multicast": "224.0.0.1",
		"multicast v6": "[ff02::1]", "nat64": "[64:ff9b::a00:1]", "mapped": "[::ffff:10.0.0.1]", "metadata": "169.254.169.254",
		"metadata v6": "[fd00:ec2::254]", "unspecified": "0.0.0.0", "decimal": "2130706434", "hex": "0x7f000002", "octal": "0177.0.0.2", "short": "127.2",
	} {
		rows = append(rows, struct {
			name, query string
			status      int
		}{"address " + name, "?url=" + url.QueryEscape("http://"+host+"/a.m3u8"), 403})
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			at := ch
			if row.status == http.StatusGatewayTimeout {
				at = hasty
			}
			resp, body, err := get(t, at.URL+"/proxy/x.ts"+row.query)
			require.NoError(t, err)
			require.Equal(t, row.status, resp.StatusCode, "%s", body)
			require.Equal(t, []string{"*"}, resp.Header.Values("Access-Control-Allow-Origin"))
			require.Empty(t, resp.Header.Get("Location"))
			for _, secret := range []string{"127.0.0", "10.0.0.1", "http:", "secret", "passwd", strings.TrimPrefix(o.URL, "http://")} {
				require.NotContains(t, string(body), secret)
			}
		})
	}
}

func TestTokensAreAskedForAndChecked(t *testing.T) {
	ch := newChain(t, chainConfig{signed: true})
	vod(ch.origin)
	link := must(ch.signer.URL(ch.URL + "/live/vod/master.m3u8"))
	last := link[len(link)-1]
	for name, row := range map[string]struct {
		url    string
		status int
	}{
		"none":         {ch.URL + "/live/vod/master.m3u8", 401},
		"wrong":        {link[:len(link)-1] + string(last^1), 403},
		"another path": {strings.Replace(link, "master", "other", 1), 403},
		"right":        {link, 200},
	} {
		resp, body, err := get(t, row.url)
		require.NoError(t, err, name)
		require.Equal(t, row.status, resp.StatusCode, "%s: %s", name, body)
		require.Equal(t, []string{"*"}, resp.Header.Values("Access-Control-Allow-Origin"), name)
	}
	require.Equal(t, 1, ch.origin.Requests(""), "only the right token reached the origin")
}
