// Command serve measures how fast cached bodies go out, side by side in one run: this library's whole chain without
// signing, nginx proxy_cache (the better of tcp_nopush on and off), Varnish, and http.ServeContent. Each server is
// alone on CPU 0 and the load on CPU 1; contenders take turns, and what is printed are medians over the rounds, with
// their spread, and ratios of medians: of answers per second, and of what an answer costs the server's CPU, which holds
// on a machine that is busy otherwise, too. nginx and varnishd must be on the PATH (Debian's packages do); a missing one
// is left out.
//
//	go run ./serve [-rounds 7] [-time 1s] [-c 64] [-only 200KB]
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
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
			fmt.Println(l.name)
			report(measure(l, contenders, *rounds, *conns, *span))
		}
	}
	for _, c := range contenders {
		if bytes, err := pss(c.pid); err == nil {
			fmt.Printf("%-13s %6.1f MiB PSS\n", c.name, float64(bytes)/(1<<20))
		}
	}
}

// measure takes turns: one measurement of each contender, then the next round.
func measure(l load, contenders []contender, rounds, conns int, span time.Duration) []figures {
	all := make([]figures, len(contenders))
	for round := -1; round < rounds; round++ { // round -1 warms the caches up
		for i, c := range contenders {
			all[i].name = c.name
			rate, cost, err := turn(c, l, conns, span)
			if err != nil {
				log.Fatalf("%s, %s: %v", c.name, l.name, err)
			}
			if round >= 0 {
				all[i].rates, all[i].costs = append(all[i].rates, rate), append(all[i].costs, cost)
			}
		}
	}
	return all
}

// turn is one measurement: answers per second, and the microseconds of the server's CPU that one answer takes.
func turn(c contender, l load, conns int, span time.Duration) (rate, cost float64, err error) {
	before, err := cpu(c.pid)
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	answers, err := hammer(c.addr, l, conns, span)
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(begin)
	after, err := cpu(c.pid)
	return float64(answers) / took.Seconds(), float64((after - before).Microseconds()) / float64(answers), err
}
