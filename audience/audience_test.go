package audience_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/audience"
	"github.com/stretchr/testify/require"
)

// stream answers like an origin of streams. A path with "missing" is missing.
var stream = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.Contains(r.URL.Path, "missing"):
		http.NotFound(w, r)
	case strings.HasSuffix(r.URL.Path, ".m3u8"):
		io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n")
	default:
		w.Write(make([]byte, 1000))
	}
})

// ask sends a request from an address with header lines "Name: value", and returns the status.
func ask(h http.Handler, addr, path string, lines ...string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
	r.RemoteAddr = addr + ":1234"
	if strings.Contains(addr, ":") {
		r.RemoteAddr = "[" + addr + "]:1234"
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	h.ServeHTTP(w, r)
	return w
}

func byName(r *http.Request) string { return r.Header.Get("Name") }

// events records the calls of the hooks.
type events struct {
	mu          sync.Mutex
	begun, over []string
	why         map[audience.End]int
}

func (e *events) watch(a *audience.Audience) {
	e.why = map[audience.End]int{}
	a.OnStart = func(s audience.Session) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.begun = append(e.begun, s.ID)
	}
	a.OnEnd = func(s audience.Session, why audience.End) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.over = append(e.over, s.ID)
		e.why[why]++
	}
}

// told returns how many sessions began, how many ended, and why.
func (e *events) told() (begun, over int, why map[audience.End]int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.begun), len(e.over), maps.Clone(e.why)
}

func (e *events) ended(why audience.End) int {
	_, _, all := e.told()
	return all[why]
}

