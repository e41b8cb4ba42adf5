package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test program stand in for ffmpeg and ffprobe. It needs no shell and no other programs.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "ffprobe":
		fmt.Println(`{"streams":[{"index":0,"codec_type":"audio"}],"format":{"duration":"2"}}`)
		os.Exit(0)
	case "ffmpeg":
		for step := range strings.SplitSeq(os.Getenv("FAKE_FFMPEG"), "; ") {
			name, value, _ := strings.Cut(step, " ")
			if err := fakeSteps[name](value); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// out is the path of the playlist that the stand-in writes.
func out() string { return os.Args[len(os.Args)-1] }

func beside(name string) string { return filepath.Join(filepath.Dir(out()), name) }

const finished = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nseg.ts\n#EXT-X-ENDLIST\n"

// fakeSteps are the steps that a stand-in can take, one after the other.
var fakeSteps = map[string]func(string) error{
	"finish": func(string) error {
		if err := os.WriteFile(beside("seg.ts"), make([]byte, 188), 0o644); err != nil {
			return err
		}
		return os.WriteFile(out(), []byte(finished), 0o644)
	},
	"nothing": func(string) error { return nil },
	"say":     func(text string) error { _, err := fmt.Fprintln(os.Stderr, text); return err },
	"fail":    func(text string) error { return fmt.Errorf("[mov @ 0x55] %s: %s", out(), text) },
	"cut":     func(name string) error { return os.Truncate(beside(name), 100) },
	"empty":   func(name string) error { return os.WriteFile(beside(name), nil, 0o644) },
	"remove":  func(name string) error { return os.Remove(beside(name)) },
	"open": func(string) error {
		return os.WriteFile(out(), []byte(strings.TrimSuffix(finished, "#EXT-X-ENDLIST\n")), 0o644)
	},
	"pid":    func(file string) error { return writeWhole(file, strconv.Itoa(os.Getpid())) },
	"hang":   func(string) error { time.Sleep(5 * time.Minute); return nil },
	"pause":  func(string) error { time.Sleep(100 * time.Millisecond); return nil },
	"lock":   func(dir string) error { return os.Mkdir(dir, 0o755) },
	"unlock": os.Remove,
	"await": func(file string) error {
		for {
			if _, err := os.Stat(file); err == nil {
				return nil
			}
			time.Sleep(10 * time.Millisecond)
		}
	},
	"child": func(file string) error {
		child := exec.Command(os.Args[0], os.Args[1:]...)
		child.Env = append(os.Environ(), "FAKE_FFMPEG=hang")
		if err := child.Start(); err != nil {
			return err
		}
		return writeWhole(file, strconv.Itoa(child.Process.Pid))
	},
	"nice": func(file string) error {
		n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		if err != nil {
			return err
		}
		return writeWhole(file, strconv.Itoa(20-n)) // as the system call has it
	},
}

// writeWhole makes a file that is never seen in part.
func writeWhole(file, text string) error {
	if err := os.WriteFile(file+"~", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(file+"~", file)
}

// fakeFFmpeg puts the stand-in in place of ffmpeg and ffprobe. As ffprobe it reports films with two seconds of sound.
func fakeFFmpeg(t *testing.T, steps string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{"ffprobe", "ffmpeg"} {
		require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("FAKE_FFMPEG", steps)
}

// running waits for a stand-in to write its process id.
func running(t *testing.T, file string) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(file)
		if err == nil {
			pid, err = strconv.Atoi(string(text))
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	return pid
}

// ended requires that a process has ended. It may still be a zombie.
func ended(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return syscall.Kill(pid, 0) != nil || strings.Contains(string(stat), ") Z ")
	}, time.Minute, 10*time.Millisecond)
}

// sleepy is an ffmpeg that writes its own process id and that of a child, and never ends.
func sleepy(t *testing.T) (parent, child string) {
	t.Helper()
	parent, child = filepath.Join(t.TempDir(), "pid"), filepath.Join(t.TempDir(), "child")
	fakeFFmpeg(t, "empty seg00000.ts; child "+child+"; pid "+parent+"; hang")
	return parent, child
}
