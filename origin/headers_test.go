package origin_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

func TestHeadersOut(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.ts", video("abc"))
	f.get(t, "/a.ts?x=1,2&b=%2f&a", "Accept", "*/*", "User-Agent", "player/1", "Range", "bytes=1-", "If-Range", `"e"`,
		"If-None-Match", `"a"`, "If-None-Match", `"b"`, "If-Modified-Since", "Fri, 20 Nov 2026 11:00:00 GMT",
		"Cookie", "a=b", "Authorization", "Bearer t", "Referer", "https://page.example/", "Origin", "https://page.example",
		"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Host", "evil.example", "Forwarded", "for=1.2.3.4", "X-Http-Method-Override", "DELETE",
		"X-Original-Url", "/admin", "Proxy-Authorization", "Basic x", "Keep-Alive", "5", "Te", "trailers", "Upgrade", "h2c", "Connection", "Accept",
		"Accept-Encoding", "gzip, br", "Icy-Metadata", "1", "Cmcd-Request", "x", "Accept-Language", "de")
	got := f.last()
	require.Equal(t, "/a.ts?x=1,2&b=%2f&a", got.URI, "the query keeps its bytes")
	require.Equal(t, strings.TrimPrefix(f.origin.URL, "http://"), got.Host)
	want := http.Header{
		"User-Agent": {"player/1"}, "Range": {"bytes=1-"}, "If-Range": {`"e"`}, "If-None-Match": {`"a"`, `"b"`},
		"If-Modified-Since": {"Fri, 20 Nov 2026 11:00:00 GMT"}, "Accept-Encoding": {"identity"}, "Via": got.Header["Via"],
	}
	require.Equal(t, want, got.Header, "Accept is named by Connection, the others are not in the list")
	require.Regexp(t, `^1\.1 hlsproxy-[a-z2-7]{8}$`, got.Header.Get("Via"))
}

func TestHeadersOutByList(t *testing.T) {
	f := newFront(t, &origin.Proxy{Header: []string{"authorization", "X-Key", "Connection", "Transfer-Encoding", "Host", "Content-Length", "Accept-Encoding"}})
	f.origin.Handle("/a.ts", video("abc"))
	f.get(t, "/a.ts", "Authorization", "Bearer t", "X-Key", "k", "Range", "bytes=1-", "User-Agent", "player")
	h := f.last().Header
	require.Equal(t, http.Header{"Authorization": {"Bearer t"}, "X-Key": {"k"}, "Accept-Encoding": {"identity"}, "Via": h["Via"]}, h)
}

func TestDefaultHeaderIsTheCallersOwn(t *testing.T) {
	f := newFront(t, &origin.Proxy{Header: append(origin.DefaultHeader(), "X-Key")})
	origin.DefaultHeader()[0] = "Cookie"
	f.origin.Handle("/a.ts", video("abc"))
	f.get(t, "/a.ts", "X-Key", "k", "Accept", "*/*", "Range", "bytes=1-1", "Cookie", "a=b", "User-Agent", "player")
	h := f.last().Header
	require.Equal(t, http.Header{
		"X-Key": {"k"}, "Accept": {"*/*"}, "Range": {"bytes=1-1"}, "User-Agent": {"player"}, "Accept-Encoding": {"identity"}, "Via": h["Via"],
	}, h)
}

func TestHeadersInByList(t *testing.T) {
	f := newFront(t, &origin.Proxy{ResponseHeader: []string{"x-key", "X-Hop", "Set-Cookie", "Access-Control-Allow-Origin", "Keep-Alive"}})
	f.origin.Handle("/a.ts", faultorigin.Script{Header: http.Header{
		"X-Key": {"k", "l"}, "X-Hop": {"1"}, "X-Other": {"1"}, "Connection": {"X-Hop"}, "Keep-Alive": {"timeout=5"}, "Set-Cookie": {"a=b"},
		"Access-Control-Allow-Origin": {"*"}, "Content-Type": {"video/mp2t"},
	}, Body: []byte("abc")})
	resp, _ := f.get(t, "/a.ts")
	delete(resp.Header, "Date")
	require.Equal(t, http.Header{
		"X-Key": {"k", "l"}, "Content-Type": {"video/mp2t"}, "Content-Length": {"3"}, "X-Content-Type-Options": {"nosniff"},
	}, resp.Header)
}

