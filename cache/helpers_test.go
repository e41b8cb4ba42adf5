package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// trip is an http.RoundTripper made of a function.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// reply is an answer of a scripted origin.
type reply struct {
	status int // 0: 200
	header http.Header
	body   io.Reader
	length int64 // 0: the length of body if that is known, else -1
}

func (a reply) response(r *http.Request) *http.Response {
	resp := &http.Response{StatusCode: max(a.status, 200), Header: http.Header{}, Request: r, ContentLength: -1}
	maps.Copy(resp.Header, a.header)
	body := a.body
	if body == nil {
		body = strings.NewReader("")
	}
	if l, ok := body.(interface{ Len() int }); ok {
		resp.ContentLength = int64(l.Len())
	}
	if a.length != 0 {
		resp.ContentLength = a.length
	}
	resp.Body = io.NopCloser(body)
	if c, ok := body.(io.ReadCloser); ok {
		resp.Body = c
	}
	return resp
}

// scripted is a fake origin that answers by a function of the path, and counts requests.
type scripted struct {
	asked  atomic.Int64
	answer func(r *http.Request, n int64) reply
}

func (o *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	return o.answer(r, o.asked.Add(1)).response(r), nil
}

func text(body string, header ...string) reply {
	return reply{header: head(header...), body: strings.NewReader(body)}
}

func head(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func request(t testing.TB, ctx context.Context, url string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	for k, v := range head(header...) {
		r.Header[k] = v
	}
	return r
}

// fetch asks for url and reads the whole answer.
func fetch(t testing.TB, rt http.RoundTripper, url string, header ...string) (*http.Response, string) {
	t.Helper()
	resp, body, err := try(t, rt, url, header...)
	require.NoError(t, err)
	return resp, body
}

// try is fetch for answers that may fail, before or after the header.
func try(t testing.TB, rt http.RoundTripper, url string, header ...string) (*http.Response, string, error) {
	t.Helper()
	resp, err := rt.RoundTrip(request(t, context.Background(), url, header...))
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// noise is n bytes that differ everywhere.
func noise(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func live(target int, segments ...string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:1\n", target)
	for _, s := range segments {
		fmt.Fprintf(&b, "#EXTINF:%d,\n%s\n", target, s)
	}
	return b.String()
}

func store(t testing.TB) *cache.Memory {
	t.Helper()
	return cache.NewMemory(64 << 20)
}

const (
	segURL  = "http://origin.example/live/seg1.ts"
	listURL = "http://origin.example/live/index.m3u8"
)

// heap is the memory in use. It means nothing under the race detector, which has the bodies in the heap as well.
func heap() int64 {
	if raceEnabled {
		return 0
	}
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
