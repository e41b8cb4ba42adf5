package rangeserve_test

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// tool runs a program. If the program is missing, the test is skipped, unless HLSPROXY_REQUIRE_TOOLS=1 is set.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("HLSPROXY_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v: %s", name, args, &stderr)
	require.Empty(t, stderr.String(), "%s %v", name, args)
	return string(out)
}

// render makes a film of some seconds with picture and sound. Its moov is at the end.
func render(t *testing.T, name string, args ...string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), name)
	base := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", "sine=frequency=440"}
	tool(t, "ffmpeg", append(append(base, args...), file)...)
	return file
}

// frames returns the hashes of all frames of all streams.
func frames(t *testing.T, args ...string) string {
	t.Helper()
	return tool(t, "ffmpeg", append(append([]string{"-v", "error"}, args...), "-map", "0", "-f", "framemd5", "-")...)
}

// faststartURL serves one file and returns its URL.
func faststartURL(t *testing.T, file string) string {
	t.Helper()
	h := settled(&rangeserve.Files{Root: openRoot(t, filepath.Dir(file)), Faststart: true})
	return start(t, h) + "/" + filepath.Base(file)
}

var renders = []struct {
	name string
	args []string
}{
	{"h264.mp4", []string{"-t", "4", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"}},
	{"mpeg4.mov", []string{"-t", "4", "-c:v", "mpeg4", "-c:a", "pcm_s16le"}},
	{"interleaved.m4v", []string{"-t", "4", "-f", "mp4", "-map", "0:v", "-map", "1:a", "-map", "0:v", "-c:v", "mpeg4", "-c:a", "aac"}},
	{"sound.m4a", []string{"-t", "4", "-map", "1:a", "-c:a", "aac"}},
	{"fast already.mp4", []string{"-t", "2", "-c:v", "mpeg4", "-c:a", "aac", "-movflags", "faststart"}},
	{"fragmented.mp4", []string{"-t", "2", "-c:v", "mpeg4", "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"}},
	{"encrypted.mp4", []string{
		"-t", "2", "-c:v", "mpeg4", "-c:a", "aac", "-encryption_scheme", "cenc-aes-ctr",
		"-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8",
	}},
}

// TestFaststartPlays: ffmpeg reads every view without ever seeking, and finds every frame of the file in it.
func TestFaststartPlays(t *testing.T) {
	t.Parallel() // beside readers that are slow on purpose
	for _, c := range renders {
		t.Run(c.name, func(t *testing.T) {
			file := render(t, c.name, c.args...)
			var in []string
			if c.name == "encrypted.mp4" {
				in = []string{"-decryption_key", "76a6c65c5ea762046bd749a2e632ccbb"}
			}
			want := frames(t, append(in, "-i", file)...)
			require.Greater(t, strings.Count(want, "\n"), 40)
			url := strings.ReplaceAll(faststartURL(t, file), " ", "%20")
			require.Equal(t, want, frames(t, append(in, "-seekable", "0", "-i", url)...))
			require.Equal(t, want, frames(t, append(in, "-i", url)...))
			if c.name == "fragmented.mp4" {
				return // to know its duration one has to seek
			}
			probe := append(in, "-v", "error", "-show_entries", "format=duration,nb_streams:stream=codec_name,duration,nb_frames")
			require.Equal(t, tool(t, "ffprobe", append(probe, file)...), tool(t, "ffprobe", append(probe, "-seekable", "0", url)...))
		})
	}
}

// TestFaststartStartsEarly: the first frame of a film of 200 MB needs under 2 % of it.
func TestFaststartStartsEarly(t *testing.T) {
	if testing.Short() {
		t.Skip("renders 200 MB")
	}
	t.Parallel() // beside readers that are slow on purpose
	file := render(t, "large.mov", "-t", "5", "-s", "1280x720", "-c:v", "rawvideo", "-pix_fmt", "uyvy422", "-c:a", "pcm_s16le")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(200_000_000))
	for _, c := range []struct {
		faststart bool
		bytes     int64
		starts    bool
	}{{true, info.Size() / 50, true}, {true, 100_000, false}, {false, info.Size() / 50, false}, {false, info.Size() * 9 / 10, false}} {
		h := settled(&rangeserve.Files{Root: openRoot(t, filepath.Dir(file)), Faststart: c.faststart})
		url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(&cutOff{ResponseWriter: w, left: c.bytes}, r)
		})) + "/large.mov"
		out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-seekable", "0", "-i", url,
			"-map", "0:v", "-frames:v", "1", "-f", "framemd5", "-").Output()
		got := err == nil && bytes.Contains(out, []byte("\n0, "))
		require.Equal(t, c.starts, got, "%+v: %s", c, out)
	}
}

