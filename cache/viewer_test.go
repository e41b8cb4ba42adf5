package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/firstbyte"
	"github.com/stretchr/testify/require"
)

// noted is a writer that records its calls.
type noted struct {
	bytes.Buffer
	log  []string
	fail int // fails at this write, counted from 1
}

func (n *noted) Write(p []byte) (int, error) {
	n.log = append(n.log, fmt.Sprint(len(p)))
	switch {
	case n.fail == len(n.log):
		return 0, errors.New("full")
	case n.fail == -len(n.log):
		return n.Buffer.Write(p[:1])
	}
	return n.Buffer.Write(p)
}

type flushes struct{ *noted }

func (f flushes) Flush() error { f.log = append(f.log, "flush"); return nil }

type flusher struct{ *noted }

func (f flusher) Flush() { f.log = append(f.log, "flush") }

type flushError struct{ *noted }

func (f flushError) FlushError() error { return errors.New("gone") }

func TestWriteToFlushesWhenItHasCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []string{"Flush() error", "Flush()", "FlushError", "ResponseWriter", "none"} {
			p := newPipe()
			c := &cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply { return reply{body: p} }}}
			resp, err := c.RoundTrip(request(t, t.Context(), segURL))
			require.NoError(t, err)
			n, rec := &noted{}, httptest.NewRecorder()
			w := map[string]io.Writer{"Flush() error": flushes{n}, "Flush()": flusher{n}, "FlushError": flushError{n}, "ResponseWriter": rec, "none": n}[kind]
			done := make(chan error)
			go func() {
				_, err := resp.Body.(io.WriterTo).WriteTo(w)
				done <- err
			}()
			synctest.Wait()
			p.send("abc")
			synctest.Wait()
			p.send("de", io.EOF)
			err = <-done
			resp.Body.Close()
			if kind == "FlushError" {
				require.EqualError(t, err, "gone")
				continue
			}
			require.NoError(t, err)
			switch kind {
			case "ResponseWriter":
				require.True(t, rec.Flushed)
				require.Equal(t, "abcde", rec.Body.String())
			case "none":
				require.Equal(t, []string{"3", "2"}, n.log)
			default:
				require.Equal(t, []string{"flush", "3", "flush", "2"}, n.log)
			}
		}
	})
}

func TestWriteToWritesLargePiecesAndStopsAtAnError(t *testing.T) {
	body := noise(1<<20, 7)
	for _, s := range []cache.Store{store(t), wrapped{store(t)}, openDir(t, t.TempDir(), 10<<20), mapStore{}} {
		if _, ok := s.(mapStore); ok {
			s = nil // a running fill
		}
		c := &cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply {
			return reply{header: head("Content-Type", "video/mp2t"), body: bytes.NewReader(body)}
		}}, Store: s}
		fetch(t, c, segURL)
		for _, fail := range []int{0, 2, -2} {
			resp, err := c.RoundTrip(request(t, t.Context(), segURL))
			require.NoError(t, err)
			n := &noted{fail: fail}
			written, err := resp.Body.(io.WriterTo).WriteTo(struct{ io.Writer }{n})
			require.EqualValues(t, n.Len(), written)
			require.True(t, bytes.HasPrefix(body, n.Bytes()))
			require.LessOrEqual(t, len(n.log), 8, "%v", n.log)
			require.NoError(t, resp.Body.Close())
			_, again := resp.Body.(io.WriterTo).WriteTo(io.Discard)
			if fail == 0 {
				require.NoError(t, err)
				require.Len(t, n.Bytes(), len(body))
				continue
			}
			require.Error(t, err)
			require.Error(t, again, "the body was closed")
		}
	}
}

// wrapped is a caller's Store around a Memory, which cannot know when its bodies are no longer used.
type wrapped struct{ m *cache.Memory }

func (w wrapped) Get(ctx context.Context, key string) (*cache.Entry, error) { return w.m.Get(ctx, key) }
func (w wrapped) Put(ctx context.Context, key string, e *cache.Entry) error {
	return w.m.Put(ctx, key, e)
}

func TestBodiesOfAWrappedMemoryStayWhole(t *testing.T) {
	m := cache.NewMemory(1 << 20)
	body := noise(200_000, 8)
	c := &cache.Transport{Store: wrapped{m}, Base: &scripted{answer: func(r *http.Request, _ int64) reply {
		if r.URL.String() == segURL {
			return reply{header: head("Content-Type", "video/mp2t"), body: bytes.NewReader(body)}
		}
		return text(string(noise(100_000, 9)), "Content-Type", "video/mp2t")
	}}}
	fetch(t, c, segURL)
	resp, err := c.RoundTrip(request(t, t.Context(), segURL))
	require.NoError(t, err)
	require.Equal(t, "hlsproxy; hit", resp.Header.Get("Cache-Status"))
	e, err := m.Get(t.Context(), segURL)
	require.NoError(t, err)
	for i := range 50 {
		fetch(t, c, fmt.Sprintf("http://o/%d.ts", i))
	}
	require.LessOrEqual(t, m.Size(), int64(1<<20))
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.True(t, bytes.Equal(body, got))
	got, err = io.ReadAll(io.NewSectionReader(e.Body, 0, e.Body.Size()))
	require.NoError(t, err)
	require.True(t, bytes.Equal(body, got))
}

func TestThePeekedByteIsStillRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		c := &cache.Transport{Store: store(t), Base: &scripted{answer: func(*http.Request, int64) reply {
			return reply{header: head("Content-Type", "video/mp2t", "Cache-Control", "max-age=60"), body: p, length: 5}
		}}}
		resp, err := c.RoundTrip(request(t, t.Context(), segURL))
		require.NoError(t, err)
		go func() {
			synctest.Wait()
			p.send("abcde", io.EOF)
		}()
		for range 2 {
			first, err := firstbyte.Of(resp.Body)
			require.NoError(t, err)
			require.Equal(t, byte('a'), first)
		}
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "abcde", string(got))
		_, err = firstbyte.Of(resp.Body)
		require.Equal(t, io.EOF, err)
		require.NoError(t, resp.Body.Close())

		resp, err = c.RoundTrip(request(t, t.Context(), segURL, "Range", "bytes=2-3"))
		require.NoError(t, err)
		first, err := firstbyte.Of(resp.Body)
		require.NoError(t, err)
		require.Equal(t, byte('c'), first)
		var n noted
		_, err = resp.Body.(io.WriterTo).WriteTo(&n)
		require.NoError(t, err)
		require.Equal(t, "cd", n.String())
		require.NoError(t, resp.Body.Close())
		_, err = firstbyte.Of(resp.Body)
		require.Equal(t, http.ErrBodyReadAfterClose, err)
	})
}

func TestAPeekFailsAsAReadDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		c := &cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply {
			return reply{header: head("Content-Type", "video/mp2t"), body: p, length: 5}
		}}}
		resp, err := c.RoundTrip(request(t, t.Context(), segURL))
		require.NoError(t, err)
		go p.send("", errors.New("broken"))
		_, err = firstbyte.Of(resp.Body)
		require.ErrorIs(t, err, cache.ErrBroken)
		_, again := resp.Body.Read(make([]byte, 1))
		require.Equal(t, err, again)
		require.NoError(t, resp.Body.Close())
	})
}
