package chain_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/bench/chain"
)

// BenchmarkCores is the chain's handler alone, with as many requests at a time as there are processors. It reports the share of
// this time for which requests waited for locks, and how many locks were taken by others, for each thousand requests.
//
//	go test -run - -bench Cores -cpu 1,2,4,8,16 ./chain
//
// With more processors than the machine has cores, the kernel also stops those who hold a lock, and others wait for them for
// milliseconds. Where each processor is a core of its own, that does not happen. Then the count says more than the time.
func BenchmarkCores(b *testing.B) {
	defer runtime.SetMutexProfileFraction(runtime.SetMutexProfileFraction(1))
	for _, w := range []struct {
		name string
		path func(i int) string // of request i of a viewer
	}{
		{"hits on one key", func(int) string { return segment(0) }},
		{"hits on many keys", segment},
		{"one miss in ten", func(i int) string {
			if i%10 == 0 {
				return fmt.Sprintf("/once/%d.ts", once.Add(1))
			}
			return segment(i)
		}},
		{"live", newest},
	} {
		b.Run(w.name, func(b *testing.B) {
			h, err := chain.Above(origin{}, "http://origin.example/", cache.NewMemory(64<<20))
			if err != nil {
				b.Fatal(err)
			}
			for i := range 5000 { // fills the cache
				ask(b, h, w.path(i))
			}
			b.ReportAllocs()
			b.ResetTimer()
			began, wait, busy := time.Now(), lockWait(), busyLocks()
			var viewers atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for i := int(viewers.Add(1)) * 331; pb.Next(); i++ {
					ask(b, h, w.path(i))
					runtime.Gosched() // a server's goroutine waits for the next request; others would wait up to 10 ms for this one
				}
			})
			all := time.Since(began).Seconds() * float64(runtime.GOMAXPROCS(0))
			b.ReportMetric(100*(lockWait()-wait)/all, "%waiting")
			b.ReportMetric(1000*float64(busyLocks()-busy)/float64(b.N), "busy/1000")
		})
	}
}

// origin is one without a network. Its live streams have a new segment every 100 ms, twenty times as often as usual, because
// viewers come more often, too. So about one request in fifty leads to the origin.
type origin struct{}

const (
	streams = 64
	pace    = 100 * time.Millisecond
)

var (
	began = time.Now()
	once  atomic.Int64
	media = bytes.Repeat([]byte("media "), 16<<10/6)
)

// segment is the path of one of a thousand segments, in an order that no stream has.
func segment(i int) string { return segments[i*389%len(segments)] }

var segments = func() (paths [1024]string) {
	for i := range paths {
		paths[i] = fmt.Sprintf("/film/%d.ts", i)
	}
	return paths
}()

// newest are the playlist of one of the live streams, and then the newest segment in it.
func newest(i int) string {
	stream := i / 2 % streams
	if i%2 == 0 {
		return fmt.Sprintf("/live/%d/index.m3u8", stream)
	}
	return fmt.Sprintf("/live/%d/%d.ts", stream, edge(stream)-1)
}

// edge is the number of the first segment that a live stream does not have yet.
func edge(stream int) int {
	return 6 + int((time.Since(began)+pace*time.Duration(stream)/streams)/pace)
}

func (origin) RoundTrip(r *http.Request) (*http.Response, error) {
	body, kind := media, "video/mp2t"
	if stream := 0; strings.HasSuffix(r.URL.Path, ".m3u8") {
		if _, err := fmt.Sscanf(r.URL.Path, "/live/%d/", &stream); err != nil {
			return nil, err
		}
		last := edge(stream)
		kind = "application/vnd.apple.mpegurl"
		body = fmt.Appendf(nil, "#EXTM3U\n#EXT-X-TARGETDURATION:%v\n#EXT-X-MEDIA-SEQUENCE:%d\n", pace.Seconds(), last-6)
		for i := range 6 {
			body = fmt.Appendf(body, "#EXTINF:%v,\n%d.ts\n", pace.Seconds(), last-6+i)
		}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header:        http.Header{"Content-Type": {kind}, "Etag": {`"1"`}, "Server": {"origin"}},
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

var header = http.Header{"User-Agent": {"player"}, "Accept": {"*/*"}, "Origin": {"https://page.example"}}

func ask(b *testing.B, h http.Handler, path string) {
	w := nowhere{header: http.Header{}}
	h.ServeHTTP(&w, &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: path}, Header: header, Body: http.NoBody,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	})
	if w.status != http.StatusOK || w.bytes == 0 {
		b.Errorf("%s: %d, %d bytes", path, w.status, w.bytes)
	}
}

// nowhere is a client that takes everything at once.
type nowhere struct {
	header        http.Header
	status, bytes int
}

func (w *nowhere) Header() http.Header { return w.header }

func (w *nowhere) WriteHeader(status int) { w.status = status }

func (w *nowhere) FlushError() error { return nil }

func (w *nowhere) SetWriteDeadline(time.Time) error { return nil }

func (w *nowhere) Write(p []byte) (int, error) {
	w.bytes += len(p)
	return len(p), nil
}

// lockWait is how long goroutines have waited for locks so far, in seconds. The runtime's own locks are among them.
func lockWait() float64 {
	sample := []metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64()
}

// busyLocks is how often a goroutine has found a lock of package sync taken so far.
func busyLocks() (n int64) {
	all := make([]runtime.BlockProfileRecord, 1000)
	for {
		n, ok := runtime.MutexProfile(all)
		if all = all[:min(n, len(all))]; ok {
			break
		}
		all = make([]runtime.BlockProfileRecord, 2*n)
	}
	for _, r := range all {
		if f := runtime.FuncForPC(r.Stack0[0]); f != nil && strings.HasPrefix(f.Name(), "sync.") {
			n += r.Count
		}
	}
	return n
}
