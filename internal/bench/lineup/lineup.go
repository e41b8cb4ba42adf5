// Package lineup starts the caches that a crowd asks: this library's whole chain, Varnish and nginx.
package lineup

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"

	"github.com/hlsproxy/hlsproxy/internal/bench/chain"
	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// Role is the environment variable that makes this program the library's server. Its value is the URL of the origin.
const Role = "BENCH_LINEUP_ORIGIN"

// Serve is for the beginning of main. If this program was started as the library's server, Serve runs that server and does not
// return.
func Serve() {
	upstream := os.Getenv(Role)
	if upstream == "" {
		return
	}
	h, err := chain.New(upstream)
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	log.Fatal(http.Serve(l, h))
}

// Start adds all servers that this machine has, in front of an origin that this process serves. nginx and Varnish get the given
// settings.
func Start(s *hammer.Servers, origin http.Handler, nginx string, varnish ...string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, origin)
	addr := l.Addr().String()
	server, err := s.Self("hlsproxy", "0", Role+"=http://"+addr+"/")
	if err != nil {
		return err
	}
	s.All = append(s.All, server)
	err = s.Varnish(addr, varnish...)
	if errors.Is(err, exec.ErrNotFound) {
		log.Print("no varnishd: left out")
	} else if err != nil {
		return err
	}
	err = s.Nginx(func(listen, home string) string {
		return fmt.Sprintf(`  proxy_cache_path %s/cache keys_zone=z:10m max_size=1g use_temp_path=off;
  server {
    listen %s backlog=4096;
    location / { proxy_pass http://%s; proxy_cache z; proxy_cache_lock on; %s }
  }`, home, listen, addr, nginx)
	})
	if errors.Is(err, exec.ErrNotFound) {
		log.Print("no nginx: left out")
		err = nil
	}
	s.All = slices.DeleteFunc(s.All, func(server hammer.Server) bool { return server.Name == "nginx nopush" })
	return err
}

// Rounds lets the servers take turns. It returns the results of measure for each, in the order of s.All.
func Rounds[F any](s *hammer.Servers, rounds int, measure func(server hammer.Server, round int) (F, error)) ([][]F, error) {
	figures := make([][]F, len(s.All))
	for round := range rounds {
		for i, server := range s.All {
			f, err := measure(server, round)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", server.Name, err)
			}
			figures[i] = append(figures[i], f)
		}
	}
	return figures, nil
}
