package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// personal is an origin that needs a second to answer each viewer with the viewer's name. header says who else may get the
// answer.
func personal(size int, header ...string) *scripted {
	return &scripted{answer: func(r *http.Request, _ int64) reply {
		user := r.Header.Get("X-User")
		time.Sleep(time.Second)
		return text(user+strings.Repeat(".", size-len(user)), header...)
	}}
}

// An answer that cannot be shared goes only to the viewer whose request was sent, even if that viewer has left or asked for a
// part, or if others have waited.
func TestAPrivateAnswerGoesToItsAskerOnly(t *testing.T) {
	for name, header := range map[string][]string{
		"private":             {"Cache-Control", "private"},
		"private with vary":   {"Cache-Control", "private", "Vary", "X-User"},
		"not to be stored":    {"Cache-Control", "no-store"},
		"sets a cookie":       {"Set-Cookie", "session=1"},
		"varies by all":       {"Vary", "*"},
		"too long, with vary": {"Vary", "X-User"},
		"shared, with vary":   {"Vary", "X-User", "Content-Length", "short"},
	} {
		for _, first := range []string{"wants all", "wants a range", "wants the header", "leaves", "refreshes"} {
			t.Run(name+", the first "+first, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := personal(2000, header...)
					c := &cache.Transport{Store: store(t), MaxBody: 1000, Base: o}
					if header[len(header)-1] == "short" {
						c.MaxBody = 10_000
					}
					ctx, cancel := context.WithCancel(t.Context())
					ask := func(ctx context.Context, user, method, ranges string) {
						r := request(t, ctx, segURL, "X-User", user)
						r.Method = method
						if ranges != "" {
							r.Header.Set("Range", ranges)
						}
						resp, err := c.RoundTrip(r)
						if err != nil {
							require.ErrorIs(t, err, context.Canceled)
							return
						}
						require.Equal(t, r, resp.Request)
						body, err := io.ReadAll(resp.Body)
						require.NoError(t, err)
						resp.Body.Close()
						require.True(t, method == "HEAD" || strings.HasPrefix(string(body), user), "%s got %.10q", user, body)
					}
					var wg sync.WaitGroup
					wg.Go(func() {
						method, ranges := "GET", ""
						switch first {
						case "wants the header":
							method = "HEAD"
						case "wants a range":
							ranges = "bytes=0-99"
						case "leaves":
							time.AfterFunc(500*time.Millisecond, cancel)
						}
						ask(ctx, "alice", method, ranges)
					})
					for i := range 5 {
						time.Sleep(time.Millisecond)
						wg.Go(func() { ask(t.Context(), fmt.Sprint("bob", i), "GET", "") })
					}
					wg.Wait()
					cancel()
					synctest.Wait()
					require.Zero(t, c.Stats().Fills)
				})
			})
		}
	}
}

// inTwo is a body of undeclared length whose second half takes a second.
type inTwo struct{ first, second io.Reader }

func (b *inTwo) Read(p []byte) (int, error) {
	if n, _ := b.first.Read(p); n > 0 {
		return n, nil
	}
	if n, _ := b.second.Read(p); n > 0 {
		time.Sleep(time.Second)
		return n, nil
	}
	return 0, io.EOF
}

// A body that may be a key goes only to its asker as well, if only its end tells its length, whatever its type.
func TestAKeyOfUntoldLengthGoesToItsAskerOnly(t *testing.T) {
	for name, row := range map[string]struct {
		length int
		url    string
		header []string
		shared bool
	}{
		"AES-128":           {16, "http://o.example/key?id=1", nil, false},
		"AES-256":           {32, "http://o.example/key.php", []string{"Content-Type", "application/octet-stream"}, false},
		"called a page":     {16, "http://o.example/key.php", []string{"Content-Type", "text/html; charset=UTF-8"}, false},
		"called JSON":       {32, "http://o.example/key", []string{"Content-Type", "application/json"}, false},
		"another length":    {33, "http://o.example/key", nil, true},
		"a segment by name": {16, segURL, nil, true},
		"a segment by type": {32, "http://o.example/1", []string{"Content-Type", "video/mp2t"}, true},
		"nothing at all":    {0, "http://o.example/key", nil, true},
	} {
		for _, declared := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", declared: ", declared), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := &scripted{answer: func(r *http.Request, _ int64) reply {
						body := strings.Repeat(r.Header.Get("X-User"), row.length)
						half := len(body) / 2
						a := reply{header: head(row.header...), body: &inTwo{strings.NewReader(body[:half]), strings.NewReader(body[half:])}, length: -1}
						if declared && row.length > 0 {
							a.length = int64(row.length)
						}
						time.Sleep(time.Second)
						return a
					}}
					c := &cache.Transport{Store: store(t), Base: o, TTL: func(*cache.Entry) time.Duration { return time.Hour }}
					var wg sync.WaitGroup
					for _, user := range []string{"a", "b", "c", "d"} {
						wg.Go(func() {
							if user == "d" {
								time.Sleep(time.Minute)
							}
							_, body := fetch(t, c, row.url, "X-User", user)
							if !row.shared {
								require.Equal(t, strings.Repeat(user, row.length), body)
							}
						})
						time.Sleep(600 * time.Millisecond) // the third viewer comes while the body does
					}
					wg.Wait()
					require.Equal(t, row.shared, o.asked.Load() == 1, "%d questions", o.asked.Load())
				})
			})
		}
	}
}