func TestHeadersIn(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	pass := http.Header{
		"Content-Type": {"video/mp4"}, "Etag": {`"e"`}, "Last-Modified": {"Fri, 20 Nov 2026 11:00:00 GMT"}, "Cache-Control": {"max-age=6", "public"},
		"Expires": {"0"}, "Age": {"3"}, "Vary": {"Accept"}, "Accept-Ranges": {"bytes"}, "Content-Language": {"de"},
		"Content-Encoding": {"br"}, "Cmsd-Static": {"ot=v"}, "Cache-Status": {"x; hit"}, "Date": {"Fri, 20 Nov 2026 11:00:00 GMT"},
	}
	stop := http.Header{
		"Set-Cookie": {"a=b"}, "Access-Control-Allow-Origin": {"https://other.example"}, "Access-Control-Expose-Headers": {"X"},
		"Alt-Svc": {`h3=":443"`}, "Strict-Transport-Security": {"max-age=1"}, "Server": {"nginx/1.2.3"}, "X-Powered-By": {"php"},
		"Via": {"1.1 inner.host"}, "Location": {"http://10.0.0.1/"}, "Content-Location": {"/secret"}, "Refresh": {"0; url=http://evil.example"},
		"Link": {"</x>; rel=preload"}, "Clear-Site-Data": {`"*"`}, "Service-Worker-Allowed": {"/"}, "Public-Key-Pins": {"x"}, "Nel": {"{}"},
		"Report-To": {"{}"}, "Reporting-Endpoints": {"x"}, "Keep-Alive": {"timeout=5"}, "Proxy-Authenticate": {"Basic"}, "Upgrade": {"h2"},
		"X-Hop": {"1"}, "Connection": {"X-Hop, Digest"}, "Digest": {"x"}, "Timing-Allow-Origin": {"*"}, "Origin-Trial": {"x"}, "Www-Authenticate": {"Basic"},
		"Cross-Origin-Resource-Policy": {"same-origin"}, "X-Frame-Options": {"DENY"}, "X-Accel-Redirect": {"/internal"}, "X-Sendfile": {"/etc/passwd"},
	}
	f.origin.Handle("/a.mp4", faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range []http.Header{pass, stop} {
			maps.Copy(w.Header(), h)
		}
		io.WriteString(w, "abc")
	})})
	resp, body := f.get(t, "/a.mp4")
	require.Equal(t, "abc", body)
	want := pass.Clone()
	want["Content-Length"] = []string{"3"}
	want["X-Content-Type-Options"] = []string{"nosniff"}
	require.Equal(t, want, resp.Header)
}

func TestCachesUpstreamDoNotShowTheirKeys(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.ts", faultorigin.Script{Header: http.Header{"Cache-Status": {
		"outer; hit", `edge; hit; key="https://inside.example/a?token=x"`, `edge;key=/a;hit, mid; fwd=miss`, `edge; fwd=miss; detail="http://10.0.0.1/a"`, "inner; fwd=stale",
	}}, Body: []byte("abc")})
	resp, _ := f.get(t, "/a.ts")
	require.Equal(t, []string{"outer; hit", "inner; fwd=stale"}, resp.Header["Cache-Status"])
}

func TestPagesAndImagesAreHarmless(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for contentType, harmless := range map[string]bool{
		"text/html": true, "TEXT/HTML; charset=utf-8": true, "image/svg+xml": true, "application/xml": true, "application/javascript": true, "": true,
		"video/mp4": false, "audio/aac": false, "application/vnd.apple.mpegurl": false, "Video/MP2T ; x=y": false, "audio/x-mpegurl": false,
		"video/vnd.dlna.mpeg-tts": false, "video/mp4, text/html": true, "video/mp4,text/html": true, "video/mp4\ntext/html": true, "text/html\nvideo/mp4": true,
		"video/mp4\nvideo/mp4": true, "video/x+xml": true, "audio/xhtml+xml": true, "video/xml": true, "video/": true, "video": true, "video/mp4 text/html": true,
		"video/<b>": true, "application/vnd.apple.mpegurl+xml": true, "application/vnd.apple.mpegurlx": true, "video/mp4; codecs=\"a, b\"": true,
	} {
		h := http.Header{"Content-Type": strings.Split(contentType, "\n")}
		f.origin.Handle("/x", faultorigin.Script{Header: h, Body: []byte("<script>alert(1)</script>")})
		resp, _ := f.get(t, "/x")
		require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
		require.Equal(t, harmless, strings.Contains(resp.Header.Get("Content-Security-Policy"), "sandbox"), contentType)
	}
}

