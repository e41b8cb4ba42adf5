package origin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

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
		takeOut(t, n, p, first[0])
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

// takeOut makes an origin fail until it is out, and lets its cooldown pass: the next request is a probe.
func takeOut(t *testing.T, n *network, p *origin.Pool, host string) {
	t.Helper()
	n.set(host, refuses)
	for range 3 {
		_, _, _ = ask(t, p, "http://a/s/x.ts")
	}
	time.Sleep(6 * time.Second)
}

// A probe that fails to end must not keep its origin out for ever: the next request may probe.
func TestAProbeThatComesToNothingDecidesNothing(t *testing.T) {
	first := order(t, "/s/x.ts")
	for name, row := range map[string]struct {
		then   func(*http.Request) (*http.Response, error)
		panics bool // without a hedge it runs in the caller's own goroutine
		passed bool // to the next origin
	}{
		"the caller leaves": {then: silent},
		"it panics":         {then: func(*http.Request) (*http.Response, error) { panic("a fault") }, passed: true},
		"it aborts":         {then: func(*http.Request) (*http.Response, error) { panic(http.ErrAbortHandler) }, panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, origin.PoolConfig{})
				takeOut(t, n, p, first[0])
				n.set(first[0], row.then)
				switch {
				case row.panics:
					require.Panics(t, func() { _, _, _ = ask(t, p, "http://a/s/x.ts") })
				case row.passed:
					_, body, err := ask(t, p, "http://a/s/x.ts")
					require.NoError(t, err)
					require.Equal(t, first[1], body)
				default:
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					ctx, stop := context.WithCancel(ctx)
					time.AfterFunc(100*time.Millisecond, stop)
					r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/x.ts", nil)
					_, err := p.RoundTrip(r)
					require.ErrorIs(t, err, context.Canceled)
				}
				n.set(first[0], says(200))
				_, body, err := ask(t, p, "http://a/s/x.ts")
				require.NoError(t, err)
				require.Equal(t, first[0], body)
			})
		})
	}
}

// A viewer may leave a blocking reload at any time.
func TestAViewerWhoLeavesABlockingReloadBlamesNobody(t *testing.T) {
	for name, row := range map[string]struct {
		query   string
		body    bool // the header comes, and then nothing
		healthy bool
	}{
		"blocking": {"?_HLS_msn=999", false, true}, "blocking in its body": {"?_HLS_msn=999", true, true},
		"plain": {"", false, false}, "plain in its body": {"", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, origin.PoolConfig{Retries: -1})
				for _, h := range []string{"a", "b", "c"} {
					n.set(h, func(r *http.Request) (*http.Response, error) {
						if !row.body {
							return silent(r)
						}
						return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Request: r, Body: &trickle{r.Context(), time.Hour, 3, io.EOF}}, nil
					})
				}
				for i := range 30 {
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(4300*time.Millisecond, cancel)
					r, _ := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://a/%d/v.m3u8%s", i, row.query), nil)
					if resp, err := p.RoundTrip(r); err == nil {
						_, err = io.ReadAll(resp.Body)
						require.Error(t, err)
						resp.Body.Close()
					}
				}
				healthy := true
				for _, s := range p.State() {
					require.Zero(t, s.InFlight)
					healthy = healthy && s.Healthy
				}
				require.Equal(t, row.healthy, healthy)
			})
		})
	}
}

// A reload of a stream that stands still would keep a working origin out for as long.
func TestABlockingReloadIsNoProbe(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{})
		n.set(first[0], refuses)
		for range 3 {
			_, _, _ = ask(t, p, "http://a/s/x.ts")
		}
		time.Sleep(7 * time.Second)
		n.take()
		n.set(first[0], silent)
		_, body, err := ask(t, p, "http://a/s/v.m3u8?_HLS_msn=9")
		require.NoError(t, err)
		require.Equal(t, first[1], body)
		n.set(first[0], says(200))
		_, body, err = ask(t, p, "http://a/s/x.ts")
		require.NoError(t, err)
		require.Equal(t, first[0], body, "the next request that is none probes")

		for _, h := range first {
			n.set(h, refuses)
		}
		for range 5 {
			_, _, _ = ask(t, p, "http://a/s/x.ts")
		}
		n.set(first[0], says(200))
		_, body, err = ask(t, p, "http://a/s/v.m3u8?_HLS_msn=9")
		require.NoError(t, err, "where all are out, all are asked")
		require.Equal(t, first[0], body)
	})
}

// neighbours are directories of streams with the same home as a stream.
func neighbours(t *testing.T, stream string, n int) (dirs []string) {
	t.Helper()
	home := order(t, stream)[0]
	for i := 0; len(dirs) < n; i++ {
		if dir := fmt.Sprintf("/n%d", i); order(t, dir+"/x.ts")[0] == home {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func TestA503MayAskToBeLeftAlone(t *testing.T) {
	first, other := order(t, "/s/x.ts"), neighbours(t, "/s/x.ts", 1)[0]
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
			n.take()
			if want != 0 {
				_, _, _ = ask(t, p, "http://a/s/x.ts")
				require.Equal(t, first[1:2], n.take(), "the stream leaves it alone at once")
			}
			_, _, _ = ask(t, p, "http://a"+other+"/x.ts")
			for _, s := range p.State() {
				if s.Origin == "http://"+first[0]+":80/" {
					require.Equal(t, want == 0, s.Healthy, after)
					require.InDelta(t, want.Seconds(), max(time.Until(s.Until), 0).Seconds(), 1.1, after)
				}
			}
		}
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

// When all origins are out, one that answers well is back in at once.
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

// A probe with a long body lets others in after a while. One whose body breaks does not.
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
				takeOut(t, n, p, first[0])
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

func TestOldFailuresAreForgotten(t *testing.T) {
	first := order(t, "/s/x.ts")
	for wait, healthy := range map[time.Duration]bool{61 * time.Second: true, 30 * time.Second: false} {
		synctest.Test(t, func(t *testing.T) {
			n, p := newNetwork(t, origin.PoolConfig{})
			n.set(first[0], refuses)
			for range 2 {
				_, _, _ = ask(t, p, "http://a/s/x.ts")
				_, _, _ = ask(t, p, "http://a/s/x.ts")
				time.Sleep(wait)
			}
			n.take()
			n.set(first[0], says(200))
			out := false
			for _, s := range p.State() {
				out = out || !s.Healthy
			}
			require.Equal(t, healthy, !out)
		})
	}
}

// A caller whose own time is over blames the origin. One that merely leaves does not.
func TestACallersTimeoutCounts(t *testing.T) {
	first := order(t, "/s/x.ts")
	for cause, healthy := range map[error]bool{context.DeadlineExceeded: false, context.Canceled: true} {
		synctest.Test(t, func(t *testing.T) {
			n, p := newNetwork(t, origin.PoolConfig{})
			n.set(first[0], silent)
			for range 3 {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(cause) })
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/x.ts", nil)
				_, err := p.RoundTrip(r)
				require.Error(t, err)
			}
			for _, s := range p.State() {
				if s.Origin == "http://"+first[0]+":80/" {
					require.Equal(t, healthy, s.Healthy)
				}
			}
		})
	}
}
