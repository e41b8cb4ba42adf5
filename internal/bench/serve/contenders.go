package main

import (
	"errors"
	"fmt"
	"log"
	"os/exec"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// start runs all servers that this machine has, and the origin of those that are proxies.
func start(s *hammer.Servers) error {
	origin, err := s.Self("origin", "1", "BENCH_SERVE_ROLE=origin")
	if err != nil {
		return err
	}
	for _, role := range []string{"hlsproxy", "bare", "ServeContent"} {
		server, err := s.Self(role, "0", "BENCH_SERVE_ROLE="+role, "BENCH_SERVE_ORIGIN="+origin.Addr)
		if err != nil {
			return err
		}
		s.All = append(s.All, server)
	}
	err = s.Nginx(func(addr, home string) string {
		return fmt.Sprintf(`  proxy_cache_path %s/cache keys_zone=z:10m max_size=1g use_temp_path=off;
  server {
    listen %s backlog=4096;
    location / { proxy_pass http://%s; proxy_cache z; proxy_cache_valid 200 1h; proxy_cache_lock on; add_header Access-Control-Allow-Origin * always; }
  }`, home, addr, origin.Addr)
	})
	if errors.Is(err, exec.ErrNotFound) {
		log.Print("no nginx: left out")
	} else if err != nil {
		return err
	}
	if err = s.Varnish(origin.Addr); errors.Is(err, exec.ErrNotFound) {
		log.Print("no varnishd: left out")
		return nil
	}
	return err
}