// An origin may change its mind in a 304: the stored answer may now belong to one viewer, or to another variant.
func TestA304MayChangeWhoGetsTheAnswer(t *testing.T) {
	for name, row := range map[string]struct {
		header []string
		stored bool // for the asker
	}{
		"private":       {[]string{"Cache-Control", "private"}, false},
		"not stored":    {[]string{"Cache-Control", "no-store"}, false},
		"cookie":        {[]string{"Cache-Control", "max-age=10", "Set-Cookie", "a=b"}, false},
		"varies by all": {[]string{"Cache-Control", "max-age=10", "Vary", "*"}, false},
		"varies":        {[]string{"Cache-Control", "max-age=10", "Vary", "X-User"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &scripted{answer: func(r *http.Request, n int64) reply {
					time.Sleep(time.Second)
					if r.Header.Get("If-None-Match") == `"of alice"` && r.Header.Get("X-User") == "alice" {
						return reply{status: 304, header: head(append([]string{"ETag", `"of alice"`}, row.header...)...)}
					}
					user := r.Header.Get("X-User")
					return text(user, append([]string{"ETag", `"of ` + user + `"`, "Content-Type", "video/mp2t"}, row.header...)...)
				}}
				shared := true
				c := &cache.Transport{Store: store(t), StaleIfError: time.Hour, StaleWhileRevalidate: -1, Base: trip(func(r *http.Request) (*http.Response, error) {
					if shared {
						return text("alice", "ETag", `"of alice"`, "Content-Type", "video/mp2t", "Cache-Control", "max-age=1").response(r), nil
					}
					return o.RoundTrip(r)
				})}
				fetch(t, c, segURL, "X-User", "alice")
				shared = false
				time.Sleep(5 * time.Second)
				var wg sync.WaitGroup
				for _, user := range []string{"alice", "bob", "carol", "alice"} {
					time.Sleep(time.Millisecond)
					wg.Go(func() {
						_, body := fetch(t, c, segURL, "X-User", user)
						require.Equal(t, user, body)
					})
				}
				wg.Wait()
				before := o.asked.Load()
				_, body := fetch(t, c, segURL, "X-User", "alice")
				require.Equal(t, "alice", body)
				require.Equal(t, row.stored, before == o.asked.Load())
				time.Sleep(5 * time.Second)
				o.answer = func(*http.Request, int64) reply { return reply{status: 503} }
				resp, _ := fetch(t, c, segURL, "X-User", "dora")
				require.Equal(t, 503, resp.StatusCode, "what is not shared any more is not served stale")
			})
		})
	}
}

// Many viewers ask for many variants at once: each variant costs one request, before and after it is known that answers vary.
func TestEachVariantIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{answer: func(r *http.Request, _ int64) reply {
			time.Sleep(time.Second)
			p := newPipe()
			go func() {
				time.Sleep(time.Second)
				p.send(r.Header.Get("X-Lang"), io.EOF)
			}()
			return reply{header: head("Content-Type", "video/mp2t", "Vary", "X-Lang"), body: p}
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		var wg sync.WaitGroup
		for i := range 600 {
			time.Sleep(10 * time.Millisecond)
			wg.Go(func() {
				lang := fmt.Sprint(i % 6)
				_, body := fetch(t, c, segURL, "X-Lang", lang)
				require.Equal(t, lang, body)
			})
		}
		wg.Wait()
		require.EqualValues(t, 6, o.asked.Load())
	})
}

