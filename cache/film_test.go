package cache_test

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

func TestViewersOfOneSliceMayAskInDifferentWays(t *testing.T) {
	film, asked, release := noise(5*mib, 3), make(chan struct{}, 9), make(chan struct{})
	c := &cache.Transport{MaxBody: mib, Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
		h := head("ETag", `"1"`, "Content-Type", "video/mp4", "Cache-Control", "max-age=100")
		var first, last int
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); n < 2 {
			return reply{header: h, body: bytes.NewReader(film)}.response(r), nil
		}
		asked <- struct{}{}
		<-release
		h.Set("Vary", "Accept-Language") // the whole did not have it
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(film)))
		return reply{status: 206, header: h, body: bytes.NewReader(film[first : last+1])}.response(r), nil
	})}
	ask := func(language string) (string, error) {
		_, body, err := try(t, c, segURL+".mp4", "Range", "bytes=2097155-2097161", "Accept-Language", language)
		return body, err
	}
	type got struct {
		body string
		err  error
	}
	all := make(chan got, 2)
	for _, language := range []string{"en", "de"} {
		go func() {
			body, err := ask(language)
			all <- got{body, err}
		}()
		if language == "en" {
			<-asked
		}
	}
	time.Sleep(20 * time.Millisecond) // until the second waits with the first
	close(release)
	for range 2 {
		g := <-all
		require.NoError(t, g.err)
		require.Equal(t, string(film[2097155:2097162]), g.body)
	}
}

func TestRenewingAFilmFetchesNoMoreOfIt(t *testing.T) {
	a := newArchive(t, 5*mib)
	a.control = "max-age=1, stale-while-revalidate=100"
	c := &cache.Transport{Base: base(t), Store: store(t), MaxBody: mib}
	probe := func() {
		_, body := fetch(t, c, a.URL+"/a.mp4", "Range", "bytes=0-3")
		require.Equal(t, string(a.body[:4]), body)
	}
	probe()
	time.Sleep(1100 * time.Millisecond)
	probe()
	require.Eventually(t, func() bool { return c.Stats().Revalidations == 1 }, time.Minute, 5*time.Millisecond)
	time.Sleep(100 * time.Millisecond)
	require.Equal(t, []string{"", "bytes=0-2097151", ""}, a.log())
}

// A cache may be the Base of another: one in files behind one in memory.
func TestACacheBehindACacheKeepsItsOwnFilm(t *testing.T) {
	a := newArchive(t, 5*mib)
	a.control = "max-age=100"
	for name, most := range map[string]int64{"whole": 8 * mib, "in slices": mib} {
		t.Run(name, func(t *testing.T) {
			far := &cache.Transport{Base: base(t), Store: store(t), MaxBody: most}
			var asked atomic.Int64
			near := &cache.Transport{Store: store(t), MaxBody: mib, Base: trip(func(r *http.Request) (*http.Response, error) {
				asked.Add(1)
				return far.RoundTrip(r)
			})}
			once := int64(0)
			for range 2 {
				_, body := fetch(t, near, a.URL+"/a.mp4")
				require.True(t, body == string(a.body))
				_, body = fetch(t, near, a.URL+"/a.mp4", "Range", "bytes=4000000-4000003")
				require.Equal(t, string(a.body[4000000:4000004]), body)
				_, body = fetch(t, far, a.URL+"/a.mp4")
				require.True(t, body == string(a.body))
				once = cmp.Or(once, asked.Load())
			}
			require.Equal(t, once, asked.Load(), "what is near is not asked for again")
		})
	}
}
