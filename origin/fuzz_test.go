package origin_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/origin"
)

// FuzzCheck tests, by other means than Check's own, that URLs which pass Check have the required properties.
func FuzzCheck(f *testing.F) {
	number := regexp.MustCompile(`^([0-9]+|0[xX][0-9a-fA-F]*)$`)
	f.Add("http://0.0B0") // a binary number to Go alone
	text, err := os.ReadFile("testdata/urls.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, raw, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			f.Add(raw)
		}
	}
	guard := new(origin.Guard)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil || guard.Check(u) != nil {
			return
		}
		host := u.Hostname()
		if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.ContainsAny(host, "%\\@/?# \t\r\n\x00") {
			t.Fatalf("%q passed", raw)
		}
		if p := u.Port(); p != "" && p != "80" && p != "443" {
			t.Fatalf("%q passed with port %s", raw, p)
		}
		if again, err := url.Parse(u.String()); err != nil || again.Host != u.Host {
			t.Fatalf("%q reads differently the second time", raw)
		}
		if a, err := netip.ParseAddr(host); err == nil {
			if a.IsPrivate() || a.IsLoopback() || !a.IsGlobalUnicast() || a.Is4In6() || a.Zone() != "" {
				t.Fatalf("%q passed", raw)
			}
			if guard.Control("tcp", net.JoinHostPort(host, "443"), nil) != nil {
				t.Fatalf("Check and Control disagree on %q", raw)
			}
			return
		}
		last := strings.TrimSuffix(host, ".")
		last = last[strings.LastIndexByte(last, '.')+1:]
		if number.MatchString(last) || !strings.Contains(strings.TrimSuffix(host, "."), ".") {
			t.Fatalf("%q passed as a name", raw)
		}
		switch strings.ToLower(last) {
		case "localhost", "local", "internal":
			t.Fatalf("%q passed", raw)
		}
	})
}

// FuzzAnswers lets an upstream server and a viewer write anything into the headers that Proxy reads.
func FuzzAnswers(f *testing.F) {
	f.Add("bytes=0-4", "bytes 0-4/10", "/x", "1.1 hlsproxy-abcdefgh", 206, "X-A")
	f.Add("bytes=-5", "bytes 5-9/10", "http://10.0.0.1/", "1.1 a, 1.1 b", 206, "Range, close")
	f.Add("bytes=5-2", "bytes */10", "//h/x", ",, ,", 416, "")
	f.Add("bytes=99999999999999999999-", "bytes 1-2/*", "file:///etc/passwd", "hlsproxy-", 302, ",")
	f.Add("items=1", "", "", "", 200, "keep-alive")
	f.Add("bytes=0-9007199254740991", "bytes 0-9007199254740990/*", "?x", "x", 206, "Via")
	f.Fuzz(func(t *testing.T, asked, given, location, via string, status int, connection string) {
		hops := 0
		p := &origin.Proxy{
			Upstream: func(*url.URL) (string, error) { return "http://a.example/x.ts", nil },
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				hops++
				if u := r.URL; u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
					t.Fatalf("%s was asked for", u)
				}
				if s := r.Header.Get("Range"); s != "" && s != asked {
					t.Fatalf("Range %q became %q", asked, s)
				}
				h := http.Header{"Content-Range": {given}, "Location": {location}, "Connection": {connection}, "Content-Type": {"video/mp4"}}
				return &http.Response{StatusCode: status, Header: h, ContentLength: -1, Body: io.NopCloser(strings.NewReader("abcde"))}, nil
			}),
		}
		r := httptest.NewRequest(http.MethodGet, "/x.ts", nil)
		r.Header = http.Header{"Range": {asked}, "Via": {via}, "Connection": {connection}}
		w := httptest.NewRecorder()
		if aborts(func() { p.ServeHTTP(w, r) }) {
			if status != http.StatusPartialContent {
				t.Fatal("a whole body was broken off")
			}
			return
		}
		var first, last int
		if w.Code == http.StatusPartialContent {
			if _, err := fmt.Sscanf(w.Header().Get("Content-Range")[len("bytes "):], "%d-%d/", &first, &last); err != nil || last-first+1 != w.Body.Len() {
				t.Fatalf("%d bytes of %q", w.Body.Len(), w.Header().Get("Content-Range"))
			}
		}
		if hops > 6 {
			t.Fatalf("%d requests", hops)
		}
		if w.Header().Get("Location")+w.Header().Get("Connection") != "" {
			t.Fatalf("%v is shown", w.Header())
		}
		if w.Code == 206 && (asked == "" || given == "") {
			t.Fatal("a range that nobody asked for")
		}
	})
}

// FuzzPoolPaths tests that the path and the query stay the same, byte for byte, from one origin to the other.
func FuzzPoolPaths(f *testing.F) {
	for _, path := range []string{"s/x.ts", "s%2Fx.ts?a=%2f&b", "", "?", "../up", "a//b/./c", "%zz", "ü/%C3%BC", "a;b=c", "x?y?z#f", "%00"} {
		f.Add(path)
	}
	var got *url.URL
	p, err := origin.NewPool(origin.PoolConfig{
		Origins: []string{"http://a/one/two", "https://b:8443/"}, Weights: []float64{0, 1},
		Base: roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.URL
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
		}),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.Parse("http://a/one/two/" + path)
		if err != nil {
			return
		}
		resp, err := p.RoundTrip(&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got.Host != "b:8443" || got.Scheme != "https" || got.User != nil {
			t.Fatalf("%s went to %s", u, got)
		}
		want := strings.TrimPrefix((&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}).RequestURI(), "/one/two")
		if got.RequestURI() != want {
			t.Fatalf("%s became %s", want, got.RequestURI())
		}
	})
}
