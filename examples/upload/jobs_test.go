package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/films/filmstest"
	"github.com/hlsproxy/hlsproxy/examples/internal/uploads"
	"github.com/stretchr/testify/require"
)

// watch reads the events of the jobs until seen returns true.
func watch(t *testing.T, base string, seen func([]uploads.Job) bool, header ...string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/jobs", nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var list []uploads.Job
			require.NoError(t, json.Unmarshal([]byte(data), &list))
			if seen(list) {
				return
			}
		}
	}
	require.NoError(t, lines.Err())
	require.Fail(t, "the events ended")
}

func shown(t *testing.T, base string) (list []uploads.Job) {
	t.Helper()
	watch(t, base, func(l []uploads.Job) bool { list = l; return true })
	return list
}

func TestOneFilmIsConvertedAtATime(t *testing.T) {
	marks := t.TempDir()
	fakeFFmpeg(t, "lock "+marks+"/busy; pause; unlock "+marks+"/busy; finish")
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

// Films are converted in the order in which they arrived, and each knows how many there are before it.
func TestQueue(t *testing.T) {
	marks := t.TempDir()
	fakeFFmpeg(t, "await "+marks+"/go; finish")
	dir := t.TempDir()
	base := start(t, "-dir", dir)
	order := make(chan string, 4)
	for i, name := range []string{"first", "second", "third", "fourth"} {
		go func() {
			_, body, err := upload(t, t.Context(), base, name+".mp4", mp4)
			order <- fmt.Sprint(body, err)
		}()
		watch(t, base, func(list []uploads.Job) bool {
			return len(list) == i+1 && list[i].Ahead == i && list[i].State == map[bool]uploads.State{true: uploads.Converting, false: uploads.Waiting}[i == 0]
		})
	}
	resp, body, err := upload(t, t.Context(), base, "fifth.mp4", mp4)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, body)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))

	list := shown(t, base)
	require.Equal(t, "second", list[1].Title)
	resp, _ = filmstest.Do(t, "DELETE", base+"/jobs/"+strconv.Itoa(list[1].ID))
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	require.Contains(t, <-order, "The film was cancelled.")
	watch(t, base, func(list []uploads.Job) bool {
		return list[1].State == uploads.Failed && list[2].Ahead == 1 && list[3].Ahead == 2
	})
	require.NoError(t, os.WriteFile(filepath.Join(marks, "go"), nil, 0o644))
	for _, name := range []string{"first", "third", "fourth"} {
		require.Contains(t, <-order, "/vod/"+name+"/index.m3u8")
	}
	watch(t, base, func(list []uploads.Job) bool {
		return list[3].State == uploads.Done && list[3].Percent == 100 && list[3].Link != ""
	})
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 3)
}