// A Purge while many wait for the origin: they waited for one answer, and they get it.
func TestPurgeWhileManyWait(t *testing.T) {
	for name, answer := range map[string]func() reply{
		"a confirmation": func() reply { return reply{status: 304, header: head("Cache-Control", "max-age=1")} },
		"a failure":      func() reply { return reply{status: 503} },
		"a new version":  func() reply { return text("body", "Cache-Control", "max-age=1") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &scripted{answer: func(r *http.Request, _ int64) reply {
					if r.Header.Get("If-None-Match") == "" {
						return text("body", "ETag", `"1"`, "Cache-Control", "max-age=1")
					}
					time.Sleep(time.Second)
					return answer()
				}}
				c := &cache.Transport{Store: cache.NewMemory(mib), StaleIfError: time.Hour, Base: o}
				fetch(t, c, segURL)
				time.Sleep(5 * time.Second)
				var wg sync.WaitGroup
				for range 200 {
					wg.Go(func() {
						resp, body := fetch(t, c, segURL)
						require.Equal(t, 200, resp.StatusCode)
						require.Equal(t, "body", body)
					})
				}
				time.Sleep(500 * time.Millisecond)
				_, err := c.Purge(t.Context(), segURL)
				require.NoError(t, err)
				wg.Wait()
				synctest.Wait() // viewers have the end before the fill gives its memory back
				require.EqualValues(t, 2, o.asked.Load())
				require.Zero(t, c.Store.(*cache.Memory).Size())
			})
		})
	}
}

// paused is a body that stands still half-way and ignores its context, as if its last bytes were in a buffer below.
type paused struct {
	io.Reader
	wait time.Duration
}

func (p *paused) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b[:min(len(b), 2)])
	if err == io.EOF {
		time.Sleep(p.wait)
	}
	return n, err
}

func (p *paused) Close() error { return nil }

// An answer requested before a Purge is not stored after it, whether anybody waits for it or not. Neither is an answer that a
// later one has displaced.
func TestWhatIsNoLongerListedIsNotStored(t *testing.T) {
	const half = 500 * time.Millisecond
	for name, row := range map[string]struct {
		header, body time.Duration // what they take
		leave        time.Duration // when the viewer leaves; 0: never
		again        time.Duration // when another comes, before the purge; 0: never
		purge        time.Duration // when the key is purged; 0: never
	}{
		"the viewer left before the header":       {header: time.Second, leave: half, purge: 2 * half},
		"the viewer left in the body":             {body: time.Second, leave: half, purge: 2 * half},
		"a fill that stalls is displaced":         {body: 8 * time.Second, again: 6 * time.Second, purge: 7 * time.Second},
		"a fill that stalls, and nobody purges":   {body: 8 * time.Second, again: 6 * time.Second},
		"purged before the header, nobody leaves": {header: time.Second, purge: half},
		"purged in the body, nobody leaves":       {body: time.Second, purge: half},
	} {
		for _, varies := range []string{"X-None", "X-Lang"} {
			t.Run(name+", varies by "+varies, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var version atomic.Int64
					var quick atomic.Bool
					o := trip(func(r *http.Request) (*http.Response, error) {
						v := fmt.Sprint("version ", version.Load())
						row := row
						if quick.Load() {
							row.header, row.body = 0, 0
						}
						time.Sleep(row.header)
						return reply{
							header: head("Cache-Control", "max-age=3600", "Vary", varies, "ETag", `"`+v+`"`),
							body:   &paused{strings.NewReader(v), row.body}, length: -1,
						}.response(r), nil
					})
					c := &cache.Transport{Store: store(t), Base: o}
					ask := func(ctx context.Context) string {
						resp, err := c.RoundTrip(request(t, ctx, segURL, "X-Lang", "en"))
						if err != nil {
							return err.Error()
						}
						defer resp.Body.Close()
						all, err := io.ReadAll(resp.Body)
						if err != nil {
							return err.Error()
						}
						return string(all)
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if row.leave > 0 {
						time.AfterFunc(row.leave, cancel)
					}
					go ask(ctx)
					if row.again > 0 {
						time.Sleep(row.again)
						version.Add(1)
						quick.Store(true)
						require.Equal(t, "version 1", ask(t.Context()))
					}
					if row.purge > 0 {
						time.Sleep(row.purge - row.again)
						version.Add(1)
						_, err := c.Purge(t.Context(), segURL)
						require.NoError(t, err)
					}
					time.Sleep(time.Minute)
					quick.Store(true)
					require.Equal(t, fmt.Sprint("version ", version.Load()), ask(t.Context()))
				})
			})
		}
	}
}

// leisurely is a Store whose Put takes a minute.
type leisurely struct{ cache.Store }

func (p leisurely) Put(ctx context.Context, key string, e *cache.Entry) error {
	time.Sleep(time.Minute)
	return p.Store.Put(ctx, key, e)
}