func TestWhoIsOneViewer(t *testing.T) {
	cmcd := func(sid string) string { return `Cmcd-Session: sid="` + sid + `"` }
	for name, c := range map[string]struct {
		requests [][]string // address, path, header lines
		sessions int
		by       audience.By
	}{
		"reloads of one player":             {[][]string{{"192.0.2.1", "/a/v.m3u8"}, {"192.0.2.1", "/a/v.m3u8"}, {"192.0.2.1", "/a/1.ts"}}, 1, audience.ByAddress},
		"two addresses":                     {[][]string{{"192.0.2.1", "/a/v.m3u8"}, {"192.0.2.2", "/a/v.m3u8"}}, 2, audience.ByAddress},
		"two programs of one address":       {[][]string{{"192.0.2.1", "/a/v.m3u8", "User-Agent: x"}, {"192.0.2.1", "/a/v.m3u8", "User-Agent: y"}}, 2, audience.ByAddress},
		"one network of IPv6":               {[][]string{{"2001:db8::1", "/a/v.m3u8"}, {"2001:db8::2:3", "/a/v.m3u8"}}, 1, audience.ByAddress},
		"two networks of IPv6":              {[][]string{{"2001:db8::1", "/a/v.m3u8"}, {"2001:db8:0:1::1", "/a/v.m3u8"}}, 2, audience.ByAddress},
		"an address within another family":  {[][]string{{"192.0.2.1", "/a/v.m3u8"}, {"::ffff:192.0.2.1", "/a/v.m3u8"}}, 1, audience.ByAddress},
		"two players of one program":        {[][]string{{"192.0.2.1", "/a/v.m3u8", cmcd("x")}, {"192.0.2.1", "/a/v.m3u8", cmcd("y")}}, 2, audience.ByCMCD},
		"a player that changes its address": {[][]string{{"192.0.2.1", "/a/v.m3u8", cmcd("x")}, {"192.0.2.2", "/a/1.ts", cmcd("x")}}, 1, audience.ByCMCD},
		"CMCD in query and field":           {[][]string{{"192.0.2.1", "/a/v.m3u8?CMCD=sid%3D%22x%22"}, {"192.0.2.1", "/a/1.ts", cmcd("x")}}, 1, audience.ByCMCD},
		"a name goes before CMCD":           {[][]string{{"192.0.2.1", "/a/v.m3u8", cmcd("x"), "Name: n"}, {"192.0.2.2", "/a/1.ts", cmcd("y"), "Name: n"}}, 1, audience.ByName},
		"a name is no sid":                  {[][]string{{"192.0.2.1", "/a/v.m3u8", cmcd("x")}, {"192.0.2.1", "/a/v.m3u8", "Name: x"}}, 2, 99},
		"names that differ late":            {[][]string{{"192.0.2.1", "/a/v.m3u8", "Name: " + strings.Repeat("x", 99) + "1"}, {"192.0.2.1", "/a/v.m3u8", "Name: " + strings.Repeat("x", 99) + "2"}}, 2, audience.ByName},
		"two streams":                       {[][]string{{"192.0.2.1", "/a/v.m3u8"}, {"192.0.2.1", "/b/v.m3u8"}}, 2, audience.ByAddress},
		"variants below":                    {[][]string{{"192.0.2.1", "/a/v.m3u8"}, {"192.0.2.1", "/a/low/v.m3u8"}, {"192.0.2.1", "/a/low/1.ts"}}, 1, audience.ByAddress},
		"variants first":                    {[][]string{{"192.0.2.1", "/a/low/1.ts"}, {"192.0.2.1", "/a/low/v.m3u8"}, {"192.0.2.1", "/a/v.m3u8"}, {"192.0.2.1", "/a/low/1.ts"}}, 1, audience.ByAddress},
		"refused":                           {[][]string{{"192.0.2.1", "/a/missing.m3u8"}}, 0, 99},
		"refused at first":                  {[][]string{{"192.0.2.1", "/a/missing.m3u8"}, {"192.0.2.1", "/a/v.m3u8"}}, 1, audience.ByAddress},
		"refused later":                     {[][]string{{"192.0.2.1", "/a/v.m3u8"}, {"192.0.2.1", "/a/missing.ts"}}, 1, audience.ByAddress},
		"a page":                            {[][]string{{"192.0.2.1", "/index.html"}, {"192.0.2.1", "/play.js"}}, 0, 99},
		"behind a proxy":                    {[][]string{{"10.0.0.1", "/a/v.m3u8", "X-Forwarded-For: 9.9.9.9, 192.0.2.1"}, {"10.0.0.2", "/a/v.m3u8", "X-Forwarded-For: 8.8.8.8", "X-Forwarded-For: 192.0.2.1, 10.0.0.9"}}, 1, audience.ByAddress},
		"a client that names another":       {[][]string{{"192.0.2.1", "/a/v.m3u8", "X-Forwarded-For: 9.9.9.9"}, {"192.0.2.1", "/a/v.m3u8", "X-Forwarded-For: 8.8.8.8"}}, 1, audience.ByAddress},
		"a proxy that names nobody":         {[][]string{{"10.0.0.1", "/a/v.m3u8", "X-Forwarded-For: x"}, {"10.0.0.1", "/a/v.m3u8", "X-Forwarded-For: 1.2.3.4, unknown"}}, 1, audience.ByAddress},
	} {
		t.Run(name, func(t *testing.T) {
			var e events
			a := &audience.Audience{Session: byName, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
			e.watch(a)
			h := a.Handler(stream)
			for _, r := range c.requests {
				ask(h, r[0], r[1], r[2:]...)
			}
			s := a.Snapshot()
			require.Len(t, s.Sessions, c.sessions)
			begun, _, _ := e.told()
			require.Equal(t, c.sessions, begun)
			for _, one := range s.Sessions {
				if c.by != 99 {
					require.Equal(t, c.by, one.By)
				}
			}
		})
	}
}

func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &audience.Audience{}
		h := a.Handler(stream)
		begun := time.Now()
		ask(h, "192.0.2.1", "/a/master.m3u8", `Cmcd-Session: sid="x"`, "Cmcd-Request: su")
		time.Sleep(time.Second)
		ask(h, "192.0.2.1", "/a/low/v.m3u8", `Cmcd-Session: sid="x"`, "Cmcd-Request: su")
		time.Sleep(time.Second)
		ask(h, "192.0.2.1", "/a/low/1.ts", `Cmcd-Session: sid="x"`, "Cmcd-Object: br=800")
		ask(h, "192.0.2.1", "/a/low/2.ts", `Cmcd-Session: sid="x"`, "Cmcd-Status: bs")
		ask(h, "192.0.2.2", "/b/v.m3u8")
		s := a.Snapshot()
		require.Len(t, s.Streams, 2)
		require.Equal(t, "/a/", s.Streams[0].Name)
		require.Equal(t, 1, s.Streams[0].Viewers)
		require.Equal(t, begun, s.Streams[0].Since)
		require.EqualValues(t, 2*len("#EXTM3U\n#EXT-X-TARGETDURATION:4\n")+2000, s.Streams[0].Bytes)
		for one := range a.All() {
			if one.By != audience.ByCMCD {
				continue
			}
			require.Equal(t, "x", one.Name)
			require.Equal(t, "low/v.m3u8", one.Variant)
			require.EqualValues(t, 4, one.Requests)
			require.Equal(t, s.Streams[0].Bytes, one.Bytes)
			require.Equal(t, 2*time.Second, one.Startup)
			require.Equal(t, 1, one.Stalls)
			require.EqualValues(t, 800_000, one.Bitrate)
			require.Equal(t, begun.Add(2*time.Second), one.Last)
		}
		for range a.All() {
			break // an iteration may stop early
		}
		time.Sleep(2 * time.Minute)
		require.Empty(t, a.Snapshot().Sessions)
		require.Empty(t, a.Snapshot().Streams)
	})
}

