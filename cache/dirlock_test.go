//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package cache_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// A second process is refused a directory, and gets it when the first has been killed.
func TestADirectoryBelongsToOneProcess(t *testing.T) {
	const child = "CACHE_DIR_CHILD"
	if dir := os.Getenv(child); dir != "" {
		_, err := cache.NewDir(dir, 1<<20)
		fmt.Println("opened:", err)
		time.Sleep(time.Hour)
	}
	dir := filepath.Join(t.TempDir(), "shared")
	first := exec.Command(os.Args[0], "-test.run=^TestADirectoryBelongsToOneProcess$")
	first.Env = append(os.Environ(), child+"="+dir)
	out, err := first.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, first.Start())
	defer func() {
		_ = first.Process.Kill()
		_ = first.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "opened: <nil>\n", line)

	_, err = cache.NewDir(dir, 1<<20)
	require.ErrorIs(t, err, cache.ErrDirInUse)
	require.ErrorContains(t, err, dir)
	require.NoError(t, first.Process.Kill())
	_ = first.Wait()
	_, err = cache.NewDir(dir, 1<<20)
	require.NoError(t, err)
}