// A viewer has all bytes as soon as they have come, and sees the end when the next request will find the answer.
func TestBytesDoNotWaitForTheStore(t *testing.T) {
	for name, row := range map[string]struct {
		length int64
		header []string
		want   string
	}{
		"a declared length":    {7, nil, "segment"},
		"no declared length":   {-1, nil, "segment"},
		"a range to the end":   {7, []string{"Range", "bytes=3-"}, "ment"},
		"a range up to a byte": {7, []string{"Range", "bytes=3-6"}, "ment"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := trip(func(r *http.Request) (*http.Response, error) {
					resp := text("segment", "Content-Type", "video/mp2t").response(r)
					resp.ContentLength = row.length
					return resp, nil
				})
				c := &cache.Transport{Base: o, Store: leisurely{store(t)}}
				start := time.Now()
				resp, err := c.RoundTrip(request(t, t.Context(), segURL, row.header...))
				require.NoError(t, err)
				defer resp.Body.Close()
				got := make([]byte, len(row.want))
				_, err = io.ReadFull(resp.Body, got)
				require.NoError(t, err)
				require.Equal(t, row.want, string(got))
				require.Zero(t, time.Since(start))
				_, err = resp.Body.Read(got)
				require.Equal(t, io.EOF, err)
				require.Equal(t, time.Minute, time.Since(start))
				again, _ := fetch(t, c, segURL)
				require.Equal(t, "hlsproxy; hit", again.Header.Get("Cache-Status"))
			})
		})
	}
}

// Viewers may ask again, or leave, while the Store still takes what they have: nothing is fetched again.
func TestWhatIsBeingStoredIsNotFetchedAgain(t *testing.T) {
	for name, row := range map[string]struct {
		length int64
		header []string
		again  time.Duration // when another viewer comes
		status string
	}{
		"of declared length":        {7, nil, 30 * time.Second, "hlsproxy; fwd=uri-miss; collapsed"},
		"of undeclared length":      {-1, nil, 30 * time.Second, "hlsproxy; fwd=uri-miss; collapsed"},
		"a range of learned length": {-1, []string{"Range", "bytes=3-6"}, 30 * time.Second, "hlsproxy; fwd=uri-miss; collapsed"},
		"later":                     {-1, nil, 2 * time.Minute, "hlsproxy; hit"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				o := trip(func(r *http.Request) (*http.Response, error) {
					if r.Header.Get("Range") != "" {
						return reply{status: 206, header: head("ETag", `"1"`, "Content-Range", "bytes 0-0/7"), body: strings.NewReader("s")}.response(r), nil
					}
					asked++
					return reply{header: head("ETag", `"1"`, "Content-Type", "video/mp2t"), body: strings.NewReader("segment"), length: row.length}.response(r), nil
				})
				c := &cache.Transport{Base: o, Store: leisurely{store(t)}}
				resp, err := c.RoundTrip(request(t, t.Context(), segURL, row.header...))
				require.NoError(t, err)
				_, err = io.ReadFull(resp.Body, make([]byte, 4))
				require.NoError(t, err)
				synctest.Wait() // until the Store has it
				resp.Body.Close()
				time.Sleep(row.again)
				again, body := fetch(t, c, segURL)
				require.Equal(t, "segment", body)
				require.Equal(t, row.status, again.Header.Get("Cache-Status"))
				require.Equal(t, 1, asked)
				require.EqualValues(t, 1, c.Stats().Stored)
			})
		})
	}
}

// A client that knows the length of a body leaves as soon as it has all of it. Its body did not break.
func TestAViewerWhoHasAllOfABodyMayLeave(t *testing.T) {
	for name, row := range map[string]struct {
		length int64
		header []string
		reads  int
		want   error
	}{
		"all of it":             {7, nil, 7, io.EOF},
		"all of a range":        {7, []string{"Range", "bytes=3-"}, 4, io.EOF},
		"not all of it":         {7, nil, 6, context.Canceled},
		"of a length not known": {-1, nil, 7, context.Canceled},
		"a range of the middle": {7, []string{"Range", "bytes=3-5"}, 2, context.Canceled},
		"all of the last byte":  {7, []string{"Range", "bytes=6-"}, 1, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := trip(func(r *http.Request) (*http.Response, error) {
					return reply{header: head("Content-Type", "video/mp2t"), body: strings.NewReader("segment"), length: row.length}.response(r), nil
				})
				c := &cache.Transport{Base: o, Store: leisurely{store(t)}}
				ctx, cancel := context.WithCancel(t.Context())
				resp, err := c.RoundTrip(request(t, ctx, segURL, row.header...))
				require.NoError(t, err)
				defer resp.Body.Close()
				_, err = io.ReadFull(resp.Body, make([]byte, row.reads))
				require.NoError(t, err)
				time.AfterFunc(time.Second, cancel)
				synctest.Wait()
				time.Sleep(2 * time.Second)
				_, err = resp.Body.Read(make([]byte, 1))
				require.Equal(t, row.want, err)
				time.Sleep(time.Hour)
			})
		})
	}
}
