package origin_test

import (
	"context"
	"errors"
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

// network is fake origins by host.
type network struct {
	mu    sync.Mutex
	hosts map[string]func(*http.Request) (*http.Response, error)
	log   []string // hosts in the order they were asked
	urls  []string
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.log = append(n.log, r.URL.Host)
	n.urls = append(n.urls, r.URL.String())
	h := n.hosts[r.URL.Host]
	n.mu.Unlock()
	if h == nil {
		return nil, errRefused
	}
	if r.Host != r.URL.Host {
		return nil, fmt.Errorf("host %s for %s", r.Host, r.URL)
	}
	return h(r)
}

func (n *network) set(host string, h func(*http.Request) (*http.Response, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[host] = h
}

// take returns who was asked since the last take.
func (n *network) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	log := n.log
	n.log = nil
	return log
}

var errRefused = errors.New("connection refused")

func says(status int, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		body := r.URL.Host
		return &http.Response{StatusCode: status, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func refuses(*http.Request) (*http.Response, error) { return nil, errRefused }

func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// newNetwork has origins a, b and c that work.
func newNetwork(t *testing.T, c origin.PoolConfig) (*network, *origin.Pool) {
	t.Helper()
	n := &network{hosts: map[string]func(*http.Request) (*http.Response, error){}}
	for _, h := range []string{"a", "b", "c"} {
		n.set(h, says(200))
	}
	c.Base = n
	if c.Origins == nil {
		c.Origins = []string{"http://a", "http://b", "http://c"}
	}
	p, err := origin.NewPool(c)
	require.NoError(t, err)
	return n, p
}

// ask sends a GET and reads the answer.
func ask(t *testing.T, p http.RoundTripper, raw string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, raw, nil)
	require.NoError(t, err)
	resp, err := p.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	require.Same(t, r, resp.Request)
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// order asks the pool which origins it would try for a stream, by refusing all of them.
func order(t *testing.T, stream string) []string {
	t.Helper()
	n, p := newNetwork(t, origin.PoolConfig{})
	for _, h := range []string{"a", "b", "c"} {
		n.set(h, refuses)
	}
	_, _, err := ask(t, p, "http://a"+stream)
	require.ErrorIs(t, err, errRefused)
	got := n.take()
	require.ElementsMatch(t, []string{"a", "b", "c"}, got)
	return got
}

func TestPoolConfigFaultsAreReportedTogether(t *testing.T) {
	_, err := origin.NewPool(origin.PoolConfig{
		Origins:  []string{"http://a", "ftp://b", "http://u:p@c", "http://d?x", "http:///e", "%zz", "http://A:80/", "f"},
		Weights:  []float64{1, -1, math.NaN()},
		Failures: -1, Cooldown: -1, Budget: -1,
	})
	require.Error(t, err)
	for _, want := range []string{"origin 2", "origin 3", "origin 4", "origin 5", "origin 6", "origin 7: twice", "origin 8", "3 weights for 8", "weight 2", "weight 3",
		"Failures", "Cooldown", "Budget"} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "origin 1")
	require.NotContains(t, err.Error(), "u:p")
	_, err = origin.NewPool(origin.PoolConfig{})
	require.ErrorContains(t, err, "at least one")
	_, err = origin.NewPool(origin.PoolConfig{Origins: []string{"http://a"}})
	require.NoError(t, err)
}

func TestStreamsStayAndSpread(t *testing.T) {
	n, p := newNetwork(t, origin.PoolConfig{})
	_, twin := newNetwork(t, origin.PoolConfig{Origins: []string{"http://c", "http://b", "http://a"}}) // another node
	count := map[string]int{}
	for i := range 3000 {
		stream := fmt.Sprintf("/live/cam%d/", i)
		_, first, err := ask(t, p, "http://a"+stream+"index.m3u8")
		require.NoError(t, err)
		count[first]++
		for _, other := range []string{"http://a" + stream + "seg1.ts?x=1", "http://b" + stream + "seg2.ts", "http://C:80" + stream + "x"} {
			_, got, err := ask(t, p, other)
			require.NoError(t, err)
			require.Equal(t, first, got, other)
		}
		_, got, _ := ask(t, twin, "http://b"+stream+"index.m3u8")
		require.Equal(t, first, got)
	}
	for host, c := range count {
		require.InDelta(t, 1000, c, 120, host)
	}
	n.take()
}

func TestOnlyTheStreamsOfALostOriginMove(t *testing.T) {
	_, three := newNetwork(t, origin.PoolConfig{})
	_, two := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a", "http://b"}})
	moved := map[string]int{}
	for i := range 900 {
		u := fmt.Sprintf("http://a/%d/x.ts", i)
		_, before, _ := ask(t, three, u)
		_, after, _ := ask(t, two, u)
		if before != "c" {
			require.Equal(t, before, after)
			continue
		}
		moved[after]++
	}
	require.InDelta(t, moved["a"], moved["b"], 60, "and they spread over those that are left")
}

func TestWeightsAreShares(t *testing.T) {
	_, p := newNetwork(t, origin.PoolConfig{Weights: []float64{3, 1, 0}})
	count := map[string]int{}
	for i := range 4000 {
		_, got, _ := ask(t, p, fmt.Sprintf("http://a/%d/x.ts", i))
		count[got]++
	}
	require.InDelta(t, 3000, count["a"], 150)
	require.InDelta(t, 1000, count["b"], 150)
	require.Zero(t, count["c"])
}

func TestKeyDecidesWhatAStreamIs(t *testing.T) {
	_, p := newNetwork(t, origin.PoolConfig{Key: func(r *http.Request) string { return strings.Split(r.URL.Path, "/")[1] }})
	for i := range 50 {
		_, first, _ := ask(t, p, fmt.Sprintf("http://a/%d/index.m3u8", i))
		_, got, _ := ask(t, p, fmt.Sprintf("http://a/%d/1080p/seg.ts", i))
		require.Equal(t, first, got)
	}
}

func TestBasePathsAndOtherHosts(t *testing.T) {
	n, p := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a/x", "https://b/y/z/", "http://a/x/deep/"}})
	seen := map[string]bool{}
	for i := range 40 {
		for _, u := range []string{"http://a/x/%d/s%%2Fg.ts?q=%%2f&a", "https://b:443/y/z/%d/s%%2Fg.ts?q=%%2f&a", "http://A:80/x/deep/%d/s%%2Fg.ts?q=%%2f&a"} {
			_, _, err := ask(t, p, fmt.Sprintf(u, i))
			require.NoError(t, err)
			got := n.urls[len(n.urls)-1]
			base, _, ok := strings.Cut(got, fmt.Sprintf("/%d/s%%2Fg.ts?q=%%2f&a", i))
			require.True(t, ok, got)
			seen[base] = true
		}
	}
	require.Equal(t, map[string]bool{"http://a/x": true, "https://b/y/z": true, "http://a/x/deep": true}, seen)

	for _, u := range []string{"http://other/x/1.ts", "http://a/xy/1.ts", "http://a/", "https://a/x/1.ts", "http://a:8080/x/1.ts"} {
		_, _, err := ask(t, p, u)
		if err != nil {
			require.ErrorIs(t, err, errRefused)
		}
		require.Equal(t, u, n.urls[len(n.urls)-1], "not of this pool: passed on as it is")
	}
	_, _, err := ask(t, p, "http://a/x/?")
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(n.urls[len(n.urls)-1], "/?"), "an empty query is a query")
}

func TestFailover(t *testing.T) {
	first := order(t, "/s/x.ts")
	for name, row := range map[string]struct {
		hosts  [3]func(*http.Request) (*http.Response, error) // in the stream's order
		status int
		from   int // who answers
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

func TestCooldownAndProbe(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{})
		n.set(first[0], refuses)
		state := func() origin.OriginState {
			for _, s := range p.State() {
				if s.Origin == "http://"+first[0]+":80/" {
					return s
				}
			}
			panic("no such origin")
		}
		for i := range 3 {
			require.True(t, state().Healthy, i)
			_, body, err := ask(t, p, "http://a/s/x.ts")
			require.NoError(t, err)
			require.Equal(t, first[1], body)
			require.Len(t, n.take(), 2)
		}
		require.False(t, state().Healthy)
		require.EqualValues(t, 3, state().Errors)
		require.InDelta(t, 5, time.Until(state().Until).Seconds(), 1)

		for range 10 {
			_, _, err := ask(t, p, "http://a/s/x.ts")
			require.NoError(t, err)
		}
		require.NotContains(t, n.take(), first[0], "left alone")

		for wait := 10.0; wait < 200; wait *= 2 {
			time.Sleep(time.Until(state().Until))
			_, _, err := ask(t, p, "http://a/s/x.ts")
			require.NoError(t, err)
			require.Equal(t, first[:2], n.take(), "one probe")
			require.InDelta(t, min(wait, 60), time.Until(state().Until).Seconds(), min(wait, 60)*0.2+0.1, "each failure doubles the wait")
			_, _, _ = ask(t, p, "http://a/s/x.ts")
			require.Equal(t, first[1:2], n.take())
		}

		n.set(first[0], says(200))
		time.Sleep(time.Until(state().Until))
		_, body, err := ask(t, p, "http://a/s/x.ts")
		require.NoError(t, err)
		require.Equal(t, first[0], body)
		require.True(t, state().Healthy)
		require.Zero(t, state().Failures)
		require.True(t, state().Until.IsZero())
	})
}

