package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cluster"
	"github.com/hlsproxy/hlsproxy/internal/relay"
	"github.com/stretchr/testify/require"
)

// slow sends half of a body, and the rest when it is told to.
func slow(body []byte, tag string, go_ <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first, status := 0, http.StatusOK
		if v := r.Header.Get("Range"); v != "" {
			fmt.Sscanf(v, "bytes=%d-", &first)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(body)-1, len(body)))
			status = http.StatusPartialContent
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)-first))
		for one := range strings.FieldsSeq(tag) {
			w.Header().Add("ETag", one)
		}
		w.WriteHeader(status)
		if half := len(body) / 2; first < half {
			w.Write(body[first:half])
			first = half
			w.(http.Flusher).Flush()
		}
		select {
		case <-go_:
			w.Write(body[first:])
		case <-r.Context().Done():
		}
	}
}

// half reads the first half of a body on each node, and returns the functions that read the other halves.
func half(t *testing.T, nodes []*node, url string, body []byte) (rest func() []error) {
	t.Helper()
	var bodies []io.ReadCloser
	for _, n := range nodes {
		resp, err := n.RoundTrip(request(t, url))
		require.NoError(t, err)
		t.Cleanup(func() { resp.Body.Close() })
		got := make([]byte, len(body)/2)
		_, err = io.ReadFull(resp.Body, got)
		require.NoError(t, err)
		require.Equal(t, body[:len(got)], got)
		bodies = append(bodies, resp.Body)
	}
	return func() []error {
		errs := make([]error, len(bodies))
		var wg sync.WaitGroup
		for i, b := range bodies {
			wg.Go(func() {
				got, err := io.ReadAll(b)
				if err == nil && string(got) != string(body[len(body)/2:]) {
					err = errors.New("wrong bytes")
				}
				errs[i] = err
			})
		}
		wg.Wait()
		return errs
	}
}

// holders makes each node reach the holder through a relay, so that the holder can be made to hang. The first node holds
// everything.
type always struct {
	holder func() string
	gone   sync.Map
}

func (a *always) Holder(_ context.Context, _, self string) (string, error) { return a.holder(), nil }

func (a *always) Take(_ context.Context, key, gone, self string) (string, error) {
	next, _ := a.gone.LoadOrStore(key, self)
	return next.(string), nil
}

func TestAHolderThatDiesCutsNobody(t *testing.T) {
	for name, c := range map[string]struct {
		tag string
		cut bool
	}{"strong ETag": {`"1"`, false}, "weak ETag": {`W/"1"`, true}, "none": {"", true}, "two": {`"1" "2"`, true}} {
		t.Run(name, func(t *testing.T) {
			body, more := noise(600<<10, 5), make(chan struct{})
			o := origin(t, slow(body, c.tag, more))
			d := &always{}
			nodes := start(t, 4, func(_ int, urls []string) cluster.Directory {
				d.holder = func() string { return urls[0] }
				return d
			}, nil)
			rest := half(t, nodes[1:], o.URL+"/a.ts", body)
			require.Equal(t, 1, o.total())
			nodes[0].kill()
			time.AfterFunc(300*time.Millisecond, func() { close(more) })
			for _, err := range rest() {
				if c.cut {
					require.Error(t, err, "loudly")
				} else {
					require.NoError(t, err)
				}
			}
			if !c.cut {
				require.Equal(t, 2, o.total())
			}
		})
	}
}

func TestAHolderThatHangsCutsNobody(t *testing.T) {
	body, more := noise(600<<10, 6), make(chan struct{})
	o := origin(t, slow(body, `"1"`, more))
	d, r := &always{}, (*relay.Relay)(nil)
	nodes := start(t, 4, func(_ int, urls []string) cluster.Directory {
		if r == nil {
			r = newRelay(t, urls[0][len("http://"):])
			d.holder = func() string { return "http://" + r.Addr() }
		}
		return d
	}, func(_ int, c *cluster.Config) { c.Silence = 300 * time.Millisecond })
	rest := half(t, nodes[1:], o.URL+"/a.ts", body)
	r.StopAll()
	// The origin is slower than Silence, and the next node has to begin anew.
	time.AfterFunc(2*time.Second, func() { close(more) })
	for _, err := range rest() {
		require.NoError(t, err)
	}
	require.Equal(t, 2, o.total())
}

