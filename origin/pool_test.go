package origin_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// take returns the hosts that were asked since the last take.
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

// newNetwork has the working origins a, b and c.
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
		Origins: []string{"http://a", "ftp://b", "http://u:p@c", "http://d?x", "http:///e", "%zz", "http://A:80/", "f"},
		Weights: []float64{1, -1, math.NaN()},
		Budget:  math.NaN(), Outlier: math.NaN(),
	})
	require.Error(t, err)
	for _, want := range []string{"origin 2", "origin 3", "origin 4", "origin 5", "origin 6", "origin 7: twice", "origin 8", "3 weights for 8", "weight 2", "weight 3",
		"Budget", "Outlier"} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "origin 1")
	require.NotContains(t, err.Error(), "u:p")
	_, err = origin.NewPool(origin.PoolConfig{})
	require.ErrorContains(t, err, "at least one")
	_, err = origin.NewPool(origin.PoolConfig{Origins: []string{"http://a"}})
	require.NoError(t, err)
}

// Zero is the default, and negative is no limit, or never.
func TestNegativeSettingsOfAPool(t *testing.T) {
	first := order(t, "/s/x.ts")
	for name, row := range map[string]struct {
		config origin.PoolConfig
		first  func(*http.Request) (*http.Response, error) // the answer of the stream's own origin
		asks   int
		log    map[string]int // how often each was asked
		out    bool
	}{
		"default":                  {origin.PoolConfig{}, refuses, 9, map[string]int{first[0]: 3, first[1]: 9}, true},
		"no Failures":              {origin.PoolConfig{Failures: -1}, refuses, 9, map[string]int{first[0]: 9, first[1]: 9}, false},
		"no Failures, Retry-After": {origin.PoolConfig{Failures: -1}, says(503, "Retry-After", "30"), 9, map[string]int{first[0]: 9, first[1]: 9}, false},
		"no Cooldown":              {origin.PoolConfig{Cooldown: -1}, refuses, 9, map[string]int{first[0]: 9, first[1]: 9}, true},
		"no Hedge":                 {origin.PoolConfig{Hedge: -1}, after(3*time.Second, says(200)), 9, map[string]int{first[0]: 9}, false},
		"no Retries":               {origin.PoolConfig{Retries: -1, Failures: -1}, refuses, 9, map[string]int{first[0]: 9}, false},
		"no Patience":              {origin.PoolConfig{Patience: -1, Outlier: -1}, after(time.Hour, says(200)), 2, map[string]int{first[0]: 2}, false},
		"no Outlier":               {origin.PoolConfig{Outlier: -1}, after(3*time.Second, says(200)), 40, map[string]int{first[0]: 40}, false},
		"usual Budget":             {origin.PoolConfig{Failures: -1}, refuses, 3000, map[string]int{first[0]: 3000, first[1]: 1749}, false},
		"no Budget":                {origin.PoolConfig{Failures: -1, Budget: -1}, refuses, 3000, map[string]int{first[0]: 3000, first[1]: 3000}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, row.config)
				n.set(first[0], row.first)
				for range row.asks {
					_, _, _ = ask(t, p, "http://a/s/x.ts")
				}
				log := map[string]int{}
				for _, host := range n.take() {
					log[host]++
				}
				for host, want := range row.log {
					require.InDelta(t, want, log[host], 2, host)
				}
				require.Len(t, log, len(row.log))
				healthy := true
				for _, s := range p.State() {
					healthy = healthy && s.Healthy
				}
				require.Equal(t, row.out, !healthy)
			})
		})
	}
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
	n.take()
	_, body, err = ask(t, p, "http://"+first[2]+"/s/x.ts")
	require.NoError(t, err)
	require.Equal(t, "d", body, "a mapper may go on naming the one that was taken out")
	require.NotContains(t, n.take(), first[2])
}

// A mapper names one origin for ever. When that is removed, all requests go to the others, and only redirects still lead to it.
func TestOriginsThatWereTakenOut(t *testing.T) {
	n, p := newNetwork(t, origin.PoolConfig{Origins: []string{"http://a/x", "http://b/y"}})
	require.NoError(t, p.SetOrigins([]string{"http://b/y"}, nil))
	_, body, err := ask(t, p, "http://a/x/s/1.ts")
	require.NoError(t, err)
	require.Equal(t, "b", body)
	require.Equal(t, "http://b/y/s/1.ts", n.urls[len(n.urls)-1])

	redirected := func(location string) *http.Response {
		n.set("b", says(302, "Location", location))
		r, _ := http.NewRequest(http.MethodGet, "http://a/x/s/1.ts", nil)
		resp, err := p.RoundTrip(r)
		require.NoError(t, err)
		resp.Body.Close()
		n.set("b", says(200))
		return resp
	}
	for location, from := range map[string]string{"2.ts": "b", "http://b/y/s/2.ts": "b", "http://a/x/s/2.ts": "a"} {
		resp := redirected(location)
		r, _ := http.NewRequest(http.MethodGet, resp.Header.Get("Location"), nil)
		r.Response = resp
		next, err := p.RoundTrip(r)
		require.NoError(t, err)
		body, _ := io.ReadAll(next.Body)
		require.Equal(t, from, string(body), location)
	}

	require.NoError(t, p.SetOrigins([]string{"http://a/x"}, nil))
	_, body, _ = ask(t, p, "http://b/y/s/1.ts")
	require.Equal(t, "a", body, "it is back, and the other one out")

	for i := range 1000 {
		require.NoError(t, p.SetOrigins([]string{fmt.Sprintf("http://h%d/x", i)}, nil))
		if i%100 == 0 {
			n.set(fmt.Sprintf("h%d", i), says(200))
			_, body, err = ask(t, p, "http://a/x/s/1.ts")
			require.NoError(t, err, "it is still known after %d others", i)
			require.Equal(t, fmt.Sprintf("h%d", i), body)
		}
	}
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
