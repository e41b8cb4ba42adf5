package rangeserve_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// bareWriter passes on what it reads from the connection, as net/http does after the header. Its connection counts the bytes
// that go through memory.
type bareWriter struct {
	*httptest.ResponseRecorder
	conn *countedConn
}

func (w *bareWriter) ReadFrom(src io.Reader) (int64, error) { return src.(io.WriterTo).WriteTo(w.conn) }
func (w *bareWriter) Write(p []byte) (int, error)           { return w.conn.Write(p) }

type countedConn struct {
	*net.TCPConn
	written int
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.written += len(p)
	return c.TCPConn.Write(p)
}

// dial returns both ends of a connection.
func dial(t *testing.T) (server, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	s, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); s.Close() })
	return s.(*net.TCPConn), c.(*net.TCPConn)
}

// TestFilesGoThroughTheKernel, also to a slow client. Two requests share one handle and keep its offset.
func TestFilesGoThroughTheKernel(t *testing.T) {
	const size = 30_000_000
	body := bodyOf(size)
	dir := t.TempDir()
	file := filepath.Join(dir, "a.mp4")
	require.NoError(t, os.WriteFile(file, body, 0o600))
	shared := openAt(t, file)
	slow := film(ftyp, atom("mdat", body), moovOf(stco, 1, 8))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "slow.mp4"), slow, 0o600))
	v, n, err := rangeserve.Faststart(bytes.NewReader(slow), int64(len(slow)))
	require.NoError(t, err)
	fast := make([]byte, n)
	_, err = v.ReadAt(fast, 0)
	require.NoError(t, err)
	for _, c := range []struct {
		name, path string
		most       int
		want       []byte
		h          http.Handler
	}{
		{"Serve", "/a.mp4", 0, body, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rangeserve.Serve(w, r, rangeserve.Content{ReaderAt: shared, Size: size})
		})},
		{"Serve a section", "/a.mp4", 0, body[7:], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rangeserve.Serve(w, r, rangeserve.Content{ReaderAt: io.NewSectionReader(shared, 7, size-7), Size: size - 7})
		})},
		{"Files", "/a.mp4", 0, body, settled(&rangeserve.Files{Root: openRoot(t, dir)})},
		{"Files faststart", "/slow.mp4", 4096, fast, settled(&rangeserve.Files{Root: openRoot(t, dir), Faststart: true})},
		{"Handler Files", "/a.mp4", 0, body, rangeserve.Handler(settled(&rangeserve.Files{Root: openRoot(t, dir)}))},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, client := dial(t)
			got := make(chan []byte)
			go func() {
				time.Sleep(50 * time.Millisecond) // until the connection takes no more
				b, _ := io.ReadAll(client)
				got <- b
			}()
			w := &bareWriter{httptest.NewRecorder(), &countedConn{TCPConn: server}}
			c.h.ServeHTTP(w, httptest.NewRequest("GET", c.path, nil))
			require.NoError(t, server.Close())
			require.True(t, bytes.Equal(c.want, <-got))
			require.LessOrEqual(t, w.conn.written, c.most)
		})
	}
	at, err := shared.Seek(0, io.SeekCurrent)
	require.NoError(t, err)
	require.Zero(t, at)
}

// TestFilesChangedWhileTheKernelSends: the client gets no whole answer with a part of another version.
func TestFilesChangedWhileTheKernelSends(t *testing.T) {
	const size = 30_000_000
	for name, change := range map[string]func(t *testing.T, file string){
		"rewritten in place": func(t *testing.T, file string) { require.NoError(t, os.WriteFile(file, make([]byte, size), 0o600)) },
		"appended to":        func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, size+1)) },
		"truncated":          func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, size-1)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "a.mp4")
			require.NoError(t, os.WriteFile(file, bodyOf(size), 0o600))
			server, client := dial(t)
			ended := make(chan any)
			h := settled(&rangeserve.Files{Root: openRoot(t, dir)})
			go func() {
				defer func() { server.Close(); ended <- recover() }()
				h.ServeHTTP(&bareWriter{httptest.NewRecorder(), &countedConn{TCPConn: server}}, httptest.NewRequest("GET", "/a.mp4", nil))
			}()
			begun, err := io.CopyN(io.Discard, client, 100_000) // more is under way when the file changes, and most is not
			require.NoError(t, err)
			change(t, file)
			rest, _ := io.Copy(io.Discard, client)
			require.Equal(t, http.ErrAbortHandler, <-ended)
			require.Less(t, begun+rest, int64(size))
		})
	}
}

// TestFilesToAClientThatGoes: the client leaves while the kernel sends.
func TestFilesToAClientThatGoes(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.mp4"), make([]byte, 30_000_000), 0o600))
	server, client := dial(t)
	go func() {
		_, _ = io.CopyN(io.Discard, client, 100_000)
		client.Close()
	}()
	w := &bareWriter{httptest.NewRecorder(), &countedConn{TCPConn: server}}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		(settled(&rangeserve.Files{Root: openRoot(t, dir)})).ServeHTTP(w, httptest.NewRequest("GET", "/a.mp4", nil))
	})
}
