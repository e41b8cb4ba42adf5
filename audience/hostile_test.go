package audience_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/stretchr/testify/require"
)

// What viewers say about themselves must not give them more than others get, and must not harm others.

func sid(id string) string { return `Cmcd-Session: sid="` + id + `"` }

// The players of one account may all give the same session id. They are not one viewer.
func TestPlayersWithOneSessionIDAreLimited(t *testing.T) {
	a := &audience.Audience{Limit: func(string) int { return 1 }, Key: func(*http.Request) string { return "account" }}
	h := a.Handler(stream)
	in := func(addr string) int { return ask(h, addr, "/a/v.m3u8", sid("x")).Code }
	require.Equal(t, 200, in("192.0.2.1"))
	require.Equal(t, 200, in("192.0.2.2"), "its address has changed")
	for range 3 {
		require.Equal(t, 429, in("192.0.2.1"))
		require.Equal(t, 200, in("192.0.2.2"))
	}
	require.Equal(t, 200, in("192.0.2.3"))
	require.Equal(t, 429, in("192.0.2.2"))
	require.Len(t, a.Snapshot().Sessions, 1)
}

// If sessions are limited, a viewer that sends another's session id is not taken for the other.
func TestASessionIDOfAnotherOpensNothing(t *testing.T) {
	a := &audience.Audience{Limit: func(string) int { return 1 }}
	h := a.Handler(stream)
	require.Equal(t, 200, ask(h, "192.0.2.1", "/a/v.m3u8", sid("mine")).Code)
	require.Equal(t, 200, ask(h, "192.0.2.9", "/a/v.m3u8", sid("other"), "User-Agent: x").Code)
	require.Equal(t, 429, ask(h, "192.0.2.9", "/a/v.m3u8", sid("mine")).Code, "it is another session, of its own address")
	all := a.Snapshot().Sessions
	require.Len(t, all, 2)
	for _, s := range all {
		require.EqualValues(t, 1, s.Requests)
	}
}

// Two players at one address look like a page that was loaded again. They cannot both play by taking turns.
func TestPlayersDoNotTakeTurns(t *testing.T) {
	for _, replace := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a := &audience.Audience{Limit: func(string) int { return 1 }, Replace: replace}
			h := a.Handler(stream)
			in := func(id string) int { return ask(h, "192.0.2.1", "/a/v.m3u8", sid(id)).Code }
			require.Equal(t, 200, in("x"))
			require.Equal(t, 200, in("y"))
			for range 20 {
				require.Equal(t, 429, in("x"))
				require.Equal(t, 200, in("y"))
				time.Sleep(4 * time.Second)
			}
			time.Sleep(15 * time.Second)
			require.Equal(t, 200, in("x"), "the other one has gone")
			time.Sleep(3 * time.Minute)
			require.Empty(t, a.Snapshot().Sessions)
		})
	}
}

func TestAPageIsLoadedAgainSoManyTimesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &audience.Audience{Limit: func(string) int { return 1 }}
		h := a.Handler(stream)
		got := map[int]int{}
		for i := range 100 {
			got[ask(h, "192.0.2.1", "/a/v.m3u8", sid(fmt.Sprint(i))).Code]++
		}
		require.Equal(t, map[int]int{200: 17, 429: 83}, got)
		require.Len(t, a.Snapshot().Sessions, 1)
		time.Sleep(2 * time.Minute)
		require.Equal(t, 200, ask(h, "192.0.2.1", "/a/v.m3u8", sid("later")).Code)
		time.Sleep(2 * time.Minute)
	})
}