func TestASessionEndsInSilence(t *testing.T) {
	for name, c := range map[string]struct {
		idle time.Duration
		path string
		want time.Duration
	}{
		"three target durations":   {0, "/a/v.m3u8", 12 * time.Second},
		"not known":                {0, "/a/1.ts", 30 * time.Second},
		"said":                     {5 * time.Second, "/a/v.m3u8", 5 * time.Second},
		"a target beyond the most": {0, "/long/v.m3u8", 60 * time.Second},
		"a target below the least": {0, "/short/v.m3u8", 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var e events
			a := &audience.Audience{Idle: c.idle}
			e.watch(a)
			h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasPrefix(r.URL.Path, "/long/"):
					io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:99999999999999999999\n")
				case strings.HasPrefix(r.URL.Path, "/short/"):
					io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n")
				default:
					stream(w, r)
				}
			}))
			for range 3 {
				ask(h, "192.0.2.1", c.path)
				time.Sleep(c.want - time.Millisecond)
			}
			require.Len(t, a.Snapshot().Sessions, 1, name)
			time.Sleep(2 * time.Millisecond)
			require.Empty(t, a.Snapshot().Sessions, name)
			synctest.Wait()
			require.Equal(t, 1, e.ended(audience.Silent), name)
			time.Sleep(2 * time.Second) // the timer has ended as well
		})
	}
}

// A request that waits is not silent: a blocking reload, or a film.
func TestARequestUnderWayKeepsItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &audience.Audience{Idle: time.Second}
		h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "#EXTM3U\n")
			time.Sleep(time.Hour)
			io.WriteString(w, "#")
		}))
		go ask(h, "192.0.2.1", "/a/v.m3u8?_HLS_msn=5")
		time.Sleep(59 * time.Minute)
		s := a.Snapshot().Sessions
		require.Len(t, s, 1)
		require.Equal(t, 1, s[0].Active)
		require.EqualValues(t, 8, s[0].Bytes)
		time.Sleep(2 * time.Minute)
		require.Empty(t, a.Snapshot().Sessions)
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e events
		a := &audience.Audience{Session: byName, Limit: func(key string) int {
			if key == "free" {
				return -1
			}
			return 2
		}, Key: func(r *http.Request) string { return r.Header.Get("Key") }}
		e.watch(a)
		h := a.Handler(stream)
		in := func(name, key string) int { return ask(h, "192.0.2.1", "/a/v.m3u8", "Name: "+name, "Key: "+key).Code }
		require.Equal(t, []int{200, 200, 429}, []int{in("1", "k"), in("2", "k"), in("3", "k")})
		require.Equal(t, []int{200, 200}, []int{in("1", "k"), in("2", "k")}, "who is in stays in")
		require.Equal(t, []int{200, 200, 200}, []int{in("4", "free"), in("5", "free"), in("6", "free")})
		require.Equal(t, 200, in("7", "other"))
		w := ask(h, "192.0.2.1", "/a/v.m3u8", "Name: 3", "Key: k")
		require.Equal(t, "10", w.Header().Get("Retry-After"))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.EqualValues(t, 2, a.Snapshot().Refused)
		require.Len(t, a.Snapshot().Sessions, 6)
		time.Sleep(13 * time.Second)
		require.Equal(t, 200, in("3", "k"), "others have gone")
		time.Sleep(time.Minute)
		synctest.Wait()
		begun, over, _ := e.told()
		require.Equal(t, []int{7, 7}, []int{begun, over})
	})
}

