package rangeserve_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowFilm requests a film of 64 MiB and tells when the answer ends.
func slowFilm(t *testing.T, protocol string, files *rangeserve.Files) (body io.Reader, ended <-chan struct{}) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "film.ts"), nil, 0o644))
	require.NoError(t, os.Truncate(filepath.Join(dir, "film.ts"), 64<<20))
	files.Root = openRoot(t, dir)
	done := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		// A server's WriteTimeout does the same, but would also hold for a handshake.
		assert.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(500*time.Millisecond)))
		files.ServeHTTP(w, r)
	}))
	srv.EnableHTTP2 = protocol == "HTTP/2"
	if protocol == "HTTP/1" {
		srv.Start()
	} else {
		srv.StartTLS()
	}
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	resp, err := srv.Client().Get(srv.URL + "/film.ts")
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	require.Equal(t, protocol == "HTTP/2", resp.ProtoMajor == 2)
	return resp.Body, done
}

var protocols = []string{"HTTP/1", "HTTP/1 over TLS", "HTTP/2"}

func TestFilesLetsStuckReadersGo(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			body, ended := slowFilm(t, protocol, settled(&rangeserve.Files{Stall: 100 * time.Millisecond}))
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				require.Fail(t, "the answer waits for ever")
			}
			n, err := io.Copy(io.Discard, body)
			require.Error(t, err)
			require.Less(t, n, int64(64<<20))
		})
	}
}

// TestFilesKeepsSlowReaders: a reader that takes something now and then has much longer than the time for one piece.
func TestFilesKeepsSlowReaders(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			const stall = 10 * time.Second // a loaded machine may keep a reader from reading for a while
			body, ended := slowFilm(t, protocol, settled(&rangeserve.Files{Stall: stall}))
			began, read := time.Now(), int64(0)
			for time.Since(began) < stall+stall/2 {
				n, err := io.CopyN(io.Discard, body, 1<<20)
				read += n
				require.NoError(t, err)
				time.Sleep(stall / 30)
			}
			select {
			case <-ended:
				require.Fail(t, "the answer was given up")
			default:
			}
			n, err := io.Copy(io.Discard, body)
			require.NoError(t, err)
			require.Equal(t, int64(64<<20), read+n)
		})
	}
}

// TestFilesWithoutAStall leaves the server's own limit alone.
func TestFilesWithoutAStall(t *testing.T) {
	body, ended := slowFilm(t, "HTTP/1", settled(&rangeserve.Files{Stall: -1}))
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the answer waits for ever")
	}
	_, err := io.Copy(io.Discard, body)
	require.Error(t, err)
}
