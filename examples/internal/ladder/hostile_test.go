package ladder

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// realTools skips a test where ffmpeg is not installed.
func realTools(t *testing.T) Tools {
	t.Helper()
	tools, err := FindTools()
	if err != nil {
		if os.Getenv("HLSPROXY_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return tools
}

func u32(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func box(name string, content ...[]byte) []byte {
	all := bytes.Join(content, nil)
	return bytes.Join([][]byte{u32(uint32(8 + len(all))), []byte(name), all}, nil)
}

var matrix = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

// mediaAt is where the media data of a movie begins.
const mediaAt = 28

// movie is a QuickTime film of some media data and some tracks.
func movie(data []byte, tracks ...[]byte) []byte {
	header := box("mvhd", u32(0, 0, 0, 1000, 1000, 0x10000), []byte{1, 0}, make([]byte, 10), matrix, make([]byte, 24), u32(2))
	return bytes.Join([][]byte{
		box("ftyp", []byte("qt  \x00\x00\x00\x00qt  ")), box("mdat", data), box("moov", append([][]byte{header}, tracks...)...),
	}, nil)
}

// track is a video of 320x240 by its header. Its n samples have these sizes, or one byte each, and lie in chunks.
func track(id, n uint32, codec string, sizes []uint32, perChunk uint32, chunks ...uint32) []byte {
	entry := box(codec, make([]byte, 6), []byte{0, 1}, make([]byte, 16), []byte{1, 64, 0, 240}, u32(0x480000, 0x480000, 0),
		[]byte{0, 1}, make([]byte, 32), []byte{0, 24, 255, 255})
	size := u32(0, 1, n)
	if sizes != nil {
		size = append(u32(0, 0, n), u32(sizes...)...)
	}
	samples := box("stbl", box("stsd", u32(0, 1), entry), box("stts", u32(0, 1, n, 40)), box("stsc", u32(0, 1, 1, perChunk, 1)),
		box("stsz", size), box("stco", u32(0, uint32(len(chunks))), u32(chunks...)))
	info := box("minf", box("vmhd", make([]byte, 12)), box("dinf", box("dref", u32(0, 1), box("url ", u32(1)))), samples)
	media := box("mdia", box("mdhd", u32(0, 0, 0, 1000, 1000, 0x55c40000)), box("hdlr", u32(0), []byte("mhlrvide"), make([]byte, 13)), info)
	return box("trak", box("tkhd", u32(7, 0, 0, id, 0, 1000), make([]byte, 16), matrix, u32(320<<16, 240<<16)), media)
}

// square pictures of one colour, which are very small.
func picture(t *testing.T, side int) []byte {
	t.Helper()
	var b bytes.Buffer
	img := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	require.NoError(t, png.Encode(&b, img))
	return b.Bytes()
}

func switching(t *testing.T, later int) []byte {
	var data []byte
	var sizes []uint32
	for i := range 6 {
		one := picture(t, map[bool]int{true: 256, false: later}[i < 3])
		data, sizes = append(data, one...), append(sizes, uint32(len(one)))
	}
	return movie(data, track(1, 6, "png ", sizes, 6, mediaAt))
}

// Films whose header claims too much cost neither memory nor time, and the refusal says why.
func TestHostileFilms(t *testing.T) {
	tools := realTools(t)
	made := func(args ...string) []byte {
		file := filepath.Join(t.TempDir(), "film.mkv")
		text, err := exec.Command(tools.ffmpeg, append(append([]string{"-v", "error"}, args...), file)...).CombinedOutput()
		require.NoError(t, err, "%s", text)
		film, err := os.ReadFile(file)
		require.NoError(t, err)
		return film
	}
	gap := func(seconds string) []byte {
		return made("-f", "lavfi", "-i", "testsrc=size=320x180:rate=25:duration=0.08", "-c:v", "libx264", "-vf", "setpts=N*"+seconds+"/TB",
			"-fps_mode", "passthrough", "-enc_time_base", "1/1000")
	}
	one := bytes.Repeat([]byte("A"), 2000)
	for name, row := range map[string]struct {
		film    []byte
		demuxer string
		ok      bool
	}{
		"80 million samples twice":          {movie(one, track(1, 80_000_000, "avc1", nil, 80_000_000, mediaAt), track(2, 80_000_000, "avc1", nil, 80_000_000, mediaAt)), "mov", false},
		"the same bytes again and again":    {movie(one, track(1, 5_000_000, "avc1", nil, 2000, make([]uint32, 2500)...)), "mov", false},
		"pictures that grow beyond a limit": {switching(t, 15_000), "mov", false},
		"pictures that grow":                {switching(t, 1024), "mov", true},
		"a gap of hours":                    {gap("60000"), "matroska", false},
		"a gap of an hour":                  {gap("3600"), "matroska", true},
		"streams without end":               {made("-f", "lavfi", "-i", "anullsrc=d=0.1", "-c:a", "pcm_u8", "-map", "0", "-map", "0"), "matroska", true},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(folder, FilmFile), row.film, 0o600))
			_, err := tools.Convert(t.Context(), folder, row.demuxer, false, func(int) {})
			if row.ok {
				require.NoError(t, err)
				return
			}
			var no Refusal
			require.ErrorAs(t, err, &no)
			require.Equal(t, 422, no.Status, no.Text)
			t.Log(no.Text)
		})
	}
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used))
	require.Less(t, used.Maxrss, int64(1500<<10), "KiB that the largest of the programs took")
	t.Log(used.Maxrss>>10, "MiB")
}
