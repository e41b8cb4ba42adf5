package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

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
