package origin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// after is an origin whose header takes this long.
func after(d time.Duration, h func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return h(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

func TestHedge(t *testing.T) {
	first := order(t, "/s/x.ts")
	const ms = time.Millisecond
	for name, row := range map[string]struct {
		a, b   func(*http.Request) (*http.Response, error) // the stream's first two
		path   string
		status int
		from   int
		asked  int
		took   time.Duration
	}{
		"fast enough":                   {a: after(90*ms, says(200)), b: says(200), status: 200, from: 0, asked: 1, took: 90 * ms},
		"the second wins":               {a: after(3000*ms, says(200)), b: after(10*ms, says(200)), status: 200, from: 1, asked: 2, took: 110 * ms},
		"the first wins all the same":   {a: after(150*ms, says(200)), b: after(100*ms, says(200)), status: 200, from: 0, asked: 2, took: 150 * ms},
		"the second fails":              {a: after(300*ms, says(200)), b: refuses, status: 200, from: 0, asked: 2, took: 300 * ms},
		"the first fails late":          {a: after(200*ms, says(502)), b: after(200*ms, says(200)), status: 200, from: 1, asked: 2, took: 300 * ms},
		"the first fails early":         {a: refuses, b: says(200), status: 200, from: 1, asked: 2, took: 0},
		"both fail, then the third":     {a: after(200*ms, refuses), b: after(200*ms, says(503)), status: 200, from: 2, asked: 3, took: 300 * ms},
		"never for blocking reloads":    {a: after(3000*ms, says(200)), b: says(200), path: "?_HLS_msn=1", status: 200, from: 0, asked: 1, took: 3000 * ms},
		"the second is not found there": {a: after(300*ms, says(200)), b: says(404), status: 200, from: 0, asked: 2, took: 300 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, origin.PoolConfig{Hedge: 100 * ms})
				n.set(first[0], row.a)
				n.set(first[1], row.b)
				begun := time.Now()
				status, body, err := ask(t, p, "http://a/s/x.ts"+row.path)
				require.NoError(t, err)
				require.Equal(t, row.status, status)
				require.Equal(t, first[row.from], body)
				require.Equal(t, row.took, time.Since(begun))
				require.Equal(t, first[:row.asked], n.take())
				synctest.Wait()
				for _, s := range p.State() {
					require.Zero(t, s.InFlight)
					require.True(t, s.Healthy)
				}
			})
		})
	}
}

// Losing a race says nothing about an origin's health.
func TestALostRaceIsNoFailure(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{Hedge: 10 * time.Millisecond, Outlier: -1})
		n.set(first[0], after(20*time.Second, says(200)))
		for range 20 {
			_, _, err := ask(t, p, "http://a/s/x.ts")
			require.NoError(t, err)
		}
		synctest.Wait()
		for _, s := range p.State() {
			require.Zero(t, s.Errors)
			require.Zero(t, s.InFlight)
		}
	})
}

// A RoundTripper may panic, or end its goroutine. That ends the request with an error, not the process.
func TestAHedgeThatPanics(t *testing.T) {
	for name, fault := range map[string]func(*http.Request) (*http.Response, error){
		"panic": func(*http.Request) (*http.Response, error) { panic("a fault") },
		"abort": func(*http.Request) (*http.Response, error) { panic(http.ErrAbortHandler) },
		"exit":  func(*http.Request) (*http.Response, error) { runtime.Goexit(); return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			first := order(t, "/s/x.ts")
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, origin.PoolConfig{Hedge: time.Second})
				n.set(first[0], fault)
				_, body, err := ask(t, p, "http://a/s/x.ts")
				require.NoError(t, err)
				require.Equal(t, first[1], body)
				synctest.Wait()
				for _, s := range p.State() {
					require.Zero(t, s.InFlight)
					require.True(t, s.Healthy)
				}
			})
		})
	}
}

// closePanics is a body that panics in Close.
type closePanics struct{ io.Reader }

func (closePanics) Close() error { panic("a fault") }

func TestALoserThatPanics(t *testing.T) {
	first := order(t, "/s/x.ts")
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{Hedge: 10 * time.Millisecond})
		n.set(first[0], func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: closePanics{strings.NewReader("x")}}, nil
		})
		_, body, err := ask(t, p, "http://a/s/x.ts")
		require.NoError(t, err)
		require.Equal(t, first[1], body)
		time.Sleep(2 * time.Second)
	})
}

func TestHedgesSpendTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{Hedge: 10 * time.Millisecond, Budget: 0.1})
		for _, h := range []string{"a", "b", "c"} {
			n.set(h, after(time.Second, says(200)))
		}
		var wg sync.WaitGroup
		for i := range 3000 {
			wg.Go(func() {
				_, _, err := ask(t, p, fmt.Sprintf("http://a/%d/x.ts", i))
				require.NoError(t, err)
			})
		}
		wg.Wait()
		require.InDelta(t, 3000+1000, len(n.take()), 60)
	})
}

func TestACallerWhoLeavesEndsTheRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{Hedge: 10 * time.Millisecond})
		for _, h := range []string{"a", "b", "c"} {
			n.set(h, silent)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/s/x.ts", nil)
		_, err := p.RoundTrip(r)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, n.take(), 2)
		synctest.Wait()
		for _, s := range p.State() {
			require.Zero(t, s.InFlight)
			require.Zero(t, s.Errors)
		}
	})
}

func TestOutliers(t *testing.T) {
	slow := after(2*time.Second, says(200))
	for name, row := range map[string]struct {
		outlier float64
		rest    time.Duration // of the other origins
		out     bool
	}{
		"far slower":               {0, 20 * time.Millisecond, true},
		"not far enough":           {0, 400 * time.Millisecond, false},
		"by a factor of one's own": {3, 400 * time.Millisecond, true},
		"never":                    {-1, time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, p := newNetwork(t, origin.PoolConfig{Outlier: row.outlier})
				n.set("a", slow)
				n.set("b", after(row.rest, says(200)))
				n.set("c", after(row.rest, says(200)))
				out := false
				for i := range 200 {
					_, _, err := ask(t, p, fmt.Sprintf("http://a/%d/x.ts", i))
					require.NoError(t, err)
					for _, s := range p.State() {
						require.True(t, s.Healthy || s.Origin == "http://a:80/")
						out = out || !s.Healthy
					}
				}
				require.Equal(t, row.out, out)
			})
		})
	}
	// If all are slow, none is an outlier.
	synctest.Test(t, func(t *testing.T) {
		n, p := newNetwork(t, origin.PoolConfig{})
		for _, h := range []string{"a", "b", "c"} {
			n.set(h, slow)
		}
		for i := range 100 {
			_, _, err := ask(t, p, fmt.Sprintf("http://a/%d/x.ts", i))
			require.NoError(t, err)
		}
		for _, s := range p.State() {
			require.True(t, s.Healthy)
		}
	})
}