func TestASlowOriginIsNoHungNode(t *testing.T) {
	body, more := noise(600<<10, 7), make(chan struct{})
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(1500 * time.Millisecond) // no header
		slow(body, `"1"`, more)(w, r)       // and then half of the body
	})
	nodes := start(t, 3, static, func(_ int, c *cluster.Config) { c.Silence = 700 * time.Millisecond })
	rest := half(t, nodes, o.URL+"/a.ts", body)
	time.AfterFunc(2*time.Second, func() { close(more) })
	for _, err := range rest() {
		require.NoError(t, err)
	}
	require.Equal(t, 1, o.total())
}

func TestBytesOfTwoVersionsNeverComeTogether(t *testing.T) {
	bodies := [][]byte{noise(600<<10, 8), noise(600<<10, 9)}
	more, version := make(chan struct{}), atomic.Int64{}
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		v := version.Load()
		slow(bodies[v], fmt.Sprintf(`"%d"`, v), more)(w, r)
	})
	d := &always{}
	nodes := start(t, 3, func(_ int, urls []string) cluster.Directory {
		d.holder = func() string { return urls[0] }
		return d
	}, nil)
	rest := half(t, nodes[1:], o.URL+"/a.ts", bodies[0])
	version.Store(1)
	nodes[0].kill()
	close(more)
	for _, err := range rest() {
		require.Error(t, err)
	}
}

func TestABodyThatTheOriginBreaksIsBroken(t *testing.T) {
	body := noise(600<<10, 10)
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Header().Set("ETag", `"1"`)
		w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	})
	nodes := start(t, 3, static, nil)
	for _, n := range nodes {
		before := o.total()
		_, _, err := do(n, request(t, o.URL+"/a.ts"))
		require.Error(t, err)
		require.Equal(t, 1, o.total()-before, "the node is not to blame, so nobody else is asked")
	}
	for _, n := range nodes {
		require.Zero(t, n.Stats().Resumed)
		require.Zero(t, n.Stats().Takeovers)
	}
}

func TestANodeThatIsGoneIsAskedNoMore(t *testing.T) {
	o := origin(t, file(noise(1000, 11), `"1"`))
	addr, dials := hangsUp(t)
	d := &always{holder: func() string { return "http://" + addr }}
	nodes := start(t, 1, func(int, []string) cluster.Directory { return d }, nil)
	for i := range 50 {
		fetch(t, nodes[0], fmt.Sprintf("%s/%d.ts", o.URL, i))
	}
	require.LessOrEqual(t, dials.Load(), int64(4))
	require.Equal(t, 50, o.total())
}

func TestALeavingNodeIsNotAskedAndCutsNobody(t *testing.T) {
	body, more := noise(600<<10, 12), make(chan struct{})
	o := origin(t, slow(body, "", more))
	nodes := start(t, 2, func(_ int, urls []string) cluster.Directory {
		return &always{holder: func() string { return urls[0] }}
	}, nil)
	rest := half(t, nodes[1:], o.URL+"/a.ts", body)
	left := make(chan error, 1)
	go func() { left <- nodes[0].Leave(t.Context()) }()
	require.Eventually(t, func() bool {
		resp, err := nodes[1].RoundTrip(request(t, fmt.Sprintf("%s/%d.ts", o.URL, time.Now().UnixNano())))
		require.NoError(t, err)
		resp.Body.Close()
		return nodes[1].Stats().Takeovers > 0
	}, time.Minute, 10*time.Millisecond)
	select {
	case <-left:
		t.Fatal("it has not waited")
	default:
	}
	close(more)
	for _, err := range rest() {
		require.NoError(t, err)
	}
	require.NoError(t, <-left)
}