func TestARefusedRequestHoldsNoPlace(t *testing.T) {
	a := &audience.Audience{Limit: func(string) int { return 1 }}
	h := a.Handler(stream)
	for range 3 {
		require.Equal(t, 404, ask(h, "192.0.2.1", "/a/missing.m3u8", `Cmcd-Session: sid="x"`).Code)
	}
	require.Equal(t, 200, ask(h, "192.0.2.1", "/a/v.m3u8", `Cmcd-Session: sid="y"`).Code)
}

// A page that is loaded again has a player with another id, which takes the place of the last one.
func TestALoadedPageIsNotRefused(t *testing.T) {
	var e events
	a := &audience.Audience{Limit: func(string) int { return 1 }}
	e.watch(a)
	h := a.Handler(stream)
	require.Equal(t, 200, ask(h, "192.0.2.1", "/a/v.m3u8", `Cmcd-Session: sid="x"`).Code)
	require.Equal(t, 200, ask(h, "192.0.2.1", "/a/v.m3u8", `Cmcd-Session: sid="y"`).Code)
	require.Equal(t, 429, ask(h, "192.0.2.1", "/a/v.m3u8", `Cmcd-Session: sid="z"`, "User-Agent: another").Code)
	require.Len(t, a.Snapshot().Sessions, 1)
	require.Equal(t, 1, e.ended(audience.Replaced))
}

func TestReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e events
		a := &audience.Audience{Session: byName, Key: func(*http.Request) string { return "k" }, Limit: func(string) int { return 2 }, Replace: true}
		e.watch(a)
		h := a.Handler(stream)
		in := func(name string) int { return ask(h, "192.0.2.1", "/a/v.m3u8", "Name: "+name).Code }
		require.Equal(t, []int{200, 200, 200}, []int{in("1"), in("2"), in("3")})
		require.Equal(t, []int{403, 200, 200}, []int{in("1"), in("2"), in("3")}, "the oldest is out, and does not push back")
		require.Equal(t, 1, e.ended(audience.Replaced))
		time.Sleep(2 * time.Minute)
		require.Equal(t, 200, in("1"))
	})
}

func TestKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e events
		a := &audience.Audience{}
		e.watch(a)
		h := a.Handler(stream)
		ask(h, "192.0.2.1", "/a/v.m3u8")
		ask(h, "192.0.2.2", "/a/v.m3u8")
		id := ""
		for s := range a.All() {
			if s.Addr.String() == "192.0.2.1" {
				id = s.ID
			}
		}
		for _, wrong := range []string{"", "x", id + "0", "-1", strings.Repeat("0", 32) + "-1", id[1:]} {
			require.False(t, a.Kick(wrong), wrong)
		}
		require.True(t, a.Kick(id))
		require.False(t, a.Kick(id))
		require.Len(t, a.Snapshot().Sessions, 1)
		for range 5 {
			require.Equal(t, 403, ask(h, "192.0.2.1", "/a/1.ts").Code)
			time.Sleep(30 * time.Second)
		}
		require.Equal(t, 200, ask(h, "192.0.2.3", "/a/1.ts").Code)
		time.Sleep(32 * time.Second)
		require.Equal(t, 200, ask(h, "192.0.2.1", "/a/1.ts").Code, "it was silent for a minute")
		require.Equal(t, 1, e.ended(audience.Kicked))
	})
}

