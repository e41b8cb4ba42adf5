package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// If a server is killed, ffmpeg ends too, and the next server clears up.
func TestKilledServerLeavesNoFFmpeg(t *testing.T) {
	if dir := os.Getenv("UPLOAD_TEST_SERVE"); dir != "" {
		require.NoError(t, run(t.Context(), []string{"-addr", "127.0.0.1:0", "-dir", dir}, os.Stdout))
		return
	}
	parent := filepath.Join(t.TempDir(), "pid")
	fakeFFmpeg(t, "pid "+parent+"; hang")
	dir := t.TempDir()
	server := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	server.Env = append(os.Environ(), "UPLOAD_TEST_SERVE="+dir)
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	defer server.Wait()
	defer server.Process.Kill()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	base := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	body, contentType := formOf(t, "ts", "film.mp4", mp4)
	go http.Post(base+"/upload", contentType, strings.NewReader(string(body)))
	pid := running(t, parent)
	require.NoError(t, server.Process.Kill())
	ended(t, pid)
	start(t, "-dir", dir)
	nothingIn(t, dir)
}
