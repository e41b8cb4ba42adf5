package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// held is a writer that keeps the bytes of its nth Write until it is released, and then fails if it is told to.
type held struct {
	left int // Writes before that one
	got  []byte
	let  chan struct{}
	err  error
}

func (h *held) Write(p []byte) (int, error) {
	if h.left--; h.left >= 0 {
		return len(p), nil
	}
	h.got = p
	<-h.let
	return len(p), h.err
}

// unending is a pipe as the body of an answer without a length. It is longer than MaxBody.
func unending(s cache.Store) (*cache.Transport, *pipe) {
	p := newPipe()
	return &cache.Transport{Store: s, MaxBody: mib, Base: &scripted{answer: func(*http.Request, int64) reply {
		return reply{header: head("Content-Type", "video/mp4"), body: p}
	}}}, p
}

// A viewer is closed while a Write has its bytes, and another waits for its range: bytes that the first has read are not
// dropped before the second has begun. The second gets its range or, if it begins too late, the whole.
func TestAViewerIsClosedWhileAnotherWaitsForItsRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := bytes.Repeat(noise(999_983, 3), 6)
		c, p := unending(store(t))
		first, err := c.RoundTrip(request(t, t.Context(), segURL))
		require.NoError(t, err)
		w := &held{left: 5, let: make(chan struct{})}
		go first.Body.(io.WriterTo).WriteTo(w)
		p.send(body[:mib])
		synctest.Wait()
		require.NotNil(t, w.got)

		var second *http.Response
		var got string
		asked := make(chan struct{})
		go func() {
			second, got = fetch(t, c, segURL, "Range", "bytes=4000000-4000001")
			close(asked)
		}()
		synctest.Wait()
		first.Body.Close()
		p.send(body[mib:], io.EOF)
		synctest.Wait()
		close(w.let)
		<-asked
		if second.StatusCode == http.StatusPartialContent {
			body = body[4000000:4000002]
		}
		require.True(t, string(body) == got)
	})
}

// An HTTP/2 server may return from Write while a frame still has the bytes.
func TestAWriteThatFailedMayLookAtItsBytesForAWhile(t *testing.T) {
	for name, s := range map[string]cache.Store{"heap": nil, "memory": cache.NewMemory(8 * mib)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := bytes.Repeat(noise(999_983, 4), 20)
				c, p := unending(s)
				torn, err := c.RoundTrip(request(t, t.Context(), segURL))
				require.NoError(t, err)
				other, err := c.RoundTrip(request(t, t.Context(), segURL))
				require.NoError(t, err)
				w := &held{left: 8, let: make(chan struct{}), err: errors.New("reset")}
				go func() {
					torn.Body.(io.WriterTo).WriteTo(w)
					torn.Body.Close()
				}()
				p.send(body[:mib])
				synctest.Wait()
				before := bytes.Clone(w.got)
				require.NotEmpty(t, before)
				close(w.let)
				synctest.Wait()
				p.send(body[mib:], io.EOF)
				got, err := io.ReadAll(other.Body)
				require.NoError(t, err)
				require.True(t, bytes.Equal(body, got))
				other.Body.Close()
				require.True(t, bytes.Equal(before, w.got))
				time.Sleep(time.Minute)
				if m, ok := s.(*cache.Memory); ok {
					require.Zero(t, m.Size())
				}
			})
		})
	}
}

// The same with a Memory whose bodies go when they are garbage.
func TestAWriteThatFailedMayLookAtABodyOfAWrappedMemory(t *testing.T) {
	m := cache.NewMemory(mib)
	c := &cache.Transport{Store: wrapped{m}, Base: numbered(100_000)}
	fetch(t, c, segURL)
	w := &held{let: make(chan struct{}), err: errors.New("reset")}
	close(w.let)
	func() {
		resp, err := c.RoundTrip(request(t, t.Context(), segURL))
		require.NoError(t, err)
		_, err = resp.Body.(io.WriterTo).WriteTo(w)
		require.Error(t, err)
		resp.Body.Close()
	}()
	before := bytes.Clone(w.got)
	_, err := m.Purge(t.Context(), func(string) bool { return true })
	require.NoError(t, err)
	for i := range 20 {
		runtime.GC()
		fetch(t, c, fmt.Sprintf("http://o/%d.ts", i))
	}
	require.True(t, bytes.Equal(before, w.got))
}

// This is the limit in docs/mount.md: after Write has returned, its bytes belong to the cache again.
func TestAWriterThatKeepsItsBytesSeesThoseOfAnotherBody(t *testing.T) {
	m := cache.NewMemory(mib)
	c := &cache.Transport{Store: m, Base: numbered(500_000)}
	fetch(t, c, segURL)
	resp, err := c.RoundTrip(request(t, t.Context(), segURL))
	require.NoError(t, err)
	var kept, copied []byte
	_, err = resp.Body.(io.WriterTo).WriteTo(writerFunc(func(p []byte) (int, error) {
		if kept == nil {
			kept, copied = p, bytes.Clone(p)
		}
		return len(p), nil
	}))
	require.NoError(t, err)
	resp.Body.Close()
	require.True(t, bytes.Equal(kept, copied), "nothing has happened yet")
	_, err = m.Purge(t.Context(), func(string) bool { return true })
	require.NoError(t, err)
	for i := range 4 {
		fetch(t, c, fmt.Sprintf("http://o/%d.ts", i))
	}
	require.False(t, bytes.Equal(kept, copied), "the memory is another's now: then docs/mount.md need not warn of it")
}

// writerFunc is an io.Writer made of a function.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
