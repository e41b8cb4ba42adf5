package origin_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

func TestFailover(t *testing.T) {
	first := order(t, "/s/x.ts")
	for name, row := range map[string]struct {
		hosts  [3]func(*http.Request) (*http.Response, error) // in the stream's order
		status int
		from   int // the origin that answers
		asked  int
	}{
		"works":                         {[3]func(*http.Request) (*http.Response, error){says(200), says(200), says(200)}, 200, 0, 1},
		"refused":                       {[3]func(*http.Request) (*http.Response, error){refuses, says(200), says(200)}, 200, 1, 2},
		"two refused":                   {[3]func(*http.Request) (*http.Response, error){refuses, refuses, says(200)}, 200, 2, 3},
		"500":                           {[3]func(*http.Request) (*http.Response, error){says(500), says(200), says(200)}, 200, 1, 2},
		"502":                           {[3]func(*http.Request) (*http.Response, error){says(502), says(206), says(200)}, 206, 1, 2},
		"503 and 504":                   {[3]func(*http.Request) (*http.Response, error){says(503), says(504), says(304)}, 304, 2, 3},
		"all 5xx: the first says it":    {[3]func(*http.Request) (*http.Response, error){says(503, "Retry-After", "7"), says(502), says(500)}, 503, 0, 3},
		"refused, 503, refused":         {[3]func(*http.Request) (*http.Response, error){refuses, says(503), refuses}, 503, 1, 3},
		"404 tries one other":           {[3]func(*http.Request) (*http.Response, error){says(404), says(200), says(200)}, 200, 1, 2},
		"404 tries only one other":      {[3]func(*http.Request) (*http.Response, error){says(404), says(404), says(200)}, 404, 0, 2},
		"404, then trouble":             {[3]func(*http.Request) (*http.Response, error){says(404), refuses, says(200)}, 200, 2, 3},
		"trouble, then 404":             {[3]func(*http.Request) (*http.Response, error){refuses, says(404), says(200)}, 200, 2, 3},
		"other refusals are an answer":  {[3]func(*http.Request) (*http.Response, error){says(403), says(200), says(200)}, 403, 0, 1},
		"410 is an answer":              {[3]func(*http.Request) (*http.Response, error){says(410), says(200), says(200)}, 410, 0, 1},
		"429 is an answer":              {[3]func(*http.Request) (*http.Response, error){says(429, "Retry-After", "7"), says(200), says(200)}, 429, 0, 1},
		"a redirect is an answer":       {[3]func(*http.Request) (*http.Response, error){says(302), says(200), says(200)}, 302, 0, 1},
		"416 is an answer":              {[3]func(*http.Request) (*http.Response, error){says(416), says(200), says(200)}, 416, 0, 1},
		"trouble, then a plain refusal": {[3]func(*http.Request) (*http.Response, error){says(503), says(403), says(200)}, 403, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			n, p := newNetwork(t, origin.PoolConfig{})
			for i, h := range row.hosts {
				n.set(first[i], h)
			}
			status, body, err := ask(t, p, "http://a/s/x.ts")
			require.NoError(t, err)
			require.Equal(t, row.status, status)
			require.Equal(t, first[row.from], body)
			require.Equal(t, first[:row.asked], n.take())
		})
	}
}

func TestFailoverIsForRepeatableRequestsOnly(t *testing.T) {
	first := order(t, "/s/x.ts")
	n, p := newNetwork(t, origin.PoolConfig{})
	n.set(first[0], refuses)
	for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodGet} {
		var body io.Reader
		if method == http.MethodGet {
			body = strings.NewReader("x")
		}
		r, _ := http.NewRequest(method, "http://a/s/x.ts", body)
		_, err := p.RoundTrip(r)
		require.ErrorIs(t, err, errRefused)
	}
	require.Len(t, n.take(), 3)

	n, p = newNetwork(t, origin.PoolConfig{Retries: -1})
	n.set(first[0], refuses)
	_, _, err := ask(t, p, "http://a/s/x.ts")
	require.ErrorIs(t, err, errRefused)
	require.Len(t, n.take(), 1)
}

