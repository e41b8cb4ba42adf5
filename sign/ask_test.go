package sign_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/stretchr/testify/require"
)

func admit(a *sign.Ask, r *http.Request) (*httptest.ResponseRecorder, *http.Request) {
	var inner *http.Request
	w := httptest.NewRecorder()
	a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inner = r })).ServeHTTP(w, r)
	return w, inner
}

// backend answers each request with the result of answer, and counts the requests.
func backend(t *testing.T, answer func(sign.Question) int) (*sign.Ask, *atomic.Int64) {
	t.Helper()
	asked := new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var q sign.Question
		if r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" || json.NewDecoder(r.Body).Decode(&q) != nil {
			w.WriteHeader(500)
			return
		}
		w.Header().Set("X-Quota", "7")
		w.Header().Set("X-Other", "8")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(answer(q))
	}))
	t.Cleanup(s.Close)
	return &sign.Ask{URL: s.URL, NodeID: "n1", AppKey: "app", Header: []string{"x-quota"}}, asked
}

func TestAskAdmitsByTheBackend(t *testing.T) {
	var got sign.Question
	a, asked := backend(t, func(q sign.Question) int { got = q; return 200 })
	r := request("/live/one/seg%201.ts?x=1,2&token=a%2Bb&_HLS_msn=1")
	r.RemoteAddr = "203.0.113.7:1234"
	w, inner := admit(a, r)
	require.Equal(t, 200, w.Code)
	require.Equal(t, "7", w.Header().Get("X-Quota"))
	require.Empty(t, w.Header().Get("X-Other"))
	require.Equal(t, "/live/one/seg%201.ts?x=1,2&_HLS_msn=1", inner.RequestURI)
	require.Equal(t, inner.RequestURI, inner.URL.String())
	require.Len(t, got.MediaSessionID, 32)
	got.MediaSessionID = ""
	require.Equal(t, sign.Question{
		NodeID: "n1", AppKey: "app", Host: "media.example", Name: "live/one", MediaProvider: "HLS", Token: "a+b", ClientAddress: "203.0.113.7", Kind: sign.KindSegment,
	}, got)

	require.Equal(t, "/live/one/2.ts?y&token=a%2Bb#f", string(must(a.Sign(inner.Context(), []byte("/live/one/2.ts?y#f")))))
	_, err := a.Sign(inner.Context(), []byte("2.ts"))
	require.ErrorIs(t, err, sign.ErrURL)
	require.Equal(t, "/2.ts", string(must(a.Sign(t.Context(), []byte("/2.ts")))))
	for _, own := range []string{"/2.ts?token=x", "/2.ts?y&token=x#f", "/2.ts?token"} {
		require.Equal(t, own, string(must(a.Sign(inner.Context(), []byte(own)))), "a second token would be refused")
	}
	for range 10 {
		r := request("/live/one/seg2.ts?token=a%2Bb")
		r.RemoteAddr = "203.0.113.7:99"
		w, _ = admit(a, r)
		require.Equal(t, 200, w.Code)
	}
	require.EqualValues(t, 1, asked.Load(), "one question for each kind")
	for u, kind := range map[string]sign.Kind{"/live/one/v.M3U8": sign.KindPlaylist, "/live/one/k.key": sign.KindKey} {
		r := request(u + "?token=a%2Bb")
		r.RemoteAddr = "203.0.113.7:99"
		w, _ = admit(a, r)
		require.Equal(t, 200, w.Code)
		require.Equal(t, kind, got.Kind)
	}
	require.EqualValues(t, 3, asked.Load())
}

func TestAskKnowsWhatIsRequested(t *testing.T) {
	for path, want := range map[string]sign.Kind{
		"/a/v.m3u8": sign.KindPlaylist, "/a/v.M3U": sign.KindPlaylist, "/a/steer.json": sign.KindPlaylist, "/a/v.m3u8;s=1": sign.KindPlaylist,
		"/a/k.key": sign.KindKey, "/a/k.k%65y": sign.KindKey, "/a/k.key;x": sign.KindKey, "/a/k.key%3Bx": sign.KindKey, "/a/k.key/": sign.KindKey,
		"/a/v%252em3u8": sign.KindPlaylist, "/a/k%25252ekey": sign.KindKey, "/a/k.%25256bey": sign.KindKey, "/a/v.m3u8%2520": sign.KindSegment,
		"/a/1.ts": sign.KindSegment, "/v.m3u8/1.ts": sign.KindSegment, "/a/": sign.KindSegment, "/": sign.KindSegment,
	} {
		var got sign.Kind
		a := &sign.Ask{Decide: func(_ context.Context, q sign.Question) error { got = q.Kind; return nil }}
		w, _ := admit(a, request(path+"?token=x"))
		require.Equal(t, 200, w.Code, path)
		require.Equal(t, want, got, path)
	}
}