func TestOnlyOneRequestProbes(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{})
		n.set(first[0], refuses)
		for range 3 {
			_, _, _ = ask(t, p, "http://a/s/x.ts")
		}
		time.Sleep(6 * time.Second)
		n.take()
		n.set(first[0], func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return says(200)(r)
		})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, _, err := ask(t, p, "http://a/s/x.ts")
				require.NoError(t, err)
			})
		}
		wg.Wait()
		probes := 0
		for _, h := range n.take() {
			if h == first[0] {
				probes++
			}
		}
		require.Equal(t, 1, probes)
	})
}

func TestAProbeThatTheCallerDropsDecidesNothing(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{})
		n.set(first[0], refuses)
		for range 3 {
			_, _, _ = ask(t, p, "http://a/s/x.ts")
		}
		time.Sleep(6 * time.Second)
		n.set(first[0], silent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ctx, stop := context.WithCancel(ctx)
		time.AfterFunc(100*time.Millisecond, stop)
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/x.ts", nil)
		_, err := p.RoundTrip(r)
		require.ErrorIs(t, err, context.Canceled)
		n.take()
		n.set(first[0], says(200))
		_, body, err := ask(t, p, "http://a/s/x.ts")
		require.NoError(t, err)
		require.Equal(t, first[0], body, "the next request may probe")
	})
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
		_, _, err = ask(t, p, "http://a/s/x.ts?_HLS_msn=3")
		require.NoError(t, err)
		require.Equal(t, 30*time.Second, time.Since(begun), "a blocking reload may take its time")

		n.set(first[1], silent)
		n.set(first[2], silent)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/x.ts", nil)
		_, err = p.RoundTrip(r)
		require.ErrorIs(t, err, context.DeadlineExceeded, "the last one has the rest of the time")
	})
}

