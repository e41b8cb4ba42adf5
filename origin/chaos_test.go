package origin_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

var (
	chaosTime = flag.Duration("chaos.time", 2*time.Minute, "stream time of the chaos run")
	chaosSeed = flag.Uint64("chaos.seed", 1, "seed of the chaos run")
)

// segmentOf is the right body of a path.
func segmentOf(path string) []byte {
	rng := rand.New(rand.NewPCG(uint64(len(path)), 7))
	for _, c := range path {
		rng = rand.New(rand.NewPCG(rng.Uint64(), uint64(c)))
	}
	b := make([]byte, 2000+rng.IntN(6000))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// moody is an origin with one fault for a while, then another. Its name only decides its dice.
type moody struct {
	mu   sync.Mutex
	rng  *rand.Rand
	mood string
}

var moods = []string{"well", "well", "refuses", "silent", "503", "500", "short", "breaks", "stalls", "flaps", "slow", "other bytes", "404"}

func (m *moody) dice(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rng.IntN(n)
}

func (m *moody) now() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mood
}

func (m *moody) set(mood string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mood = mood
}

func (m *moody) answer(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	mood := m.mood
	m.mu.Unlock()
	if mood == "flaps" {
		mood = moods[m.dice(len(moods)-1)]
	}
	body := segmentOf(r.URL.Path)
	resp := &http.Response{StatusCode: 200, Header: http.Header{"Etag": {fmt.Sprintf(`"%d"`, len(body))}}, ContentLength: int64(len(body)), Request: r}
	var from, to int
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n == 2 {
		if mood == "other bytes" {
			from++
		}
		resp.StatusCode, resp.ContentLength = 206, int64(to-from+1)
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(body)))
		body = body[from : to+1]
	}
	part := bytes.NewReader(body[:m.dice(len(body)+1)])
	resp.Body = io.NopCloser(bytes.NewReader(body))
	time.Sleep(time.Duration(m.dice(40)) * time.Millisecond)
	switch mood {
	case "refuses":
		return nil, errRefused
	case "silent":
		return silent(r)
	case "503":
		return says(503, "Retry-After", "2")(r)
	case "500":
		return says(500)(r)
	case "404":
		return says(404)(r)
	case "short":
		resp.Body = &breakAfter{part, io.ErrUnexpectedEOF}
	case "breaks":
		resp.Body = &breakAfter{part, errRefused}
	case "stalls":
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(part, &trickle{r.Context(), time.Hour, 1, io.EOF}), io.NopCloser(nil)}
	case "slow":
		time.Sleep(time.Duration(m.dice(3000)) * time.Millisecond)
	}
	return resp, nil
}

// Of three origins one is well at any time, and there are 200 viewers. No body with a wrong byte may end cleanly, and hardly
// any request may fail.
func TestChaos(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, pool := newNetwork(t, origin.PoolConfig{Resume: true, Hedge: time.Second})
		origins := map[string]*moody{}
		for i, host := range []string{"a", "b", "c"} {
			origins[host] = &moody{rng: rand.New(rand.NewPCG(*chaosSeed, uint64(i))), mood: "well"}
			n.set(host, origins[host].answer)
		}
		proxy := &origin.Proxy{Upstream: func(u *url.URL) (string, error) { return "http://a" + u.Path, nil }, Transport: pool}
		end := time.Now().Add(*chaosTime)
		var wg sync.WaitGroup
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(*chaosSeed, 99))
			for time.Now().Before(end) {
				healthy := []string{"a", "b", "c"}[rng.IntN(3)]
				origins[healthy].set("well")
				time.Sleep(10 * time.Second) // each request finds one origin well for as long as it may take
				missing := false
				for _, host := range []string{"a", "b", "c"} { // in order, because the dice depend on it
					mood := moods[rng.IntN(len(moods))]
					if host == healthy {
						mood = "well"
					}
					if mood == "404" && missing {
						mood = "well" // if two of three have no segment, it does not exist
					}
					missing = missing || mood == "404"
					origins[host].set(mood)
				}
				time.Sleep(time.Duration(2+rng.IntN(10)) * time.Second)
			}
		})
		var requests, failed, wrong atomic.Int64
		var mu sync.Mutex
		why := map[string]int{}
		for viewer := range 200 {
			wg.Go(func() {
				for segment := 0; time.Now().Before(end); segment++ {
					path := fmt.Sprintf("/cam%d/seg%d.ts", viewer%20, segment)
					w := httptest.NewRecorder()
					aborted := aborts(func() { proxy.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil)) })
					requests.Add(1)
					switch {
					case aborted || w.Code != 200:
						failed.Add(1)
						mu.Lock()
						why[fmt.Sprint(w.Code, " ", aborted, " a=", origins["a"].now(), " b=", origins["b"].now(), " c=", origins["c"].now())]++
						mu.Unlock()
					case !bytes.Equal(w.Body.Bytes(), segmentOf(path)):
						wrong.Add(1)
					}
					time.Sleep(2 * time.Second)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		for _, s := range pool.State() {
			require.Zero(t, s.InFlight)
			t.Logf("%+v", s)
		}
		t.Logf("%d requests, %d failed", requests.Load(), failed.Load())
		for w, n := range why {
			t.Log(n, w)
		}
		require.Zero(t, wrong.Load(), "a wrong body came to a clean end")
		require.LessOrEqual(t, float64(failed.Load()), 0.001*float64(requests.Load())+1)
	})
}
