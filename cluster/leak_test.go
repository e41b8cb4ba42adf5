package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/stretchr/testify/require"
)

func TestCancelledViewersLeaveNoGoroutines(t *testing.T) {
	answer := file(noise(64<<10, 60), `"1"`)
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
		answer(w, r)
	})
	var transports []*http.Transport
	nodes := start(t, 3, newEngine(t).directory, func(_ int, c *cluster.Config) {
		node, base := &http.Transport{MaxIdleConnsPerHost: 64}, &http.Transport{}
		transports = append(transports, node, base)
		c.Transport, c.Base = node, base
	})
	for _, n := range nodes {
		fetch(t, n, o.URL+"/warm.ts")
	}
	begun := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for v := range 40 {
		wg.Go(func() {
			for i := range 25 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
				resp, _, err := do(nodes[i%3], request(t, fmt.Sprintf("%s/%d-%d.ts", o.URL, v, i%20)).WithContext(ctx))
				if err == nil && resp.StatusCode != http.StatusOK {
					t.Error(resp.Status)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	require.Eventually(t, func() bool {
		for _, tr := range transports {
			tr.CloseIdleConnections()
		}
		return runtime.NumGoroutine() <= begun+5
	}, 60*time.Second, 100*time.Millisecond)
}

func TestTheNextRequestCarriesAPurgeToANodeThatMissedIt(t *testing.T) {
	o, version := versions(t)
	d := &always{}
	nodes := start(t, 2, func(_ int, urls []string) cluster.Directory {
		d.holder = func() string { return urls[0] }
		return d // it knows no members: a purge reaches only its own node
	}, nil)
	for _, path := range []string{"/a/1.ts", "/a/2.ts", "/b/1.ts"} {
		require.Zero(t, number(t, nodes[1], o.URL+path))
	}
	version.Store(1)
	_, _, err := nodes[1].PurgePrefix(t.Context(), o.URL+"/a/")
	require.NoError(t, err)
	before := o.total()
	require.EqualValues(t, 1, number(t, nodes[1], o.URL+"/a/1.ts"))
	require.EqualValues(t, 1, number(t, nodes[0], o.URL+"/a/2.ts"), "all of it was forgotten at once")
	require.EqualValues(t, 0, number(t, nodes[0], o.URL+"/b/1.ts"), "and nothing else")
	require.Equal(t, 2, o.total()-before)
	// Only once: later entries are not forgotten again.
	require.EqualValues(t, 1, number(t, nodes[1], o.URL+"/a/2.ts"))
	require.Equal(t, 2, o.total()-before)
}

// Viewers write what they like into a parameter that the cache ignores. The nodes still agree on who holds an answer, and on
// what a purge is about.
func TestNodesAgreeOnKeysWithIgnoredParameters(t *testing.T) {
	ignore := func(_ int, c *cluster.Config) { c.Cache.Ignore = []string{"_"} }
	o, version := versions(t)
	nodes := start(t, 3, static, ignore)
	for i := range 10 {
		for viewer, n := range nodes {
			require.Zero(t, number(t, n, fmt.Sprintf("%s/%d.ts?_=%d", o.URL, i, viewer)))
		}
	}
	require.Equal(t, 10, o.total())

	d := &always{}
	nodes = start(t, 2, func(_ int, urls []string) cluster.Directory {
		d.holder = func() string { return urls[0] }
		return d // it knows no members: a purge reaches only its own node
	}, ignore)
	require.Zero(t, number(t, nodes[1], o.URL+"/a.ts?_=1&v=1"))
	version.Store(1)
	_, _, err := nodes[1].Purge(t.Context(), o.URL+"/a.ts?v=1")
	require.NoError(t, err)
	require.EqualValues(t, 1, number(t, nodes[1], o.URL+"/a.ts?v=1&_=2"))
}

func TestManyPurgesAreBounded(t *testing.T) {
	o, version := versions(t)
	nodes := start(t, 2, static, nil)
	require.Zero(t, number(t, nodes[0], o.URL+"/kept.ts"))
	for i := range 1500 {
		_, _, err := nodes[i%2].Purge(t.Context(), fmt.Sprintf("%s/%d.ts", o.URL, i))
		require.NoError(t, err)
	}
	version.Store(1)
	require.Zero(t, number(t, nodes[0], o.URL+"/kept.ts"))
	_ = number(t, nodes[1], o.URL+"/kept.ts")
}
