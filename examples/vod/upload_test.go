package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// form is a film as a browser sends it.
func form(t *testing.T, field, name string, film []byte) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	parts := multipart.NewWriter(&b)
	require.NoError(t, parts.WriteField("other", "value"))
	part, err := parts.CreateFormFile(field, name)
	require.NoError(t, err)
	part.Write(film)
	require.NoError(t, parts.Close())
	return b.Bytes(), parts.FormDataContentType()
}

func upload(t *testing.T, ctx context.Context, base, name string, film []byte, header ...string) (*http.Response, string, error) {
	t.Helper()
	body, contentType := form(t, "film", name, film)
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
	}, 10*time.Second, 10*time.Millisecond)
}

// fakeFFmpeg puts a shell script in ffmpeg's place. OUT is the playlist that it is to write.
func fakeFFmpeg(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	text := "#!/bin/sh\nfor OUT; do :; done\n" + script + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ffmpeg"), []byte(text), 0o755))
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// mp4 looks like a film at its beginning.
var mp4 = append([]byte("\x00\x00\x00\x20ftypisom"), bytes.Repeat([]byte{0}, 1000)...)

func TestUploadBecomesHLS(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		if os.Getenv("HLSPROXY_REQUIRE_TOOLS") == "1" {
			t.Fatal("ffmpeg is not installed")
		}
		t.Skip("ffmpeg is not installed")
	}
	film := filepath.Join(t.TempDir(), "film.mp4")
	text, err := exec.Command(ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=161x91:rate=25", "-f", "lavfi", "-i", "sine", "-t", "6",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p", "-c:a", "aac", film).CombinedOutput()
	require.NoError(t, err, "%s", text)
	whole, err := os.ReadFile(film)
	require.NoError(t, err)

	dir := t.TempDir()
	base := start(t, "-dir", dir)
	for _, name := range []string{"My film", "My film-2"} {
		resp, body, err := upload(t, t.Context(), base, "My film.mp4", whole)
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, resp.StatusCode, body)
		path := "/vod/" + strings.ReplaceAll(name, " ", "-") + "/index.m3u8"
		require.Equal(t, path, resp.Header.Get("Location"))
		_, body = do(t, "GET", base+path)
		require.Contains(t, body, "#EXT-X-ENDLIST")
		resp, segment := do(t, "GET", base+strings.Replace(path, "index.m3u8", "seg00001.ts", 1))
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Zero(t, len(segment)%188)
	}
	t.Run("cut off", func(t *testing.T) {
		resp, body, err := upload(t, t.Context(), base, "cut.mp4", whole[:len(whole)/2])
		require.NoError(t, err)
		require.Equal(t, http.StatusUnprocessableEntity, resp.StatusCode)
		require.Contains(t, body, "ffmpeg cannot convert this film: ")
		require.Contains(t, body, "moov atom not found")
		require.NotContains(t, body, dir)
	})
	t.Run("list of other files", func(t *testing.T) {
		secret := filepath.Join(dir, "My-film", "index.m3u8")
		resp, body, err := upload(t, t.Context(), base, "list.mp4", []byte("#EXTM3U\n#EXTINF:4,\nfile://"+secret+"\n#EXT-X-ENDLIST\n"))
		require.NoError(t, err)
		require.Equal(t, http.StatusUnsupportedMediaType, resp.StatusCode, body)
	})
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "failures leave nothing")
}

func TestUploadsThatAreRefused(t *testing.T) {
	fakeFFmpeg(t, "echo '[mov @ 0x55] '$OUT': it is broken' >&2; exit 1")
	dir := t.TempDir()
	base := start(t, "-dir", dir, "-max", "100KiB")
	for name, row := range map[string]struct {
		film   []byte
		header []string
		status int
		says   string
	}{
		"too large":             {append(mp4, make([]byte, 300<<10)...), nil, 413, "102400 bytes"},
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
	resp, _ := do(t, "GET", base+"/upload")
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}

func TestUploadWithAKeyAsksForIt(t *testing.T) {
	fakeFFmpeg(t, "echo '#EXTM3U' >$OUT")
	dir := t.TempDir()
	base := start(t, "-dir", dir, "-key", "k")
	resp, _, err := upload(t, t.Context(), base, "film.mp4", mp4)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	nothingIn(t, dir)
	resp, body, err := upload(t, t.Context(), base, "film.mp4", mp4, "Authorization", "Basic bWU6aw==") // me:k
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, resp.StatusCode, body)
	resp, body = do(t, "GET", base+strings.TrimSpace(body))
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
}