func TestAskRefuses(t *testing.T) {
	a, asked := backend(t, func(q sign.Question) int {
		var code int
		_, _ = fmt.Sscan(q.Token, &code)
		return code
	})
	a.Status = 401
	for name, c := range map[string]struct {
		link   string
		status int
	}{
		"no token":     {"/live/1.ts", 401},
		"empty token":  {"/live/1.ts?token=", 401},
		"two tokens":   {"/live/1.ts?token=200&token=200", 403},
		"escaped name": {"/live/1.ts?token=200&t%6fken=200", 403},
		"bad escape":   {"/live/1.ts?token=%zz", 403},
		"dot segments": {"/live/a%2f..%2f1.ts?token=200", 403},
		"refused":      {"/live/1.ts?token=403", 401},
		"unauthorized": {"/live/1.ts?token=401", 401},
		"broken":       {"/live/1.ts?token=500", 503},
		"redirected":   {"/live/1.ts?token=302", 503},
		"created":      {"/live/1.ts?token=201", 503},
		"not found":    {"/live/1.ts?token=404", 503},
		"admitted":     {"/live/1.ts?token=200", 200},
	} {
		w, inner := admit(a, request(c.link))
		require.Equal(t, c.status, w.Code, name)
		require.Equal(t, c.status == 200, inner != nil, name)
		if c.status != 200 {
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, http.StatusText(c.status)+"\n", w.Body.String())
			require.Equal(t, c.status == 401, w.Header().Get("WWW-Authenticate") == "Bearer")
			require.Empty(t, w.Header().Get("X-Quota"))
		}
	}
	require.EqualValues(t, 7, asked.Load(), "what has no token is not asked about, and redirects are not followed")
	a.Client = &http.Client{}
	w, _ := admit(a, request("/live/other/1.ts?token=302"))
	require.Equal(t, 503, w.Code)
	require.EqualValues(t, 8, asked.Load(), "nor by a client of one's own")
	require.Nil(t, a.Client.CheckRedirect)
}

func TestAskFailsClosed(t *testing.T) {
	var failures atomic.Int64
	for name, a := range map[string]*sign.Ask{
		"nothing set": {},
		"panic":       {Decide: func(context.Context, sign.Question) error { panic("bug") }},
		"down":        {URL: "http://127.0.0.1:1/"},
		"bad URL":     {URL: ":"},
	} {
		a.OnFailure = func(err error) { require.Error(t, err); failures.Add(1) }
		w, inner := admit(a, request("/a.ts?token=x"))
		require.Equal(t, 503, w.Code, name)
		require.Nil(t, inner)
	}
	require.EqualValues(t, 4, failures.Load())
}

// Hooks run on goroutines of their own. Nothing that they do may end the process or leave viewers waiting.
func TestAskOutlivesItsHooks(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	for name, decide := range map[string]func(context.Context, sign.Question) error{
		"panics": func(context.Context, sign.Question) error { panic("bug") },
		"exits":  func(context.Context, sign.Question) error { runtime.Goexit(); return nil },
		"hangs":  func(ctx context.Context, _ sign.Question) error { <-ctx.Done(); time.Sleep(time.Second); return nil },
	} {
		for _, timeout := range []time.Duration{0, -1} {
			if name == "hangs" && timeout < 0 {
				continue
			}
			for telling, told := range map[string]func(error){"panics": func(error) { panic("another") }, "exits": func(error) { runtime.Goexit() }, "is none": nil} {
				t.Run(fmt.Sprintf("Decide %s, Timeout %v, OnFailure %s", name, timeout, telling), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						a := &sign.Ask{Decide: decide, Timeout: timeout, OnFailure: told}
						w, inner := admit(a, request("/a.ts?token=x"))
						require.Equal(t, 503, w.Code)
						require.Nil(t, inner)
						time.Sleep(2 * time.Second) // until the last hook has returned
					})
				})
			}
		}
	}
}

func TestAskIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		a := &sign.Ask{Decide: func(context.Context, sign.Question) error { <-end; return nil }, Timeout: 2 * time.Second}
		begin := time.Now()
		w, _ := admit(a, request("/a.ts?token=x"))
		require.Equal(t, 503, w.Code, "fails closed")
		require.Equal(t, 2*time.Second, time.Since(begin))
		close(end)
		time.Sleep(time.Second)
		w, _ = admit(a, request("/a.ts?token=x"))
		require.Equal(t, 200, w.Code, "a failure is soon forgotten")
	})
}