// A kick ends an answer under way, even if the client reads nothing.
func TestKickBreaksOffAnswers(t *testing.T) {
	a := &audience.Audience{}
	took := make(chan struct{}, 1)
	s := httptest.NewServer(a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { took <- struct{}{} }()
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				panic(http.ErrAbortHandler)
			}
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))
		}
	})))
	defer s.Close()
	resp, err := http.Get(s.URL + "/a/film.mp4")
	require.NoError(t, err)
	defer resp.Body.Close()
	for one := range a.All() {
		require.True(t, a.Kick(one.ID))
	}
	<-took
	_, err = io.Copy(io.Discard, resp.Body)
	require.Error(t, err)
}

func TestMemoryIsBounded(t *testing.T) {
	a := &audience.Audience{Sessions: 10}
	h := a.Handler(stream)
	for i := range 30 {
		require.Equal(t, 200, ask(h, "192.0.2.1", fmt.Sprintf("/s%d/v.m3u8?CMCD=sid%%3D%d", i%3, i)).Code)
	}
	s := a.Snapshot()
	require.Len(t, s.Sessions, 10)
	require.EqualValues(t, 20, s.Lost)
	one := &audience.Audience{}
	h = one.Handler(stream)
	for i := range 30 {
		ask(h, "192.0.2.1", fmt.Sprintf("/s%d/v.m3u8", i))
	}
	require.Len(t, one.Snapshot().Sessions, 8, "of one viewer")
}

// Viewers come and go at once: the hooks are called once for each beginning, and once for each end.
func TestCountsAreExact(t *testing.T) {
	const viewers, requests = 1000, 20
	var begun, over, served atomic.Int64
	a := &audience.Audience{Session: byName, Limit: func(string) int { return 3 }, Key: func(r *http.Request) string { return r.Header.Get("Key") }}
	a.OnStart = func(audience.Session) { begun.Add(1) }
	a.OnEnd = func(audience.Session, audience.End) { over.Add(1) }
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		w.Write([]byte("x"))
	}))
	stop := make(chan struct{})
	var lookers, all sync.WaitGroup
	lookers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if s := a.Snapshot(); len(s.Sessions) > 0 {
					a.Kick(s.Sessions[0].ID)
				}
				runtime.Gosched()
			}
		}
	})
	var in, out, broken atomic.Int64
	for i := range viewers {
		all.Go(func() {
			for j := range requests {
				code := 0
				func() {
					defer func() {
						if v := recover(); v != nil && v != http.ErrAbortHandler {
							panic(v)
						}
					}()
					code = ask(h, "192.0.2.1", "/a/v.m3u8", fmt.Sprint("Name: ", i), fmt.Sprint("Key: ", i/4)).Code
				}()
				switch {
				case code == 0: // its session was ended meanwhile
					broken.Add(1)
				case code == 200:
					in.Add(1)
				case code == 429 || code == 403:
					out.Add(1)
				default:
					t.Errorf("%d of %d", code, j)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	lookers.Wait()
	s := a.Snapshot()
	require.EqualValues(t, viewers*requests, in.Load()+out.Load()+broken.Load())
	require.EqualValues(t, out.Load(), s.Refused)
	require.Equal(t, in.Load()+broken.Load(), served.Load())
	require.EqualValues(t, begun.Load(), over.Load()+int64(len(s.Sessions)))
	perKey := map[string]int{}
	bytes := uint64(0)
	for _, one := range s.Sessions {
		var n int
		fmt.Sscan(one.Name, &n)
		perKey[fmt.Sprint(n/4)]++
		bytes += one.Bytes
		require.Zero(t, one.Active)
	}
	for key, n := range perKey {
		require.LessOrEqual(t, n, 3, key)
	}
	for _, one := range s.Sessions {
		a.Kick(one.ID)
	}
	require.Equal(t, begun.Load(), over.Load())
	require.LessOrEqual(t, bytes, uint64(in.Load()))
}

func TestServed(t *testing.T) {
	var got []audience.Served
	secret := strings.Repeat("s3cret", 12)
	a := &audience.Audience{Session: byName, OnServed: func(s audience.Served) { got = append(got, s) }}
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "hit.ts"):
			w.Header().Add("Cache-Status", `far; fwd=uri-miss`)
			w.Header().Add("Cache-Status", `"a,b"; fwd=uri-miss, near; hit`)
		case strings.HasSuffix(r.URL.Path, "broken.ts"):
			w.Header().Set("Content-Type", "video/mp2t")
			w.Write([]byte("abc"))
			a.OnFailure(r, fmt.Errorf("read: Get \"http://u:pw@origin.example/x.ts?token=%s\": reset", secret))
			panic(http.ErrAbortHandler)
		}
		stream(w, r)
	}))
	ask(h, "192.0.2.1", "/a/v.m3u8?hpt="+secret, "Name: anna", "Referer: https://page.example/x?t="+secret, "User-Agent: x")
	ask(h, "192.0.2.1", "/a/"+secret+"/hit.ts", "Name: anna")
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { ask(h, "192.0.2.1", "/a/broken.ts", "Name: anna") })
	ask(h, "192.0.2.1", "/a/missing.key", "Name: anna")
	require.Len(t, got, 4)
	kinds, statuses, caches := []string{}, []int{}, []string{}
	for _, s := range got {
		kinds, statuses, caches = append(kinds, s.Kind), append(statuses, s.Status), append(caches, s.Cache)
		require.NotContains(t, fmt.Sprintf("%+v", s.Path+s.Stream+s.Referer), "s3crets3cret")
		require.Equal(t, "anna", s.Name)
		require.NotEmpty(t, s.Session)
		require.True(t, s.Duration >= s.First && s.First >= 0)
	}
	require.Equal(t, []string{"playlist", "segment", "segment", "key"}, kinds)
	require.Equal(t, []int{200, 200, 200, 404}, statuses)
	require.Equal(t, []string{"", "hit", "", ""}, caches)
	require.Equal(t, "https://page.example/x", got[0].Referer)
	require.EqualValues(t, 3, got[2].Bytes)
	require.True(t, got[2].Broken && !got[1].Broken && !got[3].Broken)
	var text bytes.Buffer
	write := audience.Log(slog.New(slog.NewTextHandler(&text, nil)))
	for _, s := range got {
		write(s)
	}
	require.NotContains(t, text.String(), "s3crets3cret")
	require.NotContains(t, text.String(), "pw@")
	require.Contains(t, text.String(), "origin.example/x.ts")
	require.Equal(t, 1, strings.Count(text.String(), "level=WARN"))
	quiet := audience.Log(slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelError})))
	text.Reset()
	quiet(got[2])
	require.Empty(t, text.String())
	a.OnFailure(httptest.NewRequest("GET", "/", nil), errors.New("of a request that is not counted"))
}

