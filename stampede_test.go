package hlsproxy_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
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

// watched is what one viewer saw.
type watched struct {
	body  []byte
	err   error     // nil: the body ended cleanly
	first time.Time // first body byte
}

// stampede sends viewers to one cold segment at once. The leader, if it leaves, does so after half the body.
func stampede(t *testing.T, ch *chain, leaderLeaves bool) []watched {
	t.Helper()
	transport := &http.Transport{MaxConnsPerHost: 0, MaxIdleConnsPerHost: viewers}
	t.Cleanup(transport.CloseIdleConnections)
	out := make([]watched, viewers)
	var wg sync.WaitGroup
	watch := func(i int, leave bool) {
		defer wg.Done()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, ch.URL+"/live/seg.ts", nil)
		resp, err := transport.RoundTrip(r)
		if err != nil {
			out[i].err = err
			return
		}
		defer resp.Body.Close()
		buf := make([]byte, 1)
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			out[i].err = err
			return
		}
		out[i].first = time.Now()
		if leave {
			time.AfterFunc(steps*every/2, cancel)
		}
		rest, err := io.ReadAll(resp.Body)
		out[i].body, out[i].err = append(buf, rest...), err
	}
	wg.Add(1)
	go watch(0, leaderLeaves)
	for ch.origin.Requests("") == 0 {
		time.Sleep(time.Millisecond)
	}
	for i := 1; i < viewers; i++ {
		wg.Add(1)
		go watch(i, false)
	}
	wg.Wait()
	return out
}

func segment() []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// trickle is an origin that tells when it was half done, by its own clock: on a busy machine it is slower than planned.
func trickle(body []byte, chunked bool) (_ faultorigin.Script, half func() time.Time) {
	var at atomic.Int64
	return faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		if !chunked {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		w.WriteHeader(http.StatusOK)
		for i := range steps {
			w.Write(body[len(body)*i/steps : len(body)*(i+1)/steps])
			http.NewResponseController(w).Flush()
			if i == steps/2 {
				at.CompareAndSwap(0, time.Now().UnixNano())
			}
			time.Sleep(every)
		}
	})}, func() time.Time { return time.Unix(0, at.Load()) }
}

func TestStampede(t *testing.T) {
	body := segment()
	for _, leaves := range []bool{false, true} {
		for _, chunked := range []bool{false, true} {
			name := map[bool]string{false: "all stay", true: "the first leaves"}[leaves] + map[bool]string{false: "", true: ", length unknown"}[chunked]
			t.Run(name, func(t *testing.T) {
				ch := newChain(t, chainConfig{})
				script, half := trickle(body, chunked)
				ch.origin.Handle("/seg.ts", script)
				seen := stampede(t, ch, leaves)
				require.Equal(t, 1, ch.origin.Requests(""), "one request reaches the origin")
				for i, w := range seen {
					if i == 0 && leaves {
						require.Error(t, w.err)
						continue
					}
					require.NoError(t, w.err, "viewer %d", i)
					require.True(t, bytes.Equal(body, w.body), "viewer %d got %d bytes", i, len(w.body))
					require.True(t, w.first.Before(half()), "viewer %d waited past the middle of the fill", i)
				}
				_, again, err := get(t, ch.URL+"/live/seg.ts")
				require.NoError(t, err)
				require.True(t, bytes.Equal(body, again))
				require.Equal(t, 1, ch.origin.Requests(""), "the next viewer is served from the store")
			})
		}
	}
}

func TestStampedeOnADyingOrigin(t *testing.T) {
	body := segment()
	for _, chunked := range []bool{false, true} {
		t.Run(map[bool]string{false: "length known", true: "length unknown"}[chunked], func(t *testing.T) {
			ch := newChain(t, chainConfig{})
			dying := faultorigin.Script{
				Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: body, Chunked: chunked,
				Step: len(body)/steps + 1, Every: every, CutAt: len(body) / 2,
			}
			ch.origin.Handle("/seg.ts", dying, faultorigin.Script{Header: dying.Header, Body: body})
			before := runtime.NumGoroutine()
			for i, w := range stampede(t, ch, false) {
				require.Error(t, w.err, "viewer %d saw a clean end after %d bytes", i, len(w.body))
				require.True(t, bytes.HasPrefix(body, w.body), "viewer %d got wrong bytes", i)
			}
			require.Equal(t, 1, ch.origin.Requests(""))
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+viewers/10 }, 10*time.Second, 20*time.Millisecond)

			_, again, err := get(t, ch.URL+"/live/seg.ts")
			require.NoError(t, err)
			require.True(t, bytes.Equal(body, again))
			require.Equal(t, 2, ch.origin.Requests(""), "nothing of the broken body was stored")
		})
	}
}
