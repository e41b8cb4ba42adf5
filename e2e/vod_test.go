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

func TestVODPlaysEveryShapeBySignedLinks(t *testing.T) {
	p := startExample(t, "vod", "-dir", media(t), "-key", "SECRET")
	everyShape(t, func(s shape) string { return p.link(t, "/vod/"+s.playlist+"?") })
	require.Equal(t, 401, play(t, p.URL+"/vod/ts/index.m3u8", false).fails().Code)

	film := p.link(t, "/vod/src.mp4?")
	ffmpegPlays(t, film)
	require.Equal(t, frames, packets(t, film))
	require.Contains(t, ffmpegFails(t, p.URL+"/vod/src.mp4"), "401")
	// The file has moov at its end, where a client that cannot seek finds it too late.
	ffmpegPlays(t, film, "-seekable", "0")
	ffmpegFails(t, newOrigin(t, media(t)).URL+"/src.mp4", "-seekable", "0")
}

func TestVODTurnsAnUploadIntoHLS(t *testing.T) {
	dir := t.TempDir()
	p := startExample(t, "vod", "-dir", dir, "-key", "SECRET")
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
