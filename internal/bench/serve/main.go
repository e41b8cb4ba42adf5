// Command serve measures how fast cached bodies go out, side by side in one run: this library's whole chain without
// signing, nginx proxy_cache (the better of tcp_nopush on and off), Varnish, and http.ServeContent. Each server is
// alone on CPU 0 and the load on CPU 1; contenders take turns, and what is printed are medians over the rounds and
// ratios of medians. nginx and varnishd must be on the PATH (Debian's packages do); a missing one is left out.
//
//	go run ./serve [-rounds 7] [-time 1s] [-c 64] [-only 200KB]
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"
)

// load is one thing to ask for, over and over.
type load struct {
	name, path, header string
	bytes              int64 // of body, in each answer
}

var loads = []load{
	{"1KB", "/1KB.ts", "", 1 << 10},
	{"200KB", "/200KB.ts", "", 200 << 10},
	{"2MB", "/2MB.ts", "", 2 << 20},
	{"8MB", "/8MB.ts", "", 8 << 20},
	{"2MB bytes=0-1", "/2MB.ts", "Range: bytes=0-1\r\n", 2},
	{"2MB 64KB range", "/2MB.ts", "Range: bytes=1000000-1065535\r\n", 64 << 10},
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
	flag.Parse()

	contenders, stop, err := start()
	if err != nil {
		log.Fatal(err)
	}
	defer stop()
	for _, l := range loads {
		if strings.Contains(l.name, *only) {
			report(l, measure(l, contenders, *rounds, *conns, *span))
		}
	}
}

// measure takes turns: one measurement of each contender, then the next round.
func measure(l load, contenders []contender, rounds, conns int, span time.Duration) map[string][]float64 {
	rates := map[string][]float64{}
	for round := -1; round < rounds; round++ { // round -1 warms the caches up
		for _, c := range contenders {
			rate, err := hammer(c.addr, l, conns, span)
			if err != nil {
				log.Fatalf("%s, %s: %v", c.name, l.name, err)
			}
			if round >= 0 {
				rates[c.name] = append(rates[c.name], rate)
			}
		}
	}
	return rates
}

func report(l load, rates map[string][]float64) {
	mid := map[string]float64{}
	for name, r := range rates {
		slices.Sort(r)
		mid[name] = r[len(r)/2]
	}
	best := max(mid["nginx nopush"], mid["nginx"])
	fmt.Printf("%s\n", l.name)
	for _, name := range []string{"hlsproxy", "nginx", "nginx nopush", "varnish", "ServeContent"} {
		r := rates[name]
		if len(r) == 0 {
			continue
		}
		fmt.Printf("  %-13s %9.0f req/s  (%.0f to %.0f)", name, mid[name], r[0], r[len(r)-1])
		if name == "hlsproxy" {
			for _, other := range []struct {
				name string
				rate float64
			}{{"nginx-best", best}, {"varnish", mid["varnish"]}, {"ServeContent", mid["ServeContent"]}} {
				if other.rate > 0 {
					fmt.Printf("  %.2fx %s", mid[name]/other.rate, other.name)
				}
			}
		}
		fmt.Println()
	}
}
