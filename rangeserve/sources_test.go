package rangeserve_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// A handler may copy its body from several sources, one after the other. Each range is cut out of the whole of them.
func TestHandlerCutsOutOfSeveralSources(t *testing.T) {
	body := bodyOf(1000)
	dir := t.TempDir()
	file := func(from, to int) io.Reader {
		name := filepath.Join(dir, fmt.Sprint(from, to))
		if err := os.WriteFile(name, body[from:to], 0o600); err != nil {
			t.Error(err)
		}
		return openFile(t, name)
	}
	kinds := map[string]func(from, to int) io.Reader{
		"file":   file,
		"memory": func(from, to int) io.Reader { return bytes.NewReader(body[from:to]) },
		"section": func(from, to int) io.Reader {
			return io.NewSectionReader(bytes.NewReader(body), int64(from), int64(to-from))
		},
		"stream": func(from, to int) io.Reader { return io.MultiReader(bytes.NewReader(body[from:to])) },
		"a source that knows no end": func(from, to int) io.Reader {
			return seekless{bytes.NewReader(body[from:to]), -1}
		},
		"a source that does not seek": func(from, to int) io.Reader {
			return seekless{bytes.NewReader(body[from:to]), io.SeekCurrent}
		},
		"a source that lies about its end": func(from, to int) io.Reader {
			return shortSeeker{bytes.NewReader(body[from:to])}
		},
	}
	for one, first := range kinds {
		for two, second := range kinds {
			url := start(t, rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				describe(w.Header(), len(body), `"v"`)
				_, _ = io.Copy(w, first(0, 300))
				_, _ = w.Write(body[300:400])
				_, _ = io.Copy(w, second(400, 1000))
			})))
			for _, want := range []string{"600-699", "0-9", "299-300", "290-410", "300-399", "999-999", "0-0,350-360,500-501", "1-2,299-299,400-400"} {
				requirePartial(t, ask(t, "GET", url, "Range: bytes="+want), want, body)
				if t.Failed() {
					t.Fatal(one, two, want)
				}
			}
		}
	}
}

// If a source cannot go back to its position, it must not be read further.
func TestHandlerBreaksOffWhenASourceIsLost(t *testing.T) {
	url := start(t, rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		describe(w.Header(), 1000, `"v"`)
		_, err := io.Copy(w, seekless{bytes.NewReader(bodyOf(1000)), io.SeekStart})
		if !errors.Is(err, errSeek) {
			t.Error(err)
		}
	})))
	require.Error(t, broken(t, url, "Range: bytes=600-699"))
}

var errSeek = errors.New("no such place")

// seekless fails to seek from one place; -1: from the end.
type seekless struct {
	io.ReadSeeker // not a WriterTo
	whence        int
}

func (s seekless) Seek(offset int64, whence int) (int64, error) {
	if whence == s.whence || s.whence < 0 && whence == io.SeekEnd {
		return 0, errSeek
	}
	return s.ReadSeeker.Seek(offset, whence)
}

// shortSeeker says that it is empty, as some files of the system do.
type shortSeeker struct{ io.ReadSeeker }

func (s shortSeeker) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		return 0, nil
	}
	return s.ReadSeeker.Seek(offset, whence)
}
