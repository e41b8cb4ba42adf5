package e2e

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUploadTurnsAFilmIntoHLS(t *testing.T) {
	dir := t.TempDir()
	p := startExample(t, "upload", "-dir", dir, "-key", "SECRET")
	resp, body := p.upload(t, filepath.Join(media(t), "src.mp4"), "SECRET")
	require.Equal(t, http.StatusCreated, resp.StatusCode, body)
	link := p.URL + strings.TrimSpace(body)
	require.Contains(t, link, "/vod/src/index.m3u8?")
	ffmpegPlays(t, link)
	require.Equal(t, frames, packets(t, link))
	play(t, link, false).shows(3)

	resp, body = p.upload(t, filepath.Join(media(t), "ts/index.m3u8"), "SECRET")
	require.Equal(t, http.StatusUnsupportedMediaType, resp.StatusCode, body)
	resp, _ = p.upload(t, filepath.Join(media(t), "src.mp4"), "guess")
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "refused uploads leave nothing")
}

func (s *server) upload(t *testing.T, file, key string) (*http.Response, string) {
	t.Helper()
	film, err := os.ReadFile(file)
	require.NoError(t, err)
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, err := parts.CreateFormFile("film", filepath.Base(file))
	require.NoError(t, err)
	part.Write(film)
	require.NoError(t, parts.Close())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/upload", &form)
	require.NoError(t, err)
	r.Header.Set("Content-Type", parts.FormDataContentType())
	r.SetBasicAuth("anyone", key)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}