func TestAKickIsNotEvaded(t *testing.T) {
	for name, c := range map[string]struct {
		first  []string // path and header lines of the session that is kicked
		second []string
		want   int
	}{
		"by another session id":         {[]string{"/a/v.m3u8", sid("x")}, []string{"/a/v.m3u8", sid("y")}, 403},
		"by none":                       {[]string{"/a/v.m3u8", sid("x")}, []string{"/a/v.m3u8"}, 403},
		"by a first one":                {[]string{"/a/v.m3u8"}, []string{"/a/1.ts", sid("y")}, 403},
		"by the playlist above":         {[]string{"/a/low/v.m3u8"}, []string{"/a/master.m3u8"}, 403},
		"by it and another session id":  {[]string{"/a/low/v.m3u8", sid("x")}, []string{"/a/master.m3u8", sid("y")}, 403},
		"another stream is not meant":   {[]string{"/a/v.m3u8", sid("x")}, []string{"/b/v.m3u8", sid("x")}, 200},
		"another player is not meant":   {[]string{"/a/v.m3u8", sid("x")}, []string{"/a/v.m3u8", sid("y"), "User-Agent: another"}, 200},
		"another name is not meant":     {[]string{"/a/v.m3u8", sid("x")}, []string{"/a/v.m3u8", "Name: y"}, 200},
		"of a name others may come":     {[]string{"/a/v.m3u8", "Name: x"}, []string{"/a/v.m3u8", "Name: y"}, 200},
		"a session that is in stays in": {[]string{"/a/v.m3u8", sid("x")}, []string{"/a/v.m3u8", sid("in")}, 200},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := &audience.Audience{Session: byName, Idle: 30 * time.Second}
			h := a.Handler(stream)
			require.Equal(t, 200, ask(h, "192.0.2.1", "/a/v.m3u8", sid("in")).Code)
			in := a.Snapshot().Sessions[0].ID
			require.Equal(t, 200, ask(h, "192.0.2.1", c.first[0], c.first[1:]...).Code)
			for s := range a.All() {
				if s.ID != in {
					require.True(t, a.Kick(s.ID))
				}
			}
			for range 3 {
				require.Equal(t, c.want, ask(h, "192.0.2.1", c.second[0], c.second[1:]...).Code, name)
				time.Sleep(19 * time.Second)
			}
			time.Sleep(4 * time.Second)
			if c.second[0] != "/a/master.m3u8" || len(c.second) > 1 { // its own session must be silent for a minute
				require.Equal(t, 200, ask(h, "192.0.2.1", c.second[0], c.second[1:]...).Code, name)
			}
			time.Sleep(3 * time.Minute)
		})
	}
}

// A viewer that cannot be counted does not get past a limit.
func TestALimitHoldsForSessionsThatCannotBeCounted(t *testing.T) {
	long := "/" + strings.Repeat("x", 600) + "/v.m3u8"
	limited, free := &audience.Audience{Limit: func(string) int { return 20 }}, &audience.Audience{}
	for a, want := range map[*audience.Audience]map[int]int{limited: {200: 8, 429: 23}, free: {200: 31}} {
		h := a.Handler(stream)
		got := map[int]int{ask(h, "192.0.2.1", long).Code: 1}
		for i := range 30 {
			got[ask(h, "192.0.2.1", fmt.Sprintf("/s%d/v.m3u8", i)).Code]++
		}
		require.Equal(t, want, got)
		require.Len(t, a.Snapshot().Sessions, 8)
	}
}

// Names that differ only after their shown part do not share a limit.
func TestLongNamesAreLimitedEachForItself(t *testing.T) {
	a := &audience.Audience{Session: byName, Limit: func(string) int { return 1 }}
	h := a.Handler(stream)
	for i := range 3 {
		require.Equal(t, 200, ask(h, "192.0.2.1", "/a/v.m3u8", "Name: "+strings.Repeat("x", 99)+fmt.Sprint(i)).Code)
	}
	for s := range a.All() {
		require.Len(t, s.Name, 64)
	}
}

// Refused playlists leave no name behind, so that a stream's own names are still reported.
func TestRefusedPlaylistsAreNoVariants(t *testing.T) {
	a := &audience.Audience{}
	h := a.Handler(stream)
	ask(h, "192.0.2.1", "/a/v.m3u8")
	for i := range 200 {
		ask(h, "192.0.2.1", fmt.Sprintf("/a/missing%d.m3u8", i))
	}
	require.Equal(t, "v.m3u8", a.Snapshot().Sessions[0].Variant)
	ask(h, "192.0.2.1", "/a/low/v.m3u8")
	require.Equal(t, "low/v.m3u8", a.Snapshot().Sessions[0].Variant)
}

