package cache_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
)

// edge serves a Transport over HTTP like a minimal proxy.
func edge(t *testing.T, c *cache.Transport, origin string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up, err := http.NewRequestWithContext(r.Context(), r.Method, origin+r.URL.RequestURI(), nil)
		if err != nil {
			panic(err)
		}
		up.Header = r.Header.Clone()
		resp, err := c.RoundTrip(up)
		if err != nil {
			status := http.StatusBadGateway
			if s := (interface{ HTTPStatus() int })(nil); errors.As(err, &s) {
				status = s.HTTPStatus()
			}
			w.WriteHeader(status)
			return
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		if wt, ok := resp.Body.(io.WriterTo); ok {
			_, err = wt.WriteTo(w)
		} else {
			_, err = io.Copy(w, resp.Body)
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func base(t *testing.T) *http.Transport {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

type seen struct {
	body []byte
	err  error
}

// watch fetches url. It calls began at the first byte, or when there will be none.
func watch(ctx context.Context, client http.RoundTripper, url string, began func()) (s seen) {
	began = sync.OnceFunc(began)
	defer began()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	resp, err := client.RoundTrip(r)
	if err != nil {
		return seen{err: err}
	}
	defer resp.Body.Close()
	one := make([]byte, 1)
	if _, s.err = io.ReadFull(resp.Body, one); s.err != nil {
		return s
	}
	began()
	rest, err := io.ReadAll(resp.Body)
	s.body, s.err = append(one, rest...), err
	return s
}

// crowd is viewers of one URL. The origin does not get past the middle of its body before all of them have begun. So the test
// shows that nobody waits for the end without looking at a clock, however busy the machine is.
type crowd struct {
	waiting sync.WaitGroup
	half    chan struct{} // closed in the middle
}

func newCrowd(viewers int) *crowd {
	c := &crowd{half: make(chan struct{})}
	c.waiting.Add(viewers)
	return c
}

func (c *crowd) hold() {
	c.waiting.Wait()
	close(c.half)
}

// fetch lets viewers fetch url through client at once, after the first of them has begun. That one may leave half-way.
func (c *crowd) fetch(t *testing.T, client http.RoundTripper, url string, viewers int, leaves bool, begun func() bool) []seen {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out := make([]seen, viewers)
	var wg sync.WaitGroup
	wg.Go(func() {
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		if leaves {
			go func() { <-c.half; leave() }()
		}
		out[0] = watch(ctx, client, url, c.waiting.Done)
	})
	for !begun() && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	for i := 1; i < viewers; i++ {
		wg.Go(func() { out[i] = watch(ctx, client, url, c.waiting.Done) })
	}
	wg.Wait()
	return out
}

const (
	crowdSize  = 500
	trickleFor = 2 * time.Second
)

func trickled(body []byte, chunked bool) faultorigin.Script {
	const steps = 50
	return faultorigin.Script{
		Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: body, Chunked: chunked,
		Step: len(body)/steps + 1, Every: trickleFor / steps,
	}
}

func TestStampedeOnAColdSegment(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	body := noise(256<<10, 1)
	for name, row := range map[string]struct {
		chunked, leaves, dies bool
		wire                  int // viewers over HTTP; 0: all, in the process
	}{
		"length known":                  {},
		"length unknown":                {chunked: true},
		"first leaves":                  {leaves: true},
		"first leaves, length unknown":  {leaves: true, chunked: true},
		"origin dies":                   {dies: true},
		"origin dies, length unknown":   {dies: true, chunked: true},
		"origin dies, first leaves too": {dies: true, leaves: true},
		"over HTTP":                     {wire: 50},
		"over HTTP, length unknown":     {wire: 50, chunked: true},
		"over HTTP, origin dies":        {wire: 50, dies: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := faultorigin.New(t)
			script := trickled(body, row.chunked)
			if row.dies {
				script.CutAt = len(body) * 3 / 4
			}
			c := &cache.Transport{Base: base(t), Store: store(t), Idle: time.Minute, Ring: -1} // what is slow on a busy machine is no broadcast
			viewers, client, url := crowdSize, http.RoundTripper(c), o.URL+"/seg.ts"
			if row.wire > 0 {
				viewers, client, url = row.wire, base(t), edge(t, c, o.URL).URL+"/seg.ts"
			}
			viewing := newCrowd(viewers)
			script.HoldAt, script.Hold = len(body)/2, viewing.hold
			o.Handle("/seg.ts", script, faultorigin.Script{Header: script.Header, Body: body})
			before := runtime.NumGoroutine()
			out := viewing.fetch(t, client, url, viewers, row.leaves, func() bool { return o.Requests("") > 0 })
			require.Equal(t, 1, o.Requests(""), "one question reaches the origin")
			for i, v := range out {
				require.True(t, bytes.HasPrefix(body, v.body), "viewer %d got wrong bytes", i)
				if row.dies || i == 0 && row.leaves {
					require.Error(t, v.err, "viewer %d saw a clean end after %d bytes", i, len(v.body))
					continue
				}
				require.NoError(t, v.err, "viewer %d", i)
				require.Len(t, v.body, len(body), "viewer %d", i)
			}
			stats := c.Stats()
			require.EqualValues(t, 1, stats.Misses)
			require.EqualValues(t, viewers-1, stats.Joins)
			require.Zero(t, stats.Fills)
			next := watch(t.Context(), client, url, func() {})
			require.NoError(t, next.err)
			require.True(t, bytes.Equal(body, next.body))
			if row.dies {
				require.Equal(t, 2, o.Requests(""), "nothing of the broken body was stored")
			} else {
				require.Equal(t, 1, o.Requests(""), "the next viewer is served from the store")
			}
			require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+20 }, time.Minute, 10*time.Millisecond)
		})
	}
}