func TestA503MayAskToBeLeftAlone(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		for after, want := range map[string]time.Duration{
			"30": 30 * time.Second, "1": 5 * time.Second, "9999999": time.Minute, "": 0, "soon": 0,
			time.Now().Add(40 * time.Second).UTC().Format(http.TimeFormat): 40 * time.Second,
		} {
			n, p := newNetwork(t, origin.PoolConfig{})
			n.set(first[0], says(503, "Retry-After", after))
			_, body, err := ask(t, p, "http://a/s/x.ts")
			require.NoError(t, err)
			require.Equal(t, first[1], body)
			for _, s := range p.State() {
				if s.Origin == "http://"+first[0]+":80/" {
					require.Equal(t, want == 0, s.Healthy, after)
					require.InDelta(t, want.Seconds(), max(time.Until(s.Until), 0).Seconds(), 1.1, after)
				}
			}
		}
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

func TestBodiesThatBreakCount(t *testing.T) {
	first := order(t, "/s/x.ts")
	broken := errors.New("reset")
	breaks := func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Request: r, Body: &trickle{r.Context(), time.Millisecond, 3, broken}}, nil
	}
	stalls := func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Request: r, Body: &trickle{r.Context(), time.Hour, 3, io.EOF}}, nil
	}
	for name, row := range map[string]struct {
		host    func(*http.Request) (*http.Response, error)
		limit   time.Duration // of the caller
		counted bool
	}{
		"breaks": {breaks, time.Minute, true}, "stalls": {stalls, 10 * time.Second, true}, "caller leaves": {stalls, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, origin.PoolConfig{})
				n.set(first[0], row.host)
				for range 3 {
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(row.limit, cancel)
					r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/x.ts", nil)
					resp, err := p.RoundTrip(r)
					require.NoError(t, err)
					_, err = io.ReadAll(resp.Body)
					require.Error(t, err, "the pool passes a broken body on as what it is")
					resp.Body.Close()
					cancel()
				}
				_, body, err := ask(t, p, "http://a/s/y.ts")
				require.NoError(t, err)
				require.Equal(t, map[bool]string{true: first[1], false: "xxx"}[row.counted], body)
			})
		})
	}
}

