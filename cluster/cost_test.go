//go:build !race

package cluster_test

// Under the race detector a sync.Pool forgets at random.

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/stretchr/testify/require"
)

// hit requests a stored answer, and reads it.
func hit(rt http.RoundTripper, r *http.Request) error {
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return err
}

func TestAHitAllocatesNoMoreThanInOneCache(t *testing.T) {
	o := origin(t, file(noise(20<<10, 50), `"1"`))
	n := start(t, 1, newEngine(t).directory, nil)[0]
	one := &cache.Transport{Store: cache.NewMemory(1 << 20)}
	r := request(t, o.URL+"/a.ts")
	var allocs [2]float64
	for i, rt := range []http.RoundTripper{one, n} {
		for range 3 {
			require.NoError(t, hit(rt, r))
		}
		allocs[i] = math.MaxFloat64
		for range 5 { // heartbeats allocate, too, and on a loaded machine there is one during each round
			allocs[i] = min(allocs[i], testing.AllocsPerRun(500, func() { _ = hit(rt, r) }))
		}
	}
	require.LessOrEqual(t, allocs[1], allocs[0]+0.5)
}

// go test -bench Cost -run '^$' -count 10 | benchstat -
func BenchmarkCost(b *testing.B) {
	o := origin(b, file(noise(20<<10, 50), `"1"`))
	base := func() http.RoundTripper { return &http.Transport{} }
	one := &cache.Transport{Store: cache.NewMemory(1 << 28), Base: base()}
	self := "http://127.0.0.1:1"
	node, err := cluster.New(cluster.Config{
		Self: self, Directory: cluster.Rendezvous(cluster.Static(self)), Secret: secret, Base: base(),
		Cache: &cache.Transport{Store: cache.NewMemory(1 << 28)},
	})
	require.NoError(b, err)
	for _, c := range []struct {
		name string
		rt   http.RoundTripper
	}{{"hit/one", one}, {"hit/node", node}} {
		r := request(b, o.URL+"/a.ts")
		require.NoError(b, hit(c.rt, r))
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = hit(c.rt, r)
			}
		})
	}
	b.Run("question/engine", func(b *testing.B) { // the extra cost of a miss, once in 30 s for each key
		d := newEngine(b).directory(0, nil)
		alone, err := cluster.New(cluster.Config{Self: self, Directory: d, Secret: secret})
		require.NoError(b, err)
		b.Cleanup(func() { _ = alone.Leave(context.Background()) })
		require.Eventually(b, func() bool {
			_, err := d.Holder(b.Context(), "key", self)
			return err == nil
		}, 20*time.Second, 10*time.Millisecond)
		n := 0
		for b.Loop() {
			n++
			_, _ = d.Holder(b.Context(), strconv.Itoa(n), self)
		}
	})
	n := 0
	for _, c := range []struct {
		name string
		rt   http.RoundTripper
	}{{"miss/one", one}, {"miss/node", node}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n++
				_ = hit(c.rt, request(b, fmt.Sprintf("%s/%d.ts", o.URL, n)))
			}
		})
	}
}
