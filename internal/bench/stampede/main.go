// Command stampede lets 500 clients ask at once for a segment that no cache has yet and that its origin sends over two
// seconds, a little every 20 ms: through this library's whole chain, nginx with proxy_cache_lock, and Varnish. It prints how
// often the origin was asked, when the first byte of the body came, how far the last one was behind the origin's, and the
// CPU that the server took. Each server is alone on CPU 0; clients and origin share CPU 1. What is missing is left out.
//
//	go run ./stampede [-rounds 5] [-clients 500] [-chunked]
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/chain"
	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

func main() {
	log.SetFlags(0)
	if upstream := os.Getenv("BENCH_STAMPEDE_ORIGIN"); upstream != "" {
		log.Fatal(serve(upstream))
	}
	rounds := flag.Int("rounds", 5, "interleaved rounds, of about three seconds for each server")
	clients := flag.Int("clients", 500, "clients at once")
	chunked := flag.Bool("chunked", false, "the origin does not say how long the segment is")
	flag.Parse()
	if err := run(*rounds, *clients, *chunked); err != nil {
		log.Fatal(err)
	}
}

// serve is this program as the library's server.
func serve(upstream string) error {
	h, err := chain.New(upstream)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, h)
}

func run(rounds, clients int, chunked bool) error {
	s, err := hammer.NewServers()
	if err != nil {
		return err
	}
	defer s.Stop()
	o := &origin{chunked: chunked, ends: map[string][]time.Time{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, o)
	if err := start(s, l.Addr().String()); err != nil {
		return err
	}
	figures := make([][]figure, len(s.All))
	for round := range rounds {
		for i, server := range s.All {
			f, err := crowd(server, o, fmt.Sprintf("/%d.ts", round), clients)
			if err != nil {
				return fmt.Errorf("%s: %w", server.Name, err)
			}
			figures[i] = append(figures[i], f)
		}
	}
	report(s.All, figures)
	return nil
}

func start(s *hammer.Servers, origin string) error {
	server, err := s.Self("hlsproxy", "0", "BENCH_STAMPEDE_ORIGIN=http://"+origin+"/")
	if err != nil {
		return err
	}
	s.All = append(s.All, server)
	err = s.Varnish(origin, "-p", "thread_pool_min=500")
	if errors.Is(err, exec.ErrNotFound) {
		log.Print("no varnishd: left out")
	} else if err != nil {
		return err
	}
	err = s.Nginx(func(addr, home string) string {
		return fmt.Sprintf(`  proxy_cache_path %s/cache keys_zone=z:10m max_size=1g use_temp_path=off;
  server {
    listen %s backlog=4096;
    location / { proxy_pass http://%s; proxy_cache z; proxy_cache_valid 200 1h; proxy_cache_lock on; }
  }`, home, addr, origin)
	})
	if errors.Is(err, exec.ErrNotFound) {
		log.Print("no nginx: left out")
		err = nil
	}
	s.All = slices.DeleteFunc(s.All, func(server hammer.Server) bool { return server.Name == "nginx nopush" })
	return err
}
