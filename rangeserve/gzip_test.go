package rangeserve_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// The content of each file in the folder is its own name.
func TestFilesGzip(t *testing.T) {
	names := []string{"a.m3u8", "a.m3u8.gz", "sub/b.M3U8", "sub/b.M3U8.gz", "old.m3u8", "old.m3u8.gz", "plain.m3u8", "alone.m3u8.gz", "a.ts", "a.ts.gz"}
	dir := folder(t, names...)
	hour := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "old.m3u8.gz"), hour, hour))
	root := openRoot(t, dir)
	server, without := start(t, settled(&rangeserve.Files{Root: root, Gzip: true})), start(t, settled(&rangeserve.Files{Root: root}))
	for _, c := range []struct {
		path, accept, want string
		vary               bool
	}{
		{"/a.m3u8", "gzip", "a.m3u8.gz", true},
		{"/sub/b.M3U8", "gzip, deflate, br", "sub/b.M3U8.gz", true},
		{"/a.m3u8", "br;q=1.0, GZip;q=0.001", "a.m3u8.gz", true},
		{"/a.m3u8", "x-gzip", "a.m3u8.gz", true},
		{"/a.m3u8", "*", "a.m3u8.gz", true},
		{"/a.m3u8", "identity;q=0, *;q=0.5", "a.m3u8.gz", true},
		{"/a.m3u8", ",", "a.m3u8", true},
		{"/a.m3u8", "identity", "a.m3u8", true},
		{"/a.m3u8", "br", "a.m3u8", true},
		{"/a.m3u8", "gzip;q=0", "a.m3u8", true},
		{"/a.m3u8", "gzip ; Q=0.000, *", "a.m3u8", true},
		{"/a.m3u8", "*;q=0", "a.m3u8", true},
		{"/old.m3u8", "gzip", "old.m3u8", true},
		{"/plain.m3u8", "gzip", "plain.m3u8", true},
		{"/alone.m3u8", "gzip", "", false},
		{"/a.ts", "gzip", "a.ts", false},
		{"/a.m3u8.gz", "gzip", "a.m3u8.gz", false},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := askEncoded(t, method, server+c.path, c.accept)
			if c.want == "" {
				require.Equal(t, 404, a.StatusCode)
				continue
			}
			require.Equal(t, 200, a.StatusCode, c)
			require.Equal(t, int64(len(c.want)), a.ContentLength, c)
			if method == "GET" {
				require.Equal(t, c.want, string(a.body), c)
			}
			require.Equal(t, c.vary, a.Header.Get("Vary") == "Accept-Encoding", c)
			require.Equal(t, c.vary && len(c.want) > len(c.path)-1, a.Header.Get("Content-Encoding") == "gzip", c)
			if c.vary {
				require.Equal(t, "application/vnd.apple.mpegurl", a.Header.Get("Content-Type"))
			}
		}
		if a := askEncoded(t, "GET", without+c.path, c.accept); c.want != "" {
			require.Equal(t, c.path[1:], string(a.body))
			require.Empty(t, a.Header["Vary"])
			require.Empty(t, a.Header["Content-Encoding"])
		}
	}
	encoded, plain := askEncoded(t, "GET", server+"/a.m3u8", "gzip"), askEncoded(t, "GET", server+"/a.m3u8", "br")
	require.NotEqual(t, plain.Header.Get("Etag"), encoded.Header.Get("Etag"))
	for accept, tag := range map[string]string{"gzip": encoded.Header.Get("Etag"), "br": plain.Header.Get("Etag")} {
		a := askEncoded(t, "GET", server+"/a.m3u8", accept, "If-None-Match: "+tag)
		require.Equal(t, 304, a.StatusCode)
		require.Equal(t, "Accept-Encoding", a.Header.Get("Vary"))
		require.Equal(t, tag, a.Header.Get("Etag"))
	}
	require.Equal(t, 200, askEncoded(t, "GET", server+"/a.m3u8", "gzip", "Range: bytes=0-1").StatusCode)
}
