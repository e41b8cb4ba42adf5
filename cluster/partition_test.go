package cluster_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/stretchr/testify/require"
)

// wall is a network that, while it is up, lets nothing through to some hosts, nor back.
type wall struct {
	stands *atomic.Bool
	before func(host string) bool
	base   http.RoundTripper
}

func (w wall) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.stands.Load() && w.before(r.URL.Host) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return w.base.RoundTrip(r)
}

func TestNodesThatCannotReachEachOtherServeOn(t *testing.T) {
	for _, withEngine := range []bool{true, false} {
		t.Run(fmt.Sprint("engine ", withEngine), func(t *testing.T) {
			o := origin(t, file(noise(1000, 40), `"1"`))
			directory := static
			if withEngine {
				directory = newEngine(t).directory
			}
			var (
				stands atomic.Bool
				urls   [2]string
			)
			nodes := start(t, 4, directory, func(i int, c *cluster.Config) {
				c.Silence = 200 * time.Millisecond
				if i < 2 {
					urls[i] = c.Self
					c.Transport = wall{&stands, func(host string) bool { return strings.HasSuffix(urls[1-i], host) }, http.DefaultTransport}
				}
			})
			time.Sleep(500 * time.Millisecond)
			stands.Store(true)
			const objects = 20
			for round := range 3 {
				for i := range objects {
					for _, n := range nodes {
						resp, got := fetch(t, n, fmt.Sprintf("%s/%d-%d.ts", o.URL, round, i))
						require.Equal(t, 200, resp.StatusCode)
						require.Len(t, got, 1000)
					}
				}
			}
			var takeovers uint64
			for _, n := range nodes {
				takeovers += n.Stats().Takeovers
			}
			require.LessOrEqual(t, o.total(), 3*objects*4)
			require.LessOrEqual(t, takeovers, uint64(3*objects*2))
			stands.Store(false)
			waitFor(t, func() bool { // when they can reach each other again, they share again
				before := o.total()
				for i := range 10 {
					for _, n := range nodes {
						fetch(t, n, fmt.Sprintf("%s/%d-%d.ts", o.URL, time.Now().UnixNano()/1e9, i))
					}
				}
				return o.total()-before <= 10
			})
		})
	}
}

func TestANodeThatCannotReachTheOriginServesOn(t *testing.T) {
	o := origin(t, file(noise(1000, 41), `"1"`))
	var stands atomic.Bool
	nodes := start(t, 3, newEngine(t).directory, func(i int, c *cluster.Config) {
		c.Patience = 300 * time.Millisecond
		if i == 0 {
			c.Base = wall{&stands, func(string) bool { return true }, http.DefaultTransport}
		}
	})
	fetch(t, nodes[0], o.URL+"/warm.ts")
	stands.Store(true)
	const objects = 10
	for i := range objects {
		for j := range nodes { // the node behind the wall is asked first, and so is the holder
			resp, got := fetch(t, nodes[j], fmt.Sprintf("%s/%d.ts", o.URL, i))
			require.Equal(t, 200, resp.StatusCode)
			require.Len(t, got, 1000)
		}
	}
	require.LessOrEqual(t, o.total(), 1+objects*3)
	for _, n := range nodes {
		require.Zero(t, n.Stats().Takeovers)
	}
}

func TestANodeThatCannotReachTheEngineServesOn(t *testing.T) {
	e := newEngine(t)
	o := origin(t, file(noise(1000, 42), `"1"`))
	r := newRelay(t, e.addr)
	nodes := start(t, 3, func(i int, _ []string) cluster.Directory {
		option := e.option()
		if i == 0 {
			option.InitAddress = []string{r.Addr()}
		}
		return cluster.Connect(option, "test")
	}, nil)
	time.Sleep(500 * time.Millisecond)
	r.StopAll()
	time.Sleep(2 * time.Second) // its heartbeat has ended
	const objects = 20
	for i := range objects {
		for _, n := range nodes {
			_, got := fetch(t, n, fmt.Sprintf("%s/%d.ts", o.URL, i))
			require.Len(t, got, 1000)
		}
	}
	require.LessOrEqual(t, o.total(), 2*objects)
	_, missed, err := nodes[1].PurgePrefix(t.Context(), o.URL)
	require.NoError(t, err)
	require.Empty(t, missed, "it is known for an hour, and was told")
	r.Stop(nil)
}

func TestAnOriginThatIsDeadForAllIsDeadForViewers(t *testing.T) {
	var stands atomic.Bool
	stands.Store(true)
	asked := new(atomic.Int64)
	nodes := start(t, 3, static, func(i int, c *cluster.Config) {
		c.Patience = 200 * time.Millisecond
		c.Cache.Idle = time.Second
		c.Base = wall{&stands, func(string) bool { asked.Add(1); return true }, http.DefaultTransport}
	})
	begun := time.Now()
	_, _, err := do(nodes[0], request(t, "http://origin.example/a.ts"))
	require.ErrorIs(t, err, cache.ErrIdle)
	require.Less(t, time.Since(begun), time.Minute, "it does not wait for ever")
	require.LessOrEqual(t, asked.Load(), int64(3), "each node asks once at most")
}

func TestALongBodyIsReadThoughTheEdgeWouldNotSliceIt(t *testing.T) {
	film := noise(5<<20+7, 43)
	o := origin(t, file(film, `"film"`))
	d := &always{}
	nodes := start(t, 2, func(_ int, urls []string) cluster.Directory {
		d.holder = func() string { return urls[0] }
		return d
	}, func(i int, c *cluster.Config) {
		if i == 0 {
			c.Cache.MaxBody = 1 << 20
		}
	})
	_, got := fetch(t, nodes[1], o.URL+"/film.mp4")
	require.Equal(t, film, got)
}