// A client that keeps sending new tokens without waiting causes only a bounded number of requests to the backend at a time.
func TestAskHasSoManyQuestionsUnderWay(t *testing.T) {
	const most = 4096
	synctest.Test(t, func(t *testing.T) {
		var asked, under, peak atomic.Int64
		a := &sign.Ask{Decide: func(context.Context, sign.Question) error {
			asked.Add(1)
			peak.Store(max(peak.Load(), under.Add(1)))
			time.Sleep(time.Second)
			under.Add(-1)
			return nil
		}}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for i := range most + 100 {
			w, _ := admit(a, request(fmt.Sprintf("/live/1.ts?token=%d", i)).WithContext(gone))
			require.Equal(t, 503, w.Code)
		}
		synctest.Wait()
		require.EqualValues(t, most, asked.Load())
		w, _ := admit(a, request("/live/1.ts?token=x"))
		require.Equal(t, 503, w.Code)
		w, _ = admit(a, request("/live/1.ts?token=7"))
		require.Equal(t, 200, w.Code, "what is being asked is waited for")
		w, _ = admit(a, request("/live/1.ts?token=x"))
		require.Equal(t, 200, w.Code)
		require.LessOrEqual(t, peak.Load(), int64(most))
	})
}

// What was given up is under way as long as it runs.
func TestAskWaitsForNobodyButCounts(t *testing.T) {
	const most = 4096
	synctest.Test(t, func(t *testing.T) {
		var under atomic.Int64
		end := make(chan struct{})
		a := &sign.Ask{OnFailure: func(error) {}, Decide: func(context.Context, sign.Question) error {
			under.Add(1)
			<-end
			under.Add(-1)
			return nil
		}}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for i := range 2 * most {
			_, _ = admit(a, request(fmt.Sprintf("/live/1.ts?token=%d", i)).WithContext(gone))
			if i == most {
				time.Sleep(time.Minute) // all have been given up
			}
		}
		synctest.Wait()
		require.EqualValues(t, most, under.Load())
		close(end)
		synctest.Wait()
		w, _ := admit(a, request("/live/1.ts?token=x"))
		require.Equal(t, 200, w.Code)
	})
}

func TestAskAnswersAreSharedAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var revoked atomic.Bool
		a := &sign.Ask{TTL: 20 * time.Second, Decide: func(ctx context.Context, q sign.Question) error {
			asked.Add(1)
			time.Sleep(time.Second)
			if err := ctx.Err(); err != nil {
				return err
			}
			if revoked.Load() {
				return errors.New("revoked")
			}
			return nil
		}}
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				r := request("/live/1.ts?token=x")
				if i == 0 {
					ctx, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
					defer cancel()
					r = r.WithContext(ctx)
				}
				w, _ := admit(a, r)
				if (w.Code == 200) != (i > 0) {
					t.Errorf("viewer %d got %d", i, w.Code)
				}
			})
			time.Sleep(time.Millisecond)
		}
		all.Wait()
		require.EqualValues(t, 1, asked.Load(), "the first viewer leaves and the others have their answer")

		revoked.Store(true)
		time.Sleep(18 * time.Second)
		w, _ := admit(a, request("/live/1.ts?token=x"))
		require.Equal(t, 200, w.Code)
		time.Sleep(2 * time.Second)
		w, _ = admit(a, request("/live/1.ts?token=x"))
		require.Equal(t, 403, w.Code, "a revoked token stops within TTL")
		revoked.Store(false)
		time.Sleep(4 * time.Second)
		w, _ = admit(a, request("/live/1.ts?token=x"))
		require.Equal(t, 200, w.Code, "refusals hold for less")
		require.EqualValues(t, 3, asked.Load())
	})
}

func TestAskWithoutMemory(t *testing.T) {
	var asked atomic.Int64
	a := &sign.Ask{TTL: -1, Decide: func(context.Context, sign.Question) error { asked.Add(1); return nil }}
	for range 3 {
		w, _ := admit(a, request("/live/1.ts?token=x"))
		require.Equal(t, 200, w.Code)
	}
	require.EqualValues(t, 3, asked.Load())
}

func TestAskForgetsWhenTooManyAreAsked(t *testing.T) {
	var asked int
	a := &sign.Ask{RefusalTTL: time.Hour, Decide: func(context.Context, sign.Question) error { asked++; return status(410) }}
	const many = 1<<14 + 100
	for range 2 {
		for i := range many {
			w, _ := admit(a, request(fmt.Sprintf("/live/1.ts?token=%d", i)))
			require.Equal(t, 410, w.Code)
		}
	}
	require.Greater(t, asked, many, "strangers cannot fill the memory")
}

