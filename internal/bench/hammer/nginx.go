package hammer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Nginx adds two servers, with tcp_nopush on and off. text returns the content of the http block for an address to listen on
// and a folder to keep files in. If there is no nginx, the error is exec.ErrNotFound.
func (s *Servers) Nginx(http func(addr, home string) string) error {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return err
	}
	for _, v := range [][2]string{{"nginx", "off"}, {"nginx nopush", "on"}} {
		addr, err := FreeAddr()
		if err != nil {
			return err
		}
		home := filepath.Join(s.Dir, "nginx-"+v[1])
		if err := os.MkdirAll(home, 0o777); err != nil {
			return err
		}
		file := filepath.Join(home, "nginx.conf")
		if err := os.WriteFile(file, fmt.Appendf(nil, nginxConf, home, v[1], http(addr, home)), 0o644); err != nil {
			return err
		}
		if err := s.Add(v[0], addr, exec.Command("taskset", "-c", "0", path, "-c", file, "-p", home)); err != nil {
			return err
		}
	}
	return nil
}

const nginxConf = `
worker_processes 1; daemon off; error_log stderr crit; pid %[1]s/pid; user root;
events { worker_connections 12000; }
http {
  access_log off; sendfile on; tcp_nopush %[2]s; keepalive_requests 100000000; types { video/mp2t ts; }
  open_file_cache max=1000 inactive=600s; open_file_cache_valid 600s;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[3]s
}`
