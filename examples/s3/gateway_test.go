package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"
)

const (
	access = "AKIATEST"
	secret = "the secret of the tests"
	bucket = "films"
)

// gateway is a real S3 server over a folder, which checks signatures, behind a relay that can be cut.
type gateway struct {
	*minio.Client
	URL  string
	dir  string // of the bucket
	dial func() (net.Conn, error)

	connections atomic.Int64
	mu          sync.Mutex
	left        int64 // bytes that may still pass through the relay, in both directions; -1: any number
	open        map[net.Conn]bool
}

var builtOnce = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "versitygw").Output()
	return strings.TrimSpace(string(out)), err
})

func newGateway(t *testing.T) *gateway {
	t.Helper()
	program, err := builtOnce()
	require.NoError(t, err)
	// The name of a socket has at most about a hundred bytes. The folder of a test often has more.
	root, err := os.MkdirTemp("", "gw")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, name := range []string{"data", "meta"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, name), 0o755))
	}
	socket := filepath.Join(root, "socket")
	cmd := exec.Command(program, "--port", socket, "--access", access, "--secret", secret, "--region", "us-east-1", "--quiet",
		"posix", "--sidecar", filepath.Join(root, "meta"), filepath.Join(root, "data"))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	g := &gateway{dir: filepath.Join(root, "data", bucket), left: -1, open: map[net.Conn]bool{}}
	g.dial = func() (net.Conn, error) { return net.Dial("unix", socket) }
	require.Eventually(t, func() bool {
		conn, err := g.dial()
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close(); g.cut(0) })
	go g.relay(ln)
	g.URL = "http://" + ln.Addr().String()
	g.Client, err = minio.New(ln.Addr().String(), &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), Region: "us-east-1"})
	require.NoError(t, err)
	require.NoError(t, g.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	return g
}

func (g *gateway) relay(ln net.Listener) {
	for {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		g.connections.Add(1)
		go func() {
			server, err := g.dial()
			if err != nil || !g.hold(client, server) {
				client.Close()
				return
			}
			go g.pass(server, client)
			g.pass(client, server)
		}()
	}
}

// hold keeps connections to be cut, and refuses them while the relay is cut.
func (g *gateway) hold(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		if g.left == 0 {
			c.Close()
		} else {
			g.open[c] = true
		}
	}
	return g.left != 0
}

func (g *gateway) pass(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		g.mu.Lock()
		if g.left >= 0 {
			n = int(min(int64(n), g.left))
			g.left -= int64(n)
		}
		over := g.left == 0
		g.mu.Unlock()
		if _, failed := to.Write(buf[:n]); failed != nil || err != nil || over {
			if over {
				g.cut(0)
			}
			return
		}
	}
}

// cut makes the relay break all connections after so many bytes, and refuse new ones. -1 mends it.
func (g *gateway) cut(after int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left = after; after == 0 {
		for c := range g.open {
			c.Close()
		}
		clear(g.open)
	}
}

func (g *gateway) put(t *testing.T, key, text, contentType string) {
	t.Helper()
	_, err := g.PutObject(context.Background(), bucket, key, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{ContentType: contentType})
	require.NoError(t, err)
}

// keys are the keys of all objects in the bucket.
func (g *gateway) keys(t *testing.T) (keys []string) {
	t.Helper()
	for o := range g.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		require.NoError(t, o.Err)
		keys = append(keys, o.Key)
	}
	return keys
}

// flags are those that make the program use the gateway.
func (g *gateway) flags(t *testing.T, more ...string) []string {
	return append([]string{"-endpoint", g.URL, "-bucket", bucket, "-region", "us-east-1", "-access-key", access, "-secret-key", secret,
		"-key", "k", "-work", t.TempDir()}, more...)
}
