// Command files measures how fast bodies in memory and files in the page cache go out, side by side in one run: from
// rangeserve's Serve and Files, http.ServeContent and http.FileServer, nginx (the better of tcp_nopush on and off), and the
// floor, a handler of net/http that does nothing but send. Each server is alone on CPU 0, and the load on CPU 1. The servers
// take turns. It prints medians over the rounds, and ratios of medians: of answers per second, and of the server's CPU per
// answer. At the end it prints the cost of reading a Range header.
//
//	go run ./files [-rounds 5] [-time 400ms] [-c 64] [-only memory]
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
	"github.com/hlsproxy/hlsproxy/rangeserve"
)

const cut = "Range: bytes=1000000-1065535\r\n"

var (
	memory = []hammer.Load{
		{Name: "memory, 1 KB", Path: "/memory/1KB.ts", Bytes: 1 << 10},
		{Name: "memory, 200 KB", Path: "/memory/200KB.ts", Bytes: 200 << 10},
		{Name: "memory, 2 MB", Path: "/memory/2MB.ts", Bytes: 2 << 20},
		{Name: "memory, 8 MB", Path: "/memory/8MB.ts", Bytes: 8 << 20},
	}
	files = []hammer.Load{
		{Name: "file, 2 MB", Path: "/files/2MB.ts", Bytes: 2 << 20},
		{Name: "file, 200 MB", Path: "/files/200MB.ts", Bytes: 200 << 20},
		{Name: "64 KB of a file of 2 MB", Path: "/files/2MB.ts", Header: cut, Bytes: 64 << 10},
		{Name: "64 KB of a file of 200 MB", Path: "/files/200MB.ts", Header: cut, Bytes: 64 << 10},
	}
)

func main() {
	log.SetFlags(0)
	if role := os.Getenv("BENCH_FILES_ROLE"); role != "" {
		serve(role, os.Getenv("BENCH_FILES_DIR"))
		return
	}
	rounds := flag.Int("rounds", 5, "interleaved rounds")
	span := flag.Duration("time", 400*time.Millisecond, "length of one measurement")
	conns := flag.Int("c", 64, "connections; 8 at most for 200 MB")
	only := flag.String("only", "", "run the loads whose name contains this")
	flag.Parse()

	if err := run(*rounds, *conns, *span, *only); err != nil {
		log.Fatal(err)
	}
	parse := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if r, err := rangeserve.Parse("bytes=1000000-1065535", 2<<20); err != nil || len(r) != 1 {
				b.Fatal(err)
			}
		}
	})
	fmt.Printf("Parse\n  %d ns, %d allocations\n", parse.NsPerOp(), parse.AllocsPerOp())
}

func run(rounds, conns int, span time.Duration, only string) error {
	s, err := hammer.NewServers()
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := start(s); err != nil {
		return err
	}
	for _, l := range append(memory, files...) {
		if !strings.Contains(l.Name, only) {
			continue
		}
		servers, conns := s.All, conns
		if strings.HasPrefix(l.Path, "/memory/") {
			servers = servers[:3]
		}
		if l.Bytes > 100<<20 {
			conns = min(conns, 8)
		}
		figures, err := l.Measure(servers, rounds, conns, span)
		if err != nil {
			return err
		}
		fmt.Println(l.Name)
		hammer.Report(figures)
	}
	return nil
}

// start writes the files and runs the servers. The page cache keeps the files.
func start(s *hammer.Servers) error {
	for _, l := range files[:2] {
		name := filepath.Join(s.Dir, filepath.Base(l.Path))
		if err := os.WriteFile(name, body(l), 0o644); err != nil {
			return err
		}
	}
	for _, role := range []string{"rangeserve", "net/http", "floor"} {
		server, err := s.Self(role, "0", "BENCH_FILES_ROLE="+role, "BENCH_FILES_DIR="+s.Dir)
		if err != nil {
			return err
		}
		s.All = append(s.All, server)
	}
	return s.Nginx(func(addr, _ string) string {
		return fmt.Sprintf("  server { listen %s backlog=4096; location /files/ { alias %s/; } }", addr, s.Dir)
	})
}