// With some mappers a stream can be requested by the name of a page.
func TestTheNameOfAPageHidesNoStream(t *testing.T) {
	byQuery := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RawQuery {
		case "playlist":
			w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		case "segment":
			w.Header().Set("Content-Type", "application/octet-stream")
		case "missing":
			w.Header().Set("Content-Type", "video/mp2t")
			w.WriteHeader(404)
		default:
			w.Header().Set("Content-Type", "text/html")
		}
		io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n")
	})
	var served []audience.Served
	a := &audience.Audience{Limit: func(string) int { return 1 }}
	for range 2 { // with a log and without one
		h := a.Handler(byQuery)
		code := func(path string, lines ...string) (code int) {
			defer func() {
				if v := recover(); v != nil {
					require.Equal(t, http.ErrAbortHandler, v)
					code = 0
				}
			}()
			return ask(h, "192.0.2.1", path, lines...).Code
		}
		for _, page := range []string{"/p/x.html", "/p/x.js", "/p/x.html?missing"} {
			code(page)
		}
		require.Empty(t, a.Snapshot().Sessions)
		require.Empty(t, served)
		require.Equal(t, 200, code("/p/x.html?playlist"))
		require.Equal(t, 200, code("/p/x.css?segment"))
		s := a.Snapshot()
		require.Len(t, s.Sessions, 1)
		require.EqualValues(t, 2, s.Sessions[0].Requests)
		require.EqualValues(t, 64, s.Sessions[0].Bytes)
		require.Equal(t, "x.html", s.Sessions[0].Variant)
		require.Equal(t, 0, code("/p/x.html?segment", "User-Agent: another"), "beyond the limit")
		require.Equal(t, 200, code("/p/x.html", "User-Agent: another"), "a page is a page")
		require.True(t, a.Kick(s.Sessions[0].ID))
		require.Equal(t, 0, code("/p/x.html?segment"))
		require.Equal(t, 403, code("/p/x.ts?segment"))
		require.Equal(t, 200, code("/p/x.html"))
		if a.OnServed != nil {
			require.Len(t, served, 5)
			require.NotEmpty(t, served[0].Session)
			require.True(t, served[2].Broken)
		}
		a = &audience.Audience{Limit: a.Limit, OnServed: func(s audience.Served) { served = append(served, s) }}
	}
}

// combined writes a line in the way of docs/watch.md.
func combined(out io.Writer, s audience.Served) {
	fmt.Fprintf(out, "%s - - [%s] %q %d %d %q %q\n", s.Addr, s.At.Format("02/Jan/2006:15:04:05 -0700"),
		s.Method+" "+s.Path+" "+s.Proto, s.Status, s.Bytes, s.Referer, s.Agent)
}

func TestLogLinesCannotBeForged(t *testing.T) {
	line := regexp.MustCompile(`^192\.0\.2\.1 - - \[[^]]*\] "GET (?:[^"\\]|\\.)* HTTP/1\.1" 404 \d+ "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"\n$`)
	for _, text := range []string{
		`" 200 5 "-" "x`, "a\nb", "\r\n10.0.0.1 - -", "\x1b[2J", "\u009b31m", "\u202egnp.exe", "\u2028", "\xff\xfe", "\x00", `\`, strings.Repeat("x", 10_000),
	} {
		var log strings.Builder
		var got audience.Served
		a := &audience.Audience{Session: func(*http.Request) string { return text }, OnServed: func(s audience.Served) { got = s; combined(&log, s) }}
		r := httptest.NewRequest("GET", "/a/missing.ts", nil)
		r.URL.Path, r.RemoteAddr = "/a/missing"+text, "192.0.2.1:1"
		r.Header = http.Header{"User-Agent": {text}, "Referer": {"https://page.example/" + text}}
		a.Handler(stream).ServeHTTP(httptest.NewRecorder(), r)
		require.Regexp(t, line, log.String(), "%.40q", text)
		require.Less(t, log.Len(), 1500)
		for _, shown := range []string{got.Path, got.Agent, got.Referer, got.Name} {
			require.NotRegexp(t, `[^\pL\pM\pN\pP\pS ]`, shown, "%.40q", text)
		}
	}
}

func TestNamesOfSessionsCanBeShown(t *testing.T) {
	a := &audience.Audience{}
	h := a.Handler(stream)
	for _, id := range []string{"\u202egnp", "\xff\xfe", "\u009b", strings.Repeat("é", 60)} {
		r := httptest.NewRequest("GET", "/a/v.m3u8", nil)
		r.Header = http.Header{"Cmcd-Session": {`sid="` + id + `"`}}
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	all := a.Snapshot().Sessions
	require.Len(t, all, 4)
	for _, s := range all {
		require.NotRegexp(t, `[^\pL\pM\pN\pP\pS ]`, s.Name)
	}
}
