package main

import (
	"bufio"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// contender is a running server.
type contender struct {
	name, addr string
	pid        int
}

// start runs all servers that this machine has. The load generator itself moves to CPU 1.
func start() (_ []contender, stop func(), err error) {
	var running []*exec.Cmd
	dir, err := os.MkdirTemp("/dev/shm", "bench-serve-")
	if err != nil {
		return nil, nil, err
	}
	stop = func() {
		for _, cmd := range running {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
			cmd.Wait()
		}
		os.RemoveAll(dir)
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	run := func(cmd *exec.Cmd) error {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
		cmd.Stderr = os.Stderr
		err := cmd.Start()
		if err == nil {
			running = append(running, cmd)
		}
		return err
	}
	self := func(cpu, role, origin string) (addr string, pid int, err error) {
		cmd := exec.Command("taskset", "-c", cpu, os.Args[0])
		cmd.Env = append(os.Environ(), "BENCH_SERVE_ROLE="+role, "BENCH_SERVE_ORIGIN="+origin, "GOMAXPROCS=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			return "", 0, err
		}
		if err := run(cmd); err != nil {
			return "", 0, err
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		return strings.TrimSpace(line), cmd.Process.Pid, err
	}
	runtime.GOMAXPROCS(1)
	if err := exec.Command("taskset", "-a", "-cp", "1", fmt.Sprint(os.Getpid())).Run(); err != nil {
		return nil, nil, fmt.Errorf("two CPUs and taskset are needed: %w", err)
	}
	origin, _, err := self("1", "origin", "")
	if err != nil {
		return nil, nil, err
	}
	var all []contender
	for _, role := range []string{"hlsproxy", "bare", "ServeContent"} {
		addr, pid, err := self("0", role, origin)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, contender{role, addr, pid})
	}
	for name, nopush := range map[string]string{"nginx": "off", "nginx nopush": "on"} {
		addr, cmd, err := nginx(dir, nopush, origin)
		if errors.Is(err, exec.ErrNotFound) {
			log.Print("no nginx: left out")
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if err := run(cmd); err != nil {
			return nil, nil, err
		}
		all = append(all, contender{name, addr, cmd.Process.Pid})
	}
	if path, err := exec.LookPath("varnishd"); err == nil {
		addr := freeAddr()
		cmd := exec.Command("taskset", "-c", "0", path, "-F", "-a", addr, "-b", origin, "-s", "malloc,1G", "-n", filepath.Join(dir, "varnish"),
			"-p", "default_ttl=3600", "-j", "none")
		if err := run(cmd); err != nil {
			return nil, nil, err
		}
		all = append(all, contender{"varnish", addr, cmd.Process.Pid})
	} else {
		log.Print("no varnishd: left out")
	}
	for _, c := range all {
		if err := await(c.addr); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return all, stop, nil
}

func nginx(dir, nopush, origin string) (string, *exec.Cmd, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return "", nil, err
	}
	addr := freeAddr()
	home := filepath.Join(dir, "nginx-"+nopush)
	if err := os.MkdirAll(filepath.Join(home, "cache"), 0o777); err != nil {
		return "", nil, err
	}
	conf := fmt.Sprintf(`
worker_processes 1; daemon off; error_log stderr crit; pid %[1]s/pid; user root;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush %[2]s; keepalive_requests 100000000; types { video/mp2t ts; }
  open_file_cache max=1000 inactive=600s; open_file_cache_valid 600s;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  proxy_cache_path %[1]s/cache keys_zone=z:10m max_size=1g use_temp_path=off;
  server {
    listen %[3]s backlog=4096;
    location / { proxy_pass http://%[4]s; proxy_cache z; proxy_cache_valid 200 1h; proxy_cache_lock on; add_header Access-Control-Allow-Origin * always; }
  }
}`, home, nopush, addr, origin)
	file := filepath.Join(home, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return "", nil, err
	}
	return addr, exec.Command("taskset", "-c", "0", path, "-c", file, "-p", home), nil
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func await(addr string) error {
	var err error
	for range 200 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
		time.Sleep(25 * time.Millisecond)
	}
	return err
}
