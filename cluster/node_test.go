package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/hlsproxy/hlsproxy/internal/sharing"
	"github.com/hlsproxy/hlsproxy/internal/waits"
	"github.com/stretchr/testify/require"
)

func TestAllNodesShareOneFetch(t *testing.T) {
	body := noise(300<<10, 1)
	o := origin(t, file(body, `"1"`))
	nodes := start(t, 4, static, nil)
	var wg sync.WaitGroup
	for i := range 20 {
		for _, n := range nodes {
			wg.Go(func() {
				resp, got := fetch(t, n, fmt.Sprintf("%s/%d.ts", o.URL, i))
				require.Equal(t, http.StatusOK, resp.StatusCode)
				require.Equal(t, body, got)
			})
		}
	}
	wg.Wait()
	for i := range 20 {
		require.Equal(t, 1, o.count(fmt.Sprintf("GET /%d.ts", i)), i)
	}
	require.Equal(t, 20, o.total())
	var from, to uint64
	for _, n := range nodes {
		s := n.Stats()
		from, to = from+s.FromNodes, to+s.ToNodes
	}
	require.EqualValues(t, 60, from)
	require.EqualValues(t, 60, to)
}

func TestNothingOfTheTalkOfNodesGoesFurther(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Hlsproxy-Status", "404")
		w.Header().Set("Hlsproxy-Age", "99000")
		w.Header().Set("Hlsproxy-Restarted", "1000")
		w.Header().Set("X-Kept", "yes")
		w.Header()["Content-Type"] = nil
		fmt.Fprint(w, "media")
	})
	for _, n := range start(t, 3, static, nil) {
		r := request(t, o.URL+"/a.ts", "X-Ours", " 1 ", "User-Agent", "", "Hlsproxy-Purged", "x", "Hlsproxy-Slice", "0-1/1")
		resp, got, err := do(n, r)
		require.NoError(t, err)
		require.Equal(t, "media", string(got))
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "yes", resp.Header.Get("X-Kept"))
		require.NotContains(t, resp.Header, "Content-Type", "nobody invents one")
		for name := range resp.Header {
			require.False(t, strings.HasPrefix(name, "Hlsproxy-"), name)
		}
		require.NotEqual(t, "99", resp.Header.Get("Age"))
	}
	require.Equal(t, 1, o.total())
	require.Equal(t, "1", o.header().Get("X-Ours"))
	require.Empty(t, o.header().Get("User-Agent"), "nobody invents one")
	for name := range o.header() {
		require.False(t, strings.HasPrefix(name, "Hlsproxy-"), name)
	}
}

func TestEachTierHasAName(t *testing.T) {
	o := origin(t, file([]byte("media"), `"1"`))
	nodes := start(t, 2, static, func(i int, c *cluster.Config) { c.Cache.Name = string(rune('a' + i)) })
	said := func(n *node) string {
		resp, _ := fetch(t, n, o.URL+"/x.ts")
		return strings.Join(resp.Header.Values("Cache-Status"), ", ")
	}
	require.Regexp(t, `^([ab]; fwd=uri-miss; stored, )?[ab]; fwd=uri-miss; stored$`, said(nodes[0]))
	holder, other := nodes[0], nodes[1]
	if holder.Stats().FromNodes > 0 {
		holder, other = other, holder
	}
	a := strings.TrimSuffix(said(holder), "; hit")
	require.Len(t, a, 1, "the holder's two tiers have one name, and are said once")
	require.Contains(t, []string{"a; hit, b; fwd=uri-miss; stored", "b; hit, a; fwd=uri-miss; stored",
		"a; fwd=uri-miss; stored, b; hit", "b; fwd=uri-miss; stored, a; hit"}, said(other), "what is nearer to the origin comes first (RFC 9211)")
}

func TestAPrivateAnswerGoesOnlyToItsAsker(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session="+r.Header.Get("X-Viewer"))
		fmt.Fprint(w, r.Header.Get("X-Viewer"), r.Header.Get("Authorization"))
	})
	nodes := start(t, 3, static, nil)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			me := fmt.Sprint("viewer", i)
			_, got := fetch(t, nodes[i%3], o.URL+"/private.ts", "X-Viewer", me)
			require.Equal(t, me, string(got))
			_, got = fetch(t, nodes[i%3], o.URL+"/own.ts", "Authorization", me)
			require.Equal(t, me, string(got))
		})
	}
	wg.Wait()
	require.Equal(t, 60, o.count("GET /own.ts"))
	var to uint64
	for _, n := range nodes {
		to += n.Stats().ToNodes
	}
	require.LessOrEqual(t, to, uint64(60), "credentials go over no node")
}