func TestDrainAndSetOrigins(t *testing.T) {
	first := order(t, "/s/x.ts")
	n, p := newNetwork(t, origin.PoolConfig{})
	require.True(t, p.Drain("HTTP://"+strings.ToUpper(first[0])+":80", true))
	require.False(t, p.Drain("http://nobody", true))
	require.False(t, p.Drain("%zz", true))
	_, body, _ := ask(t, p, "http://a/s/x.ts")
	require.Equal(t, first[1], body)
	n.set(first[1], refuses)
	n.set(first[2], refuses)
	_, body, err := ask(t, p, "http://a/s/x.ts")
	require.NoError(t, err)
	require.Equal(t, first[0], body, "better than none")
	require.True(t, p.Drain("http://"+first[0], false))
	_, body, _ = ask(t, p, "http://a/s/x.ts")
	require.Equal(t, first[0], body)

	require.Error(t, p.SetOrigins(nil, nil))
	require.Error(t, p.SetOrigins([]string{"ftp://x"}, nil))
	require.Len(t, p.State(), 3)
	n.set("d", says(200))
	before := p.State()
	require.NoError(t, p.SetOrigins([]string{"http://d", "http://" + first[1]}, []float64{1, 0}))
	_, body, _ = ask(t, p, "http://d/s/x.ts")
	require.Equal(t, "d", body)
	for _, s := range p.State() {
		for _, old := range before {
			if s.Origin == old.Origin {
				require.Equal(t, old.Requests, s.Requests, "who stays keeps what is known of it")
			}
		}
	}
	_, _, err = ask(t, p, "http://"+first[2]+"/s/x.ts")
	require.ErrorIs(t, err, errRefused, "who left is a host like any other")
}

func TestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a/x"}})
		n.set("a", func(r *http.Request) (*http.Response, error) {
			time.Sleep(80 * time.Millisecond)
			return says(200)(r)
		})
		r, _ := http.NewRequest(http.MethodHead, "http://a/x/s.ts", nil)
		resp, err := p.RoundTrip(r)
		require.NoError(t, err)
		want := origin.OriginState{Origin: "http://a:80/x/", Healthy: true, Latency: 80 * time.Millisecond, Requests: 1, InFlight: 1}
		require.Equal(t, []origin.OriginState{want}, p.State())
		resp.Body.Close()
		resp.Body.Close()
		want.InFlight = 0
		require.Equal(t, []origin.OriginState{want}, p.State())
	})
}

