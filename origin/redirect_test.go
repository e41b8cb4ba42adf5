package origin_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/internal/maker"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

func to(status int, location ...string) faultorigin.Script {
	return faultorigin.Script{Status: status, Header: http.Header{"Location": location}, Body: []byte("moved")}
}

func TestRedirectsAreFollowed(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/end.ts", video("abc"))
	f.origin.Handle("/d/end.ts", video("below"))
	f.origin.Handle("/100%25.ts", video("percent"))
	f.origin.Handle("/d%20d.ts", video("blank"))
	for location, want := range map[string]string{
		`\end.ts`: "abc", `..\end.ts?a\b`: "abc", "/100%.ts?x=50%": "percent", "/100%25.ts": "percent", "/d d.ts": "blank", "?x=%zz": "again",
		"/end.ts": "abc", "end.ts": "below", "../end.ts": "abc", "?x": "again", f.origin.URL + "/end.ts#frag": "abc",
		"//" + strings.TrimPrefix(f.origin.URL, "http://") + "/end.ts": "abc", "HTTP" + strings.TrimPrefix(f.origin.URL, "http") + "/end.ts": "abc",
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			f.origin.Handle("/d/a.ts", to(status, location), video("again"))
			resp, body := f.get(t, "/d/a.ts", "Range", "bytes=0-")
			require.Equal(t, 200, resp.StatusCode, location)
			require.Equal(t, want, body, location)
			require.Empty(t, resp.Header.Get("Location"))
			require.NotContains(t, f.last().URI, "#")
		}
	}
}

