package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/hlsproxy/hlsproxy/internal/relay"
	"github.com/stretchr/testify/require"
)

// versions is an origin whose answers contain its current version.
func versions(t *testing.T) (o *counted, version *atomic.Int64) {
	version = new(atomic.Int64)
	return origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, version.Load()))
		w.Header().Set("Content-Type", "video/mp2t")
		fmt.Fprint(w, version.Load())
	}), version
}

func number(t *testing.T, rt http.RoundTripper, url string) (n int64) {
	_, got := fetch(t, rt, url)
	_, err := fmt.Sscan(string(got), &n)
	require.NoError(t, err)
	return n
}

func TestWhatWasPurgedDoesNotComeBack(t *testing.T) {
	o, version := versions(t)
	nodes := start(t, 4, static, nil)
	var wg sync.WaitGroup
	stop, least := make(chan struct{}), new(atomic.Int64)
	for _, n := range nodes {
		for range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					want := least.Load()
					if got := number(t, n, fmt.Sprintf("%s/a/%d.ts", o.URL, i%8)); got < want {
						t.Errorf("version %d after %d was purged", got, want)
						return
					}
				}
			})
		}
	}
	for i := range int64(30) {
		time.Sleep(10 * time.Millisecond)
		version.Store(i + 1)
		_, missed, err := nodes[i%4].PurgePrefix(t.Context(), o.URL+"/a/")
		require.NoError(t, err)
		require.Empty(t, missed)
		least.Store(i + 1)
	}
	close(stop)
	wg.Wait()
}

func TestAPurgeForgetsWhatItNamesAndNoMore(t *testing.T) {
	o, version := versions(t)
	nodes := start(t, 3, static, nil)
	for _, n := range nodes {
		for _, path := range []string{"/a/1.ts", "/a/2.ts", "/b/1.ts"} {
			require.Zero(t, number(t, n, o.URL+path))
		}
	}
	version.Store(1)
	count, missed, err := nodes[0].Purge(t.Context(), o.URL+"/a/1.ts")
	require.NoError(t, err)
	require.Empty(t, missed)
	require.Equal(t, 3, count)
	for _, n := range nodes {
		require.EqualValues(t, 1, number(t, n, o.URL+"/a/1.ts"))
		require.EqualValues(t, 0, number(t, n, o.URL+"/a/2.ts"))
	}
	_, _, err = nodes[1].PurgePrefix(t.Context(), o.URL+"/a/")
	require.NoError(t, err)
	for _, n := range nodes {
		require.EqualValues(t, 1, number(t, n, o.URL+"/a/2.ts"))
		require.EqualValues(t, 0, number(t, n, o.URL+"/b/1.ts"))
	}
}

func TestANodeThatMissedAPurgeIsNamedAndSpreadsNothingOld(t *testing.T) {
	o, version := versions(t)
	var r *relay.Relay
	d := &always{}
	nodes := start(t, 3, func(i int, urls []string) cluster.Directory {
		if r == nil {
			r = newRelay(t, urls[0][len("http://"):])
			d.holder = func() string { return "http://" + r.Addr() }
		}
		// The others reach the first node through the relay.
		return members{d, []string{"http://" + r.Addr(), urls[1], urls[2]}}
	}, nil)
	for _, n := range nodes[1:] {
		require.Zero(t, number(t, n, o.URL+"/a.ts"))
	}
	version.Store(1)
	r.StopAll()
	_, missed, err := nodes[1].Purge(t.Context(), o.URL+"/a.ts")
	require.NoError(t, err)
	require.Equal(t, []string{"http://" + r.Addr()}, missed)
	r.Cut()
	r.Stop(nil)
	for _, n := range nodes[1:] {
		require.EqualValues(t, 1, number(t, n, o.URL+"/a.ts"), "the node that missed it has the old one, and is asked")
	}
}

// members is a Directory with a list of members.
type members struct {
	cluster.Directory
	list []string
}

func (m members) Members(context.Context) ([]string, error) { return m.list, nil }