func TestPoolUnderConcurrency(t *testing.T) {
	n, p := newNetwork(t, origin.PoolConfig{Cooldown: time.Millisecond})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				switch {
				case i == 0 && j%10 == 0:
					n.set("b", refuses)
				case i == 0 && j%10 == 5:
					n.set("b", says(200))
				case i == 1 && j%10 == 0:
					p.Drain("http://c", j%20 == 0)
				case i == 2 && j%50 == 0:
					require.NoError(t, p.SetOrigins([]string{"http://a", "http://b", "http://c"}, nil))
				}
				status, _, err := ask(t, p, fmt.Sprintf("http://a/%d/x.ts", j))
				require.NoError(t, err)
				require.Equal(t, 200, status)
				p.State()
			}
		})
	}
	wg.Wait()
	for _, s := range p.State() {
		require.Zero(t, s.InFlight)
	}
}

// The pool behind a Proxy, over real connections: an origin is killed under a viewer.
func TestPoolBehindAProxy(t *testing.T) {
	a, b := faultorigin.New(t), faultorigin.New(t)
	for _, o := range []*faultorigin.Origin{a, b} {
		o.Handle("/s/x.ts", video("abc"))
		o.Handle("/s/r.ts", to(302, "x.ts"))
	}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: []string{a.URL, b.URL}, Base: transportOf(t, &origin.Guard{Allow: prefixes("127.0.0.1/32")})})
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

// An origin that has not what another one has is out before long, though it answers.
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

// When all are out, one that turns out well is in again at once.
func TestALastResortThatWorksIsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a"}})
		n.set("a", refuses)
		for range 5 {
			_, _, err := ask(t, p, "http://a/s/x.ts")
			require.Error(t, err)
		}
		require.False(t, p.State()[0].Healthy)
		n.set("a", says(200))
		_, _, err := ask(t, p, "http://a/s/x.ts")
		require.NoError(t, err)
		require.True(t, p.State()[0].Healthy)
	})
}

// A probe with a long body lets others in after a while, and one whose body breaks does not.
func TestProbesWithBodies(t *testing.T) {
	first := order(t, "/s/x.ts")
	for name, row := range map[string]struct {
		body func(*http.Request) io.ReadCloser
		wait time.Duration
		in   bool
	}{
		"endless, at first": {func(r *http.Request) io.ReadCloser { return &trickle{r.Context(), time.Second, 1000, io.EOF} }, 3 * time.Second, false},
		"endless, later":    {func(r *http.Request) io.ReadCloser { return &trickle{r.Context(), time.Second, 1000, io.EOF} }, 6 * time.Second, true},
		"breaks":            {func(r *http.Request) io.ReadCloser { return &trickle{r.Context(), time.Second, 1, errRefused} }, 6 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, origin.PoolConfig{})
				n.set(first[0], refuses)
				for range 3 {
					_, _, _ = ask(t, p, "http://a/s/x.ts")
				}
				time.Sleep(6 * time.Second)
				n.set(first[0], func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: row.body(r), Request: r}, nil
				})
				ctx, cancel := context.WithCancel(t.Context())
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/live.flv", nil)
				resp, err := p.RoundTrip(r)
				require.NoError(t, err)
				go io.Copy(io.Discard, resp.Body)
				time.Sleep(row.wait)
				n.take()
				n.set(first[0], says(200))
				_, body, err := ask(t, p, "http://a/s/x.ts")
				require.NoError(t, err)
				require.Equal(t, row.in, body == first[0])
				cancel()
				synctest.Wait()
				resp.Body.Close()
			})
		})
	}
}
