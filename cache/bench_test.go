package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
)

func BenchmarkHit(b *testing.B) {
	for _, size := range []int{1 << 10, 200 << 10, 2 << 20} {
		b.Run(fmt.Sprint(size>>10, "KB"), func(b *testing.B) {
			body := string(noise(size, 1))
			o := &scripted{answer: func(*http.Request, int64) reply {
				return text(body, "Content-Type", "video/mp2t", "ETag", `"1"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT",
					"Date", "Mon, 02 Jan 2006 15:04:05 GMT", "Server", "x", "Cache-Control", "max-age=1000000")
			}}
			c := &cache.Transport{Base: o, Store: cache.NewMemory(64 << 20)}
			r := request(b, b.Context(), segURL)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := c.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				resp.Body.(io.WriterTo).WriteTo(io.Discard)
				resp.Body.Close()
			}
		})
	}
}

// BenchmarkHitOnManyProcessors reports the share of their time that all goroutines waited for a lock.
func BenchmarkHitOnManyProcessors(b *testing.B) {
	for _, procs := range []int{1, 2, 4, 8, 16} {
		b.Run(fmt.Sprint(procs), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			body := string(noise(1<<10, 1))
			o := &scripted{answer: func(*http.Request, int64) reply {
				return text(body, "Content-Type", "video/mp2t", "Cache-Control", "max-age=1000000")
			}}
			c := &cache.Transport{Base: o, Store: cache.NewMemory(64 << 20)}
			var questions [256]*http.Request
			for i := range questions {
				questions[i] = request(b, b.Context(), fmt.Sprintf("http://o/%d.ts", i))
				fetch(b, c, questions[i].URL.String())
			}
			waited, began := lockWait(), time.Now()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					resp, err := c.RoundTrip(questions[i%len(questions)])
					if err != nil {
						b.Error(err)
						return
					}
					resp.Body.(io.WriterTo).WriteTo(io.Discard)
					resp.Body.Close()
				}
			})
			all := time.Since(began).Seconds() * float64(procs)
			b.ReportMetric(100*(lockWait()-waited)/all, "%waiting")
		})
	}
}

// lockWait is how long goroutines have waited for locks so far, in seconds.
func lockWait() float64 {
	sample := []metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64()
}

func BenchmarkMissAndEvict(b *testing.B) {
	body := string(noise(200<<10, 1))
	o := &scripted{answer: func(*http.Request, int64) reply { return text(body, "Content-Type", "video/mp2t") }}
	c := &cache.Transport{Base: o, Store: cache.NewMemory(64 << 20)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		resp, err := c.RoundTrip(request(b, b.Context(), fmt.Sprintf("http://o/%d.ts", i)))
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.(io.WriterTo).WriteTo(io.Discard)
		resp.Body.Close()
	}
}
