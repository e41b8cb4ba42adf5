package rangeserve_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// torn is a ResponseWriter whose client leaves. It still reads what it was given, as an HTTP/2 server may.
type torn struct {
	*httptest.ResponseRecorder
	fails func(p []byte) bool
	last  []byte
}

var errGone = errors.New("the client is gone")

func (w *torn) Write(p []byte) (int, error) {
	if w.fails(p) {
		w.last = p
		return 0, errGone
	}
	return w.ResponseRecorder.Write(p)
}

func (w *torn) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func TestHandlerBreaksOffWhenTheLastBoundaryCannotBeSent(t *testing.T) {
	h := rangeserve.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		for range 10 {
			io.WriteString(w, "x") // come what may
		}
		w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
	}))
	w := &torn{ResponseRecorder: httptest.NewRecorder(), fails: func(p []byte) bool { return bytes.HasSuffix(p, []byte("--\r\n")) }}
	r := httptest.NewRequest(http.MethodGet, "/a.ts", nil)
	r.Header.Set("Range", "bytes=0-1,4-5")
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(w, r) })
}

// reader is a ReaderAt that repeats one letter.
type reader byte

func (r reader) ReadAt(p []byte, _ int64) (int, error) {
	copy(p, bytes.Repeat([]byte{byte(r)}, len(p)))
	return len(p), nil
}

func TestServeDoesNotReuseWhatAWriteThatFailedMayStillRead(t *testing.T) {
	const size = 100 << 10
	serve := func(w http.ResponseWriter, c reader) {
		rangeserve.Serve(w, httptest.NewRequest(http.MethodGet, "/a.ts", nil), rangeserve.Content{ReaderAt: c, Size: size})
	}
	w := &torn{ResponseRecorder: httptest.NewRecorder(), fails: func([]byte) bool { return true }}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { serve(w, 'a') })
	for range 20 {
		serve(httptest.NewRecorder(), 'b')
	}
	require.Equal(t, strings.Repeat("a", size), string(w.last))
}
