package cache_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
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

func status(err error) int {
	var s interface{ HTTPStatus() int }
	if errors.As(err, &s) {
		return s.HTTPStatus()
	}
	return 0
}

// pipe is an origin's body that a test writes while it is read. It ignores its context and Close, unless told otherwise.
type pipe struct {
	ch     chan any // []byte, or an error that ends it
	rest   []byte
	closed atomic.Bool
	done   chan struct{}
}

func newPipe() *pipe { return &pipe{ch: make(chan any, 1000), done: make(chan struct{})} }

func (p *pipe) send(parts ...any) {
	for _, part := range parts {
		if s, ok := part.(string); ok {
			part = []byte(s)
		}
		p.ch <- part
	}
}

func (p *pipe) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		select {
		case part := <-p.ch:
			if err, ok := part.(error); ok {
				return 0, err
			}
			p.rest = part.([]byte)
		case <-p.done:
			return 0, errors.New("read after close")
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pipe) Close() error {
	if !p.closed.Swap(true) {
		close(p.done)
	}
	return nil
}

// Each row is a way in which an origin's body can end wrongly.
func TestBrokenBodiesAreLoudAndNotStored(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: errors.New("connection reset")}
	for name, row := range map[string]struct {
		length int64
		parts  []any
		status int
	}{
		"short":                     {10, []any{"01234", io.EOF}, 502},
		"nothing":                   {10, []any{io.EOF}, 502},
		"reset":                     {10, []any{"01234", reset}, 502},
		"reset after the last byte": {10, []any{"0123456789", reset}, 502},
		"unexpected EOF":            {-1, []any{"01234", io.ErrUnexpectedEOF}, 502},
		"longer than declared":      {10, []any{"0123456789x", io.EOF}, 502},
		"much longer":               {10, []any{"0123456789", "xyz", io.EOF}, 502},
		"silent":                    {10, []any{"01234"}, 504},
		"silent, length unknown":    {-1, []any{"01234"}, 504},
		"silent from the start":     {10, nil, 504},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := newPipe()
				o := &scripted{answer: func(_ *http.Request, n int64) reply {
					if n == 1 {
						return reply{header: head("Content-Type", "video/mp2t"), body: broken, length: row.length}
					}
					return text("0123456789", "Content-Type", "video/mp2t")
				}}
				c := &cache.Transport{Base: o, Store: store(t)}
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() {
						_, body, err := try(t, c, segURL)
						require.Error(t, err)
						require.NotErrorIs(t, err, io.EOF)
						require.Equal(t, row.status, status(err))
						var timeout net.Error
						require.True(t, errors.As(err, &timeout))
						require.Equal(t, row.status == 504, timeout.Timeout())
						require.True(t, strings.HasPrefix("0123456789", body))
					})
				}
				synctest.Wait()
				broken.send(row.parts...)
				wg.Wait()
				synctest.Wait()
				require.True(t, broken.closed.Load())
				_, body := fetch(t, c, segURL)
				require.Equal(t, "0123456789", body)
				require.EqualValues(t, 2, o.asked.Load())
				require.Zero(t, c.Stats().Fills)
			})
		})
	}
}

// The same holds for a body that is not shared.
func TestABodyForOneViewerEndsAtItsLength(t *testing.T) {
	for body, whole := range map[string]bool{"0123": false, "": false, "01234": true, "012345": false} {
		o := &scripted{answer: func(r *http.Request, _ int64) reply {
			content := body
			if r.Method == http.MethodHead {
				content = ""
			}
			return reply{header: head("Cache-Control", "private"), body: strings.NewReader(content), length: 5}
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		for _, header := range [][]string{nil, {"Authorization", "x"}} {
			_, got, err := try(t, c, segURL, header...)
			require.Equal(t, whole, err == nil, "%q: %v", body, err)
			require.True(t, strings.HasPrefix("01234", got))
			require.True(t, whole || errors.Is(err, cache.ErrBroken))
		}
		r := request(t, t.Context(), segURL)
		r.Method = http.MethodHead
		resp, err := c.RoundTrip(r)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Empty(t, got)
	}
}

func TestSilenceBeforeTheHeader(t *testing.T) {
	for name, row := range map[string]struct {
		url     string
		timeout time.Duration
		after   time.Duration
	}{
		"ordinary":               {segURL, 0, 10 * time.Second},
		"own limit":              {segURL, 3 * time.Second, 3 * time.Second},
		"blocking reload":        {listURL + "?_HLS_msn=5", 0, time.Minute},
		"blocking reload, later": {listURL + "?a=1&_HLS_msn=5", 2 * time.Minute, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &cache.Transport{Idle: row.timeout, Base: trip(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				})}
				begin := time.Now()
				_, _, err := try(t, c, row.url)
				require.Equal(t, 504, status(err))
				require.ErrorIs(t, err, cache.ErrIdle)
				require.Equal(t, row.after, time.Since(begin))
			})
		})
	}
}

