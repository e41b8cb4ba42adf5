package main

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/films"
	"github.com/hlsproxy/hlsproxy/examples/internal/films/filmstest"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/stretchr/testify/require"
)

// formOf is the form of a film as a browser sends it.
func formOf(t *testing.T, segments, name string, film []byte) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	parts := multipart.NewWriter(&b)
	require.NoError(t, parts.WriteField("other", "value"))
	part, err := parts.CreateFormFile("film", name)
	require.NoError(t, err)
	part.Write(film)
	require.NoError(t, parts.WriteField("segments", segments))
	require.NoError(t, parts.Close())
	return b.Bytes(), parts.FormDataContentType()
}

func upload(t *testing.T, ctx context.Context, base, name string, film []byte, header ...string) (*http.Response, string, error) {
	t.Helper()
	body, contentType := formOf(t, "ts", name, film)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/upload", bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

// nothingIn requires that a folder is empty, soon.
func nothingIn(t *testing.T, dir string) {
	t.Helper()
	require.Eventually(t, func() bool {
		entries, err := os.ReadDir(dir)
		return err == nil && len(entries) == 0
	}, time.Minute, 10*time.Millisecond)
}

// mp4 looks like a film at its beginning.
var mp4 = append([]byte("\x00\x00\x00\x20ftypisom"), bytes.Repeat([]byte{0}, 1000)...)

func TestUploadsThatAreRefused(t *testing.T) {
	fakeFFmpeg(t, "fail it is broken")
	dir := t.TempDir()
	base := start(t, "-dir", dir, "-max", "100KiB")
	for name, row := range map[string]struct {
		film   []byte
		header []string
		status int
		says   string
	}{
		"too large":             {append(mp4, make([]byte, 300<<10)...), nil, 413, "at most 100 KiB"},
		"no film":               {[]byte("hello"), nil, 415, "no film"},
		"empty":                 {nil, nil, 415, "no film"},
		"broken":                {mp4, nil, 422, "ffmpeg cannot convert this film: "},
		"page of another site":  {mp4, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403, ""},
		"page, older browser":   {mp4, []string{"Origin", "https://evil.example"}, 403, ""},
		"form without a film":   {mp4, []string{"Content-Type", "multipart/form-data; boundary=zzz"}, 400, ""},
		"not a multipart form":  {mp4, []string{"Content-Type", "video/mp4"}, 400, "multipart/form-data"},
		"another kind of parts": {mp4, []string{"Content-Type", "multipart/form-data"}, 400, "multipart/form-data"},
	} {
		resp, body, err := upload(t, t.Context(), base, "film.mp4", row.film, row.header...)
		require.NoError(t, err, name)
		require.Equal(t, row.status, resp.StatusCode, "%s: %s", name, body)
		require.Contains(t, body, row.says, name)
		require.NotContains(t, body, dir, name)
		nothingIn(t, dir)
	}
	resp, _ := filmstest.Do(t, "GET", base+"/upload")
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	require.LessOrEqual(t, len(shown(t, base)), 5, "what has ended is forgotten in the end")
}

func TestUploadWithAKeyAsksForIt(t *testing.T) {
	fakeFFmpeg(t, "finish")
	dir := t.TempDir()
	base := start(t, "-dir", dir, "-key", "k")
	resp, _, err := upload(t, t.Context(), base, "film.mp4", mp4)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	nothingIn(t, dir)
	resp, body, err := upload(t, t.Context(), base, "film.mp4", mp4, "Authorization", "Basic bWU6aw==") // me:k
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, resp.StatusCode, body)
	resp, body = filmstest.Do(t, "GET", base+strings.TrimSpace(body))
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
}

func TestUploadCutOff(t *testing.T) {
	fakeFFmpeg(t, "finish")
	dir := t.TempDir()
	base := start(t, "-dir", dir)
	body, contentType := formOf(t, "ts", "film.mp4", mp4)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/upload", bytes.NewReader(body[:len(body)/2]))
	require.NoError(t, err)
	r.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	nothingIn(t, dir)
}

func TestWithoutFFmpegTheRestWorks(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	base := start(t, "-dir", filmstest.Folder(t))
	_, page := filmstest.Do(t, "GET", base+"/")
	require.Contains(t, page, "ffmpeg is not installed")
	require.NotContains(t, page, "<form")
	require.Len(t, filmstest.Links(page), 3)
	resp, _, err := upload(t, t.Context(), base, "film.mp4", mp4)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotImplemented, resp.StatusCode)
}

func TestBeyondLoopbackAnUploadNeedsAKey(t *testing.T) {
	fakeFFmpeg(t, "finish")
	dir := t.TempDir()
	folder, err := films.Open(dir)
	require.NoError(t, err)
	links, err := serve.NewLinks("", 0, false)
	require.NoError(t, err)
	h, err := newHandler(t.Context(), options{dir: dir, folder: folder}, links)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://192.0.2.1/", nil))
	require.Contains(t, w.Body.String(), "need a key")
	body, contentType := formOf(t, "ts", "film.mp4", mp4)
	r := httptest.NewRequest(http.MethodPost, "http://192.0.2.1/upload", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusForbidden, w.Code)
	nothingIn(t, dir)
}

func TestLeftoversOfAKilledServerAreCleared(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".upload-123", "hls"), 0o755))
	start(t, "-dir", dir)
	nothingIn(t, dir)
}

// An error of the server's disk is reported without the path of the films.
func TestDiskThatFails(t *testing.T) {
	for name, row := range map[string]struct {
		script  string
		prepare func(t *testing.T, dir string)
		status  int
		says    string
	}{
		"folder is gone":        {"finish", func(t *testing.T, dir string) { require.NoError(t, os.Remove(dir)) }, 500, "could not store the film"},
		"full while converting": {"fail av_interleaved_write_frame(): No space left on device", nil, 507, "no room left"},
		"full, and it goes on":  {"say [hls @ 0x5] failed to rename: No space left on device; finish", nil, 507, "no room left"},
		"segment is missing":    {"finish; remove seg.ts", nil, 507, "may be full"},
		"segment is empty":      {"finish; empty seg.ts", nil, 507, "may be full"},
		"segment is cut off":    {"finish; cut seg.ts", nil, 507, "may be full"},
		"playlist is cut off":   {"finish; open", nil, 507, "may be full"},
		"playlist is empty":     {"empty index.m3u8", nil, 507, "may be full"},
		"not even a playlist":   {"nothing", nil, 507, "may be full"},
	} {
		t.Run(name, func(t *testing.T) {
			fakeFFmpeg(t, row.script)
			dir := filepath.Join(t.TempDir(), "films")
			require.NoError(t, os.Mkdir(dir, 0o755))
			base := start(t, "-dir", dir)
			if row.prepare != nil {
				row.prepare(t, dir)
			}
			resp, body, err := upload(t, t.Context(), base, "film.mp4", mp4)
			require.NoError(t, err)
			require.Equal(t, row.status, resp.StatusCode, body)
			require.Contains(t, body, row.says)
			require.NotContains(t, body, filepath.Base(dir)+"/")
			if row.prepare == nil {
				nothingIn(t, dir)
			}
		})
	}
}
