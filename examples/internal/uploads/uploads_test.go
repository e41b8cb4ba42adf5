package uploads

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/ladder"
	"github.com/stretchr/testify/require"
)

// newServer accepts films and can convert none.
func newServer(t *testing.T, c Config) (*Uploads, *httptest.Server) {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"ffmpeg", "ffprobe"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), nil, 0o755))
	}
	t.Setenv("PATH", bin)
	c.Dir = t.TempDir()
	u, err := New(t.Context(), c)
	require.NoError(t, err)
	s := httptest.NewServer(u)
	t.Cleanup(s.Close)
	return u, s
}

const form = "Content-Type: multipart/form-data; boundary=x\r\n"

// An upload that stands still loses its place, and its client is told.
func TestStalledUploadsLoseTheirPlace(t *testing.T) {
	u, s := newServer(t, Config{Limit: 1 << 20, Idle: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /upload HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+form+"Content-Length: 100000\r\n\r\n"+
		"--x\r\nContent-Disposition: form-data; name=\"film\"; filename=\"a.mp4\"\r\n\r\n"+strings.Repeat("\x00\x00\x00\x20ftypisom", 100))
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "400 Bad Request")
	require.Contains(t, string(answer), errStalled.Text)
	all, _ := u.jobs.now()
	require.Len(t, all, 1)
	require.Equal(t, Failed, all[0].State)
	entries, err := os.ReadDir(u.c.Dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// A fault in a form is its sender's.
func TestMalformedForms(t *testing.T) {
	_, s := newServer(t, Config{Limit: 1 << 20})
	const film = "--x\r\nContent-Disposition: form-data; name=\"film\"; filename=\"a.mp4\"\r\n\r\n\x00\x00\x00\x20ftypisom\r\n"
	for name, body := range map[string]string{
		"empty":                   "",
		"no part":                 "--x--\r\n",
		"other boundary":          "--y\r\n\r\n\r\n--y--\r\n",
		"header without colon":    "--x\r\nnonsense\r\n\r\n\r\n--x--\r\n",
		"header that goes on":     "--x\r\n a: b\r\n\r\n\r\n--x--\r\n",
		"control bytes in a name": "--x\r\nContent-\x01: a\r\n\r\n\r\n--x--\r\n",
		"very long header":        "--x\r\nA: " + strings.Repeat("a", 60<<10) + "\r\n\r\n\r\n--x--\r\n",
		"very many headers":       "--x\r\n" + strings.Repeat("a: b\r\n", 9000) + "\r\n\r\n--x--\r\n",
		"cut off in a film":       strings.TrimSuffix(film, "\r\n"),
		"cut off in a header":     film + "--x\r\nContent-Dis",
		"two films":               film + film + "--x--\r\n",
		"garbage after a part":    film + "--xgarbage\r\n\r\n",
		"bad transfer encoding":   "--x\r\nContent-Disposition: form-data; name=\"segments\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ\r\n--x--\r\n",
	} {
		resp, err := http.Post(s.URL, "multipart/form-data; boundary=x", strings.NewReader(body))
		require.NoError(t, err, name)
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err, name)
		require.Equal(t, http.StatusBadRequest, resp.StatusCode, "%s: %s", name, text)
	}
}

func TestLimitsNearTheEndOfNumbers(t *testing.T) {
	for _, limit := range []int64{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64 - formSize, 1 << 30} {
		_, s := newServer(t, Config{Limit: limit})
		resp, err := http.Post(s.URL, "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"film\"\r\n\r\nhello\r\n--x--\r\n"))
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusUnsupportedMediaType, resp.StatusCode, "it is looked at")
	}
	u, _ := newServer(t, Config{Limit: 4 << 30})
	require.Equal(t, ladder.Refusal{Status: 413, Text: "A film may have at most 4 GiB."}, u.refusalFor(&http.MaxBytesError{}))
}

// A name is no pattern: a server does not touch the folders of another server with a similar name.
func TestLeftoversAreThoseOfOneFolder(t *testing.T) {
	parent := t.TempDir()
	for _, name := range []string{"film*", "x[1]", "bad[", "films2"} {
		require.NoError(t, os.MkdirAll(filepath.Join(parent, name, hidden+"left", "hls"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(parent, name, hidden+"file"), nil, 0o644))
	}
	for _, name := range []string{"film*", "x[1]", "bad["} {
		_, err := New(t.Context(), Config{Dir: filepath.Join(parent, name)})
		require.NoError(t, err, name)
		require.NoDirExists(t, filepath.Join(parent, name, hidden+"left"), name)
		require.FileExists(t, filepath.Join(parent, name, hidden+"file"), "only folders are its own")
	}
	require.DirExists(t, filepath.Join(parent, "films2", hidden+"left"))
	_, err := New(t.Context(), Config{Dir: filepath.Join(parent, "none")})
	require.Error(t, err)
}

type told struct{ error }

func (told) HTTPStatus() int { return 502 }

func TestRefusals(t *testing.T) {
	u := &Uploads{}
	for name, row := range map[string]struct {
		err  error
		want int
	}{
		"full":               {&fs.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}, 507},
		"not allowed":        {&fs.PathError{Op: "mkdir", Path: "/x", Err: syscall.EACCES}, 500},
		"sent":               {fmt.Errorf("store: %w", sent{io.ErrUnexpectedEOF}), 400},
		"sent too slowly":    {sent{os.ErrDeadlineExceeded}, 400},
		"file of the server": {&fs.PathError{Op: "write", Path: "/x", Err: os.ErrDeadlineExceeded}, 500},
		"with a status":      {told{errors.New("store")}, 502},
		"anything":           {errors.New("/secret/path"), 500},
	} {
		no := u.refusalFor(row.err)
		require.Equal(t, row.want, no.Status, name)
		require.NotContains(t, no.Text, "/")
	}
}
