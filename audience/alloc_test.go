//go:build !race

package audience_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/stretchr/testify/require"
)

// Under the race detector a sync.Pool forgets at random.

func TestASessionTakesLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // by its clock no session ends meanwhile
		const n = 20_000
		w, r := &discard{h: http.Header{}}, httptest.NewRequest("GET", "/live/stream/v.m3u8", nil)
		heap := func() int64 {
			runtime.GC()
			runtime.GC() // the second one collects what other tests have left
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		least := int64(1 << 60)
		for range 3 {
			a := &audience.Audience{Sessions: n}
			h := a.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			before := heap()
			for i := range n {
				r.Header.Set("Cmcd-Session", fmt.Sprintf(`sid="6e2fb550-c457-11e9-bb97-%012d"`, i))
				h.ServeHTTP(w, r)
			}
			if used := (heap() - before) / n; used > 200 { // less: something else was freed meanwhile
				least = min(least, used)
			}
			runtime.KeepAlive(a)
		}
		t.Logf("%d bytes for a session", least)
		require.Less(t, least, int64(400))
	})
}

// Each request has a session id, a stream and a playlist that are new.
func TestInventedSessionsTakeBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // by its clock no session ends meanwhile
		const most, requests = 1_000, 20_000
		w, r := &discard{h: http.Header{}}, httptest.NewRequest("GET", "/", nil)
		heap := func() int64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		a := &audience.Audience{Sessions: most}
		h := a.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		before := heap()
		for i := range requests {
			r.URL.Path = fmt.Sprintf("/%0490d/%0200d.m3u8", i, i)
			r.Header.Set("Cmcd-Session", fmt.Sprintf(`sid="%060d"`, i))
			h.ServeHTTP(w, r)
			r.URL.Path = fmt.Sprintf("/%0490d/other/%0200d.m3u8", i, i)
			h.ServeHTTP(w, r)
		}
		require.Less(t, heap()-before, int64(most*4000))
		s := a.Snapshot()
		require.Len(t, s.Sessions, most)
		require.EqualValues(t, 2*(requests-most), s.Lost)
	})
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func known(b testing.TB, lines ...string) (http.Handler, *discard, *http.Request) {
	a := &audience.Audience{}
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }))
	w, r := &discard{h: http.Header{}}, httptest.NewRequest("GET", "/live/stream/segment-00001.m4s", nil)
	r.RemoteAddr = "192.0.2.1:50000"
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	h.ServeHTTP(w, r)
	return h, w, r
}

func TestAKnownSessionAllocatesNothing(t *testing.T) {
	const all = `bl=(21300),br=3200,bs,nor="..%2F1,2.m4s",sid="6e2fb550\"c457",su,com.example="x y"`
	for name, form := range map[string]struct{ query, line string }{
		"address":           {},
		"header":            {line: `Cmcd-Session: sid="6e2fb550-c457-11e9-bb97-0800200c9a66"`},
		"header, all of it": {line: "Cmcd-Request: " + all},
		"query":             {query: "CMCD=" + url.QueryEscape(`br=3200,sid="6e2fb550-c457-11e9-bb97-0800200c9a66"`)},
		"query, all of it":  {query: "a=b&CMCD=" + url.QueryEscape(all)},
	} {
		var lines []string
		if form.line != "" {
			lines = []string{form.line}
		}
		h, w, r := known(t, lines...)
		r.URL.RawQuery = form.query
		h.ServeHTTP(w, r)
		require.Zero(t, testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }), name)
	}
}

func BenchmarkKnownSession(b *testing.B) {
	query := "CMCD=" + url.QueryEscape(`br=3200,d=4004,ot=v,sf=h,sid="6e2fb550-c457-11e9-bb97-0800200c9a66",st=l,tb=6000`)
	for _, form := range []struct {
		name, query string
		lines       []string
	}{
		{"address", "", nil},
		{"header", "", []string{`Cmcd-Session: sid="6e2fb550-c457-11e9-bb97-0800200c9a66",sf=h,st=l`, "Cmcd-Object: br=3200,d=4004,ot=v,tb=6000"}},
		{"query", query, nil},
	} {
		b.Run(form.name, func(b *testing.B) {
			h, w, r := known(b, form.lines...)
			r.URL.RawQuery = form.query
			h.ServeHTTP(w, r)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