func TestErrorsOfTheOriginReachEveryWaiterOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		var asked atomic.Int64
		c := &cache.Transport{Base: trip(func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			time.Sleep(time.Second)
			return nil, refused
		})}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, _, err := try(t, c, segURL)
				require.ErrorIs(t, err, refused)
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, asked.Load())
	})
}

func TestUnaskedAnswersAreErrors(t *testing.T) {
	for _, code := range []int{206, 304, 412, 416} {
		c := &cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply {
			return reply{status: code, header: head("Content-Range", "bytes 1-2/10")}
		}}}
		_, _, err := try(t, c, segURL)
		require.Equal(t, 502, status(err), "%d", code)
	}
	c := &cache.Transport{Base: trip(func(*http.Request) (*http.Response, error) { return nil, nil })}
	_, _, err := try(t, c, segURL)
	require.Equal(t, 502, status(err))
}

type badStore struct{ get, put func() error }

func (s badStore) Get(context.Context, string) (*cache.Entry, error) { return nil, s.get() }
func (s badStore) Put(context.Context, string, *cache.Entry) error   { return s.put() }

type panicBody struct{ io.Reader }

func (panicBody) Read([]byte) (int, error) { panic("read") }
func (panicBody) Close() error             { panic("close") }

func TestPanicsAndFailuresOfHooks(t *testing.T) {
	fine := func() error { return nil }
	bang := func() error { panic("bang") }
	fail := func() error { return errors.New("fail") }
	good := &scripted{answer: func(*http.Request, int64) reply { return text("segment", "Content-Type", "video/mp2t") }}
	for name, row := range map[string]struct {
		c      *cache.Transport
		served bool
	}{
		"TTL":       {&cache.Transport{Base: good, Store: store(t), TTL: func(*cache.Entry) time.Duration { panic("bang") }}, true},
		"Key":       {&cache.Transport{Base: good, Key: func(*http.Request) string { panic(errors.New("bang")) }}, false},
		"Get":       {&cache.Transport{Base: good, Store: badStore{bang, fine}}, true},
		"Put":       {&cache.Transport{Base: good, Store: badStore{fine, bang}}, true},
		"Get fails": {&cache.Transport{Base: good, Store: badStore{fail, fine}}, true},
		"Put fails": {&cache.Transport{Base: good, Store: badStore{fine, fail}}, true},
		"Base":      {&cache.Transport{Base: trip(func(*http.Request) (*http.Response, error) { panic("bang") })}, false},
		"Body": {&cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply {
			return reply{body: panicBody{}, length: 5}
		}}}, false},
		"Close": {&cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply {
			return reply{status: 206, body: panicBody{}, length: 5}
		}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				_, body, err := try(t, row.c, segURL)
				if row.served {
					require.NoError(t, err)
					require.Equal(t, "segment", body)
					continue
				}
				require.ErrorIs(t, err, cache.ErrHook)
				require.Equal(t, 502, status(err))
			}
			require.NotZero(t, row.c.Stats().Errors)
			require.Zero(t, row.c.Stats().Fills)
		})
	}
}

func TestTooManyFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cache.Transport{MaxFills: 2, Base: &scripted{answer: func(r *http.Request, _ int64) reply {
			if strings.HasSuffix(r.URL.Path, "1") {
				time.Sleep(time.Second)
			}
			return reply{header: head("Content-Type", "video/mp2t"), body: newPipe(), length: 5}
		}}}
		ctx, cancel := context.WithCancel(t.Context())
		for _, p := range []string{"1", "2"} {
			go c.RoundTrip(request(t, ctx, segURL+p))
		}
		synctest.Wait()
		require.Equal(t, 2, c.Stats().Fills)
		_, err := c.RoundTrip(request(t, ctx, segURL+"3"))
		require.ErrorIs(t, err, cache.ErrBusy)
		require.Equal(t, 503, status(err))
		var again interface{ RetryAfter() time.Duration }
		require.True(t, errors.As(err, &again))
		require.Equal(t, time.Second, again.RetryAfter())
		cancel()
		time.Sleep(time.Minute)
		require.Zero(t, c.Stats().Fills)
	})
}

