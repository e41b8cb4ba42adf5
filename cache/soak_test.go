package cache_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// moody is a body of an origin that stalls and may break off.
type moody struct {
	rest  []byte
	cut   int // bytes until it breaks; -1: never
	close *atomic.Int64
}

func (m *moody) Read(p []byte) (int, error) {
	if m.cut == 0 {
		return 0, errors.New("cut")
	}
	if len(m.rest) == 0 {
		return 0, io.EOF
	}
	if rand.IntN(4) == 0 {
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
	}
	n := copy(p[:min(len(p), 1+rand.IntN(60_000))], m.rest)
	if m.cut > 0 {
		n = min(n, m.cut)
		m.cut -= n
	}
	m.rest = m.rest[n:]
	return n, nil
}

func (m *moody) Close() error { m.close.Add(1); return nil }

// TestSoak lets viewers come, lag, leave and ask for ranges while the memory of their bodies is reused all the time.
func TestSoak(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		m := cache.NewMemory(3 << 20)
		soak(t, m)
		require.LessOrEqual(t, m.Size(), int64(3<<20))
	})
	t.Run("files", func(t *testing.T) {
		d := openDir(t, t.TempDir(), 3<<20)
		soak(t, d)
		require.LessOrEqual(t, d.Size(), int64(3<<20))
	})
}

func soak(t *testing.T, s cache.Store) {
	const objects = 40
	duration := 3 * time.Second
	if testing.Short() {
		duration = 500 * time.Millisecond
	}
	bodies := make([][]byte, objects)
	for i := range bodies {
		bodies[i] = noise(1+rand.IntN(600_000), uint64(i))
	}
	var opened, closed atomic.Int64
	c := &cache.Transport{Store: s, MaxBody: 500_000, Base: trip(func(r *http.Request) (*http.Response, error) {
		var i int
		fmt.Sscanf(r.URL.Path, "/%d.ts", &i)
		cut := -1
		if rand.IntN(10) == 0 {
			cut = rand.IntN(len(bodies[i]))
		}
		opened.Add(1)
		a := reply{header: head("Content-Type", "video/mp2t"), body: &moody{bodies[i], cut, &closed}}
		if rand.IntN(2) == 0 {
			a.length = int64(len(bodies[i]))
		}
		return a.response(r), nil
	})}
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var wg sync.WaitGroup
	var whole, broken atomic.Int64
	for range 60 {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := rand.IntN(objects)
				if soakOnce(t, c, fmt.Sprintf("http://o/%d.ts", i), bodies[i]) {
					whole.Add(1)
				} else {
					broken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.Greater(t, whole.Load(), broken.Load())
	require.Eventually(t, func() bool { return c.Stats().Fills == 0 && runtime.NumGoroutine() <= before+2 }, time.Minute, 5*time.Millisecond)
	require.GreaterOrEqual(t, closed.Load(), opened.Load(), "every answer of the origin is closed")
	t.Logf("%d whole, %d broken, %+v", whole.Load(), broken.Load(), c.Stats())
}

// soakOnce watches one object in one of many ways. It returns false if that broke.
func soakOnce(t *testing.T, c *cache.Transport, url string, body []byte) bool {
	var header []string
	want := body
	if rand.IntN(3) == 0 {
		off := rand.IntN(len(body))
		end := off + rand.IntN(len(body)-off)
		header = []string{"Range", fmt.Sprintf("bytes=%d-%d", off, end)}
		want = body[off : end+1]
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	resp, err := c.RoundTrip(request(t, ctx, url, header...))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		want = body
	}
	if rand.IntN(8) == 0 {
		time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, cancel)
	}
	if rand.IntN(10) == 0 {
		return true // never reads
	}
	sum := sha256.New()
	var n int64
	if w, ok := resp.Body.(io.WriterTo); ok && rand.IntN(2) == 0 {
		n, err = w.WriteTo(lagging{sum})
	} else {
		n, err = io.Copy(struct{ io.Writer }{lagging{sum}}, struct{ io.Reader }{resp.Body})
	}
	expected := sha256.Sum256(want[:min(n, int64(len(want)))])
	if n > int64(len(want)) || string(sum.Sum(nil)) != string(expected[:]) {
		t.Errorf("%s: wrong bytes among the first %d of %d", url, n, len(want))
	}
	if err == nil && n < int64(len(want)) {
		t.Errorf("%s: a clean end after %d of %d", url, n, len(want))
	}
	return err == nil
}

// lagging hashes slowly, and uses its bytes until the last moment.
type lagging struct{ hash.Hash }

func (l lagging) Write(p []byte) (int, error) {
	if rand.IntN(20) == 0 {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
	}
	return l.Hash.Write(p)
}
