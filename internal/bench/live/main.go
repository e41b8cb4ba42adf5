// Command live lets thousands of viewers watch a live stream: each asks for its playlist every two seconds and for every
// new segment of 200 KB, through this library's whole chain, nginx and Varnish. It prints the CPU that each server took, its
// memory for each viewer, and how long answers took. Each server is alone on CPU 0; viewers and origin share CPU 1. What is
// missing is left out.
//
//	go run ./live [-viewers 5000] [-rounds 2] [-time 8s]
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
	if upstream := os.Getenv("BENCH_LIVE_ORIGIN"); upstream != "" {
		log.Fatal(serve(upstream))
	}
	viewers := flag.Int("viewers", 5000, "viewers")
	rounds := flag.Int("rounds", 2, "interleaved rounds")
	span := flag.Duration("time", 8*time.Second, "what is measured in each, after four seconds to begin")
	flag.Parse()
	if err := run(*viewers, *rounds, *span); err != nil {
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

func run(viewers, rounds int, span time.Duration) error {
	s, err := hammer.NewServers()
	if err != nil {
		return err
	}
	defer s.Stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, origin{time.Now()})
	if err := start(s, l.Addr().String()); err != nil {
		return err
	}
	figures := make([][]figure, len(s.All))
	for range rounds {
		for i, server := range s.All {
			f, err := watch(server, viewers, span)
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
	server, err := s.Self("hlsproxy", "0", "BENCH_LIVE_ORIGIN=http://"+origin+"/")
	if err != nil {
		return err
	}
	s.All = append(s.All, server)
	err = s.Varnish(origin)
	if errors.Is(err, exec.ErrNotFound) {
		log.Print("no varnishd: left out")
	} else if err != nil {
		return err
	}
	err = s.Nginx(func(addr, home string) string {
		return fmt.Sprintf(`  proxy_cache_path %s/cache keys_zone=z:10m max_size=1g use_temp_path=off;
  server {
    listen %s backlog=4096;
    location / { proxy_pass http://%s; proxy_cache z; proxy_cache_lock on; proxy_cache_use_stale updating; proxy_cache_background_update on; }
  }`, home, addr, origin)
	})
	if errors.Is(err, exec.ErrNotFound) {
		log.Print("no nginx: left out")
		err = nil
	}
	s.All = slices.DeleteFunc(s.All, func(server hammer.Server) bool { return server.Name == "nginx nopush" })
	return err
}