func TestWhatOuterBlocksSayHoldsOnOtherNodes(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(4 * time.Second)
		w.Header().Set("Content-Type", "video/mp2t")
		w.Header().Set("Set-Cookie", "balancer=1")
		fmt.Fprint(w, "media")
	})
	nodes := start(t, 3, static, func(_ int, c *cluster.Config) { c.Cache.Idle = 2 * time.Second })
	for _, n := range nodes {
		r := request(t, o.URL+"/a.ts")
		ctx := waits.With(context.WithValue(r.Context(), sharing.Anonymous{}, true), 30*time.Second)
		_, got, err := do(n, r.WithContext(ctx))
		require.NoError(t, err, "the header may take its time")
		require.Equal(t, "media", string(got))
	}
	require.Equal(t, 1, o.total(), "a cookie of a load balancer is for nobody")
}

func TestErrorsOfTheOriginAreNotThoseOfNodes(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		status int
		after  string
	}{
		"404": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", 404) }, 404, ""},
		"503": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			http.Error(w, "no", http.StatusServiceUnavailable)
		}, 503, "7"},
		"reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := origin(t, c.answer)
			nodes := start(t, 3, static, nil)
			for round := range 3 {
				for _, n := range nodes {
					resp, _, err := do(n, request(t, fmt.Sprintf("%s/%d.ts", o.URL, round)))
					if c.status != 0 {
						require.NoError(t, err)
						require.Equal(t, c.status, resp.StatusCode)
						require.Equal(t, c.after, resp.Header.Get("Retry-After"))
						continue
					}
					require.Error(t, err)
					var known interface{ HTTPStatus() int }
					require.True(t, !errors.As(err, &known) || known.HTTPStatus() == http.StatusBadGateway)
					require.NotContains(t, err.Error(), "127.0.0.1", "no address in a client's sight")
				}
			}
			for _, n := range nodes {
				require.Zero(t, n.Stats().Takeovers)
				require.Zero(t, n.Stats().Alone)
			}
		})
	}
}

func TestSlicesOfALongFilmAreSpread(t *testing.T) {
	const size = 9<<20 + 5
	film := noise(size, 3)
	o := origin(t, file(film, `"film"`))
	nodes := start(t, 4, static, func(_ int, c *cluster.Config) { c.Cache.MaxBody = 1 << 20 })
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			_, got := fetch(t, n, o.URL+"/film.mp4")
			require.Equal(t, film, got)
		})
		wg.Go(func() {
			resp, got := fetch(t, n, o.URL+"/film.mp4", "Range", fmt.Sprintf("bytes=%d-%d", i*3<<20, i*3<<20+99))
			if i*3<<20+99 < size {
				require.Equal(t, http.StatusPartialContent, resp.StatusCode)
				require.Equal(t, film[i*3<<20:][:100], got)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, o.count("GET /film.mp4"))
	holders := 0
	for off := 0; off < size; off += 2 << 20 {
		require.Equal(t, 1, o.count(fmt.Sprintf("GET /film.mp4 bytes=%d-%d", off, min(off+2<<20, size)-1)), off)
	}
	for _, n := range nodes {
		if n.Stats().ToNodes > 0 {
			holders++
		}
	}
	require.Greater(t, holders, 1)
}

func TestNoCopyIsOlderThanItsTTLOverTwoTiers(t *testing.T) {
	const ttl = 500 * time.Millisecond
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		now := time.Now().UnixNano()
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, now))
		fmt.Fprint(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#X:", now, "\n")
	})
	nodes := start(t, 3, static, func(_ int, c *cluster.Config) {
		c.Cache.TTL = func(*cache.Entry) time.Duration { return ttl }
	})
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		oldest time.Duration
	)
	for i, n := range nodes {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * 170 * time.Millisecond)
			for range 60 {
				asked := time.Now()
				_, got := fetch(t, n, o.URL+"/index.m3u8")
				var at int64
				_, err := fmt.Sscanf(strings.SplitAfter(string(got), "#X:")[1], "%d", &at)
				require.NoError(t, err)
				mu.Lock()
				oldest = max(oldest, asked.Sub(time.Unix(0, at)))
				mu.Unlock()
				time.Sleep(25 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, oldest, ttl+50*time.Millisecond)
}

func TestAllFaultsOfAConfigurationAreReported(t *testing.T) {
	_, err := cluster.New(cluster.Config{
		Self: "node:80", Secret: []byte("short"), Silence: -1, Cache: &cache.Transport{Base: http.DefaultTransport},
	})
	for _, field := range []string{"Self", "Directory", "Secret", "Silence", "Cache.Base"} {
		require.ErrorContains(t, err, field)
	}
	for _, self := range []string{"http://a b:1", "http://a:1/", "http://a:1#x", "ftp://a:1", "http://", "http://u@a:1"} {
		_, err = cluster.New(cluster.Config{Self: self, Secret: secret, Directory: cluster.Rendezvous(cluster.Static())})
		require.Error(t, err, self)
	}
}
