// Command origin measures what the upstream side adds: the latency of a miss and of a hit through the whole chain, compared
// with a request to the origin itself; how long a failover takes; and what the guard adds to a dial and to the header of an
// answer. Only the ratios have a meaning. It takes about half a minute.
//
//	go run ./origin [-n 3000]
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/chain"
)

func main() {
	n := flag.Int("n", 3000, "requests of each kind")
	flag.Parse()
	for _, size := range []int{1 << 10, 1 << 20} {
		latency(size, *n*1024/(1024+size/1024))
	}
	failover(*n / 10)
	dials()
	headers()
}

// latency lets a direct request, a miss and a hit take turns, so that other work of the machine affects all of them.
func latency(size, n int) {
	origin := httptest.NewServer(media(size))
	defer origin.Close()
	front := httptest.NewServer(must(chain.New(origin.URL + "/")))
	defer front.Close()
	var direct, miss, hit []time.Duration
	for i := range n + n/10 {
		path := fmt.Sprintf("/%d.ts", i)
		times := []time.Duration{get(origin.URL + path), get(front.URL + path), get(front.URL + path)}
		if i < n/10 {
			continue // connections, buffers and the cache grow
		}
		direct, miss, hit = append(direct, times[0]), append(miss, times[1]), append(hit, times[2])
	}
	fmt.Printf("latency of %d KiB, %d requests of each kind\n", size>>10, n)
	for _, row := range []struct {
		name  string
		times []time.Duration
	}{{"direct", direct}, {"miss", miss}, {"hit", hit}} {
		fmt.Printf("  %-10s p50 %10v  p99 %10v  %5.2fx direct, adds %v\n", row.name, at(row.times, 50), at(row.times, 99),
			float64(at(row.times, 50))/float64(at(direct, 50)), at(row.times, 50)-at(direct, 50))
	}
}

// media answers each path with a segment.
func media(size int) http.Handler {
	body := bytes.Repeat([]byte{0x47}, size)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "video/mp2t")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(body)
	})
}

func get(url string) time.Duration {
	begun := time.Now()
	resp := must(http.Get(url))
	_, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		log.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return time.Since(begun)
}

// at returns a percentile. It sorts the times.
func at(times []time.Duration, percent int) time.Duration {
	slices.Sort(times)
	return times[min(len(times)*percent/100, len(times)-1)].Round(time.Microsecond)
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
