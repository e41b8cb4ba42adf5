package hammer

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Server is a running server.
type Server struct {
	Name, Addr string
	pid        int
}

// Servers are the servers of one run. During its turn, a server is alone on CPU 0. The load comes from CPU 1.
type Servers struct {
	Dir     string // in memory; Stop removes it
	All     []Server
	running []*exec.Cmd
}

// NewServers moves this process to CPU 1. Call Stop even after an error of any method.
func NewServers() (*Servers, error) {
	runtime.GOMAXPROCS(1)
	if err := exec.Command("taskset", "-a", "-cp", "1", fmt.Sprint(os.Getpid())).Run(); err != nil {
		return nil, fmt.Errorf("two CPUs and taskset are needed: %w", err)
	}
	dir, err := os.MkdirTemp("/dev/shm", "bench-")
	return &Servers{Dir: dir}, err
}

// Stop ends all servers.
func (s *Servers) Stop() {
	for _, cmd := range s.running {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
	}
	os.RemoveAll(s.Dir)
}

// Add adds a server that will listen on addr once cmd runs.
func (s *Servers) Add(name, addr string, cmd *exec.Cmd) error {
	if err := s.start(cmd); err != nil {
		return err
	}
	if err := await(addr); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.All = append(s.All, Server{name, addr, cmd.Process.Pid})
	return nil
}

// Self starts this program once more, on one CPU. Lines of its environment tell it which server it is. It must print its
// address first.
func (s *Servers) Self(name, cpu string, env ...string) (Server, error) {
	cmd := exec.Command("taskset", "-c", cpu, os.Args[0])
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1"), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Server{}, err
	}
	if err := s.start(cmd); err != nil {
		return Server{}, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	return Server{name, strings.TrimSpace(line), cmd.Process.Pid}, err
}

func (s *Servers) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Stderr = os.Stderr
	err := cmd.Start()
	if err == nil {
		s.running = append(s.running, cmd)
	}
	return err
}

// FreeAddr returns an address of the loopback that nobody listens on yet.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
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
