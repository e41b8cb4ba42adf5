package ladder

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test program stand in for ffmpeg. FAKE says how it is to end.
func TestMain(m *testing.M) {
	if how := os.Getenv("FAKE"); filepath.Base(os.Args[0]) == "fake" {
		os.Exit(fake(how))
	}
	os.Exit(m.Run())
}

func fake(how string) int {
	name, value, _ := strings.Cut(how, " ")
	n, _ := strconv.Atoi(value)
	switch name {
	case "signal":
		sh, err := exec.LookPath("sh") // Go's own runtime would catch some
		if err == nil {
			err = syscall.Exec(sh, []string{"sh", "-c", "kill -" + value + " $$"}, nil)
		}
		panic(err)
	case "say":
		io.WriteString(os.Stderr, value)
		return 1
	case "sleep":
		time.Sleep(time.Minute)
	case "flood":
		for range n {
			os.Stdout.Write(make([]byte, 64<<10))
			os.Stderr.Write(make([]byte, 64<<10))
		}
	case "limits":
		var v, c syscall.Rlimit
		syscall.Getrlimit(syscall.RLIMIT_AS, &v)
		syscall.Getrlimit(syscall.RLIMIT_CPU, &c)
		io.WriteString(os.Stdout, strconv.FormatUint(v.Cur>>10, 10)+" "+strconv.FormatUint(c.Cur, 10))
	}
	return 0
}

// faked is a program that ends as it is told.
func faked(t *testing.T, how string) (Tools, string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	program := filepath.Join(t.TempDir(), "fake")
	require.NoError(t, os.Symlink(self, program))
	t.Setenv("FAKE", how)
	tools, _ := FindTools()
	return tools, program
}

// A film is to blame if ffmpeg fails because of it, and not if something else ends ffmpeg.
func TestHowFFmpegEnds(t *testing.T) {
	for how, row := range map[string]struct {
		status int
		says   string
	}{
		"signal 9":                               {500, "ended from outside"},
		"signal 15":                              {500, "ended from outside"},
		"signal 11":                              {422, "crashes"},
		"signal 6":                               {422, "crashes"},
		"say [mov @ 0x5] Cannot allocate memory": {422, "more memory"},
		"say [mov @ 0x5] moov atom not found":    {422, "cut off"},
		"say No space left on device":            {507, "no room"},
		"say Picture size 15000x15000 exceeds specified max pixel count 5": {422, "too large"},
	} {
		t.Run(how, func(t *testing.T) {
			tools, program := faked(t, how)
			var no Refusal
			require.ErrorAs(t, tools.run(t.Context(), time.Minute, t.TempDir(), io.Discard, program), &no)
			require.Equal(t, row.status, no.HTTPStatus(), no.Text)
			require.Contains(t, no.Error(), row.says)
		})
	}
	tools, program := faked(t, "sleep")
	require.Equal(t, errTooLong, tools.run(t.Context(), time.Millisecond, t.TempDir(), io.Discard, program))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("why"))
	require.EqualError(t, tools.run(ctx, time.Minute, t.TempDir(), io.Discard, program), "why")
	require.Equal(t, 500, tools.run(t.Context(), time.Minute, t.TempDir(), io.Discard, filepath.Join(t.TempDir(), "none")).(Refusal).Status)
}

// The output of a program is read to its end, and its beginning is kept. os/exec uses io.Copy, which would prefer a ReadFrom.
func TestWhatProgramsSayIsBounded(t *testing.T) {
	tools, program := faked(t, "flood 100")
	said := &head{most: 4 << 10}
	require.NoError(t, tools.run(t.Context(), time.Minute, t.TempDir(), said, program))
	require.Len(t, said.kept, said.most)
	require.LessOrEqual(t, cap(said.kept), 64<<10)
	require.True(t, said.over)
	_, goesAround := any(said).(io.ReaderFrom)
	require.False(t, goesAround)
}

func TestProgramsHaveLimits(t *testing.T) {
	tools, program := faked(t, "limits")
	if tools.sh == "" || runtime.GOOS != "linux" {
		t.Skip("this system has no such limits")
	}
	said := &head{most: 100}
	require.NoError(t, tools.run(t.Context(), 10*time.Second, t.TempDir(), said, program))
	require.Equal(t, strconv.Itoa(mostMemory)+" "+strconv.Itoa(10*runtime.NumCPU()), said.text())
}

// The output of ffprobe is bounded. A film that exceeds the bound is to blame, not the server.
func TestFilmsThatSayTooMuch(t *testing.T) {
	tools, program := faked(t, "flood 17")
	tools.ffprobe = program
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, FilmFile), nil, 0o600))
	_, err := tools.Convert(t.Context(), folder, "mov", false, nil)
	require.Equal(t, errTalkative, err)
	require.Equal(t, 422, errTalkative.HTTPStatus())
}
