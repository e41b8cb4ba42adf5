// Command live lets thousands of viewers watch a live stream. Each requests the playlist every two seconds, and every new
// segment of 200 KB, through this library's whole chain, nginx and Varnish, and from a bare handler on net/http. It prints the
// CPU that each server took, its memory for each viewer, and how long answers took. Each server is alone on CPU 0; viewers and
// origin share CPU 1. Missing servers are left out.
//
//	go run ./live [-viewers 5000] [-rounds 2] [-time 8s]
package main

import (
	"flag"
	"log"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
	"github.com/hlsproxy/hlsproxy/internal/bench/lineup"
)

func main() {
	log.SetFlags(0)
	lineup.Serve()
	serveBare()
	viewers := flag.Int("viewers", 5000, "viewers")
	rounds := flag.Int("rounds", 2, "interleaved rounds")
	span := flag.Duration("time", 8*time.Second, "what is measured in each, after four seconds to begin")
	flag.Parse()
	if err := run(*viewers, *rounds, *span); err != nil {
		log.Fatal(err)
	}
}

func run(viewers, rounds int, span time.Duration) error {
	s, err := hammer.NewServers()
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := lineup.Start(s, origin{time.Now()}, "proxy_cache_use_stale updating; proxy_cache_background_update on;"); err != nil {
		return err
	}
	bare, err := s.Self("bare", "0", bareRole+"=1")
	if err != nil {
		return err
	}
	s.All = append(s.All, bare)
	figures, err := lineup.Rounds(s, rounds, func(server hammer.Server, _ int) (figure, error) {
		return watch(server, viewers, span)
	})
	if err != nil {
		return err
	}
	report(s.All, figures)
	return nil
}
