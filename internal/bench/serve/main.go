// Command serve measures how fast cached bodies go out, side by side in one run: from this library's whole chain without
// signing, nginx proxy_cache (the better of tcp_nopush on and off), Varnish, and http.ServeContent. Each server is alone on CPU
// 0, and the load on CPU 1. Contenders take turns. It prints medians over the rounds with their spread, and ratios of medians:
// of answers per second, and of the server's CPU per answer. The latter hold on a busy machine, too. nginx and varnishd must be
// on the PATH (Debian's packages do); a missing one is left out.
//
// With -over tls or -over h2, bodies go over TLS 1.3, in HTTP/1.1 or HTTP/2. Varnish has no TLS and is then left out.
//
//	go run ./serve [-rounds 7] [-time 1s] [-c 64] [-only 200KB] [-over tls]
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

var loads = []hammer.Load{
	{Name: "1KB", Path: "/1KB.ts", Bytes: 1 << 10},
	{Name: "200KB", Path: "/200KB.ts", Bytes: 200 << 10},
	{Name: "2MB", Path: "/2MB.ts", Bytes: 2 << 20},
	{Name: "8MB", Path: "/8MB.ts", Bytes: 8 << 20},
	{Name: "2MB bytes=0-1", Path: "/2MB.ts", Header: "Range: bytes=0-1\r\n", Bytes: 2},
	{Name: "2MB 64KB range", Path: "/2MB.ts", Header: "Range: bytes=1000000-1065535\r\n", Bytes: 64 << 10},
}

func main() {
	log.SetFlags(0)
	if role := os.Getenv("BENCH_SERVE_ROLE"); role != "" {
		runRole(role)
		return
	}
	rounds := flag.Int("rounds", 7, "interleaved rounds")
	span := flag.Duration("time", time.Second, "length of one measurement")
	conns := flag.Int("c", 64, "connections")
	only := flag.String("only", "", "run the loads whose name contains this")
	over := hammer.Plain
	flag.Func("over", "how answers travel: plain, tls or h2 (default plain)", over.Parse)
	flag.Parse()

	if err := run(over, *rounds, *conns, *span, *only); err != nil {
		log.Fatal(err)
	}
}

func run(over hammer.Over, rounds, conns int, span time.Duration, only string) error {
	s, err := hammer.NewServers()
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := start(s, over); err != nil {
		return err
	}
	for _, l := range loads {
		if !strings.Contains(l.Name, only) {
			continue
		}
		l.Over = over
		figures, err := l.Measure(s.All, rounds, conns, span)
		if err != nil {
			return err
		}
		fmt.Println(l.Name)
		hammer.Report(figures)
	}
	for _, server := range s.All {
		if bytes, err := server.PSS(); err == nil {
			fmt.Printf("%-13s %6.1f MiB PSS\n", server.Name, float64(bytes)/(1<<20))
		}
	}
	return nil
}
