package cache_test

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

func TestPurge(t *testing.T) {
	for name, s := range map[string]cache.Store{"memory": store(t), "files": openDir(t, t.TempDir(), 10<<20)} {
		t.Run(name, func(t *testing.T) {
			o := &scripted{answer: func(r *http.Request, n int64) reply {
				h := []string{"Content-Type", "video/mp2t"}
				if r.URL.Path == "/v.ts" {
					h = append(h, "Vary", "Accept-Language")
				}
				return text(fmt.Sprint(n), h...)
			}}
			c := &cache.Transport{Base: o, Store: s}
			for _, path := range []string{"/a/1.ts", "/a/2.ts", "/b/1.ts", "/a/1.tsx.ts"} {
				fetch(t, c, "http://o"+path)
			}
			fetch(t, c, "http://o/v.ts", "Accept-Language", "de")
			fetch(t, c, "http://o/v.ts", "Accept-Language", "en")

			n, err := c.Purge(t.Context(), "http://o/a/1.ts")
			require.NoError(t, err)
			require.Equal(t, 1, n)
			_, body := fetch(t, c, "http://o/a/1.ts")
			require.Equal(t, "7", body)
			n, err = c.PurgePrefix(t.Context(), "http://o/a/")
			require.NoError(t, err)
			require.Equal(t, 3, n)
			n, err = c.Purge(t.Context(), "http://o/v.ts")
			require.NoError(t, err)
			require.Equal(t, 3, n, "two variants and the mark that there are some")
			_, body = fetch(t, c, "http://o/b/1.ts")
			require.Equal(t, "3", body)
		})
	}
	_, err := (&cache.Transport{Store: mapStore{&sync.Map{}}}).Purge(t.Context(), "x")
	require.ErrorIs(t, err, cache.ErrNoPurge)
	n, err := (&cache.Transport{}).Purge(t.Context(), "x")
	require.NoError(t, err)
	require.Zero(t, n)
}

// If a key is purged while it is fetched, the answer is not stored, and later viewers do not get it.
func TestPurgeOfWhatIsBeingFetched(t *testing.T) {
	for _, moment := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} { // before and after the header
		synctest.Test(t, func(t *testing.T) {
			o := &scripted{answer: func(_ *http.Request, n int64) reply {
				time.Sleep(time.Second)
				p := newPipe()
				go func() { time.Sleep(time.Second); p.send(fmt.Sprint(n), io.EOF) }()
				return reply{header: head("Content-Type", "video/mp2t"), body: p, length: 1}
			}}
			c := &cache.Transport{Base: o, Store: store(t)}
			var wg sync.WaitGroup
			wg.Go(func() {
				_, body := fetch(t, c, segURL)
				require.Equal(t, "1", body, "who waited gets what was asked for")
			})
			time.Sleep(moment)
			c.Purge(t.Context(), segURL)
			wg.Go(func() {
				_, body := fetch(t, c, segURL)
				require.Equal(t, "2", body)
			})
			wg.Wait()
			_, body := fetch(t, c, segURL)
			require.Equal(t, "2", body)
			require.EqualValues(t, 1, c.Stats().Stored)
			require.Zero(t, c.Stats().Fills)
		})
	}
}

func TestOnFillIsToldOfEachQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []cache.Fill
		o := &editions{edition: "one", header: []string{"Cache-Control", "max-age=10"}, slow: time.Second}
		c := &cache.Transport{Base: o, Store: store(t), StaleIfError: -1, OnFill: func(f cache.Fill) { got = append(got, f) }}
		fetch(t, c, segURL)
		time.Sleep(10 * time.Second)
		fetch(t, c, segURL)
		fetch(t, c, segURL)
		time.Sleep(10 * time.Second)
		o.down = -1
		_, _, err := try(t, c, segURL)
		require.Error(t, err)
		o.down = 503
		fetch(t, c, segURL)
		synctest.Wait()
		require.Len(t, got, 4)
		require.EqualError(t, got[2].Err, "refused")
		got[2].Err = nil
		base := cache.Fill{Key: segURL, URL: segURL, Wait: time.Second, Took: time.Second}
		want := []cache.Fill{base, base, base, base}
		want[0].Status, want[0].Bytes, want[0].Stored = 200, 3, true
		want[1].Status, want[1].Stored = 304, true
		want[3].Status = 503
		require.Equal(t, want, got)
	})
	c := &cache.Transport{Base: numbered(1), OnFill: func(cache.Fill) { panic(errors.New("bang")) }}
	fetch(t, c, segURL)
	require.Eventually(t, func() bool { return c.Stats().Errors == 1 }, time.Minute, time.Millisecond)
}

