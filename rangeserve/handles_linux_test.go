package rangeserve_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// openBelow counts the files below a folder that this process has open.
func openBelow(t *testing.T, dir string) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range list {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, dir+"/") {
			n++
		}
	}
	return n
}

// TestFilesKeepsFilesOpenForAWhile, not too many, and not for long.
func TestFilesKeepsFilesOpenForAWhile(t *testing.T) {
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprint(i, ".mp4"))
	}
	dir := folder(t, names...)
	root := openRoot(t, dir)
	synctest.Test(t, func(t *testing.T) {
		h := settled(&rangeserve.Files{Root: root})
		for range 3 {
			for _, name := range names {
				require.Equal(t, name, serveTo(h, "/"+name, "").Body.String())
			}
		}
		require.Equal(t, 64, openBelow(t, dir))
		for range 4 {
			time.Sleep(4 * time.Second)
			require.Equal(t, 200, serveTo(h, "/0.mp4", "").Code)
		}
		require.Equal(t, 1, openBelow(t, dir))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		require.Zero(t, openBelow(t, dir))
		require.Equal(t, 200, serveTo(h, "/0.mp4", "").Code)
		time.Sleep(11 * time.Second)
		synctest.Wait()
	})
}

// TestFilesLetsGoOfWhatIsGone at the next request for the file.
func TestFilesLetsGoOfWhatIsGone(t *testing.T) {
	dir := folder(t, "a.mp4", "b.mp4")
	h := settled(&rangeserve.Files{Root: openRoot(t, dir)})
	for _, name := range []string{"a.mp4", "b.mp4"} {
		require.Equal(t, 200, serveTo(h, "/"+name, "").Code)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "a.mp4")))
	require.Equal(t, 404, serveTo(h, "/a.mp4", "").Code)
	require.NoError(t, os.Remove(filepath.Join(dir, "b.mp4")))
	require.NoError(t, os.Symlink("../secret.mp4", filepath.Join(dir, "b.mp4")))
	require.Equal(t, 404, serveTo(h, "/b.mp4", "").Code)
	require.Zero(t, openBelow(t, dir))
}

// TestFilesNeverMixesVersions while the file is replaced again and again.
func TestFilesNeverMixesVersions(t *testing.T) {
	dir := folder(t)
	const size = 300_000
	put := func(version byte) {
		name := filepath.Join(dir, "new")
		require.NoError(t, os.WriteFile(name, bytes.Repeat([]byte{version}, size), 0o600))
		require.NoError(t, os.Rename(name, filepath.Join(dir, "a.mp4")))
	}
	put(0)
	h := settled(&rangeserve.Files{Root: openRoot(t, dir)})
	var tags sync.Map // ETag: version
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/a.mp4", nil))
				b := w.Body.Bytes()
				if w.Code != 200 || len(b) != size || bytes.Count(b, b[:1]) != size {
					t.Error("mixed", w.Code, len(b))
					return
				}
				if v, known := tags.LoadOrStore(w.Header().Get("Etag"), b[0]); known && v != b[0] {
					t.Error("two versions under one tag")
				}
			}
		})
	}
	for version := range byte(50) {
		put(version + 1)
	}
	wg.Wait()
}

// TestFilesDoesNotWaitForAPipe: opening one waits for its other end.
func TestFilesDoesNotWaitForAPipe(t *testing.T) {
	dir := folder(t)
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe.mp4"), 0o600))
	if err := syscall.Mknod(filepath.Join(dir, "null.mp4"), syscall.S_IFCHR|0o600, 1<<8|3); err != nil {
		t.Log("no device to try:", err)
	}
	h := settled(&rangeserve.Files{Root: openRoot(t, dir)})
	done := make(chan int, 2)
	go func() {
		done <- serveTo(h, "/pipe.mp4", "").Code
		done <- serveTo(h, "/null.mp4", "").Code
	}()
	for range 2 {
		select {
		case status := <-done:
			require.Equal(t, 404, status)
		case <-time.After(time.Minute):
			t.Fatal("it waits")
		}
	}
}

// Opening a named pipe lets the process at its other end go on, so none is ever opened.
func TestFilesOpensNoNamedPipe(t *testing.T) {
	dir := folder(t, "a.mp4")
	pipe := filepath.Join(dir, "pipe.mp4")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Symlink("pipe.mp4", filepath.Join(dir, "link.mp4")))
	opened := make(chan struct{})
	go func() {
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for a reader
		if err == nil {
			f.Close()
		}
		close(opened)
	}()
	h := &rangeserve.Files{Root: openRoot(t, dir), Faststart: true, Gzip: true}
	for range 10 {
		for _, name := range []string{"/pipe.mp4", "/link.mp4", "/."} {
			require.Equal(t, 404, serveTo(h, name, "").Code)
		}
	}
	select {
	case <-opened:
		t.Error("the pipe was opened")
	case <-time.After(50 * time.Millisecond):
	}
	f, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	<-opened
	require.NoError(t, f.Close())
}
