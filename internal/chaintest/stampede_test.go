package chaintest_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
)

const (
	viewers = 500
	steps   = 40
	every   = 50 * time.Millisecond // the origin needs at least steps x every = 2 s
)

// watched is the result of one viewer.
type watched struct {
	body []byte
	err  error // nil: the body ended cleanly
}

// trickler sends a body over 2 s. It does not send the second half before every viewer has the first byte. So the test shows
// that nobody waits for the end without looking at a clock, however busy the machine is.
type trickler struct {
	body    []byte
	chunked bool
	dies    bool           // after the first half
	started sync.WaitGroup // viewers who wait for their first byte
	half    chan struct{}  // closed when the first half is sent and everybody has begun
}

func newTrickler(body []byte, chunked, dies bool) *trickler {
	tr := &trickler{body: body, chunked: chunked, dies: dies, half: make(chan struct{})}
	tr.started.Add(viewers)
	return tr
}

func (tr *trickler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "video/mp2t")
	if !tr.chunked {
		w.Header().Set("Content-Length", strconv.Itoa(len(tr.body)))
	}
	for i := range steps {
		if i == steps/2 {
			tr.started.Wait()
			close(tr.half)
			if tr.dies {
				panic(http.ErrAbortHandler)
			}
		}
		w.Write(tr.body[len(tr.body)*i/steps : len(tr.body)*(i+1)/steps])
		http.NewResponseController(w).Flush()
		time.Sleep(every)
	}
}

// stampede sends viewers to one cold segment at once. The leader may leave after half the body.
func stampede(t *testing.T, ch *chain, tr *trickler, leaderLeaves bool) []watched {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: viewers}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out := make([]watched, viewers)
	var wg sync.WaitGroup
	wg.Go(func() {
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		if leaderLeaves {
			go func() { <-tr.half; leave() }()
		}
		out[0] = watch(ctx, transport, ch.URL+"/live/seg.ts", &tr.started)
	})
	for ch.origin.Requests("") == 0 {
		time.Sleep(time.Millisecond)
	}
	for i := 1; i < viewers; i++ {
		wg.Go(func() { out[i] = watch(ctx, transport, ch.URL+"/live/seg.ts", &tr.started) })
	}
	wg.Wait()
	return out
}

func watch(ctx context.Context, transport http.RoundTripper, url string, started *sync.WaitGroup) (w watched) {
	first := sync.OnceFunc(started.Done)
	defer first() // a viewer that fails must not hold the origin for ever
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return watched{err: err}
	}
	defer resp.Body.Close()
	buf := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, buf); err != nil {
		return watched{err: err}
	}
	first()
	rest, err := io.ReadAll(resp.Body)
	return watched{append(buf, rest...), err}
}

// segment takes more than one chunk of a cache, also if its length is known.
func segment() []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 300<<10)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func TestStampede(t *testing.T) {
	body := segment()
	for name, c := range map[string]struct{ leaves, chunked bool }{
		"all stay": {}, "all stay, length unknown": {chunked: true},
		"the first leaves": {leaves: true}, "the first leaves, length unknown": {leaves: true, chunked: true},
	} {
		t.Run(name, func(t *testing.T) {
			ch := newChain(t, chainConfig{idle: time.Minute, ring: -1}) // on a busy machine the body takes as long as an endless one
			tr := newTrickler(body, c.chunked, false)
			ch.origin.Handle("/seg.ts", faultorigin.Script{Func: tr})
			for i, w := range stampede(t, ch, tr, c.leaves) {
				if i == 0 && c.leaves {
					require.Error(t, w.err)
					continue
				}
				require.NoError(t, w.err, "viewer %d", i)
				require.True(t, bytes.Equal(body, w.body), "viewer %d got %d bytes", i, len(w.body))
			}
			require.Equal(t, 1, ch.origin.Requests(""), "one request reaches the origin")
			_, again, err := get(t, ch.URL+"/live/seg.ts")
			require.NoError(t, err)
			require.True(t, bytes.Equal(body, again))
			require.Equal(t, 1, ch.origin.Requests(""), "the next viewer is served from the store")
		})
	}
}

func TestStampedeOnADyingOrigin(t *testing.T) {
	body := segment()
	for name, chunked := range map[string]bool{"length known": false, "length unknown": true} {
		t.Run(name, func(t *testing.T) {
			ch := newChain(t, chainConfig{idle: time.Minute, ring: -1}) // as above
			tr := newTrickler(body, chunked, true)
			ch.origin.Handle("/seg.ts", faultorigin.Script{Func: tr},
				faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: body})
			before := runtime.NumGoroutine()
			for i, w := range stampede(t, ch, tr, false) {
				require.Error(t, w.err, "viewer %d saw a clean end after %d bytes", i, len(w.body))
				require.NotEmpty(t, w.body, "viewer %d got nothing", i)
				require.True(t, bytes.HasPrefix(body, w.body), "viewer %d got wrong bytes", i)
			}
			require.Equal(t, 1, ch.origin.Requests(""))
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+viewers/10 }, time.Minute, 20*time.Millisecond)

			_, again, err := get(t, ch.URL+"/live/seg.ts")
			require.NoError(t, err)
			require.True(t, bytes.Equal(body, again))
			require.Equal(t, 2, ch.origin.Requests(""), "nothing of the broken body was stored")
		})
	}
}
