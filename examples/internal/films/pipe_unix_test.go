//go:build unix

package films_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Opening a named pipe blocks until another process writes to it.
func TestNamedPipesAreNotOpened(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"index.m3u8", "master.m3u8", "a.mp4"} {
		require.NoError(t, syscall.Mkfifo(filepath.Join(dir, name), 0o644))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	require.NoError(t, os.Symlink("../index.m3u8", filepath.Join(dir, "sub", "index.m3u8")))
	require.NoError(t, os.Symlink("nothing", filepath.Join(dir, "sub", "b.mp4")))
	write(t, dir, map[string]string{"sub/real.mp4": ""})
	require.NoError(t, os.Symlink("real.mp4", filepath.Join(dir, "sub", "link.mp4")))
	f := open(t, dir)
	require.Equal(t, []string{"sub/link.mp4", "sub/real.mp4"}, f.List())
	require.Equal(t, 404, get(f, "/index.m3u8").Code)
}
