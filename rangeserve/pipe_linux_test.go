package rangeserve_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// TestFilesDoesNotWaitForAPipe: opening one waits for its other end.
func TestFilesDoesNotWaitForAPipe(t *testing.T) {
	dir := folder(t)
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe.mp4"), 0o600))
	if err := syscall.Mknod(filepath.Join(dir, "null.mp4"), syscall.S_IFCHR|0o600, 1<<8|3); err != nil {
		t.Log("no device to try:", err)
	}
	h := &rangeserve.Files{Root: openRoot(t, dir)}
	done := make(chan int, 2)
	go func() {
		done <- serveTo(h, "/pipe.mp4", "").Code
		done <- serveTo(h, "/null.mp4", "").Code
	}()
	for range 2 {
		select {
		case status := <-done:
			require.Equal(t, 404, status)
		case <-time.After(10 * time.Second):
			t.Fatal("it waits")
		}
	}
}
