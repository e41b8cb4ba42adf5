// Package differential compares corsmw with another CORS middleware through the eyes of a browser: it does not compare the
// headers of an answer, but whether the Fetch standard lets the page read it.
package differential

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/rs/cors"
	"github.com/stretchr/testify/require"
)

// fetch is a request of a page: its header names are in lower case and sorted, as a browser lists them.
type fetch struct {
	origin      string
	method      string
	credentials bool
	names       []string
}

// readable runs the CORS protocol of the Fetch standard (sections 4.8 and 4.9) against h.
func readable(h http.Handler, f fetch) bool {
	if f.method != "GET" && f.method != "HEAD" && f.method != "POST" || len(f.names) > 0 {
		if !preflighted(h, f) {
			return false
		}
	}
	r := httptest.NewRequest(f.method, "/live/1.ts", nil)
	r.Header.Set("Origin", f.origin)
	return check(do(h, r), f)
}

func preflighted(h http.Handler, f fetch) bool {
	r := httptest.NewRequest("OPTIONS", "/live/1.ts", nil)
	r.Header.Set("Origin", f.origin)
	r.Header.Set("Access-Control-Request-Method", f.method)
	if len(f.names) > 0 {
		r.Header.Set("Access-Control-Request-Headers", strings.Join(f.names, ","))
	}
	res := do(h, r)
	if !check(res, f) || res.StatusCode < 200 || res.StatusCode > 299 {
		return false
	}
	if methods := list(res, "Access-Control-Allow-Methods"); !slices.Contains(methods, f.method) &&
		f.method != "GET" && f.method != "HEAD" && f.method != "POST" && (f.credentials || !slices.Contains(methods, "*")) {
		return false
	}
	allowed := list(res, "Access-Control-Allow-Headers")
	for _, n := range f.names {
		if !slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, n) }) {
			return false
		}
	}
	return true
}

func check(res *http.Response, f fetch) bool {
	values := res.Header["Access-Control-Allow-Origin"]
	switch {
	case len(values) != 1:
		return false
	case values[0] == "*":
		return !f.credentials
	case values[0] != f.origin:
		return false
	}
	return !f.credentials || slices.Equal(res.Header["Access-Control-Allow-Credentials"], []string{"true"})
}

func list(res *http.Response, name string) (out []string) {
	for m := range strings.SplitSeq(strings.Join(res.Header[name], ","), ",") {
		if m = strings.TrimSpace(m); m != "" {
			out = append(out, m)
		}
	}
	return out
}

func do(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// pair is one configuration in both dialects. In the other one, * in a host stands for any characters.
type pair struct {
	ours        []string
	theirs      []string
	credentials bool
}

var pairs = map[string]pair{
	"open":               {[]string{"*"}, []string{"*"}, false},
	"exact":              {[]string{"https://example.com", "http://localhost:3000"}, []string{"https://example.com", "http://localhost:3000"}, false},
	"exact, credentials": {[]string{"https://example.com"}, []string{"https://example.com"}, true},
	"below":              {[]string{"https://**.example.com"}, []string{"https://*.example.com"}, false},
	"below, credentials": {[]string{"https://**.example.com:8443", "https://foo.com"}, []string{"https://*.example.com:8443", "https://foo.com"}, true},
}

var allow = []string{"Range", "If-Range", "Authorization", "CMCD-Session"}

func handlers(t testing.TB, p pair) (ours, theirs http.Handler) {
	t.Helper()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	m, err := corsmw.New(corsmw.Config{Origins: p.ours, Credentials: p.credentials, AllowHeaders: allow})
	require.NoError(t, err)
	c := cors.New(cors.Options{AllowedOrigins: p.theirs, AllowCredentials: p.credentials, AllowedHeaders: allow, AllowedMethods: []string{"GET", "HEAD"}})
	return m.Handler(next), c.Handler(next)
}

// A browser builds an origin from these parts. It never sends anything else.
var (
	schemes = []string{"https://", "http://"}
	hosts   = []string{"example.com", "a.example.com", "a.b.example.com", "xn--bcher-kva.example.com", "notexample.com", "example.com.evil.org",
		"foo.com", "a.foo.com", "localhost", "127.0.0.1", "[::1]", "evil.org"}
	ports = []string{"", ":3000", ":8443", ":18443"}
	names = []string{"authorization", "cmcd-session", "if-range", "range", "x-evil"}
)

func random(r *rand.Rand) fetch {
	f := fetch{method: []string{"GET", "HEAD", "PUT", "DELETE"}[r.IntN(4)], credentials: r.IntN(2) == 0, origin: "null"}
	if r.IntN(20) > 0 {
		f.origin = schemes[r.IntN(len(schemes))] + hosts[r.IntN(len(hosts))] + ports[r.IntN(len(ports))]
	}
	for _, n := range names {
		if r.IntN(4) == 0 {
			f.names = append(f.names, n)
		}
	}
	return f
}

func TestABrowserSeesNoDifference(t *testing.T) {
	for name, p := range pairs {
		t.Run(name, func(t *testing.T) {
			ours, theirs := handlers(t, p)
			r, yes := rand.New(rand.NewPCG(1, 2)), 0
			for range 20_000 {
				f := random(r)
				got := readable(ours, f)
				require.Equal(t, readable(theirs, f), got, "%+v", f)
				if got {
					yes++
				}
			}
			require.Positive(t, yes)
		})
	}
}

// The cases in which the two differ, and our reasons.
func TestDifferencesThatAreMeant(t *testing.T) {
	below := pair{[]string{"https://**.example.com"}, []string{"https://*.example.com"}, true}
	ours, theirs := handlers(t, below)
	for _, origin := range []string{"https://.example.com", "https://a..example.com", "https://evil.org/.example.com", "https://evil.org?.example.com"} {
		f := fetch{origin: origin, method: "GET", credentials: true}
		require.True(t, readable(theirs, f), origin)
		require.False(t, readable(ours, f), "%s is no origin; who sends it is no browser", origin)
	}

	_, err := corsmw.New(corsmw.Config{Origins: []string{"*"}, Credentials: true})
	require.Error(t, err, "an open server with credentials is a mistake, reported when it is configured")

	// The origin behind a proxy sets its own field: the other middleware leaves both, which no browser accepts.
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Add("Access-Control-Allow-Origin", "*") })
	m, err := corsmw.New(corsmw.Config{Origins: []string{"https://example.com"}})
	require.NoError(t, err)
	f := fetch{origin: "https://example.com", method: "GET"}
	require.True(t, readable(m.Handler(next), f))
	require.False(t, readable(cors.New(cors.Options{AllowedOrigins: []string{"https://example.com"}}).Handler(next), f))
}

func BenchmarkActual(b *testing.B) {
	ours, theirs := handlers(b, pairs["exact, credentials"])
	r := httptest.NewRequest("GET", "/live/1.ts", nil)
	r.Header.Set("Origin", "https://example.com")
	for name, h := range map[string]http.Handler{"corsmw": ours, "rs/cors": theirs} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			w := &discard{http.Header{}}
			for b.Loop() {
				clear(w.h)
				h.ServeHTTP(w, r)
			}
		})
	}
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