// If the uploader leaves or presses the button, its job ends at any stage and leaves nothing.
func TestCancelledWhileConverting(t *testing.T) {
	for name, how := range map[string]func(t *testing.T, base string, leave func()){
		"uploader leaves": func(_ *testing.T, _ string, leave func()) { leave() },
		"button": func(t *testing.T, base string, _ func()) {
			resp, _ := filmstest.Do(t, "DELETE", base+"/jobs/1", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
			require.Equal(t, http.StatusForbidden, resp.StatusCode, "a page of another site")
			resp, _ = filmstest.Do(t, "DELETE", base+"/jobs/1", "Sec-Fetch-Site", "same-origin", "Origin", base)
			require.Equal(t, http.StatusNoContent, resp.StatusCode)
		},
	} {
		t.Run(name, func(t *testing.T) {
			parent, child := sleepy(t)
			dir := t.TempDir()
			base := start(t, "-dir", dir)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			gone := make(chan error, 1)
			go func() {
				resp, body, err := upload(t, ctx, base, "film.mp4", mp4)
				if err == nil {
					err = fmt.Errorf("%d %s", resp.StatusCode, body)
				}
				gone <- err
			}()
			pid := running(t, parent)
			how(t, base, leave)
			require.Error(t, <-gone)
			nothingIn(t, dir)
			ended(t, pid)
			ended(t, running(t, child))
			watch(t, base, func(list []uploads.Job) bool {
				return list[0].State == uploads.Failed && strings.Contains(list[0].Message, "was cancelled")
			})
			resp, _ := filmstest.Do(t, "DELETE", base+"/jobs/1")
			require.Equal(t, http.StatusNotFound, resp.StatusCode)
		})
	}
}

func TestCancelledWhileArriving(t *testing.T) {
	fakeFFmpeg(t, "finish")
	dir := t.TempDir()
	base := start(t, "-dir", dir)
	half, more := io.Pipe()
	body, contentType := formOf(t, "ts", "film.mp4", mp4)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/upload", half)
	require.NoError(t, err)
	r.Header.Set("Content-Type", contentType)
	r.ContentLength = int64(2 * len(body))
	answer := make(chan string, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		answer <- resp.Status + " " + string(text)
	}()
	_, err = more.Write(body[:len(body)-100])
	require.NoError(t, err)
	watch(t, base, func(list []uploads.Job) bool {
		return len(list) == 1 && list[0].Percent > 30 && list[0].Title == "film"
	})
	resp, _ := filmstest.Do(t, "DELETE", base+"/jobs/1")
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	require.Contains(t, <-answer, "409 Conflict "+"The film was cancelled.")
	nothingIn(t, dir)
}

// If something outside ends ffmpeg, the film is not to blame.
func TestKilledFFmpegLeavesNothing(t *testing.T) {
	parent, _ := sleepy(t)
	dir := t.TempDir()
	base := start(t, "-dir", dir)
	go func() { syscall.Kill(-running(t, parent), syscall.SIGKILL) }()
	resp, body, err := upload(t, t.Context(), base, "film.mp4", mp4)
	require.NoError(t, err)
	require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	require.Contains(t, body, "the film may be fine")
	nothingIn(t, dir)
}

func TestFFmpegStandsBack(t *testing.T) {
	if _, err := exec.LookPath("nice"); err != nil {
		t.Skip("there is no nice here")
	}
	ours, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "nice")
	fakeFFmpeg(t, "nice "+file+"; finish")
	_, body, err := upload(t, t.Context(), start(t, "-dir", t.TempDir()), "film.mp4", mp4)
	require.NoError(t, err)
	its, err := os.ReadFile(file)
	require.NoError(t, err, body)
	require.Equal(t, strconv.Itoa(min(19, 20-ours+10)), string(its))
}

func TestServerThatStopsEndsItsJobs(t *testing.T) {
	parent, child := sleepy(t)
	dir := t.TempDir()
	answer, events := make(chan string, 1), make(chan error, 1)
	t.Run("server", func(t *testing.T) {
		base := start(t, "-dir", dir)
		resp, err := http.Get(base + "/jobs")
		require.NoError(t, err)
		go func() {
			_, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			events <- err
		}()
		go func() {
			_, text, err := upload(t, context.Background(), base, "film.mp4", mp4)
			answer <- fmt.Sprint(text, err)
		}()
		running(t, parent)
	})
	require.Contains(t, <-answer, "was cancelled", "it has time to say so")
	require.NoError(t, <-events, "the events end as they should")
	nothingIn(t, dir)
	ended(t, running(t, parent))
	ended(t, running(t, child))
}

func TestJobsNeedTheKey(t *testing.T) {
	parent, _ := sleepy(t)
	base := start(t, "-dir", t.TempDir(), "-key", "k")
	key := []string{"Authorization", "Basic bWU6aw=="} // me:k
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	go upload(t, ctx, base, "film.mp4", mp4, key...)
	running(t, parent)
	for _, request := range [][2]string{{"GET", "/jobs"}, {"GET", "/jobs/1/picture"}, {"DELETE", "/jobs/1"}} {
		resp, body := filmstest.Do(t, request[0], base+request[1])
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
		require.NotContains(t, body, "film")
	}
	watch(t, base, func(list []uploads.Job) bool { return list[0].Title == "film" }, key...)
	resp, _ := filmstest.Do(t, "DELETE", base+"/jobs/1", key...)
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	resp, _ = filmstest.Do(t, "DELETE", base+"/jobs/x", key...)
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
}