func TestSilentOriginsCostPatienceOnce(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{})
		n.set(first[0], silent)
		begun := time.Now()
		_, body, err := ask(t, p, "http://a/s/x.ts")
		require.NoError(t, err)
		require.Equal(t, first[1], body)
		require.Equal(t, 4*time.Second, time.Since(begun))

		begun = time.Now()
		n.take()
		_, _, err = ask(t, p, "http://a/s/x.ts?_HLS_msn=3")
		require.Error(t, err)
		require.Equal(t, time.Minute, time.Since(begun), "a blocking reload may take its time")
		require.Equal(t, first[:1], n.take(), "the stream stands as still elsewhere")

		n.set(first[1], silent)
		n.set(first[2], silent)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/x.ts", nil)
		_, err = p.RoundTrip(r)
		require.ErrorIs(t, err, context.DeadlineExceeded, "the last one has the rest of the time")
	})
}

func TestRetriesHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{Failures: math.MaxInt32})
		for _, h := range []string{"a", "b", "c"} {
			n.set(h, says(502))
		}
		const requests = 10_000
		for i := range requests {
			_, _, _ = ask(t, p, fmt.Sprintf("http://a/%d/x.ts", i))
		}
		require.InDelta(t, requests+1000+requests/4, len(n.take()), 10, "what was saved, and a quarter of the requests")
		time.Sleep(2 * time.Second)
		for i := range 10 {
			_, _, _ = ask(t, p, fmt.Sprintf("http://a/%d/x.ts", i))
		}
		require.Len(t, n.take(), 30, "ten a second are free")
	})
}

// Requests for missing files, and slow requests, leave others their second chance.
func TestOneKindOfRetryLeavesTheOthersTheirBudget(t *testing.T) {
	for name, flood := range map[string]func(*http.Request) (*http.Response, error){"404": says(404), "hedges": after(2*time.Second, says(200))} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, origin.PoolConfig{Failures: math.MaxInt32, Hedge: time.Second, Outlier: -1})
				well := false
				for _, h := range []string{"a", "b", "c"} {
					n.set(h, func(r *http.Request) (*http.Response, error) {
						if strings.HasPrefix(r.URL.Path, "/flood") {
							return flood(r)
						}
						if well = !well; well {
							return says(500)(r) // the first attempt
						}
						return says(200)(r)
					})
				}
				var wg sync.WaitGroup
				for i := range 4000 {
					wg.Go(func() { _, _, _ = ask(t, p, fmt.Sprintf("http://a/flood/%d.ts", i)) })
				}
				wg.Wait()
				for i := range 100 {
					status, _, err := ask(t, p, fmt.Sprintf("http://a/%d/x.ts", i))
					require.NoError(t, err)
					require.Equal(t, 200, status)
				}
			})
		})
	}
}

// A pool behind a Proxy, over real connections: an origin is killed while a viewer reads.
func TestPoolBehindAProxy(t *testing.T) {
	a, b := faultorigin.New(t), faultorigin.New(t)
	for _, o := range []*faultorigin.Origin{a, b} {
		o.Handle("/s/x.ts", video("abc"))
		o.Handle("/s/r.ts", to(302, "x.ts"))
	}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: []string{a.URL, b.URL}, Base: transportOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.1/32")})})
	require.NoError(t, err)
	var base []string
	f := newFront(t, &origin.Proxy{
		Transport: pool, Upstream: func(u *url.URL) (string, error) { return a.URL + u.RequestURI(), nil },
		ModifyResponse: func(r *http.Response) error { base = append(base, r.Request.URL.String()); return nil },
	})
	for range 4 {
		_, body := f.get(t, "/s/r.ts")
		require.Equal(t, "abc", body)
	}
	used, other := a, b
	if a.Requests("") == 0 {
		used, other = b, a
	}
	require.Zero(t, other.Requests(""))
	used.Server.CloseClientConnections()
	used.Server.Listener.Close()
	for range 4 {
		resp, body := f.get(t, "/s/r.ts")
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "abc", body)
	}
	require.Equal(t, 8, other.Requests(""))
	for _, u := range base {
		require.Equal(t, a.URL+"/s/x.ts", u, "whichever origin answers, URLs stay the same")
	}
}

