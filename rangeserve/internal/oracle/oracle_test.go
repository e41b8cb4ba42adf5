package oracle_test

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// render makes a film of two seconds, the moov last, or skips the test.
func render(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("HLSPROXY_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "film.mp4")
	base := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", "sine", "-t", "2"}
	out, err := exec.CommandContext(t.Context(), "ffmpeg", append(append(base, args...), file)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return file
}

// film is what the oracle reads of one: the hash of each sample of each track, and the order of the boxes.
type film struct {
	boxes   []string
	samples [][][sha256.Size]byte
	wide    int // co64 boxes
}

func read(t *testing.T, src io.ReaderAt, size int64) film {
	t.Helper()
	f, err := mp4.DecodeFile(io.NewSectionReader(src, 0, size), mp4.WithDecodeMode(mp4.DecModeLazyMdat))
	require.NoError(t, err)
	out := film{}
	for _, b := range f.Children {
		out.boxes = append(out.boxes, b.Type())
	}
	for _, trak := range f.Moov.Traks {
		if trak.Mdia.Minf.Stbl.Co64 != nil {
			out.wide++
		}
		out.samples = append(out.samples, nil)
		for n := uint32(1); n <= trak.GetNrSamples(); n++ {
			ranges, err := trak.GetRangesForSampleInterval(n, n)
			require.NoError(t, err)
			h := sha256.New()
			for _, r := range ranges {
				_, err := io.Copy(h, io.NewSectionReader(src, int64(r.Offset), int64(r.Size)))
				require.NoError(t, err)
			}
			last := len(out.samples) - 1
			out.samples[last] = append(out.samples[last], [sha256.Size]byte(h.Sum(nil)))
		}
	}
	return out
}

func requireSameFilm(t *testing.T, file string) (before, after film) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	require.NoError(t, err)
	v, size, err := rangeserve.Faststart(f, info.Size())
	require.NoError(t, err)
	before, after = read(t, f, info.Size()), read(t, v, size)
	require.NotEmpty(t, before.samples)
	require.Greater(t, len(before.samples[0]), 40)
	require.Equal(t, before.samples, after.samples)
	require.Equal(t, "moov", before.boxes[len(before.boxes)-1])
	require.Equal(t, []string{"ftyp", "moov"}, after.boxes[:2])
	return before, after
}

// TestSamplesAreTheSame: every sample of every track holds the bytes that it held.
func TestSamplesAreTheSame(t *testing.T) {
	for name, args := range map[string][]string{
		"picture and sound": {"-c:v", "mpeg4", "-c:a", "aac"},
		"three tracks":      {"-map", "0:v", "-map", "1:a", "-map", "1:a", "-c:v", "mpeg4", "-c:a", "aac"},
		"quicktime":         {"-f", "mov", "-c:v", "mpeg4", "-c:a", "pcm_s16le"},
	} {
		t.Run(name, func(t *testing.T) { requireSameFilm(t, render(t, args...)) })
	}
}

// TestSamplesAreTheSameBeyond4GiB: the media lie so that the moov in front pushes some of them across.
func TestSamplesAreTheSameBeyond4GiB(t *testing.T) {
	small, err := os.ReadFile(render(t, "-c:v", "mpeg4", "-c:a", "aac"))
	require.NoError(t, err)
	place := map[string]int64{}
	for p := int64(0); p < int64(len(small)); p += int64(binary.BigEndian.Uint32(small[p:])) {
		place[string(small[p+4:p+8])] = p
	}
	at, media := place["moov"], place["mdat"]
	hole := 1<<32 - at - 100
	moov := small[at:]
	for i := range len(moov) - 4 {
		if string(moov[i:i+4]) == "stco" {
			for k := range int(binary.BigEndian.Uint32(moov[i+8:])) {
				e := moov[i+12+4*k:]
				binary.BigEndian.PutUint32(e, binary.BigEndian.Uint32(e)+uint32(hole))
			}
		}
	}
	file := filepath.Join(t.TempDir(), "film.mp4")
	f, err := os.Create(file)
	require.NoError(t, err)
	binary.BigEndian.PutUint32(small[media:], uint32(at-media+hole)) // the hole is in the media box
	for to, b := range map[int64][]byte{0: small[:media+8], media + 8 + hole: small[media+8:]} {
		_, err := f.WriteAt(b, to)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	before, after := requireSameFilm(t, file)
	require.Zero(t, before.wide)
	require.Equal(t, 2, after.wide)
}
