// Command endless lets a thousand viewers watch one MPEG-TS stream of 4 Mbit/s that has no end, through this library's whole
// chain, and from a handler on net/http that only passes on what comes. For comparison, as many viewers fetch cached segments
// of the same rate through the same chain. It prints the CPU that each server took, its memory for each viewer beyond what one
// viewer needs, and how many connections the origin saw. Each server is alone on CPU 0; viewers and origin share CPU 1.
//
//	go run ./endless [-viewers 1000] [-rounds 3] [-time 8s]
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
	"github.com/hlsproxy/hlsproxy/internal/bench/lineup"
)

func main() {
	log.SetFlags(0)
	lineup.Serve()
	serveBare()
	viewers := flag.Int("viewers", 1000, "viewers")
	rounds := flag.Int("rounds", 3, "interleaved rounds")
	span := flag.Duration("time", 8*time.Second, "what is measured in each, after all viewers have come")
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
	o := &origin{began: time.Now()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, o)
	upstream := "http://" + l.Addr().String() + "/"
	chain, err := s.Self("chain", "0", lineup.Role+"="+upstream)
	if err != nil {
		return err
	}
	bare, err := s.Self("net/http", "0", bareRole+"="+upstream)
	if err != nil {
		return err
	}
	stream, segments, alone := chain, chain, bare
	stream.Name, segments.Name, alone.Name = "stream, chain", "cached segments, chain", "stream, net/http"
	s.All = []hammer.Server{stream, segments, alone}
	figures, err := lineup.Rounds(s, rounds, func(server hammer.Server, _ int) (figure, error) {
		if server.Name == segments.Name {
			return watch(server, viewers, span, polling)
		}
		before := o.opened.Load()
		f, err := watch(server, viewers, span, listening)
		f.opened = o.opened.Load() - before
		return f, err
	})
	if err != nil {
		return err
	}
	report(s.All, figures)
	return nil
}

// report prints the medians of the rounds, and the CPU of the first server as a share of each other's.
func report(servers []hammer.Server, figures [][]figure) {
	median := func(of []figure, what func(figure) float64) float64 {
		var all []float64
		for _, f := range of {
			all = append(all, what(f))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	cores := func(i int) float64 { return median(figures[i], func(f figure) float64 { return f.cores }) }
	fmt.Printf("%-24s %7s %10s %14s %12s\n", "", "cores", "KB/viewer", "Mbit/s/viewer", "connections")
	for i, server := range servers {
		fmt.Printf("%-24s %7.3f %10.1f %14.2f %12.0f", server.Name, cores(i),
			median(figures[i], func(f figure) float64 { return float64(f.memory) / 1024 }), median(figures[i], func(f figure) float64 { return f.rate }),
			median(figures[i], func(f figure) float64 { return float64(f.opened) }))
		if i > 0 {
			fmt.Printf("   %s: %.2fx CPU", servers[0].Name, cores(0)/cores(i))
		}
		fmt.Println()
	}
}