// With nosniff, a browser withholds media that are labelled as a document from a video element.
func TestMediaLabelledAsDocumentsAreMedia(t *testing.T) {
	ts := strings.Repeat("\x47\x40\x00\x10"+strings.Repeat("\xff", 184), 8)
	mp4 := "\x00\x00\x00\x10ftypiso6\x00\x00\x00\x00\x00\x00\x00\x08moof"
	f := newFront(t, &origin.Proxy{})
	for name, row := range map[string]struct {
		path, label, body string
		fields            []string // of the request
		want              string
	}{
		"a page":                    {"/a", "text/html; charset=utf-8", ts, nil, "video/mp2t"},
		"a page, named as segment":  {"/a.m4s", "TEXT/HTML", mp4, nil, "video/mp4"},
		"JSON":                      {"/a", "application/problem+json", ts, nil, "video/mp2t"},
		"XML":                       {"/a.ts", "text/xml", ts, nil, "video/mp2t"},
		"plain text":                {"/a", "text/plain ;charset=x", "ID3\x04\x00\x00\x00\x00\x00\x00" + ts, nil, "audio/mpeg"},
		"two types":                 {"/a", "video/mp2t\ntext/plain", ts, nil, "video/mp2t"},
		"two types in a line":       {"/a", "video/mp2t, text/plain", ts, nil, "video/mp2t"},
		"the beginning":             {"/a", "text/html", ts, []string{"Range", "bytes=0-999"}, "video/mp2t"},
		"the middle, by its name":   {"/a.ts", "text/html", ts, []string{"Range", "bytes=500-999"}, "video/mp2t"},
		"the middle, without one":   {"/a", "text/html", ts, []string{"Range", "bytes=500-999"}, "text/html"},
		"a page that is one":        {"/a.ts", "text/html", "<!DOCTYPE html><p>gone", nil, "text/html"},
		"a text that is one":        {"/a.ts", "text/plain", "there is no such file", nil, "text/plain"},
		"JSON that is some":         {"/a", "application/json", `{"a": 1}`, nil, "application/json"},
		"captions":                  {"/a.vtt", "text/plain", "WEBVTT\n\n", nil, "text/plain"},
		"nothing":                   {"/a", "text/html", "", nil, "text/html"},
		"a label that is no hazard": {"/a.ts", "application/octet-stream", ts, nil, "application/octet-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			f.origin.Handle(row.path, faultorigin.Script{Header: http.Header{"Content-Type": strings.Split(row.label, "\n")}, Body: []byte(row.body), Ranges: true})
			resp, body := f.get(t, row.path, row.fields...)
			require.Equal(t, []string{row.want}, resp.Header["Content-Type"])
			if row.fields == nil {
				require.Equal(t, row.body, body)
			} else {
				require.Equal(t, 206, resp.StatusCode)
			}
		})
	}
}

// Upstream cannot lift the policy, not even if its other fields are passed on.
func TestUpstreamHasNoPolicyOfItsOwn(t *testing.T) {
	f := newFront(t, &origin.Proxy{ResponseHeader: []string{"Content-Security-Policy", "X-Content-Type-Options", "X-A"}})
	h := http.Header{"Content-Type": {"text/html"}, "Content-Security-Policy": {"default-src *"}, "X-Content-Type-Options": {"sniff"}, "X-A": {"a"}}
	f.origin.Handle("/x", faultorigin.Script{Header: h, Body: []byte("<script>alert(1)</script>")})
	resp, _ := f.get(t, "/x")
	require.Equal(t, []string{"sandbox; default-src 'none'"}, resp.Header["Content-Security-Policy"])
	require.Equal(t, []string{"nosniff"}, resp.Header["X-Content-Type-Options"])
	require.Equal(t, "a", resp.Header.Get("X-A"))
}

