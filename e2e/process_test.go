package e2e

import (
	"bytes"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// server is a running example.
type server struct {
	URL    string // http://127.0.0.1:PORT, from its first line
	stdout lines
}

// startExample runs an example on a free port until the test ends. It requires that the example then ends without an error.
func startExample(t testing.TB, name string, args ...string) *server {
	t.Helper()
	cmd := exec.Command(filepath.Join(scratch, "bin", name), append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	cmd.Env = withoutProxy()
	s := &server{}
	var stderr lines
	cmd.Stdout, cmd.Stderr = &s.stdout, &stderr
	exited, err := spawn(cmd)
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		err = <-exited
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
		<-ended
		kill.Stop()
		if err != nil || t.Failed() {
			t.Logf("%s %s wrote:\n%s\n%s", name, strings.Join(args, " "), s.stdout.text(), stderr.text())
		}
		if err != nil {
			t.Errorf("%s does not end well on SIGTERM: %v", name, err)
		}
	})
	for wait := time.After(time.Minute); s.stdout.text() == ""; time.Sleep(10 * time.Millisecond) {
		select {
		case <-ended:
			t.Fatalf("%s ended at once", name)
		case <-wait:
			t.Fatalf("%s prints no address", name)
		default:
		}
	}
	first, _, _ := strings.Cut(s.stdout.text(), "\n")
	url, ok := strings.CutPrefix(first, "listening on ")
	require.True(t, ok, "%s said first: %s", name, first)
	s.URL = url
	return s
}

// startListening starts a program that runs until the test ends, and waits until it listens on addr. It returns its output.
func startListening(t testing.TB, cmd *exec.Cmd, addr string) *lines {
	t.Helper()
	said := &lines{}
	cmd.Stdout, cmd.Stderr = said, said
	exited, err := spawn(cmd)
	require.NoError(t, err)
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
	})
	untilListening(t, addr, said)
	return said
}

// untilListening waits until somebody listens on addr.
func untilListening(t testing.TB, addr string, said *lines) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond, "%s", said.text())
}

// link waits until the server has printed a URL of its own that begins with this path.
func (s *server) link(t testing.TB, path string) string {
	t.Helper()
	var found string
	require.Eventually(t, func() bool {
		for word := range strings.FieldsSeq(s.stdout.text()) {
			if strings.HasPrefix(word, s.URL+path) {
				found = word
			}
		}
		return found != ""
	}, time.Minute, 20*time.Millisecond, "no link to %s", path)
	return found
}

// lines is a writer whose whole lines can be read at any time.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.buf.String()
	return text[:strings.LastIndexByte(text, '\n')+1]
}

// spawn starts a process that dies with this one, however this one ends: the thread that has started it waits for it.
func spawn(cmd *exec.Cmd) (<-chan error, error) {
	started, exited := make(chan error, 1), make(chan error, 1)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = dieWithParent()
	}
	cmd.WaitDelay = 5 * time.Second
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			exited <- cmd.Wait()
		}
	}()
	return exited, <-started
}
