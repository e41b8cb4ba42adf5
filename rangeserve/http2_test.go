package rangeserve_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// TestOverHTTP2: no bare connection, no sendfile, and an abort that resets one stream.
func TestOverHTTP2(t *testing.T) {
	body := bodyOf(1_000_000)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.mp4"), body, 0o600))
	mux := http.NewServeMux()
	mux.Handle("/files/", http.StripPrefix("/files/", settled(&rangeserve.Files{Root: openRoot(t, dir)})))
	mux.Handle("/cut", rangeserve.Handler(rangeless(body, 10_000, `"v1"`)))
	mux.Handle("/short", handled(body[:500_000], 10_000, "Content-Type: video/mp4", "Content-Length: 1000000"))
	s := httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	get := func(path string) ([]byte, error) {
		req, err := http.NewRequest("GET", s.URL+path, nil)
		require.NoError(t, err)
		req.Header.Set("Range", "bytes=100-899999")
		resp, err := s.Client().Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 2, resp.ProtoMajor)
		require.Equal(t, 206, resp.StatusCode)
		return io.ReadAll(resp.Body)
	}
	for _, path := range []string{"/files/a.mp4", "/cut"} {
		got, err := get(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(body[100:900_000], got), path)
	}
	_, err := get("/short")
	require.Error(t, err)
}
