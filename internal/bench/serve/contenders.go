package main

import (
	"errors"
	"fmt"
	"log"
	"os/exec"
	"path/filepath"

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
	return varnish(s, origin.Addr)
}

func varnish(s *hammer.Servers, origin string) error {
	path, err := exec.LookPath("varnishd")
	if err != nil {
		log.Print("no varnishd: left out")
		return nil
	}
	addr, err := hammer.FreeAddr()
	if err != nil {
		return err
	}
	return s.Add("varnish", addr, exec.Command("taskset", "-c", "0", path, "-F", "-a", addr, "-b", origin, "-s", "malloc,1G",
		"-n", filepath.Join(s.Dir, "varnish"), "-p", "default_ttl=3600", "-j", "none"))
}
