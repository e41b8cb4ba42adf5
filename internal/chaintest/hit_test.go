//go:build !race

package chaintest_test

import (
	"bufio"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/stretchr/testify/require"
)

// nowhere is a client that takes everything at once.
type nowhere struct {
	header http.Header
	status int
	bytes  int
}

func (w *nowhere) Header() http.Header              { return w.header }
func (w *nowhere) WriteHeader(status int)           { w.status = status }
func (w *nowhere) Write(p []byte) (int, error)      { w.bytes += len(p); return len(p), nil }
func (w *nowhere) FlushError() error                { return nil }
func (w *nowhere) SetWriteDeadline(time.Time) error { return nil }

// An answer from the cache makes this much garbage in the whole chain, for each segment of each viewer.
func TestAHitThroughTheChainAllocatesLittle(t *testing.T) {
	ch := newChain(t, chainConfig{})
	ch.origin.Handle("/seg1.ts", faultorigin.Script{
		Header: http.Header{"Content-Type": {"video/mp2t"}, "Etag": {`"1"`}, "Cache-Control": {"max-age=1000"}}, Body: make([]byte, 200<<10),
	})
	for name, row := range map[string]struct {
		field         string
		status, bytes int
		most, memory  uint64
	}{
		"whole": {"", 200, 200 << 10, 5, 2000},
		"range": {"bytes=1000-65999", 206, 65000, 6, 2100},
	} {
		r := httptest.NewRequest(http.MethodGet, "/live/seg1.ts", nil)
		if row.field != "" {
			r.Header.Set("Range", row.field)
		}
		w := nowhere{header: http.Header{}}
		ask := func() {
			clear(w.header)
			w.bytes = 0
			ch.Config.Handler.ServeHTTP(&w, r)
		}
		ask()
		require.Equal(t, row.status, w.status, name)
		require.Equal(t, row.bytes, w.bytes, name)
		count, memory := leastGarbage(ask)
		require.LessOrEqual(t, count, row.most, name)
		require.LessOrEqual(t, memory, row.memory, name)
	}
}

// A live playlist is rewritten for each viewer, every few seconds.
func TestALivePlaylistAllocatesLittle(t *testing.T) {
	ch := newChain(t, chainConfig{})
	list := "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:5994\n" + strings.Repeat("#EXTINF:2,\nsegment-00005994.ts\n", 6)
	ch.origin.Handle("/index.m3u8", faultorigin.Script{
		Header: http.Header{"Content-Type": {"application/vnd.apple.mpegurl"}, "Cache-Control": {"max-age=1000"}}, Body: []byte(list),
	})
	r := httptest.NewRequest(http.MethodGet, "/live/index.m3u8", nil)
	w := nowhere{header: http.Header{}}
	ask := func() {
		clear(w.header)
		w.bytes = 0
		ch.Config.Handler.ServeHTTP(&w, r)
	}
	ask()
	require.Equal(t, 200, w.status)
	require.NotZero(t, w.bytes)
	count, memory := leastGarbage(ask)
	require.LessOrEqual(t, count, uint64(30))
	require.LessOrEqual(t, memory, uint64(7<<10))
}

// leastGarbage is how often f allocates, and how many bytes, in the best of some rounds, because allocations of others count as
// well.
func leastGarbage(f func()) (count, bytes uint64) {
	const rounds, times = 10, 200
	count, bytes = math.MaxUint64, math.MaxUint64
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range times {
			f()
		}
		runtime.ReadMemStats(&after)
		count, bytes = min(count, (after.Mallocs-before.Mallocs)/times), min(bytes, (after.TotalAlloc-before.TotalAlloc)/times)
	}
	return count, bytes
}

// net/http writes its header deep below the chain, and needs half of a stack of 8 KiB for it. A handler that needs more than the
// other half doubles the stack of each connection.
func TestAViewerMakesDoWithASmallStack(t *testing.T) {
	ch := newChain(t, chainConfig{signed: true})
	ch.origin.Handle("/seg1.ts", faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp2t"}}, Body: make([]byte, 200<<10)})
	link := must(ch.signer.URL("/live/seg1.ts"))
	addr := ch.Listener.Addr().String()
	const viewers = 200
	ask := func() {
		conn := must(net.Dial("tcp", addr))
		t.Cleanup(func() { conn.Close() })
		must(io.WriteString(conn, "GET "+link+" HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\nAccept: */*\r\nOrigin: https://page.example\r\n\r\n"))
		in := bufio.NewReaderSize(conn, 512)
		resp := must(http.ReadResponse(in, nil))
		must(io.Copy(io.Discard, resp.Body))
	}
	ask()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it shrinks stacks
	before := stacks()
	for range viewers {
		ask()
	}
	require.Less(t, (stacks()-before)/viewers, uint64(12<<10))
}

func stacks() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.StackInuse
}
