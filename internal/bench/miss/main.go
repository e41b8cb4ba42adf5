// Command miss measures what an answer costs that is not in the cache: through this library's whole chain without signing, with
// a cache that is full and without one, compared with httputil.ReverseProxy with buffers of 256 KiB and with a request to the
// origin itself. One request is under way at a time. Contenders take turns. It prints medians: the time to the first and to the
// last byte of the body, and the proxy's CPU per answer. The proxy is alone on its CPUs; client and origin are on CPU 1.
//
// With -cpus 0,1, the proxy has both CPUs. With -over h2, it asks the origin in HTTP/2 over TLS 1.3, and nothing is direct.
// A CPU profile of the chain with a cache goes to the file that -profile names.
//
//	go run ./miss [-rounds 7] [-only 1MB] [-cpus 0] [-over h2]
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// sizes are the bodies, each with the number of requests in one turn.
var sizes = []struct {
	name  string
	bytes int64
	n     int
}{
	{"1KB", 1 << 10, 800},
	{"200KB", 200 << 10, 400},
	{"1MB", 1 << 20, 150},
	{"8MB", 8 << 20, 20},
}

func main() {
	log.SetFlags(0)
	if role := os.Getenv("BENCH_MISS_ROLE"); role != "" {
		runRole(role)
		return
	}
	rounds := flag.Int("rounds", 7, "interleaved rounds")
	only := flag.String("only", "", "run the sizes whose name contains this")
	cpus := flag.String("cpus", "0", "the proxy's CPUs")
	profile := flag.String("profile", "", "file for a CPU profile of the chain")
	over := hammer.Plain
	flag.Func("over", "how the origin answers: plain or h2 (default plain)", over.Parse)
	flag.Parse()
	if err := run(over, *rounds, *only, *cpus, *profile); err != nil {
		log.Fatal(err)
	}
}

// contender is a server with what was measured of it.
type contender struct {
	hammer.Server
	conn        *hammer.Conn
	first, last []float64 // microseconds, by request
	cpu         []float64 // microseconds, by turn
}

func run(over hammer.Over, rounds int, only, cpus, profile string) error {
	s, err := hammer.NewServers()
	if err != nil {
		return err
	}
	defer s.Stop()
	origin, err := s.Self("direct", "1", "BENCH_MISS_ROLE=origin", "BENCH_MISS_OVER="+string(over))
	if err != nil {
		return err
	}
	servers := []hammer.Server{origin}
	if over != hammer.Plain {
		servers = nil
	}
	for _, role := range []string{reverseProxy, uncached, cached} {
		env := []string{"BENCH_MISS_ROLE=" + role, "BENCH_MISS_OVER=" + string(over), "BENCH_MISS_ORIGIN=" + origin.Addr}
		if role == cached {
			env = append(env, "BENCH_MISS_PROFILE="+profile)
		}
		server, err := s.Self(role, cpus, append(env, fmt.Sprint("GOMAXPROCS=", 1+strings.Count(cpus, ",")))...)
		if err != nil {
			return err
		}
		servers = append(servers, server)
	}
	contenders := make([]contender, len(servers))
	for i, server := range servers {
		conn, err := hammer.Dial(server.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		contenders[i] = contender{Server: server, conn: conn}
	}
	for _, size := range sizes {
		if !strings.Contains(size.name, only) {
			continue
		}
		for i := range contenders {
			c := &contenders[i]
			c.first, c.last, c.cpu = nil, nil, nil
		}
		for round := -1; round < rounds; round++ { // round -1 warms up
			for i := range contenders {
				if err := contenders[i].turn(size.bytes, size.n, round); err != nil {
					return err
				}
			}
		}
		report(size.name, contenders)
	}
	return nil
}

// turn sends n requests for what was not requested before.
func (c *contender) turn(size int64, n, round int) error {
	before, err := c.CPU()
	if err != nil {
		return err
	}
	for i := range n {
		path := fmt.Sprintf("/%d/%d-%d.ts", size, round, i)
		first, last, err := c.conn.Time(path, size)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", c.Name, path, err)
		}
		if round >= 0 {
			c.first, c.last = append(c.first, us(first)), append(c.last, us(last))
		}
	}
	after, err := c.CPU()
	if round >= 0 {
		c.cpu = append(c.cpu, us(after-before)/float64(n))
	}
	return err
}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// report compares all contenders with the reverse proxy.
func report(size string, contenders []contender) {
	fmt.Printf("%-22s %24s %24s %24s\n", size+", microseconds", "first byte", "last byte", "CPU")
	i := slices.IndexFunc(contenders, func(c contender) bool { return c.Name == reverseProxy })
	of := contenders[i]
	for _, c := range contenders {
		fmt.Printf("  %-20s", c.Name)
		for _, v := range [][2][]float64{{c.first, of.first}, {c.last, of.last}, {c.cpu, of.cpu}} {
			fmt.Printf(" %16.0f (%.2fx)", median(v[0]), median(v[0])/median(v[1]))
		}
		fmt.Println()
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