// cutOff breaks the connection after this many bytes.
type cutOff struct {
	http.ResponseWriter
	left int64
}

func (c *cutOff) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		return int(c.left), http.ErrAbortHandler
	}
	c.left -= int64(len(p))
	return c.ResponseWriter.Write(p)
}

// TestFaststartPlaysBeyond4GiB plays a real film after a hole of 5 GB, and one whose chunks cross 4 GiB when they are moved.
func TestFaststartPlaysBeyond4GiB(t *testing.T) {
	small, err := os.ReadFile(render(t, "small.mp4", "-t", "2", "-c:v", "mpeg4", "-c:a", "aac"))
	require.NoError(t, err)
	moovAt := int64(bytes.LastIndex(small, []byte("moov")) - 4)
	ftypLen := int64(binary.BigEndian.Uint32(small))
	for _, c := range []struct {
		name    string
		mediaAt int64 // where the media box goes; a free box of zeros stands before it
		moovAt  int64 // and the moov, behind another
		want    string
	}{
		{"moov at 5 GB", ftypLen, 5 << 30, "stco"},
		{"chunks that cross", gib4 - moovAt - 100, gib4, "co64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "film.mp4")
			f, err := os.Create(file)
			require.NoError(t, err)
			defer f.Close()
			put := func(at int64, b []byte) int64 {
				_, err := f.WriteAt(b, at)
				require.NoError(t, err)
				return at + int64(len(b))
			}
			hole := func(at, end int64) {
				if end > at {
					put(at, binary.BigEndian.AppendUint64(header(1, "free"), uint64(end-at)))
				}
			}
			hole(put(0, small[:ftypLen]), c.mediaAt)
			hole(put(c.mediaAt, small[ftypLen:moovAt]), c.moovAt)
			put(c.moovAt, shifted(t, small[moovAt:], c.mediaAt-ftypLen))
			want := frames(t, "-i", file)
			require.Greater(t, strings.Count(want, "\n"), 90)
			v, size, err := rangeserve.Faststart(f, c.moovAt+int64(len(small))-moovAt)
			require.NoError(t, err)
			head := make([]byte, 100_000)
			_, err = v.ReadAt(head, 0)
			require.NoError(t, err)
			require.Positive(t, bytes.Index(head, []byte(c.want)))
			require.GreaterOrEqual(t, size, c.moovAt)

			h, sent := settled(&rangeserve.Files{Root: openRoot(t, filepath.Dir(file)), Faststart: true}), atomic.Int64{}
			url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(&counting{w, &sent}, r)
			})) + "/film.mp4"
			require.Equal(t, want, frames(t, "-i", url))
			require.Less(t, sent.Load(), int64(1<<30))
		})
	}
}

// counting counts the bytes that are sent.
type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

// shifted moves the 32-bit chunk offsets of a moov that ffmpeg has written.
func shifted(t *testing.T, moov []byte, by int64) []byte {
	t.Helper()
	moov = bytes.Clone(moov)
	tables := 0
	for i := bytes.Index(moov, []byte("stco")); i >= 0; tables++ {
		n := int(binary.BigEndian.Uint32(moov[i+8:]))
		for k := range n {
			e := moov[i+12+4*k:]
			o := int64(binary.BigEndian.Uint32(e)) + by
			require.Less(t, o, gib4)
			binary.BigEndian.PutUint32(e, uint32(o))
		}
		next := bytes.Index(moov[i+4:], []byte("stco"))
		if next < 0 {
			tables++
			break
		}
		i += 4 + next
	}
	require.Equal(t, 2, tables)
	return moov
}
