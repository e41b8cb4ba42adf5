package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/examples/internal/films/filmstest"
	"github.com/hlsproxy/hlsproxy/examples/internal/uploads"
	"github.com/stretchr/testify/require"
)

// needFFmpeg also hides nice from the server, so that the tests do not wait for other work of the machine.
func needFFmpeg(t *testing.T) {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"ffmpeg", "ffprobe", "sh"} {
		found, err := exec.LookPath(name)
		if err == nil {
			require.NoError(t, os.Symlink(found, filepath.Join(bin, name)))
			continue
		}

		if os.Getenv("HLSPROXY_REQUIRE_TOOLS") == "1" {
			t.Fatal(name + " is not installed")
		}
		t.Skip(name + " is not installed")
	}
	t.Setenv("PATH", bin)
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	text, err := exec.Command(program, append([]string{"-v", "error"}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", text)
	return string(text)
}

// makeFilm has ffmpeg make a film of five pictures a second.
func makeFilm(t *testing.T, name, size string, seconds int, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	args = append([]string{"-f", "lavfi", "-i", "testsrc2=rate=5:size=" + size, "-f", "lavfi", "-i", "sine", "-t", fmt.Sprint(seconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"}, args...)
	output(t, "ffmpeg", append(args, file)...)
	film, err := os.ReadFile(file)
	require.NoError(t, err)
	return film
}

var variantLine = regexp.MustCompile(`(?m)^#EXT-X-STREAM-INF:(.*)\n(.*)$`)

// offered are the attributes of the variants of a multivariant playlist, by URI. The variants must be in order.
func offered(t *testing.T, playlist string) (uris []string, variants []map[string]string) {
	t.Helper()
	for _, m := range variantLine.FindAllStringSubmatch(playlist, -1) {
		attributes := map[string]string{}
		for _, a := range regexp.MustCompile(`([A-Z-]+)=("[^"]*"|[^,]*)`).FindAllStringSubmatch(m[1], -1) {
			attributes[a[1]] = strings.Trim(a[2], `"`)
		}
		uris, variants = append(uris, m[2]), append(variants, attributes)
	}
	return uris, variants
}

func TestFilmsBecomeHLS(t *testing.T) {
	needFFmpeg(t)
	dir := t.TempDir()
	base := start(t, "-dir", dir)
	for _, row := range []struct {
		name, size string
		seconds    int
		args       []string
		fragmented bool
		rungs      string // what comes of it
	}{
		{"ladder", "1280x960", 5, []string{"-g", "13"}, false, "1280x960 960x720 480x360"},
		{"fragmented", "854x480", 5, []string{"-g", "13"}, true, "854x480 640x360"},
		{"silent", "178x100", 2, []string{"-an"}, false, "178x100"},
		{"silent-mp4", "178x100", 2, []string{"-an"}, true, "178x100"},
		{"upright", "240x426", 2, nil, true, "240x426"},
		{"odd", "161x91", 5, []string{"-pix_fmt", "yuv444p"}, false, "160x90"},
		{"sound", "64x64", 5, []string{"-vn"}, false, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			film := makeFilm(t, row.name+".mp4", row.size, row.seconds, row.args...)
			film, contentType := formOf(t, map[bool]string{true: "fmp4", false: "ts"}[row.fragmented], row.name+".mp4", film)
			resp, err := http.Post(base+"/upload", contentType, strings.NewReader(string(film)))
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, http.StatusCreated, resp.StatusCode)
			require.Equal(t, "/vod/"+row.name+"/index.m3u8", resp.Header.Get("Location"))

			_, playlist := filmstest.Do(t, "GET", base+resp.Header.Get("Location"))
			uris, variants := offered(t, playlist)
			sizes, cuts := []string{}, []string{}
			for i, uri := range uris {
				folder := filepath.Join(dir, row.name, strings.Split(uri, "/")[3])
				cuts = append(cuts, checkRendition(t, folder, variants[i], row.fragmented))
				if size := variants[i]["RESOLUTION"]; size != "" {
					sizes = append(sizes, size)
				}
				require.Equal(t, cuts[0], cuts[i], "renditions are cut at the same pictures")
			}
			require.Equal(t, row.rungs, strings.Join(sizes, " "))
			require.Equal(t, row.args == nil || row.args[0] != "-an", strings.Contains(variants[0]["CODECS"], "mp4a"))
			require.InDelta(t, float64(row.seconds), seconds(output(t, "ffprobe", "-show_entries", "format=duration", "-of", "csv=p=0", base+resp.Header.Get("Location"))), 0.3)

			list := shown(t, base)
			last := list[len(list)-1]
			require.Equal(t, uploads.Done, last.State)
			require.InDelta(t, row.seconds, last.Seconds, 1)
			require.Greater(t, last.Bytes, int64(1000))
			pictured, jpeg := filmstest.Do(t, "GET", fmt.Sprintf("%s/jobs/%d/picture", base, last.ID))
			require.Equal(t, row.rungs != "", last.Picture)
			require.Equal(t, last.Picture, pictured.StatusCode == http.StatusOK && strings.HasPrefix(jpeg, "\xff\xd8\xff"))
		})
	}
	_, page := filmstest.Do(t, "GET", base+"/")
	require.Len(t, filmstest.Links(page), 7, "renditions are not films of their own")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 7)
}

func seconds(text string) (s float64) {
	fmt.Sscan(text, &s)
	return s
}

// checkRendition compares the attributes of a variant with the result of ffprobe. It returns the first and last times of its
// segments.
func checkRendition(t *testing.T, folder string, said map[string]string, fragmented bool) string {
	t.Helper()
	index := filepath.Join(folder, "index.m3u8")
	text, err := os.ReadFile(index)
	require.NoError(t, err)
	require.Equal(t, fragmented, strings.Contains(string(text), `#EXT-X-MAP:URI="init.mp4"`))

	profile := map[string]string{"High": "64", "Main": "4d", "Constrained Baseline": "42", "High 4:4:4 Predictive": "f4"}
	found := output(t, "ffprobe", "-select_streams", "v", "-show_entries", "stream=width,height,profile,level", "-of", "csv=p=0", index)
	found, _, _ = strings.Cut(found, "\n") // it tells of a stream twice, the second time as part of a program
	if parts := strings.Split(found, ","); len(parts) == 4 {
		require.Equal(t, parts[1]+"x"+parts[2], said["RESOLUTION"])
		require.Regexp(t, "^avc1."+profile[parts[0]]+"[0-9a-f]{2}"+fmt.Sprintf("%02x", int(seconds(parts[3])))+"(,|$)", said["CODECS"])
	} else {
		require.Equal(t, "mp4a.40.2", said["CODECS"])
	}

	var durations []string
	for _, m := range regexp.MustCompile(`#EXTINF:([0-9.]+),\n(.*)\n`).FindAllStringSubmatch(string(text), -1) {
		durations = append(durations, m[1])
		segment, err := os.ReadFile(filepath.Join(folder, m[2]))
		require.NoError(t, err)
		if seconds(m[1]) >= 2 {
			require.LessOrEqual(t, 8*float64(len(segment))/seconds(m[1]), seconds(said["BANDWIDTH"]))
		}
		if said["RESOLUTION"] != "" {
			init, _ := os.ReadFile(filepath.Join(folder, "init.mp4"))
			alone := filepath.Join(t.TempDir(), "alone"+filepath.Ext(m[2]))
			require.NoError(t, os.WriteFile(alone, append(init, segment...), 0o644))
			flags := output(t, "ffprobe", "-select_streams", "v", "-show_entries", "packet=flags", "-read_intervals", "%+#1", "-of", "csv=p=0", alone)
			require.True(t, strings.HasPrefix(flags, "K"), "%s begins with a key frame: %s", m[2], flags)
		}
	}
	require.LessOrEqual(t, seconds(said["AVERAGE-BANDWIDTH"]), seconds(said["BANDWIDTH"]))
	require.NotEmpty(t, durations)
	return strings.Join(durations, " ")
}

// Progress never falls, and the last event has a link that works.
func TestProgress(t *testing.T) {
	needFFmpeg(t)
	base := start(t, "-dir", t.TempDir())
	film := makeFilm(t, "film.mp4", "160x120", 40)
	go upload(t, t.Context(), base, "film.mp4", film)
	var states []uploads.State
	var percents []int
	var last uploads.Job
	watch(t, base, func(list []uploads.Job) bool {
		if len(list) == 0 {
			return false
		}
		if last = list[0]; len(states) == 0 || states[len(states)-1] != last.State {
			states, percents = append(states, last.State), nil
		}
		percents = append(percents, last.Percent)
		require.IsNonDecreasing(t, append([]int{0}, percents...), "%s", last.State)
		return last.State.Ended()
	})
	require.Equal(t, uploads.Done, last.State, last.Message)
	require.Equal(t, "film", last.Title)
	require.Equal(t, 100, last.Percent)
	require.Contains(t, states, uploads.Converting)
	resp, _ := filmstest.Do(t, "GET", base+last.Link)
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestFilmsThatFFmpegCannotRead(t *testing.T) {
	needFFmpeg(t)
	dir := t.TempDir()
	base := start(t, "-dir", dir)
	whole := makeFilm(t, "film.mp4", "64x64", 2)
	for name, row := range map[string]struct {
		film   []byte
		status int
		says   string
	}{
		"cut off":             {whole[:len(whole)/2], 422, "ffmpeg cannot convert this film: it is cut off or was never finished (moov atom not found)"},
		"list of other files": {[]byte("#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"), 415, "no film"},
		"noise":               {append([]byte("FLV\x01\x05"), whole...), 422, ""},
	} {
		resp, body, err := upload(t, t.Context(), base, "film.mp4", row.film)
		require.NoError(t, err, name)
		require.Equal(t, row.status, resp.StatusCode, "%s: %s", name, body)
		require.Contains(t, body, row.says, name)
		require.NotContains(t, body, dir, name)
		require.NotContains(t, body, ".upload-", name)
	}
	nothingIn(t, dir)
}

func TestCancelEndsFFmpeg(t *testing.T) {
	needFFmpeg(t)
	dir := t.TempDir()
	base := start(t, "-dir", dir)
	film := makeFilm(t, "film.mp4", "320x240", 100)
	answer := make(chan string, 1)
	go func() {
		_, body, err := upload(t, t.Context(), base, "film.mp4", film)
		answer <- fmt.Sprint(body, err)
	}()
	watch(t, base, func(list []uploads.Job) bool {
		return len(list) == 1 && list[0].State == uploads.Converting && list[0].Percent > 0
	})
	resp, _ := filmstest.Do(t, "DELETE", base+"/jobs/1")
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	require.Contains(t, <-answer, "The film was cancelled.")
	nothingIn(t, dir)
}