// An outer handler, or a RoundTripper, may change header values in place. That changes only this request.
func TestNoTwoRequestsShareAValue(t *testing.T) {
	var sent []http.Header
	p := &origin.Proxy{
		Upstream: func(*url.URL) (string, error) { return "http://a.example/x", nil },
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r.Header.Clone())
			spoil(r.Header)
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: http.NoBody}, nil
		}),
	}
	var got []http.Header
	for range 2 {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
		got = append(got, w.Header().Clone())
		spoil(w.Header())
	}
	require.Equal(t, sent[0], sent[1])
	require.Equal(t, got[0], got[1])
}

// A transport may still read the header of a request whose answer has come: the one that follows its redirect has values of its
// own.
func TestNoTwoHopsShareAValue(t *testing.T) {
	var hops []http.Header
	p := &origin.Proxy{
		Upstream: func(*url.URL) (string, error) { return "http://a.example/x", nil },
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			for _, earlier := range hops {
				for _, name := range []string{"Accept-Encoding", "User-Agent", "Via"} {
					require.Equal(t, []string{"changed"}, earlier[name])
					require.NotEqual(t, []string{"changed"}, r.Header[name])
				}
			}
			hops = append(hops, r.Header)
			spoil(r.Header)
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"/y"}}, Body: http.NoBody}, nil
		}),
		OnFailure: func(*http.Request, error) {},
	}
	p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil))
	require.Len(t, hops, 6)
}

func spoil(h http.Header) {
	for _, values := range h {
		for i := range values {
			values[i] = "changed"
		}
	}
}

// A player adds directives to a link after it was signed. Unknown ones would only give one thing many names.
func TestDirectivesThatReachUpstream(t *testing.T) {
	long := strings.Repeat("1", 1025)
	for given, want := range map[string]string{
		"":                                      "",
		"a=1&b":                                 "?a=1&b",
		"_HLS_msn=7&_HLS_part=2&_HLS_skip=YES":  "?_HLS_msn=7&_HLS_part=2&_HLS_skip=YES",
		"_HLS_skip=v2&x=%2F&_HLS_report=a.m3u8": "?_HLS_skip=v2&x=%2F&_HLS_report=a.m3u8",
		"_HLS_primary_id=p&_HLS_start_offset=1": "?_HLS_primary_id=p&_HLS_start_offset=1",
		"_HLS_whatever=3":                       "",
		"a=1&_HLS_x=3&b=2":                      "?a=1&b=2",
		"_HLS_msn=7&_HLS_msn=8":                 "?_HLS_msn=7",
		"_HLS_msn=7x&_HLS_part=-1":              "",
		"_HLS_msn=&_HLS_skip=NO":                "",
		"_HLS_msn=" + long:                      "",
		"_HLS_report=" + long:                   "",
		"url=http://a/?_HLS_x=1":                "?url=http://a/?_HLS_x=1",
	} {
		f := newFront(t, &origin.Proxy{})
		f.get(t, "/x.m3u8?"+given)
		require.Equal(t, "/x.m3u8"+want, strings.TrimSuffix(f.last().URI, "?"), given)
	}
}

// A film that a browser shows by itself would be blocked by the policy.
func TestA304AddsNoPolicyToWhatABrowserHas(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.mp4", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp4"}, "Etag": {`"a"`}}, Body: []byte("abc"), Ranges: true})
	resp, _ := f.get(t, "/a.mp4", "If-None-Match", `"a"`)
	require.Equal(t, http.StatusNotModified, resp.StatusCode)
	require.Empty(t, resp.Header["Content-Security-Policy"])
}

func TestForwarded(t *testing.T) {
	var got http.Header
	answer := func(status int, location string) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Location": {location}}, Body: http.NoBody}
	}
	for _, row := range []struct {
		remote        string
		header        []string
		forwarded, x  string
		before, plain string
	}{
		{"192.0.2.1:99", nil, "for=192.0.2.1", "192.0.2.1", "10.0.0.1", "for=10.0.0.1"},
		{"[2001:db8::1%eth0]:99", nil, `for="[2001:db8::1]"`, "2001:db8::1", "10.0.0.1", "for=10.0.0.1"},
		{"[::ffff:192.0.2.1]:99", []string{"X-Forwarded-For", "Forwarded"}, "for=10.0.0.1, for=192.0.2.1", "10.0.0.1, 192.0.2.1", "10.0.0.1", "for=10.0.0.1"},
		{"@", nil, "", "", "10.0.0.1", ""},
	} {
		p := &origin.Proxy{
			Forwarded: true, Header: row.header,
			Upstream: func(u *url.URL) (string, error) { return "http://a.example" + u.Path, nil },
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				got = r.Header
				if r.URL.Path == "/away" {
					return answer(302, "http://b.example/"), nil
				}
				return answer(200, ""), nil
			}),
		}
		ask := func(path string) {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.RemoteAddr = row.remote
			r.Header.Set("X-Forwarded-For", row.before)
			r.Header.Set("Forwarded", row.plain)
			p.ServeHTTP(httptest.NewRecorder(), r)
		}
		ask("/x")
		require.Equal(t, row.forwarded, got.Get("Forwarded"))
		require.Equal(t, row.x, got.Get("X-Forwarded-For"))
		ask("/away")
		require.Empty(t, got.Get("Forwarded"), "another host has no business with it")
		require.Empty(t, got.Get("X-Forwarded-For"))
	}
}