// A redirect is relative to the origin that sent it, which the caller does not know.
func TestRedirectsOfAPool(t *testing.T) {
	for location, want := range map[string]string{
		"next.ts":                  "http://a/x/s/next.ts",
		"/y/s/next.ts?q#f":         "http://a/x/s/next.ts?q#f",
		"http://b/y/t/%2F.ts":      "http://a/x/t/%2F.ts",
		"//b/y/t/1.ts":             "http://a/x/t/1.ts",
		"/elsewhere/1.ts":          "http://b/elsewhere/1.ts",
		"http://a/x/s/1.ts":        "http://a/x/s/1.ts",
		"https://cdn.example/1.ts": "https://cdn.example/1.ts",
		"http://%zz/":              "http://%zz/",
	} {
		n, p := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a/x", "http://b/y"}, Weights: []float64{0, 1}})
		n.set("b", says(302, "Location", location))
		r, _ := http.NewRequest(http.MethodGet, "http://a/x/s/x.ts", nil)
		resp, err := p.RoundTrip(r)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, want, resp.Header.Get("Location"), location)
	}
}

// An origin that lacks what another has is soon out, although it answers.
func TestMissingSegmentsCount(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{})
		n.set(first[0], says(404))
		for range 3 {
			_, body, err := ask(t, p, "http://a/s/x.ts")
			require.NoError(t, err)
			require.Equal(t, first[1], body)
			require.Len(t, n.take(), 2)
		}
		_, _, _ = ask(t, p, "http://a/s/x.ts")
		require.Equal(t, first[1:2], n.take())

		n, p = newNetwork(t, origin.PoolConfig{})
		for _, h := range first {
			n.set(h, says(404))
		}
		for range 10 {
			status, _, err := ask(t, p, "http://a/s/x.ts")
			require.NoError(t, err)
			require.Equal(t, 404, status)
		}
		for _, s := range p.State() {
			require.True(t, s.Healthy, "what nobody has, nobody lacks")
		}
	})
}

// An unwanted answer does not hold up the wanted one.
func TestADiscardedAnswerThatStalls(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{})
		n.set(first[0], func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Header: http.Header{}, ContentLength: 100, Body: &trickle{r.Context(), time.Hour, 100, io.EOF}, Request: r}, nil
		})
		begun := time.Now()
		_, body, err := ask(t, p, "http://a/s/x.ts")
		require.NoError(t, err)
		require.Equal(t, first[1], body)
		require.LessOrEqual(t, time.Since(begun), 100*time.Millisecond)
	})
}

// heedful is a body that breaks when the context of its request ends.
type heedful struct {
	io.ReadCloser
	ctx context.Context
}

func (h heedful) Read(p []byte) (int, error) {
	if err := context.Cause(h.ctx); err != nil {
		return 0, err
	}
	return h.ReadCloser.Read(p)
}

// A header that comes at the very instant at which the pool's Patience ends is worthless if its body can no longer be read.
func TestAnAnswerThatWasGivenUpIsNotPassedOn(t *testing.T) {
	first := order(t, "/s/x.ts")
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			n, p := newNetwork(t, origin.PoolConfig{})
			n.set(first[0], func(r *http.Request) (*http.Response, error) {
				time.Sleep(4 * time.Second)
				resp, err := says(200)(r)
				resp.Body = heedful{resp.Body, r.Context()}
				return resp, err
			})
			_, body, err := ask(t, p, "http://a/s/x.ts")
			require.NoError(t, err)
			require.Contains(t, first[:2], body)
		})
	}
}