// The counters as variables of the process, and the time that the origin takes as another.
func ExampleTransport_Stats() {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		fmt.Fprint(w, "0123456789")
	}))
	defer origin.Close()

	var slowest expvar.Int
	shared := &cache.Transport{
		Store: cache.NewMemory(1 << 20),
		OnFill: func(f cache.Fill) {
			if ms := f.Wait.Milliseconds(); ms > slowest.Value() {
				slowest.Set(ms)
			}
		},
	}
	expvar.Publish("cache", expvar.Func(func() any { return shared.Stats() }))
	expvar.Publish("cache_slowest_ms", &slowest)

	for range 3 {
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, origin.URL+"/seg1.ts", nil)
		resp, err := shared.RoundTrip(r)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	s := expvar.Get("cache").(expvar.Func).Value().(cache.Stats)
	fmt.Println(s.Hits, s.Misses, s.OriginBytes, s.StoreBytes)
	// Output: 2 1 10 20
}

// purging is a Store in which an answer that varies is purged while it is put.
type purging struct {
	*cache.Memory
	purge func()
}

func (s *purging) Put(ctx context.Context, key string, e *cache.Entry) error {
	if e.Status != 0 && s.purge != nil {
		defer s.purge()
	}
	return s.Memory.Put(ctx, key, e)
}

func TestPurgeOfAVariantThatIsBeingStored(t *testing.T) {
	s := &purging{Memory: store(t)}
	o := &scripted{answer: func(r *http.Request, n int64) reply {
		return text(fmt.Sprint(r.Header.Get("Accept-Language"), n), "Content-Type", "video/mp2t", "Vary", "Accept-Language")
	}}
	c := &cache.Transport{Base: o, Store: s}
	s.purge = func() {
		s.purge = nil
		_, err := c.Purge(context.Background(), segURL)
		require.NoError(t, err)
		require.NoError(t, s.Memory.Put(context.Background(), segURL+"\x00Accept-Language\x00en", &cache.Entry{
			URL: segURL, Status: 200, Header: http.Header{}, Vary: head("Accept-Language", "en"), Body: cache.Bytes([]byte("purged")),
			Time: time.Now(), TTL: time.Hour,
		})) // as if the purge had come before
	}
	for _, row := range [][2]string{{"en", "en1"}, {"de", "de2"}, {"en", "en3"}} {
		_, body := fetch(t, c, segURL, "Accept-Language", row[0])
		require.Equal(t, row[1], body)
	}
}

// slowStore lets a test act between the moment when an entry is found and the moment when it is used.
type slowStore struct {
	in    *cache.Memory
	found func()
}

func (s *slowStore) Get(ctx context.Context, key string) (*cache.Entry, error) {
	e, err := s.in.Get(ctx, key)
	if e != nil && s.found != nil {
		found := s.found
		s.found = nil
		found()
	}
	return e, err
}

func (s *slowStore) Put(ctx context.Context, key string, e *cache.Entry) error {
	return s.in.Put(ctx, key, e)
}

func (s *slowStore) Purge(ctx context.Context, match func(string) bool) (int, error) {
	return s.in.Purge(ctx, match)
}

// An old entry that was found before a purge comes back neither by a 304 nor by a failure of the origin.
func TestPurgeOfWhatWasJustFound(t *testing.T) {
	for _, status := range []int{http.StatusNotModified, http.StatusServiceUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			s := &slowStore{in: store(t)}
			o := &scripted{answer: func(r *http.Request, n int64) reply {
				if n == 2 {
					return reply{status: status, header: head("Etag", `"1"`)}
				}
				return text(fmt.Sprint(n), "Content-Type", "video/mp2t", "Etag", fmt.Sprintf("%q", fmt.Sprint(n)), "Cache-Control", "max-age=1, stale-if-error=1000")
			}}
			c := &cache.Transport{Base: o, Store: s}
			_, body := fetch(t, c, segURL)
			require.Equal(t, "1", body)
			time.Sleep(10 * time.Second) // stale
			s.found = func() {
				_, err := c.Purge(t.Context(), segURL)
				require.NoError(t, err)
			}
			_, _, _ = try(t, c, segURL) // this viewer asked before the purge
			_, body = fetch(t, c, segURL)
			require.Equal(t, "3", body, status)
		})
	}
}

// panicPurge is a Purger that panics.
type panicPurge struct{ *cache.Memory }

func (panicPurge) Purge(context.Context, func(string) bool) (int, error) { panic("bang") }

func TestAPanicOfPurgeIsAnError(t *testing.T) {
	_, err := (&cache.Transport{Store: panicPurge{store(t)}}).Purge(context.Background(), segURL)
	require.ErrorIs(t, err, cache.ErrHook)
}
