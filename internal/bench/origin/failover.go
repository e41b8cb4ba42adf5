package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/origin"
)

const hedged = "is silent, with a hedge of 200 ms"

// failover kills one of three origins under steady requests, in each of the ways in which origins die. Every request must be
// answered. The slow ones are those that notice the death.
func failover(n int) {
	fmt.Printf("one of three origins dies under %d requests a second: latency in the next 3 s\n", n)
	for _, way := range []string{"nobody", "refuses", "resets", "says 500", "is silent", hedged} {
		calm, dead := die(way, n)
		fmt.Printf("  %-33s before p50 %8v p99 %8v   after p50 %8v p99 %10v longest %10v\n",
			way, at(calm, 50), at(calm, 99), at(dead, 50), at(dead, 99), at(dead, 100))
	}
}

func die(way string, n int) (calm, dead []time.Duration) {
	var dying atomic.Bool
	healthy := media(1 << 10)
	var servers []*httptest.Server
	var urls []string
	for i := range 3 {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if i > 0 || !dying.Load() {
				healthy.ServeHTTP(w, r)
				return
			}
			switch way {
			case "says 500":
				http.Error(w, "", http.StatusInternalServerError)
			case "is silent", hedged:
				<-r.Context().Done()
			case "resets":
				conn, _, _ := http.NewResponseController(w).Hijack()
				_ = conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			default:
				healthy.ServeHTTP(w, r)
			}
		}))
		defer s.Close()
		servers, urls = append(servers, s), append(urls, s.URL)
	}
	guard := must(origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}))
	base := guard.Transport()
	defer base.CloseIdleConnections()
	config := origin.PoolConfig{Origins: urls, Base: base}
	if way == hedged {
		config.Hedge = 200 * time.Millisecond
	}
	pool := must(origin.NewPool(config))
	front := httptest.NewServer(&origin.Proxy{
		Transport: pool, Upstream: func(u *url.URL) (string, error) { return urls[0] + u.Path, nil },
	})
	defer front.Close()
	calm = steady(front.URL, n, time.Second)
	dying.Store(true)
	if way == "refuses" {
		servers[0].CloseClientConnections()
		servers[0].Listener.Close()
	}
	return calm, steady(front.URL, 3*n, 3*time.Second)
}

// steady requests n segments of as many streams in the given time. It does not wait for one answer before the next request.
func steady(front string, n int, during time.Duration) []time.Duration {
	times := make([]time.Duration, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { times[i] = get(fmt.Sprintf("%s/%d/a.ts", front, i)) })
		time.Sleep(during / time.Duration(n))
	}
	wg.Wait()
	return times
}