func TestRedirectsThatAreNotFollowed(t *testing.T) {
	inside := newCounted(t, "127.0.0.9:0", hello)
	_, resolver := newNameServer(t, map[string][][]string{"inside.example": {{"127.0.0.9"}}})
	p := &origin.Proxy{Transport: transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.1/32"), Resolver: resolver})}
	f := newFront(t, p)
	f.origin.Handle("/end.ts", video("abc"))
	for name, row := range map[string]struct {
		locations []string
		status    int
	}{
		"private":         {[]string{"http://10.0.0.1/x"}, 403},
		"loopback":        {[]string{inside.url("127.0.0.9")}, 403},
		"name inside":     {[]string{inside.url("inside.example")}, 403},
		"metadata":        {[]string{"http://169.254.169.254/latest/"}, 403},
		"decimal":         {[]string{"http://2130706433/"}, 403},
		"without scheme":  {[]string{"//10.0.0.1/x"}, 403},
		"mapped":          {[]string{"http://[::ffff:127.0.0.9]/"}, 403},
		"other port":      {[]string{"http://8.8.8.8:22/"}, 403},
		"file":            {[]string{"file:///etc/passwd"}, 502},
		"ftp":             {[]string{"ftp://a.example/"}, 502},
		"gopher":          {[]string{"gopher://127.0.0.1:6379/_x"}, 502},
		"data":            {[]string{"data:text/plain,x"}, 502},
		"javascript":      {[]string{"javascript:alert(1)"}, 502},
		"user info":       {[]string{"http://user@127.0.0.1/"}, 502},
		"malformed":       {[]string{"http://%zz/"}, 502},
		"no host":         {[]string{"http:///x"}, 502},
		"none":            {nil, 502},
		"empty":           {[]string{""}, 502}, // with an empty Location
		"two":             {[]string{"/end.ts", "/end.ts?b"}, 502},
		"one, and none":   {[]string{"/end.ts", ""}, 502},
		"two inside":      {[]string{"http://10.0.0.1/x", "http://10.0.0.1/x"}, 403},
		"itself":          {[]string{"/a.ts"}, 502},
		"backslashes":     {[]string{`http:\\10.0.0.1\`}, 403},
		"upper-case file": {[]string{"FILE:///etc/passwd"}, 502},
		"empty authority": {[]string{"///10.0.0.1/"}, 404}, // it is a path on the same host
	} {
		t.Run(name, func(t *testing.T) {
			f.origin.Handle("/a.ts", faultorigin.Script{Status: 302, Header: http.Header{"Location": row.locations}})
			before := f.origin.Requests("")
			resp, body := f.get(t, "/a.ts")
			require.Equal(t, row.status, resp.StatusCode)
			if row.status != 404 {
				require.Equal(t, http.StatusText(row.status)+"\n", body)
			}
			require.Empty(t, resp.Header.Get("Location"))
			require.LessOrEqual(t, f.origin.Requests("")-before, 6)
		})
	}
	require.Zero(t, inside.conns.Load())
}

func TestRedirectLimit(t *testing.T) {
	for limit, follow := range map[int]int{0: 5, 2: 2, -1: 0} {
		f := newFront(t, &origin.Proxy{Redirects: limit})
		for i := range 8 {
			f.origin.Handle(fmt.Sprintf("/%d.ts", i), to(302, fmt.Sprintf("/%d.ts", i+1)))
		}
		f.origin.Handle("/8.ts", video("abc"))
		resp, _ := f.get(t, fmt.Sprintf("/%d.ts", 8-follow))
		require.Equal(t, 200, resp.StatusCode, limit)
		before := f.origin.Requests("")
		resp, _ = f.get(t, fmt.Sprintf("/%d.ts", 7-follow))
		require.Equal(t, 502, resp.StatusCode, limit)
		require.Equal(t, follow+1, f.origin.Requests("")-before)
	}
}

func TestNoDowngradeFromTLS(t *testing.T) {
	plain := newCounted(t, "127.0.0.1:0", hello)
	var location string
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end" {
			hello(w, r)
			return
		}
		w.Header().Set("Location", location)
		w.WriteHeader(302)
	}))
	defer secure.Close()
	p := &origin.Proxy{
		Upstream:  func(*url.URL) (string, error) { return secure.URL + "/a", nil },
		Transport: secure.Client().Transport,
	}
	for target, status := range map[string]int{plain.URL: 502, secure.URL + "/end": 200, "/end": 200} {
		location = target
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, status, w.Code, target)
	}
	require.Zero(t, plain.conns.Load())
	location, p.Downgrade = plain.URL, true
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, "hello", w.Body.String(), "unless it is to")
}

func TestNoVia(t *testing.T) {
	for _, no := range []bool{false, true} {
		f := newFront(t, &origin.Proxy{NoVia: no})
		f.get(t, "/a.ts")
		require.Equal(t, no, f.last().Header.Get("Via") == "")
		resp, _ := f.get(t, "/a.ts", "Via", strings.Repeat("1.1 hlsproxy-abcdefgh, ", 10))
		require.Equal(t, http.StatusLoopDetected, resp.StatusCode)
	}
}

func TestCredentialsStayWithTheFirstHost(t *testing.T) {
	var got http.Header
	other := newCounted(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		http.Redirect(w, r, r.URL.Query().Get("back"), http.StatusFound)
	})
	f := newFront(t, &origin.Proxy{Header: []string{"Authorization", "Cookie", "X-Key", "Range"}})
	f.origin.Handle("/same.ts", to(302, "/end.ts"))
	f.origin.Handle("/end.ts", video("abc"))
	header := []string{"Authorization", "Bearer t", "Cookie", "a=b", "X-Key", "k", "Range", "bytes=1-2"}

	f.get(t, "/same.ts", header...)
	require.Equal(t, "Bearer t", f.last().Header.Get("Authorization"), "the same host")

	f.origin.Handle("/away.ts", to(302, other.URL+"/?back="+url.QueryEscape(f.origin.URL+"/end.ts")))
	f.get(t, "/away.ts", header...)
	for _, h := range []http.Header{got, f.last().Header} {
		for _, name := range []string{"Authorization", "Cookie", "X-Key"} {
			require.Empty(t, h.Get(name), "%s on another host, or back from there", name)
		}
		require.Equal(t, "bytes=1-2", h.Get("Range"))
	}
}

// Fields that Header omits are never sent, wherever a redirect leads.
func TestRedirectsGetNoMoreThanHeaderLists(t *testing.T) {
	var got http.Header
	other := newCounted(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) { got = r.Header })
	for name, header := range map[string][]string{"none": {}, "Range": {"Range", "X-Key"}} {
		f := newFront(t, &origin.Proxy{Header: header})
		f.origin.Handle("/away.ts", to(302, other.URL+"/x.ts"))
		f.get(t, "/away.ts", "User-Agent", "the viewer's", "Accept", "x/y", "If-None-Match", `"v"`, "Range", "bytes=1-2", "X-Key", "k")
		for _, name := range []string{"Accept", "If-None-Match", "X-Key"} {
			require.Empty(t, got.Get(name), name)
		}
		require.NotContains(t, got.Get("User-Agent"), "viewer")
		require.Equal(t, name == "Range", got.Get("Range") != "")
	}
}

func TestOtherThreeHundreds(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for _, status := range []int{300, 304, 305, 306} {
		f.origin.Handle("/a.ts", to(status, "http://10.0.0.1/"))
		resp, _ := f.get(t, "/a.ts")
		require.Equal(t, status, resp.StatusCode)
		require.Empty(t, resp.Header.Get("Location"))
	}
}

func TestLoops(t *testing.T) {
	var a, b *httptest.Server
	hops := 0
	proxy := func(next **httptest.Server) *origin.Proxy {
		return &origin.Proxy{
			Upstream:  func(u *url.URL) (string, error) { hops++; return (*next).URL + u.Path, nil },
			Transport: transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.1/32")}),
		}
	}
	a = httptest.NewServer(proxy(&b))
	b = httptest.NewServer(proxy(&a))
	t.Cleanup(func() { a.Close(); b.Close() })
	r, _ := http.NewRequest(http.MethodGet, a.URL+"/x.ts", nil)
	resp, err := client(t).RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusLoopDetected, resp.StatusCode)
	require.LessOrEqual(t, hops, 2)
}

func TestViaCountsProxiesOfThisKind(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	f.origin.Handle("/a.ts", video("abc"))
	marks := make([]string, 10)
	for i := range marks {
		marks[i] = fmt.Sprintf("1.1 hlsproxy-%s", strings.Repeat(string(rune('a'+i)), 8))
	}
	resp, _ := f.get(t, "/a.ts", "Via", "1.1 other, 2 varnish (x), "+strings.Join(marks[:4], ","), "Via", strings.Join(marks[4:9], " ,  ")+", 1.1 hlsproxy-, x")
	require.Equal(t, 200, resp.StatusCode)
	got := strings.Split(f.last().Header.Get("Via"), ", ")
	require.Equal(t, marks[:9], got[:9])
	require.Len(t, got, 10)

	resp, _ = f.get(t, "/a.ts", "Via", strings.Join(marks, ", "))
	require.Equal(t, http.StatusLoopDetected, resp.StatusCode)
	resp, _ = f.get(t, "/a.ts", "Via", got[9])
	require.Equal(t, http.StatusLoopDetected, resp.StatusCode, "its own mark")
	require.Equal(t, 1, f.origin.Requests(""))
}

// A pool that translates the redirects of its origins must not merge two of them.
func TestRedirectsOfAPoolThatAreNotFollowed(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	pool, err := origin.NewPool(origin.PoolConfig{Origins: []string{f.origin.URL}, Base: transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.1/32")})})
	require.NoError(t, err)
	f.proxy.Transport = pool
	f.origin.Handle("/end.ts", video("abc"))
	for name, locations := range map[string][]string{"two": {"/end.ts", "/end.ts?b"}, "one, and none": {"/end.ts", ""}} {
		f.origin.Handle("/a.ts", to(302, locations...))
		resp, _ := f.get(t, "/a.ts")
		require.Equal(t, 502, resp.StatusCode, name)
	}
	for _, locations := range [][]string{{"/end.ts"}, {"/end.ts", "/end.ts"}, {f.origin.URL + "/end.ts", f.origin.URL + "/end.ts"}} {
		f.origin.Handle("/a.ts", to(302, locations...))
		_, body := f.get(t, "/a.ts")
		require.Equal(t, "abc", body)
	}
}

// A redirect without a target is the body that it carries.
func TestRedirectsThatCarryTheMedia(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, chunked := range []bool{false, true} {
			h := http.Header{"Content-Type": {"video/mp2t"}}
			if chunked {
				h["Location"] = []string{""}
			}
			f.origin.Handle("/a.ts", faultorigin.Script{Status: status, Header: h, Body: []byte("media"), Chunked: chunked})
			resp, body := f.get(t, "/a.ts")
			require.Equal(t, 200, resp.StatusCode)
			require.Equal(t, "media", body)
		}
	}
}

// An origin that opens a session by a redirect has one session for each viewer, not one for each reload.
func TestRedirectsAreHeld(t *testing.T) {
	sessions, ended := 0, 0
	f := newFront(t, &origin.Proxy{HoldRedirects: time.Minute, Client: func(r *http.Request) string { return r.Header.Get("X-Viewer") }})
	f.origin.Handle("/live.m3u8", faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions++
		q := r.URL.Query()
		q.Set("session", fmt.Sprint(sessions))
		http.Redirect(w, r, "/s.m3u8?"+q.Encode(), http.StatusFound)
	})})
	f.origin.Handle("/s.m3u8", faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("session") == fmt.Sprint(ended) {
			w.WriteHeader(http.StatusGone)
			return
		}
		io.WriteString(w, r.URL.RawQuery)
	})})
	for _, row := range []struct{ viewer, query, want string }{
		{"a", "", "session=1"},
		{"a", "", "session=1"},
		{"a", "?_HLS_msn=3", "session=1&_HLS_msn=3"},
		{"a", "?_HLS_msn=4&_HLS_part=1", "session=1&_HLS_msn=4&_HLS_part=1"},
		{"b", "?_HLS_msn=3", "_HLS_msn=3&session=2"},
		{"b", "", "session=2"},
		{"a", "", "session=1"},
		{"a", "?channel=2", "channel=2&session=3"},
		{"a", "?channel=2", "channel=2&session=3"},
		{"a", "", "session=1"},
	} {
		_, body := f.get(t, "/live.m3u8"+row.query, "X-Viewer", row.viewer)
		require.Equal(t, row.want, body)
	}
	require.Equal(t, 3, sessions)
	ended = 1
	resp, body := f.get(t, "/live.m3u8", "X-Viewer", "a")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "session=4", body, "the session has ended, so another one begins")
	names := []string{"Authorization", "X-Playback-Session", "User-Agent", "If-None-Match", "Cmcd-Request"}
	f = newFront(t, &origin.Proxy{HoldRedirects: time.Minute, Header: names, Transport: f.proxy.Transport, Upstream: f.proxy.Upstream})
	for i, name := range names {
		_, one := f.get(t, "/live.m3u8", name, `"one"`)
		_, two := f.get(t, "/live.m3u8", name, `"two"`)
		_, again := f.get(t, "/live.m3u8", name, `"one"`)
		require.Equal(t, i < 3, one != two, "viewers at one address, told apart by %s", name)
		require.Equal(t, one, again)
	}

	f = newFront(t, &origin.Proxy{})
	f.origin.Handle("/live.m3u8", to(302, "/s.m3u8"))
	f.origin.Handle("/s.m3u8", video("x"))
	for range 3 {
		f.get(t, "/live.m3u8")
	}
	require.Equal(t, 3, f.origin.Requests("/live.m3u8"), "not unless it is to be")
}

// visit has the fields of a link whose maker wants the cookies of the origin.
type visit struct{ cookie string }

func (v *visit) Apply(h http.Header, _ *url.URL) {
	if v.cookie != "" {
		h["Cookie"] = []string{v.cookie}
	}
}

func (*visit) Inherited(u *url.URL) *url.URL { return u }

func (v *visit) Credentials(*url.URL) []string { return []string{"Cookie", maker.SetCookie} }

func (v *visit) Received(_ *url.URL, h http.Header) { v.cookie = cmp.Or(h.Get("Set-Cookie"), v.cookie) }

// A redirect that sets a cookie for a link that carries it on is not remembered: a direct request would go without the cookie.
func TestRedirectsThatOpenALinksSessionAreNotHeld(t *testing.T) {
	for cookie, asked := range map[string]int{"": 1, "sid=1": 3} {
		f := newFront(t, &origin.Proxy{HoldRedirects: time.Minute})
		f.origin.Handle("/live.m3u8", faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if cookie != "" {
				w.Header().Set("Set-Cookie", cookie)
			}
			http.Redirect(w, r, "/s.m3u8", http.StatusFound)
		})})
		f.origin.Handle("/s.m3u8", faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "late=1")
			io.WriteString(w, "cookie: "+r.Header.Get("Cookie"))
		})})
		for range 3 {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/live.m3u8", nil)
			f.proxy.ServeHTTP(w, r.WithContext(maker.NewContext(r.Context(), new(visit))))
			require.Equal(t, "cookie: "+cookie, w.Body.String())
		}
		require.Equal(t, asked, f.origin.Requests("/live.m3u8"))
	}
}

// Another spelling of a host is not another host: a key that the viewer sends for it goes along.
func TestARedirectToTheSameHostInAnySpelling(t *testing.T) {
	for location, same := range map[string]bool{
		"/b.ts": true, "https://O.example/b.ts": true, "https://o.example:443/b.ts": true, "https://o.example:/b.ts": true, "HTTPS://O.EXAMPLE:443/b.ts": true,
		"https://o.example:8443/b.ts": false, "https://o.example./b.ts": false, "https://x.o.example/b.ts": false, "http://o.example/b.ts": false,
		"http://o.example:443/b.ts": false, "https://o.example:80/b.ts": false,
	} {
		var sent []string
		p := &origin.Proxy{
			Upstream: func(*url.URL) (string, error) { return "https://o.example/a.ts", nil },
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				sent = append(sent, r.Header.Get("X-Key"))
				if len(sent) == 1 {
					return &http.Response{StatusCode: 302, Header: http.Header{"Location": {location}}, Request: r}, nil
				}
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("abc")), ContentLength: 3, Request: r}, nil
			}),
			Header: []string{"X-Key"}, Downgrade: true,
		}
		r := httptest.NewRequest(http.MethodGet, "/a.ts", nil)
		r.Header.Set("X-Key", "k")
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code, location)
		want := "k"
		if !same {
			want = ""
		}
		require.Equal(t, []string{"k", want}, sent, location)
	}
}
