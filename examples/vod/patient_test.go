package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hlsproxy/hlsproxy/rangeserve"
)

// slow serves a large file to readers that may stand still for as long as stall, and tells when an answer ends.
func slow(t *testing.T, stall time.Duration) (net.Conn, <-chan time.Time) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "film.ts"), nil, 0o644))
	require.NoError(t, os.Truncate(filepath.Join(dir, "film.ts"), 256<<20))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	ended := make(chan time.Time, 1)
	files := &rangeserve.Files{Root: root}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- time.Now() }()
		files.ServeHTTP(w, r)
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go srv.Serve(patient{ln, stall})
	t.Cleanup(func() { srv.Close() })
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "GET /film.ts HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	return conn, ended
}

func TestStuckReadersAreLetGo(t *testing.T) {
	conn, ended := slow(t, 100*time.Millisecond)
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the answer waits for ever")
	}
	n, err := io.Copy(io.Discard, conn)
	require.Less(t, n, int64(256<<20))
	require.True(t, err == nil || errors.Is(err, io.ErrUnexpectedEOF) || n > 0)
}

// A reader that takes something now and then has much longer than the time for one piece.
func TestSlowReadersAreNot(t *testing.T) {
	const stall = time.Second
	conn, ended := slow(t, stall)
	began, read := time.Now(), int64(0)
	for time.Since(began) < 2*stall {
		n, err := io.CopyN(io.Discard, conn, 8<<20)
		read += n
		require.NoError(t, err)
		time.Sleep(stall / 10)
	}
	select {
	case <-ended:
		require.Fail(t, "the answer was given up")
	default:
	}
	n, err := io.CopyN(io.Discard, conn, 256<<20-read)
	require.NoError(t, err)
	require.Positive(t, n)
}
