package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// start runs all servers that this machine has, and the origin of those that are proxies.
func start(s *hammer.Servers, over hammer.Over) error {
	origin, err := s.Self("origin", "1", "BENCH_SERVE_ROLE=origin")
	if err != nil {
		return err
	}
	for _, role := range []string{"hlsproxy", "bare", "ServeContent"} {
		server, err := s.Self(role, "0", "BENCH_SERVE_ROLE="+role, "BENCH_SERVE_ORIGIN="+origin.Addr, "BENCH_SERVE_OVER="+string(over))
		if err != nil {
			return err
		}
		s.All = append(s.All, server)
	}
	listen := ""
	if over != hammer.Plain {
		_, pems, err := hammer.Certificate()
		if err != nil {
			return err
		}
		file := filepath.Join(s.Dir, "certificate.pem")
		if err := os.WriteFile(file, pems, 0o600); err != nil {
			return err
		}
		listen = "ssl; ssl_protocols TLSv1.3; ssl_certificate " + file + "; ssl_certificate_key " + file
		if over == hammer.HTTP2 {
			listen = "http2 " + listen
		}
	}
	err = s.Nginx(func(addr, home string) string {
		return fmt.Sprintf(`  proxy_cache_path %s/cache keys_zone=z:10m max_size=1g use_temp_path=off;
  server {
    listen %s backlog=4096 %s;
    location / { proxy_pass http://%s; proxy_cache z; proxy_cache_valid 200 1h; proxy_cache_lock on; add_header Access-Control-Allow-Origin * always; }
  }`, home, addr, listen, origin.Addr)
	})
	if errors.Is(err, exec.ErrNotFound) {
		log.Print("no nginx: left out")
	} else if err != nil {
		return err
	}
	if over != hammer.Plain {
		return nil // Varnish has no TLS
	}
	if err = s.Varnish(origin.Addr); errors.Is(err, exec.ErrNotFound) {
		log.Print("no varnishd: left out")
		return nil
	}
	return err
}
