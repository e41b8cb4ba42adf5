package rewrite_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

func mappers(t testing.TB) map[string]rewrite.Mapper {
	prefix, err := rewrite.Prefix("/live/", "https://origin.example/a/")
	require.NoError(t, err)
	root, err := rewrite.Prefix("/", "http://127.0.0.1:8080")
	require.NoError(t, err)
	host, err := rewrite.HostPath("/x/")
	require.NoError(t, err)
	return map[string]rewrite.Mapper{
		"prefix": prefix, "root": root, "host": host, "query": rewrite.Query("/proxy", "url"), "query root": rewrite.Query("", "u&="),
	}
}

// public is the URL that arrives behind an http.ServeMux when a client asks for target as it is.
func arrives(t testing.TB, target string) *url.URL {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n")))
	require.NoError(t, err, "%q", target)
	var got *url.URL
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) { got = r.URL })
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	require.NotNil(t, got, "%q is answered %d %s", target, w.Code, w.Header().Get("Location"))
	return got
}

// requireLaw checks that the mapping of u, if there is one, is undone, byte for byte; it returns the public URL.
func requireLaw(t testing.TB, m rewrite.Mapper, u string) string {
	t.Helper()
	public, err := m.AppendPublic([]byte("x"), []byte(u))
	if err != nil {
		require.ErrorIs(t, err, rewrite.ErrUnmapped)
		require.Equal(t, "x", string(public))
		return ""
	}
	target := string(public[1:])
	require.False(t, strings.ContainsAny(target, "\"\r\n {}<>\\^`|#"), "%q", target)
	parsed, err := url.Parse(target)
	require.NoError(t, err)
	for _, p := range []*url.URL{parsed, arrives(t, target)} {
		back, err := m.Upstream(p)
		require.NoError(t, err, "%q became %q", u, target)
		require.Equal(t, asSent(u), asSent(back), "%q", target)
		again, err := m.AppendPublic(nil, []byte(back))
		require.NoError(t, err, "%q", back)
		if !strings.Contains(target, "=http") {
			require.True(t, strings.HasSuffix(asSent(back), back[strings.LastIndexByte(back, '/'):]), "%q is what goes out for %q", back, target)
			require.Equal(t, target, string(again), "the law holds backwards")
		}
	}
	return target
}