// A viewer that leaves frees its goroutine. The last one cancels the request, and later viewers ask anew.
func TestLeavingBeforeTheHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, ended atomic.Int64
		c := &cache.Transport{Base: trip(func(r *http.Request) (*http.Response, error) {
			if asked.Add(1) > 1 {
				return text("second").response(r), nil
			}
			<-r.Context().Done()
			ended.Add(1)
			time.Sleep(time.Hour) // and it takes its time
			return nil, r.Context().Err()
		})}
		ctx, cancel := context.WithCancel(t.Context())
		gone := errors.New("gone")
		other, leave := context.WithCancelCause(t.Context())
		var left atomic.Int64
		for i := range 300 {
			go func() {
				which := ctx
				if i%2 == 0 {
					which = other
				}
				_, err := c.RoundTrip(request(t, which, segURL))
				require.Error(t, err)
				left.Add(1)
			}()
		}
		synctest.Wait()
		leave(gone)
		synctest.Wait()
		require.EqualValues(t, 150, left.Load())
		require.Zero(t, ended.Load(), "somebody still waits")
		cancel()
		synctest.Wait()
		require.EqualValues(t, 300, left.Load())
		require.EqualValues(t, 1, ended.Load())
		_, body := fetch(t, c, segURL)
		require.Equal(t, "second", body)
		time.Sleep(2 * time.Hour)
	})
}

func TestWhenEverybodyHasLeft(t *testing.T) {
	for name, row := range map[string]struct {
		length int64
		first  int // bytes that have come when they leave
		store  bool
		stays  bool
	}{
		"short":                 {1 << 20, 1, true, true},
		"nothing to keep it in": {1 << 20, 1, false, false},
		"long, at its start":    {40 << 20, 1, true, false},
		"long, half done":       {40 << 20, 20 << 20, true, true},
		"unknown":               {-1, 1 << 20, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPipe()
				var fill context.Context
				c := &cache.Transport{Base: trip(func(r *http.Request) (*http.Response, error) {
					fill = r.Context()
					return reply{header: head("Content-Type", "video/mp2t"), body: p, length: row.length}.response(r), nil
				})}
				if row.store {
					c.Store = store(t)
				}
				var bodies []io.ReadCloser
				for range 3 {
					resp, err := c.RoundTrip(request(t, t.Context(), segURL))
					require.NoError(t, err)
					bodies = append(bodies, resp.Body)
				}
				p.send(make([]byte, row.first))
				synctest.Wait()
				for _, b := range bodies {
					require.NoError(t, fill.Err())
					b.Close()
					b.Close()
				}
				synctest.Wait()
				if !row.stays {
					require.Error(t, fill.Err())
					p.send(io.EOF)
					synctest.Wait()
					require.EqualValues(t, 1, c.Stats().Abandoned)
					require.Zero(t, c.Stats().Fills)
					return
				}
				require.NoError(t, fill.Err())
				p.send(make([]byte, int(row.length)-row.first), io.EOF)
				synctest.Wait()
				resp, body := fetch(t, c, segURL)
				require.Len(t, body, int(row.length))
				require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
			})
		})
	}
}

func TestReadersGoAtTheirOwnPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		body := noise(3<<20, 2)
		c := &cache.Transport{Store: store(t), Base: &scripted{answer: func(*http.Request, int64) reply {
			return reply{header: head("Content-Type", "video/mp2t"), body: p}
		}}}
		slow, err := c.RoundTrip(request(t, t.Context(), segURL))
		require.NoError(t, err)
		still, err := c.RoundTrip(request(t, t.Context(), segURL))
		require.NoError(t, err)
		fast, err := c.RoundTrip(request(t, t.Context(), segURL))
		require.NoError(t, err)
		p.send(body[:10], body[10:1<<20], body[1<<20:], io.EOF)
		got, err := io.ReadAll(fast.Body)
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))

		var out bytes.Buffer
		for {
			time.Sleep(time.Millisecond)
			_, err := io.CopyN(&out, slow.Body, 10_000)
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
		}
		require.True(t, bytes.Equal(body, out.Bytes()))
		still.Body.Close()
		_, err = still.Body.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, io.EOF)
	})
}

func TestTheViewersContextEndsItsBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		c := &cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply { return reply{body: p, length: 5} }}}
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := c.RoundTrip(request(t, ctx, segURL))
		require.NoError(t, err)
		go func() { time.Sleep(time.Second); cancel() }()
		_, err = io.ReadAll(resp.Body)
		require.ErrorIs(t, err, context.Canceled)
		resp.Body.Close()
		synctest.Wait()
		require.True(t, p.closed.Load())
	})
}

func TestAnOriginThatDripsIsGivenUp(t *testing.T) {
	for name, row := range map[string]struct {
		rate, length int64
		after        time.Duration
	}{
		"default":        {0, 1 << 20, 61 * time.Second},
		"not shared":     {0, 100 << 20, 61 * time.Second},
		"slow is enough": {1, 100, 0},
		"no limit":       {-1, 100, 0},
		"own limit":      {2, 100, 61 * time.Second},
		"live stream":    {1000, -1, 0}, // which may be as slow as a thousandth
		"live drip":      {0, -1, 61 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPipe()
				c := &cache.Transport{MinRate: row.rate, Base: &scripted{answer: func(*http.Request, int64) reply { return reply{body: p, length: row.length} }}}
				go func() {
					for range 100 {
						time.Sleep(time.Second)
						p.send("x")
					}
					p.send(io.EOF)
				}()
				begin := time.Now()
				_, _, err := try(t, c, segURL)
				if row.after == 0 {
					require.NoError(t, err)
					return
				}
				require.Equal(t, 504, status(err))
				require.Equal(t, row.after, time.Since(begin))
				time.Sleep(time.Hour)
			})
		})
	}
}

// When the answer turns out to be for one viewer, all other waiters go their own way at once, and each gets another answer.
func TestPrivateAnswersReleaseAllWaitersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{answer: func(_ *http.Request, n int64) reply {
			time.Sleep(time.Second)
			return text(strings.Repeat("x", int(n)), "Content-Type", "video/mp2t", "Cache-Control", "private")
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		begin := time.Now()
		var got sync.Map
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				var header []string
				if i%5 == 0 {
					header = []string{"Range", "bytes=0-0"}
				}
				_, body := fetch(t, c, segURL, header...)
				_, twice := got.LoadOrStore(body, true)
				require.False(t, twice)
			})
		}
		wg.Wait()
		require.LessOrEqual(t, time.Since(begin), 2*time.Second)
		require.GreaterOrEqual(t, o.asked.Load(), int64(50))
		require.LessOrEqual(t, o.asked.Load(), int64(51), "the first answer is not thrown away")

		begin = time.Now()
		for range 3 {
			wg.Go(func() { fetch(t, c, segURL) })
		}
		wg.Wait()
		require.Equal(t, time.Second, time.Since(begin), "it is remembered that there is nothing to wait for")
		time.Sleep(time.Hour)
	})
}

// The last waiter leaves before an answer that cannot be shared. Nobody reads it, so it is closed.
func TestPrivateAnswerThatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		c := &cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply {
			time.Sleep(time.Second)
			return reply{header: head("Cache-Control", "private"), body: p, length: 5}
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		_, err := c.RoundTrip(request(t, ctx, segURL))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Minute)
		require.True(t, p.closed.Load())

		// A viewer who took the answer and leaves ends it as well.
		p = newPipe()
		ctx, cancel = context.WithCancel(t.Context())
		resp, err := c.RoundTrip(request(t, ctx, segURL))
		require.NoError(t, err)
		p.send("ab")
		_, err = io.ReadFull(resp.Body, make([]byte, 2))
		require.NoError(t, err)
		_, err = resp.Body.Read(make([]byte, 1))
		require.ErrorIs(t, err, cache.ErrIdle)
		cancel()
		resp.Body.Close()
		require.True(t, p.closed.Load())
	})
}
