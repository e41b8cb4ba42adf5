// Command stampede lets 500 clients request one segment at once. No cache has it yet, and its origin sends it over two seconds,
// a little every 20 ms: through this library's whole chain, nginx with proxy_cache_lock, and Varnish. It prints how often the
// origin was asked, when the first byte of the body came, how far the last byte was behind the origin's, and the CPU that the
// server took. Each server is alone on CPU 0; clients and origin share CPU 1. Missing servers are left out.
//
//	go run ./stampede [-rounds 5] [-clients 500] [-chunked]
package main

import (
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
	"github.com/hlsproxy/hlsproxy/internal/bench/lineup"
)

func main() {
	log.SetFlags(0)
	lineup.Serve()
	rounds := flag.Int("rounds", 5, "interleaved rounds, of about three seconds for each server")
	clients := flag.Int("clients", 500, "clients at once")
	chunked := flag.Bool("chunked", false, "the origin does not say how long the segment is")
	flag.Parse()
	if err := run(*rounds, *clients, *chunked); err != nil {
		log.Fatal(err)
	}
}

func run(rounds, clients int, chunked bool) error {
	s, err := hammer.NewServers()
	if err != nil {
		return err
	}
	defer s.Stop()
	o := &origin{chunked: chunked, ends: map[string][]time.Time{}}
	if err := lineup.Start(s, o, "proxy_cache_valid 200 1h;", "-p", "thread_pool_min=500"); err != nil {
		return err
	}
	figures, err := lineup.Rounds(s, rounds, func(server hammer.Server, round int) (figure, error) {
		return crowd(server, o, fmt.Sprintf("/%d.ts", round), clients)
	})
	if err != nil {
		return err
	}
	report(s.All, figures)
	return nil
}
