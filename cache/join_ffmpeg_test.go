package cache_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// ffmpeg joins broadcasts at random moments, decodes them to their end without an error, and misses at most one group of
// pictures. It does so three times, and with the flag -stress twenty times.
func TestFFmpegDecodesFromWhereViewersJoin(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("HLSPROXY_REQUIRE_TOOLS") != "" {
			t.Fatal(err)
		}
		t.Skip("ffmpeg is not here")
	}
	const seconds, rate, group = 24, 25, 50
	for name, row := range map[string]struct {
		args   string // of the encoder
		kind   string
		frames bool // frames are pictures
	}{
		"ts":   {"-c:v libx264 -preset ultrafast -g 50 -keyint_min 50 -sc_threshold 0 -bf 0 -c:a aac -f mpegts", "video/mp2t", true},
		"mpg":  {"-c:v mpeg2video -b:v 400k -g 50 -sc_threshold 1000000000 -bf 0 -c:a mp2 -f mpegts", "video/mp2t", true},
		"flv":  {"-c:v libx264 -preset ultrafast -g 50 -keyint_min 50 -sc_threshold 0 -bf 0 -c:a aac -f flv", "video/x-flv", true},
		"adts": {"-vn -c:a aac -f adts", "audio/aac", false},
		"mp2":  {"-vn -c:a mp2 -f mp2", "audio/mpeg", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "stream")
			args := fmt.Sprintf("-v error -f lavfi -i testsrc=size=320x180:rate=%d -f lavfi -i sine=440 -t %d -pix_fmt yuv420p %s %s", rate, seconds, row.args, file)
			out, err := exec.Command("ffmpeg", strings.Fields(args)...).CombinedOutput()
			require.NoError(t, err, "%s", out)
			stream, err := os.ReadFile(file)
			require.NoError(t, err)
			for at, got := range joins(t, stream, seconds*time.Second, row.kind) {
				name := filepath.Join(dir, "joined")
				require.NoError(t, os.WriteFile(name, got, 0o600))
				out, err := exec.Command("ffmpeg", "-v", "error", "-i", name, "-f", "null", "-").CombinedOutput()
				require.NoError(t, err)
				require.Empty(t, string(out), "joined after %v", at)
				if !row.frames {
					continue
				}
				count, err := exec.Command("ffprobe", strings.Fields("-v error -count_frames -select_streams v:0 -show_entries stream=nb_read_frames -of csv=p=0 "+name)...).Output()
				require.NoError(t, err)
				frames, err := strconv.Atoi(strings.Trim(strings.SplitN(strings.TrimSpace(string(count)), "\n", 2)[0], ","))
				require.NoError(t, err)
				left := int((seconds*time.Second-at)*rate/time.Second) - rate/2 // the sizes of frames differ
				require.GreaterOrEqual(t, frames, left-group, "joined after %v", at)
			}
		})
	}
}

// joins are the bytes of viewers that come at random moments of a stream of this length and stay until its end.
func joins(t *testing.T, stream []byte, lasts time.Duration, contentType string) map[time.Duration][]byte {
	all, mu := map[time.Duration][]byte{}, sync.Mutex{}
	synctest.Test(t, func(t *testing.T) {
		const every = 40 * time.Millisecond
		n := int(lasts / every)
		o := onAir(every, contentType, func(i int) []byte { return stream[len(stream)*i/n : len(stream)*(i+1)/n] })
		endless := o.answer
		o.answer = func(r *http.Request, i int64) reply {
			a := endless(r, i)
			a.body = io.NopCloser(io.LimitReader(a.body, int64(len(stream))))
			return a
		}
		c := &cache.Transport{Base: o, Store: store(t)}
		first := tune(t, c, "http://o/stream")
		var wg sync.WaitGroup
		wg.Go(func() {
			got, err := io.ReadAll(first)
			require.NoError(t, err)
			require.True(t, bytes.Equal(stream, got))
		})
		times := 3
		if *stressFor >= time.Minute {
			times = 20
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for range times {
			at := 6*time.Second + time.Duration(rng.Int64N(int64(lasts-10*time.Second)))
			wg.Go(func() {
				time.Sleep(at)
				got, err := io.ReadAll(tune(t, c, "http://o/stream"))
				require.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				all[at] = got
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, o.asked.Load())
	})
	return all
}