// asSent is the canonical form of a URL, as RFC 3986 section 6.2 and the URL standard of browsers have it.
func asSent(u string) string {
	at := strings.Index(u, "//") + 2
	end := at + strings.IndexAny(u[at:]+"/", "/?#")
	root, tail := strings.ToLower(u[:end]), u[end:]
	if i := strings.LastIndexByte(root, ':'); i > at && strings.TrimRight(root[i:], "0123456789") == ":" {
		if port := root[i+1:]; port == "" || port == map[bool]string{true: "443", false: "80"}[strings.HasPrefix(root, "https")] {
			root = root[:i]
		}
	}
	path, rest := tail, ""
	if i := strings.IndexAny(tail, "?#"); i >= 0 {
		path, rest = tail[:i], tail[i:]
	}
	if path == "" {
		path = "/"
	}
	for i := len(path) - 1; i >= 0; i-- {
		if _, err := url.PathUnescape(path[i:min(i+3, len(path))]); path[i] == '%' && err != nil {
			path = path[:i] + "%25" + path[i+1:]
		}
	}
	escape := func(s, some string) string {
		var b strings.Builder
		for i := range len(s) {
			if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(some, c) >= 0 {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
		return b.String()
	}
	return root + escape(path, "\"<>\\^`{|}") + escape(rest, "\"<>'")
}

func TestMappersMap(t *testing.T) {
	m := mappers(t)
	for _, c := range []struct{ mapper, upstream, public string }{
		{"prefix", "https://origin.example/a/x/seg1.ts?k=v/&w", "/live/x/seg1.ts?k=v/&w"},
		{"prefix", "https://origin.example/a/", "/live/"},
		{"prefix", "https://origin.example/a/?", "/live/?"},
		{"prefix", "https://origin.example/a", ""},
		{"prefix", "https://origin.example/ab", ""},
		{"prefix", "https://origin.example/b/x", ""},
		{"prefix", "HTTPS://origin.example/a/x", "/live/x"},
		{"prefix", "https://Origin.Example:443/a/x", "/live/x"},
		{"prefix", "https://origin.example:/a/x", "/live/x"},
		{"prefix", "https://origin.example:80/a/x", ""},
		{"prefix", "https://origin.example/A/x", ""},
		{"root", "http://127.0.0.1:8080?q", "/?q"},
		{"prefix", "https://origin.example/a//x///y", "/live/%252Fx/%252F%252Fy"},
		{"prefix", "https://origin.example/a/x y", "/live/x%20y"},
		{"prefix", "https://origin.example/a/x%20y%2fz", "/live/x%20y%2fz"},
		{"prefix", "https://origin.example/a/x%2520y", "/live/x%25252520y"},
		{"prefix", "https://origin.example/a/%zz%", "/live/%252525zz%252525"},
		{"prefix", "https://origin.example/a/é{$x}", "/live/%C3%A9%7B$x%7D"},
		{"prefix", "https://origin.example/a/x?a'b\"c//d/../e", "/live/x?a%27b%22c//d/../e"},
		{"prefix", "https://origin.example/a/s.ts?_HLS_msn=1&a_HLS_=2&_HLS_x", "/live/s.ts?%255FHLS_msn=1&a_HLS_=2&%255FHLS_x"},
		{"prefix", "https://origin.example/a/s.m3u8?_HLS_msn=1", "/live/s.m3u8?_HLS_msn=1"},
		{"prefix", "https://origin.example/a/s.m3u8#f&g", "/live/s.m3u8?%2523f%2526g"},
		{"prefix", "https://origin.example/a/s.m3u8?q#f#g", "/live/s.m3u8?q%2523f%2523g"},
		{"prefix", "https://origin.example/a/s.m3u8?#f", ""},
		{"prefix", "https://origin.example/a/../x", ""},
		{"prefix", "https://origin.example/a/x/%2E%2e/y", ""},
		{"prefix", "https://origin.example/a/x%2f..%5cy", ""},
		{"prefix", "https://origin.example/a/x\\..", ""},
		{"prefix", "https://origin.example/a/..;x/y", ""},
		{"prefix", "https://origin.example/a/.. /y", ""},
		{"prefix", "https://origin.example/a/.%09./y", ""},
		{"prefix", "https://origin.example/a/\n../y", ""},
		{"prefix", "https://origin.example/a/x%00", ""},
		{"prefix", "https://origin.example/a/%252e%252e/y", ""},
		{"prefix", "https://origin.example/a/．．/y", ""},
		{"prefix", "https://origin.example/a/x?t=a b|c", "/live/x?t=a%20b%257Cc"},
		{"prefix", "https://origin.example/a/.", ""},
		{"prefix", "https://origin.example/a/.../..x/x../.x", "/live/.../..x/x../.x"},
		{"root", "http://127.0.0.1:8080/x", "/x"},
		{"root", "http://127.0.0.1:8080//x", "/%252Fx"},
		{"host", "https://cdn.example:8443/a/seg1.ts?x", "/x/https/cdn.example:8443/a/seg1.ts?x"},
		{"host", "http://[::1]:8080/a", "/x/http/[::1]:8080/a"},
		{"host", "HTTP://CDN.example", "/x/HTTP/CDN.example/"},
		{"host", "http://h?q", "/x/http/h/?q"},
		{"host", "http://h//", "/x/http/h/%252F"},
		{"host", "http://../x", ""},
		{"host", "http://é/x", ""},
		{"host", "http://u@h/x", ""},
		{"host", "http:///x", ""},
		{"host", "http://:80/x", ""},
		{"host", "http://h:8a/x", ""},
		{"host", "http://[::1/x", ""},
		{"host", "http://[g::]/x", ""},
		{"host", "ftp://h/x", ""},
		{"host", "/x", ""},
		{"query", "https://cdn.example/a/seg1.ts?x=/y#f", "/proxy/seg1.ts?url=https%3A%2F%2Fcdn.example%2Fa%2Fseg1.ts%3Fx%3D%2Fy%23f"},
		{"query", "https://h/a b+c%20d", "/proxy/abcd?url=https%3A%2F%2Fh%2Fa+b%2Bc%2520d"},
		{"query", "https://h", "/proxy/index?url=https%3A%2F%2Fh"},
		{"query", "https://h/a/", "/proxy/index?url=https%3A%2F%2Fh%2Fa%2F"},
		{"query", "https://h/.ts", "/proxy/index.ts?url=https%3A%2F%2Fh%2F.ts"},
		{"query", "https://h/..", "/proxy/index?url=https%3A%2F%2Fh%2F.."},
		{"query", "https://h/é.m3u8?a.b", "/proxy/index.m3u8?url=https%3A%2F%2Fh%2F%C3%A9.m3u8%3Fa.b"},
		{"query", "https://h/" + strings.Repeat("n", 100) + ".m4s", "/proxy/" + strings.Repeat("n", 54) + ".m4s?url=https%3A%2F%2Fh%2F" + strings.Repeat("n", 100) + ".m4s"},
		{"query", "https://u:p@h/x", ""},
		{"query", "https:h/x", ""},
		{"query root", "https://h/x", "/x?u%26%3D=https%3A%2F%2Fh%2Fx"},
	} {
		t.Run(c.mapper+" "+c.upstream, func(t *testing.T) {
			require.Equal(t, c.public, requireLaw(t, m[c.mapper], c.upstream))
		})
	}
}

func TestUpstream(t *testing.T) {
	m := mappers(t)
	for _, c := range []struct {
		mapper, public, upstream string
		status                   int
	}{
		{"prefix", "/live/x.m3u8?a=b&_HLS_msn=2&_HLS_part=1", "https://origin.example/a/x.m3u8?a=b&_HLS_msn=2&_HLS_part=1", 0},
		{"prefix", "/live/x.m3u8?%2523f%2526g&_HLS_msn=2", "https://origin.example/a/x.m3u8?_HLS_msn=2#f&g", 0},
		{"prefix", "/live/x.m3u8?a%2523f&_HLS_msn=2", "https://origin.example/a/x.m3u8?a&_HLS_msn=2#f", 0},
		{"prefix", "/live/x.ts?a=b&_HLS_msn=2&c", "https://origin.example/a/x.ts?a=b&c", 0},
		{"prefix", "/live/x.TS?_HLS_msn=2", "https://origin.example/a/x.TS", 0},
		{"prefix", "/other/x.ts", "", 404},
		{"prefix", "/live", "", 404},
		{"prefix", "/live/%2e%2e/x", "", 404},
		{"prefix", "/live/..%2fx", "", 404},
		{"prefix", "/live/..%5cx", "", 404},
		{"prefix", "/live/a%252F..%252Fx", "", 404},
		{"prefix", "/live/%252E%252E/x", "", 404},
		{"prefix", "/live/%252e%252e/x", "", 404},
		{"prefix", "/live/a%253Fb", "", 404},
		{"prefix", "/live/a%25", "", 404},
		{"prefix", "/live/a%25zz", "", 404},
		{"prefix", "/live/a?b%25", "", 404},
		{"prefix", "/live/a?b%2523%2541", "", 404},
		{"prefix", "/live/private%252Fx", "", 404},
		{"prefix", "/live/%252570rivate/x", "", 404},
		{"prefix", "/live/x//y", "", 404},
		{"prefix", "/live//x", "", 404},
		{"prefix", "/live/x%2520y", "", 404},
		{"prefix", "/live/..%2520", "", 404},
		{"prefix", "/live/%250A../x", "", 404},
		{"prefix", "/live/.%09./x", "", 404},
		{"prefix", "/live/..%20/x", "", 404},
		{"prefix", "/live/x%00", "", 404},
		{"prefix", "/live/x?a=%252541", "", 404},
		{"prefix", "/live/x?a=%255F", "", 404},
		{"prefix", "/live/x?a=\"b c'<é>|", "https://origin.example/a/x?a=%22b%20c%27%3C%C3%A9%3E|", 0},
		{"prefix", "/live/x?%zz", "https://origin.example/a/x?%zz", 0},
		{"host", "/x/https/h", "", 404},
		{"host", "/x/https/h?x", "", 404},
		{"host", "/x/https/h//x", "", 404},
		{"host", "/x/https/h/%252Fx", "https://h//x", 0},
		{"host", "/x/https/h/x.m3u8?_HLS_skip=YES", "https://h/x.m3u8?_HLS_skip=YES", 0},
		{"host", "/y/https/h/x", "", 404},
		{"host", "/x/ftp/h/x", "", 404},
		{"host", "/x/https", "", 404},
		{"host", "/x/https//x", "", 404},
		{"host", "/x/https/u@h/x", "", 404},
		{"host", "/x/https/h%2fx/x", "", 404},
		{"host", "/x/https/../x", "", 404},
		{"query", "/proxy?url=https%3A%2F%2Fh%2Fx", "https://h/x", 0},
		{"query", "/proxy/any/thing.ts?a=b&url=https://h/x&c", "https://h/x", 0},
		{"query", "/proxy?url=https://h/x%3Fa&_HLS_msn=2&CMCD=x&_HLS_pathway=%22a%22", "https://h/x?a&_HLS_msn=2&_HLS_pathway=%22a%22", 0},
		{"query", "/proxy?_HLS_msn=2&url=https://h/x%23f&_HLS_part=1", "https://h/x?_HLS_msn=2&_HLS_part=1#f", 0},
		{"query", "/proxy?url=https://h/x%3F&_HLS_msn=2", "https://h/x?_HLS_msn=2", 0},
		{"query", "/proxy?url=https://h/x%3Fa%26&_HLS_msn=2", "https://h/x?a&_HLS_msn=2", 0},
		{"query", "/proxy?url=https://h/x.m4s&_HLS_msn=2", "https://h/x.m4s", 0},
		{"query", "/proxy?url=https://h/x&_HLS_'=2", "https://h/x", 0},
		{"query", "/proxy?url=https://h/a%20b%7C%3Ft=a%20b%22%7C", "https://h/a%20b%7C?t=a%20b%22|", 0},
		{"query", "/proxy?url=http://o/x.m3u8?a=1&b=2", "http://o/x.m3u8?a=1&b=2", 0},
		{"query", "/proxy/x.m3u8?z=1&url=http://o/x.m3u8?a=%2F+&url=https://h/&_HLS_msn=2", "http://o/x.m3u8?a=%2F+&url=https://h/&_HLS_msn=2", 0},
		{"query", "/proxy?url=http://o/x.ts?a=b c", "http://o/x.ts?a=b%20c", 0},
		{"query", "/proxy?url=http://o/a+b.m3u8", "http://o/a+b.m3u8", 0},
		{"query", "/proxy?url=http%3A%2F%2Fo%2Fa+b.m3u8", "http://o/a%20b.m3u8", 0},
		{"query", "/proxy?url=http%3A%2F%2Fo%2Fx%3Fu=http://h/?c", "http://o/x?u=http://h/?c", 0},
		{"query", "/proxy?url=ftp://o/x?a&b", "", 400},
		{"query", "/proxy", "", 400},
		{"query", "/proxy?uri=https://h/x", "", 400},
		{"query", "/proxy?url=", "", 400},
		{"query", "/proxy?url=https://h/x&url=https://h/x", "", 400},
		{"query", "/proxy?url=https://h/%zz", "", 400},
		{"query", "/proxy?url=/x", "", 400},
		{"query", "/proxy?url=ftp://h/x", "", 400},
		{"query", "/proxy?url=https://u:p@h/x", "", 400},
		{"query", "/proxy?url=https://h%20i/x", "", 400},
		{"query", "/proxy?url=file:///etc/passwd", "", 400},
	} {
		t.Run(c.mapper+" "+c.public, func(t *testing.T) {
			p, err := url.Parse(c.public)
			require.NoError(t, err)
			got, err := m[c.mapper].Upstream(p)
			require.Equal(t, c.upstream, got)
			if c.status == 0 {
				require.NoError(t, err)
				return
			}
			require.Equal(t, c.status, status(err))
			require.NotContains(t, err.Error(), "//", "the text must not show upstream URLs")
		})
	}
}

func TestPrefixAliases(t *testing.T) {
	m, err := rewrite.Prefix("/live", "https://a.example/x", "https://b.example:443/y/", "http://c.example")
	require.NoError(t, err)
	for _, u := range []string{"https://a.example/x/s.ts", "https://b.example:443/y/s.ts", "http://c.example/s.ts"} {
		got, err := m.AppendPublic(nil, []byte(u))
		require.NoError(t, err)
		require.Equal(t, "/live/s.ts", string(got))
	}
	got, err := m.Upstream(&url.URL{Path: "/live/s.ts"})
	require.NoError(t, err)
	require.Equal(t, "https://a.example/x/s.ts", got)
}

func TestConstructorsReportEveryFault(t *testing.T) {
	_, err := rewrite.Prefix("live", "ftp://x", "https://u@h/", "https://h/?q", "https://h/../x")
	for _, part := range []string{`"live"`, `"ftp://x"`, `"https://u@h/"`, `"https://h/?q"`, `"https://h/../x"`} {
		require.ErrorContains(t, err, part)
	}
	for _, public := range []string{"", "x", "/a//b", "/a/../b", "/a?b", "/a b", "/a%25b", "/a#b", "https://h/x"} {
		_, err := rewrite.Prefix(public, "https://h")
		require.Error(t, err, public)
		_, err = rewrite.HostPath(public)
		require.Error(t, err, public)
	}
	_, err = rewrite.HostPath("/x", "h/", "*", "", "h:", "a.*.b", "u@h", "[::1")
	for _, part := range []string{`"h/"`, `"*"`, `""`, `"h:"`, `"a.*.b"`, `"u@h"`, `"[::1"`} {
		require.ErrorContains(t, err, part)
	}
}

func TestHostPathHosts(t *testing.T) {
	m, err := rewrite.HostPath("/x", "cdn.example", "*.wild.example", "port.example:8443", "*.pw.example:81", "[::1]", "usual.example:443", "*.usual.example:443", "[::3]:443", "http.example:80")
	require.NoError(t, err)
	for host, ok := range map[string]bool{
		"cdn.example": true, "CDN.Example": true, "cdn.example:81": true, "x.cdn.example": false, "xcdn.example": false, "cdn.example.": false,
		"a.wild.example": true, "a.b.wild.example:1": true, "wild.example": false, ".wild.example": false, "awild.example": false,
		"port.example:8443": true, "port.example": false, "port.example:443": false, "a.pw.example:81": true, "a.pw.example": false,
		"[::1]": true, "[::1]:80": true, "[::2]": false, "127.0.0.1": false,
		"usual.example": true, "usual.example:443": true, "usual.example:": true, "usual.example:80": false, "a.usual.example": true, "a.usual.example:8443": false,
		"[::3]": true, "[::3]:443": true, "[::3]:80": false, "http.example": false, "http.example:80": true,
	} {
		t.Run(host, func(t *testing.T) {
			_, err := m.AppendPublic(nil, []byte("https://"+host+"/x"))
			_, back := m.Upstream(arrives(t, "/x/https/"+host+"/x"))
			if ok {
				require.NoError(t, err)
				require.NoError(t, back)
				return
			}
			require.ErrorIs(t, err, rewrite.ErrUnmapped)
			require.Equal(t, 403, status(back))
		})
	}
}

func TestQueryUnderAnyMountPoint(t *testing.T) {
	m := rewrite.Query("/a/b/", "")
	var got string
	h := http.StripPrefix("/a", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = m.Upstream(r.URL) }))
	public, err := m.AppendPublic(nil, []byte("https://h/x.ts"))
	require.NoError(t, err)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", string(public), nil))
	require.Equal(t, "https://h/x.ts", got)
}