func TestAskOptions(t *testing.T) {
	var got []sign.Question
	a := &sign.Ask{
		Param: "auth", Kinds: []sign.Kind{sign.KindPlaylist}, TTL: -1,
		Decide: func(_ context.Context, q sign.Question) error { got = append(got, q); return nil },
		Describe: func(r *http.Request, q *sign.Question) {
			q.Name, q.SessionID = strings.ToUpper(q.Name), r.Header.Get("X-Session")
		},
	}
	w, inner := admit(a, request("/live/1.ts?auth=x"))
	require.Equal(t, 200, w.Code)
	require.Empty(t, got, "only playlists are asked about")
	require.Equal(t, "/live/1.ts", inner.RequestURI)

	r := request("/live/1.m3u8")
	r.Header.Set("Authorization", "bearer abc")
	r.Header.Set("X-Session", "s")
	w, inner = admit(a, r)
	require.Equal(t, 200, w.Code)
	require.Equal(t, "abc", got[0].Token)
	require.Equal(t, "LIVE", got[0].Name)
	require.Equal(t, "s", got[0].SessionID)
	require.NotContains(t, inner.Header, "Authorization")
	require.Equal(t, "/live/1.m3u8", inner.URL.String())
	require.Equal(t, "/live/2.ts", string(must(a.Sign(inner.Context(), []byte("/live/2.ts")))), "a header token stays out of links")

	r = request("/live/1.m3u8")
	r.Header.Set("Authorization", "Basic abc")
	w, _ = admit(a, r)
	require.Equal(t, 401, w.Code)
	a.Anonymous = true
	w, _ = admit(a, r)
	require.Equal(t, 200, w.Code)
	require.Empty(t, got[1].Token)
}

func TestAskBehindASigner(t *testing.T) {
	s := signer(t, nil)
	var got sign.Question
	a := &sign.Ask{Anonymous: true, Decide: func(_ context.Context, q sign.Question) error { got = q; return nil }}
	g := must(s.Grant(nil))
	g.Session = "s7"
	r := request(must(s.URLUnder(g, "/live/1.ts")))
	w := httptest.NewRecorder()
	s.Handler(a.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))).ServeHTTP(w, r)
	require.Equal(t, 200, w.Code)
	require.Equal(t, "s7", got.SessionID)
}

// A JWT library, or any other check without HTTP, fits into Decide.
func ExampleAsk() {
	parseJWT := func(token string) (subject string, err error) { // stands for a library's
		if subject, ok := strings.CutPrefix(token, "signed:"); ok {
			return subject, nil
		}
		return "", errors.New("bad signature")
	}

	ask := &sign.Ask{Decide: func(_ context.Context, q sign.Question) error {
		_, err := parseJWT(q.Token)
		return err
	}}

	h := ask.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		uri, err := ask.Sign(r.Context(), []byte("/live/seg1.ts")) // the Sign hook of a playlist rewriter
		fmt.Println(r.URL, string(uri), err)
	}))
	for _, u := range []string{"/live/master.m3u8?token=signed:ann", "/live/master.m3u8?token=forged", "/live/master.m3u8"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", u, nil))
		fmt.Println(w.Code)
	}
	// Output:
	// /live/master.m3u8 /live/seg1.ts?token=signed:ann <nil>
	// 200
	// 403
	// 401
}

func TestAskSignAlike(t *testing.T) {
	for param, want := range map[string]bool{"": true, "key": true, "k2": false} {
		ask := &sign.Ask{Param: param}
		require.Equal(t, want, ask.SignAlike(t.Context(), []byte("/live/seg1.ts")))
	}
}

func TestAskTellsTheLogWhereNobodyElseListens(t *testing.T) {
	var text strings.Builder
	log.SetOutput(&text)
	defer log.SetOutput(os.Stderr)
	slow := &sign.Ask{Timeout: -1, Decide: func(ctx context.Context, _ sign.Question) error {
		if _, limited := ctx.Deadline(); limited {
			return errors.New("limited")
		}
		return nil
	}}
	w, _ := admit(slow, request("/a.ts?token=x"))
	require.Equal(t, 200, w.Code, "negative: no limit")
	w, _ = admit(new(sign.Ask), request("/a.ts?token=x"))
	require.Equal(t, 503, w.Code)
	require.Contains(t, text.String(), "neither URL nor Decide")
}
