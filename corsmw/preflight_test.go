package corsmw_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/stretchr/testify/require"
)

var modTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestPreflight(t *testing.T) {
	never := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a preflight went through") })
	m := must(corsmw.New(corsmw.Config{
		Origins: []string{page}, Credentials: true, MaxAge: time.Minute, Timing: true, ResourcePolicy: "cross-origin", PrivateNetwork: true,
	}))
	for name, c := range map[string]struct {
		header  []string
		granted bool
	}{
		"allowed":             {[]string{"Origin", page}, true},
		"from elsewhere":      {[]string{"Origin", "https://evil.example"}, false},
		"of two origins":      {[]string{"Origin", page, "Origin", page}, false},
		"of an empty origin":  {[]string{"Origin", ""}, false},
		"with many headers":   {[]string{"Origin", page, "Access-Control-Request-Headers", strings.Repeat("a,", 5000)}, true},
		"to a private server": {[]string{"Origin", page, "Access-Control-Request-Private-Network", "true"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			res := ask(m.Handler(never), "OPTIONS", append(c.header, "Access-Control-Request-Method", "GET")...)
			require.Equal(t, 204, res.StatusCode)
			for _, member := range []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} {
				require.Contains(t, strings.Split(res.Header.Get("Vary"), ", "), member)
			}
			require.Equal(t, "cross-origin", res.Header.Get("Cross-Origin-Resource-Policy"))
			if !c.granted {
				for name := range res.Header {
					require.False(t, strings.HasPrefix(name, "Access-Control-"), name)
				}
				return
			}
			require.Equal(t, []string{page}, res.Header["Access-Control-Allow-Origin"])
			require.Equal(t, []string{"true"}, res.Header["Access-Control-Allow-Credentials"])
			require.Equal(t, []string{"GET, HEAD"}, res.Header["Access-Control-Allow-Methods"])
			require.Equal(t, []string{"60"}, res.Header["Access-Control-Max-Age"])
			require.Len(t, res.Header["Access-Control-Allow-Headers"], 1)
			require.Equal(t, strings.Contains(name, "private"), res.Header.Get("Access-Control-Allow-Private-Network") == "true")
		})
	}
}

func TestPreflightOptions(t *testing.T) {
	ask := func(c corsmw.Config, header ...string) http.Header {
		m := must(corsmw.New(c))
		return ask(m.Handler(answer(200)), "OPTIONS", append(header, "Origin", page, "Access-Control-Request-Method", "HEAD")...).Header
	}
	require.Equal(t, "7200", ask(corsmw.Config{Origins: everyone}).Get("Access-Control-Max-Age"))
	require.Equal(t, "0", ask(corsmw.Config{Origins: everyone, MaxAge: -1}).Get("Access-Control-Max-Age"))
	require.Equal(t, "86400", ask(corsmw.Config{Origins: everyone, MaxAge: 24 * time.Hour}).Get("Access-Control-Max-Age"))
	require.Equal(t, "X-One, *", ask(corsmw.Config{Origins: everyone, AllowHeaders: []string{"X-One", "*"}}).Get("Access-Control-Allow-Headers"))
	h := ask(corsmw.Config{Origins: everyone, AllowHeaders: []string{}, ExposeHeaders: []string{}}, "Access-Control-Request-Private-Network", "true")
	require.NotContains(t, h, "Access-Control-Allow-Headers")
	require.NotContains(t, h, "Access-Control-Expose-Headers")
	require.NotContains(t, h, "Access-Control-Allow-Private-Network", "off unless asked")
	require.NotContains(t, h.Get("Vary"), "Origin,", "an open answer does not depend on who asks")
}

func TestWhatIsNotAPreflightGoesThrough(t *testing.T) {
	for name, header := range map[string][]string{
		"no origin":         {"Access-Control-Request-Method", "GET"},
		"no request method": {"Origin", page},
		"neither":           {},
	} {
		t.Run(name, func(t *testing.T) {
			res := ask(credentialed(t).Handler(answer(405)), "OPTIONS", header...)
			require.Equal(t, 405, res.StatusCode)
			require.Contains(t, res.Header.Get("Vary"), "Access-Control-Request-Method", "the same URL answers preflights otherwise")
			require.NotContains(t, res.Header, "Access-Control-Allow-Methods")
			res = ask(open(t).Handler(answer(405)), "OPTIONS", header...)
			require.Contains(t, res.Header.Get("Vary"), "Access-Control-Request-Method")
		})
	}
	res := ask(credentialed(t).Handler(answer(200)), "GET", "Origin", page, "Access-Control-Request-Method", "GET")
	require.Equal(t, 200, res.StatusCode)
}

func TestTimingAndResourcePolicy(t *testing.T) {
	m := must(corsmw.New(corsmw.Config{Origins: []string{page}, Timing: true, ResourcePolicy: "same-site"}))
	res := ask(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Timing-Allow-Origin", "*")
		w.Header().Add("Cross-Origin-Resource-Policy", "cross-origin")
	})), "GET", "Origin", page)
	require.Equal(t, []string{page}, res.Header["Timing-Allow-Origin"])
	require.Equal(t, []string{"same-site"}, res.Header["Cross-Origin-Resource-Policy"])
}

func TestHostilePreflightsCostNoMoreThanOthers(t *testing.T) {
	h, w := credentialed(t).Handler(answer(200)), &discard{header: http.Header{}}
	for name, values := range map[string][]string{
		"8000 commas": {strings.Repeat(",", 8000)},
		"80 lines":    strings.Split(strings.Repeat("a,", 80), ","),
		"long names":  {strings.Repeat("x", 100_000)},
	} {
		r := request("OPTIONS")
		r.Header["Access-Control-Request-Method"] = []string{"GET"}
		r.Header["Access-Control-Request-Headers"] = values
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { w.reset(); h.ServeHTTP(w, r) }), 1.0, name)
	}
}

func BenchmarkActual(b *testing.B) {
	for name, m := range map[string]*corsmw.Middleware{
		"open":    must(corsmw.New(corsmw.Config{Origins: everyone})),
		"echo":    must(corsmw.New(corsmw.Config{Origins: []string{page}, Credentials: true})),
		"pattern": must(corsmw.New(corsmw.Config{Origins: []string{"https://*.example.com", "https://*.example.org", "https://**.page.example", "https://page.example:*"}})),
	} {
		h, r, w := m.Handler(answer(200)), request("GET"), &discard{header: http.Header{}}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.reset()
				h.ServeHTTP(w, r)
			}
		})
	}
	h, r, w := answer(200), request("GET"), &discard{header: http.Header{}}
	b.Run("without", func(b *testing.B) {
		for b.Loop() {
			w.reset()
			h.ServeHTTP(w, r)
		}
	})
}

func request(method string) *http.Request {
	r := httptest.NewRequest(method, "/live/seg1.ts", nil)
	r.Header.Set("Origin", page)
	return r
}

type discard struct{ header http.Header }

// reset leaves the fields of a handler for segments.
func (d *discard) reset() {
	clear(d.header)
	d.header["Content-Type"], d.header["Content-Length"], d.header["Etag"] = single, single, single
}
func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