func TestOneFilmIsConvertedAtATime(t *testing.T) {
	marks := t.TempDir()
	fakeFFmpeg(t, "mkdir "+marks+"/busy || { echo two at a time >&2; exit 1; }\nsleep 0.2\nrmdir "+marks+"/busy\necho '#EXTM3U' >$OUT")
	base := start(t, "-dir", t.TempDir())
	t.Run("four at once", func(t *testing.T) {
		for _, name := range []string{"a", "b", "c", "d"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				resp, body, err := upload(t, t.Context(), base, name+".mp4", mp4)
				require.NoError(t, err)
				require.Equal(t, http.StatusCreated, resp.StatusCode, body)
			})
		}
	})
}

// A job ends with its uploader, and leaves nothing.
func TestCancelledUploads(t *testing.T) {
	marks := t.TempDir()
	pid := filepath.Join(marks, "pid")
	fakeFFmpeg(t, "echo $$ >"+pid+".new; mv "+pid+".new "+pid+"; echo half >$(dirname $OUT)/seg00000.ts; exec sleep 300")
	dir := t.TempDir()
	base := start(t, "-dir", dir)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, _, err := upload(t, ctx, base, "film.mp4", mp4)
		gone <- err
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(pid); return err == nil }, 10*time.Second, 10*time.Millisecond)
	leave()
	require.Error(t, <-gone)
	nothingIn(t, dir)
	number, err := os.ReadFile(pid)
	require.NoError(t, err)
	require.Error(t, exec.Command("kill", "-0", strings.TrimSpace(string(number))).Run(), "ffmpeg has ended")
}

func TestServerThatStopsEndsItsJobs(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	fakeFFmpeg(t, "touch "+started+"; exec sleep 300")
	dir := t.TempDir()
	answer := make(chan string, 1)
	t.Run("server", func(t *testing.T) {
		base := start(t, "-dir", dir)
		go func() {
			_, text, err := upload(t, context.Background(), base, "film.mp4", mp4)
			answer <- fmt.Sprint(text, err)
		}()
		require.Eventually(t, func() bool { _, err := os.Stat(started); return err == nil }, 10*time.Second, 10*time.Millisecond)
	})
	require.Contains(t, <-answer, "was cancelled", "it has time to say so")
	nothingIn(t, dir)
}

func TestUploadCutOff(t *testing.T) {
	fakeFFmpeg(t, "echo '#EXTM3U' >$OUT")
	dir := t.TempDir()
	base := start(t, "-dir", dir)
	body, contentType := form(t, "film", "film.mp4", mp4)
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
	base := start(t, "-dir", folder(t))
	_, page := do(t, "GET", base+"/")
	require.Contains(t, page, "ffmpeg is not installed")
	require.NotContains(t, page, "<form")
	require.Len(t, listed(t, page), 3)
	resp, _, err := upload(t, t.Context(), base, "film.mp4", mp4)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotImplemented, resp.StatusCode)
}

func TestBeyondLoopbackAnUploadNeedsAKey(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	h, home, err := newHandler(t.Context(), options{dir: dir}, root, false)
	require.NoError(t, err)
	require.Contains(t, home.refused, "need a key")
	body, contentType := form(t, "film", "film.mp4", mp4)
	r, err := http.NewRequest(http.MethodPost, "http://192.0.2.1/upload", bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusForbidden, w.Code)
	nothingIn(t, dir)
}

func TestLeftoversOfAKilledServerAreCleared(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, hidden+"123", "hls"), 0o755))
	start(t, "-dir", dir)
	nothingIn(t, dir)
}

func TestTitles(t *testing.T) {
	for file, want := range map[string]string{
		"My film.mp4": "My-film", "../../etc/passwd": "etc-passwd", ".mp4": "film", "...": "film", "Füße 7.mkv": "Füße-7", "a/b?c#d%.mov": "a-b-c-d",
		strings.Repeat("é", 100) + ".mp4": strings.Repeat("é", 60), ".upload-1.mp4": "upload-1",
	} {
		require.Equal(t, want, titleOf(file), file)
	}
}