// The path and the query reach upstream byte for byte, because signed URLs are compared like that.
func TestURLsKeepTheirBytes(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for _, uri := range []string{
		"/a%2Fb%3Fc%25.ts", "/%C3%BC/%c3%bc.ts", "/a;b=c,d/(e)'!*~.ts", "/a//b/./c.ts", "/x.ts?", "/x.ts??a", "/x.ts?z=1&a=2&a=1&&=", "/x.ts?a=%7e~+%20&b=1,2;c",
		"/x.ts?url=http://a/b?c", "/:a@b$&+=.ts",
	} {
		resp, _, err := f.do(t, http.MethodGet, uri)
		require.NoError(t, err)
		require.Equal(t, 404, resp.StatusCode, uri)
		require.Equal(t, uri, f.last().URI)
	}
}

// Bytes in a query that a browser would escape are sent escaped. The rest, including escapes, is sent unchanged.
func TestQueriesGoOutAsABrowserSendsThem(t *testing.T) {
	for given, want := range map[string]string{
		"t=a b":               "t=a%20b",
		`t="a"<b>'c'`:         "t=%22a%22%3Cb%3E%27c%27",
		"t=ü\x01\x7f":         "t=%C3%BC%01%7F",
		"t=%zz%2f%20+a&&=b;c": "t=%zz%2f%20+a&&=b;c",
		"t=a|b^c`{d}\\[e]":    "t=a|b^c`{d}\\[e]",
	} {
		f := newFront(t, &origin.Proxy{})
		f.proxy.Upstream = func(*url.URL) (string, error) { return f.origin.URL + "/a.ts?" + given, nil }
		f.get(t, "/x.ts")
		require.Equal(t, "/a.ts?"+want, f.last().URI)

		f.origin.Handle("/a.ts", to(302, "/b.ts?"+want), video("abc"))
		f.get(t, "/x.ts")
		require.Equal(t, "/b.ts?"+want, f.last().URI, "and so does a redirect")
	}
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.ts", to(302, "/b.ts?t=a b\""))
	f.get(t, "/a.ts")
	require.Equal(t, "/b.ts?t=a%20b%22", f.last().URI)
}

func TestIPv6Origins(t *testing.T) {
	s := newCounted(t, "[::1]:0", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })
	f := newFront(t, &origin.Proxy{
		Transport: transportOf(t, origin.GuardConfig{Allow: prefixes("::1/128")}),
		Upstream:  func(u *url.URL) (string, error) { return s.url("[::1]"), nil },
	})
	resp, body := f.get(t, "/x.ts")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, s.Listener.Addr().String(), body)
}

func TestVaryIsAddedTo(t *testing.T) {
	p := &origin.Proxy{
		Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
		Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Vary": {"Accept"}}, Body: http.NoBody}, nil
		}),
	}
	w := httptest.NewRecorder()
	w.Header().Set("Vary", "Origin")
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x.ts", nil))
	require.Equal(t, []string{"Origin", "Accept"}, w.Header().Values("Vary"))

	shared := append(make([]string, 0, 2), "Origin")
	w = httptest.NewRecorder()
	w.Header()["Vary"] = shared
	p.ServeHTTP(w, httptest.NewRequest("GET", "/x.ts", nil))
	require.Equal(t, []string{"Origin", "Accept"}, w.Header().Values("Vary"))
	require.Empty(t, shared[:2][1], "the outer handler's values are its own")
}
