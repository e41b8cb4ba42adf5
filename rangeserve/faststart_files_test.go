package rangeserve_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

func writeFilm(t testing.TB, file []byte, name string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), file, 0o600))
	return dir
}

// TestFilesFaststart serves the view, whole and in parts, under a tag of its own.
func TestFilesFaststart(t *testing.T) {
	slow := film(ftyp, atom("mdat", bodyOf(500_000)), moovOf(stco, 1, 8, 100, 400_000))
	v, size, err := rangeserve.Faststart(bytes.NewReader(slow), int64(len(slow)))
	require.NoError(t, err)
	want, err := io.ReadAll(io.NewSectionReader(v, 0, size))
	require.NoError(t, err)
	for _, name := range []string{"a.mp4", "a.MOV", "a.m4v", "a.m4a"} {
		dir := writeFilm(t, slow, name)
		past := time.Now().Add(-time.Hour) // a time of this second is told of only when the second is over
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), past, past))
		root := openRoot(t, dir)
		plain := ask(t, "GET", start(t, settled(&rangeserve.Files{Root: root}))+"/"+name)
		require.True(t, bytes.Equal(slow, plain.body))
		address := start(t, settled(&rangeserve.Files{Root: root, Faststart: true})) + "/" + name
		whole := ask(t, "GET", address)
		require.NoError(t, whole.err)
		require.True(t, bytes.Equal(want, whole.body))
		require.NotEqual(t, plain.Header.Get("Etag"), whole.Header.Get("Etag"))
		require.Equal(t, plain.Header.Get("Last-Modified"), whole.Header.Get("Last-Modified"))
		for _, r := range [][2]int{{0, 1}, {20, 40}, {0, 200_000}, {100, 499_999}, {300_000, len(want) - 1}, {len(want) - 5, len(want) - 1}} {
			a := ask(t, "GET", address, fmt.Sprintf("Range: bytes=%d-%d", r[0], r[1]))
			require.NoError(t, a.err)
			require.Equal(t, 206, a.StatusCode)
			require.Equal(t, fmt.Sprintf("bytes %d-%d/%d", r[0], r[1], size), a.Header.Get("Content-Range"))
			require.True(t, bytes.Equal(want[r[0]:r[1]+1], a.body))
			require.Equal(t, whole.Header.Get("Etag"), a.Header.Get("Etag"))
		}
		require.Equal(t, 200, ask(t, "GET", address, "Range: bytes=0-1", "If-Range: "+plain.Header.Get("Etag")).StatusCode)
		require.Equal(t, 206, ask(t, "GET", address, "Range: bytes=0-1", "If-Range: "+whole.Header.Get("Etag")).StatusCode)
	}
}

// TestFilesFaststartLeavesTheRest: files that cannot or need not be rearranged are served as they are, under their plain tag.
func TestFilesFaststartLeavesTheRest(t *testing.T) {
	files := map[string][]byte{"no film.mp4": []byte("#!/bin/sh"), "empty.mp4": {}, "slow.ts": films[0].file}
	for _, c := range films {
		if !c.moved {
			files[c.name+".mp4"] = c.file
		}
	}
	for name, file := range files {
		root := openRoot(t, writeFilm(t, file, name))
		for range 2 {
			path := "/" + (&url.URL{Path: name}).EscapedPath()
			w := serveTo(settled(&rangeserve.Files{Root: root, Faststart: true}), path, "")
			require.Equal(t, 200, w.Code)
			require.True(t, bytes.Equal(file, w.Body.Bytes()), name)
			require.Equal(t, serveTo(settled(&rangeserve.Files{Root: root}), path, "").Header().Get("Etag"), w.Header().Get("Etag"))
		}
	}
}

// TestFilesFaststartFollowsTheFile: what is known of a file is forgotten with it.
func TestFilesFaststartFollowsTheFile(t *testing.T) {
	dir := writeFilm(t, films[0].file, "a.mp4")
	h := settled(&rangeserve.Files{Root: openRoot(t, dir), Faststart: true})
	first := serveTo(h, "/a.mp4", "")
	require.NotEqual(t, films[0].file, first.Body.Bytes())
	other := film(ftyp, atom("mdat", bodyOf(300)), moovOf(stco, 1, 8, 9, 10, 11))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), other, 0o600))
	require.NoError(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "a.mp4")))
	second := serveTo(h, "/a.mp4", "")
	require.Equal(t, len(other), second.Body.Len())
	require.NotEqual(t, first.Header().Get("Etag"), second.Header().Get("Etag"))
	offsets, err := chunks(bytes.NewReader(second.Body.Bytes()), int64(second.Body.Len()))
	require.NoError(t, err)
	require.Len(t, offsets, 4)
}

// TestFilesFaststartForManyAtOnce serves, from many goroutines, more files than are remembered, with more memory than is kept.
func TestFilesFaststartForManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	large := film(ftyp, atom("mdat", media), atom("moov", trak(stco(32)), atom("free", make([]byte, 24<<20))))
	for i := range 4 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("large", i, ".mp4")), large, 0o600))
	}
	for i := range 300 {
		b := film(ftyp, atom("mdat", binary.BigEndian.AppendUint32(nil, uint32(i))), moovOf(stco, 1, 8))
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".mp4")), b, 0o600))
	}
	h := settled(&rangeserve.Files{Root: openRoot(t, dir), Faststart: true})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 300 {
				requireNumber(t, serveTo(h, fmt.Sprint("/", (i+g*50)%300, ".mp4"), "bytes=-4"), (i+g*50)%300)
				if i%100 == 0 {
					w := serveTo(h, fmt.Sprint("/large", (i/100+g)%4, ".mp4"), "bytes=0-99")
					if w.Code != 206 || !bytes.Equal(slices.Concat(ftyp, large[len(ftyp)+8+len(media):])[:99-4], w.Body.Bytes()[:99-4]) {
						t.Error(w.Code)
					}
				}
			}
		})
	}
	wg.Wait()
}

func requireNumber(t *testing.T, w *httptest.ResponseRecorder, i int) {
	if w.Code != 206 || binary.BigEndian.Uint32(w.Body.Bytes()) != uint32(i) {
		t.Errorf("%d: %d %x", i, w.Code, w.Body.Bytes())
	}
}

// TestFilesFaststartChangedWhileBeingSent: the answer breaks off, as for any file.
func TestFilesFaststartChangedWhileBeingSent(t *testing.T) {
	slow := film(ftyp, atom("mdat", bodyOf(500_000)), moovOf(stco, 1, 8))
	dir := writeFilm(t, slow, "a.mp4")
	h := settled(&rangeserve.Files{Root: openRoot(t, dir), Faststart: true})
	w := &slowWriter{httptest.NewRecorder(), func() { require.NoError(t, os.Truncate(filepath.Join(dir, "a.mp4"), 1000)) }}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(w, httptest.NewRequest("GET", "/a.mp4", nil)) })
	require.Less(t, w.Body.Len(), len(slow))
}