func TestSample(t *testing.T) {
	n := 0
	f := audience.Sample(10, func(audience.Served) { n++ }, "segment")
	for range 100 {
		f(audience.Served{Kind: "segment", Status: 200})
		f(audience.Served{Kind: "playlist", Status: 200})
	}
	require.Equal(t, 10, n)
	f(audience.Served{Kind: "segment", Status: 502})
	f(audience.Served{Kind: "segment", Broken: true})
	require.Equal(t, 12, n)
}

func TestCacheStatus(t *testing.T) {
	for status, want := range map[string]string{
		"hlsproxy; hit": "hit", "hlsproxy; hit; detail=stale": "stale", "hlsproxy; fwd=uri-miss": "miss", "hlsproxy; fwd=stale; fwd-status=304": "revalidated",
		"hlsproxy; fwd=stale; collapsed": "join", "hlsproxy; fwd=bypass": "pass", "x": "", "": "", `near; hit, far; detail="a,b; hit"`: "",
	} {
		var got audience.Served
		a := &audience.Audience{OnServed: func(s audience.Served) { got = s }}
		ask(a.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Status", status) })), "192.0.2.1", "/a.ts")
		require.Equal(t, want, got.Cache, status)
	}
}

func TestRedact(t *testing.T) {
	long := strings.Repeat("x", 60)
	for text, want := range map[string]string{
		"/a/b.ts": "/a/b.ts", "/live/" + long + "/a.ts": "/live/xxxxxxxx../a.ts", "/a\n\x7f": "/a__",
	} {
		require.Equal(t, want, audience.Redact(text))
	}
	for text, want := range map[string]string{
		"https://u:p@h.example/a?b=c#d": "https://h.example/a", "/a?b": "/a", "https://h.example": "https://h.example", "": "",
	} {
		require.Equal(t, want, audience.RedactURL(text))
	}
	require.Equal(t, `Get "http://h.example/a": (http://x/y), ok`, audience.RedactText(`Get "http://u@h.example/a?k=1": (http://x/y?z), ok`))
}

func FuzzRedact(f *testing.F) {
	f.Add("Get \"http://u:p@h/a?b\": x")
	f.Fuzz(func(t *testing.T, s string) {
		require.NotContains(t, audience.RedactText(s), "?")
		require.NotContains(t, audience.RedactText(s), "\n\n\n\n\x00")
		audience.Redact(s)
	})
}

// The ResponseWriter for the handler can do everything that it could before.
func TestTheWriterCanDoWhatItCould(t *testing.T) {
	a := &audience.Audience{}
	s := httptest.NewServer(a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Hour)))
		require.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour)))
		w.(http.Flusher).Flush()
		n, err := io.Copy(w, io.LimitReader(strings.NewReader("0123456789"), 5))
		require.NoError(t, err)
		require.EqualValues(t, 5, n)
		_, err = w.(io.ReaderFrom).ReadFrom(strings.NewReader("abc"))
		require.NoError(t, err)
	})))
	defer s.Close()
	resp, err := http.Get(s.URL + "/a.ts")
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "01234abc", string(body))
	require.EqualValues(t, 8, a.Snapshot().Sessions[0].Bytes)
	bare := httptest.NewRecorder()
	a.Handler(stream).ServeHTTP(struct{ http.ResponseWriter }{bare}, httptest.NewRequest("GET", "/a.ts", nil).WithContext(context.Background()))
	require.Equal(t, 200, bare.Code)
}

func TestHooksThatPanicDoNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &audience.Audience{OnStart: func(audience.Session) { panic("a") }, OnEnd: func(audience.Session, audience.End) { panic("b") }, OnServed: func(audience.Served) { panic("c") }}
		require.Equal(t, 200, ask(a.Handler(stream), "192.0.2.1", "/a.ts").Code)
		time.Sleep(time.Hour)
	})
}

// A hook that ends its goroutine ends neither the request nor the sweep that called it: sessions begin and end as ever.
func TestHooksThatEndTheirGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began, ended atomic.Int32
		a := &audience.Audience{
			Session: byName, Replace: true, Limit: func(string) int { return 1 }, Key: func(*http.Request) string { return "k" },
			OnStart: func(audience.Session) { began.Add(1); runtime.Goexit() },
			OnEnd:   func(audience.Session, audience.End) { ended.Add(1); runtime.Goexit() },
		}
		h := a.Handler(stream)
		for range 2 {
			for i := range 3 {
				require.Equal(t, 200, ask(h, "192.0.2.1", "/a/v.m3u8", fmt.Sprint("Name: ", i)).Code)
			}
			require.Len(t, a.Snapshot().Sessions, 1)
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			require.Empty(t, a.Snapshot().Sessions)
		}
		require.EqualValues(t, 6, began.Load())
		require.EqualValues(t, 6, ended.Load())
	})
}

// A page reads how a viewer was identified as a word, and reads it back.
func TestJSONHasWords(t *testing.T) {
	for _, by := range []audience.By{audience.ByAddress, audience.ByCMCD, audience.ByName} {
		text, err := json.Marshal(audience.Session{By: by})
		require.NoError(t, err)
		require.Contains(t, string(text), fmt.Sprintf(`"By":%q`, by.String()))
		var s audience.Session
		require.NoError(t, json.Unmarshal(text, &s))
		require.Equal(t, by, s.By)
	}
	for _, end := range []audience.End{audience.Silent, audience.Kicked, audience.Replaced} {
		text, err := json.Marshal(end)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%q", end.String()), string(text))
		var read audience.End
		require.NoError(t, json.Unmarshal(text, &read))
		require.Equal(t, end, read)
	}
	var by audience.By
	require.ErrorContains(t, json.Unmarshal([]byte(`"phone"`), &by), `"phone" is none of address, cmcd, name`)
}
