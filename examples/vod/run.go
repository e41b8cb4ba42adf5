package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// tools are the programs that films are read and converted with.
type tools struct{ ffmpeg, ffprobe, nice string }

func findTools() (t tools, err error) {
	var missing error
	t.ffmpeg, err = exec.LookPath("ffmpeg")
	t.ffprobe, missing = exec.LookPath("ffprobe")
	t.nice, _ = exec.LookPath("nice") // not every system has it
	return t, errors.Join(err, missing)
}

// run runs a program in a folder, behind everything else that the machine has to do. What it complains of becomes the
// error, unless ctx ended it.
func (t tools) run(ctx context.Context, folder string, out io.Writer, program string, args ...string) error {
	if t.nice != "" {
		program, args = t.nice, append([]string{"-n", "10", program}, args...)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	said := &head{most: 4 << 10}
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = folder, out, said, 5*time.Second
	own(cmd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case strings.Contains(said.String(), "No space left on device"):
		return errFull // which ffmpeg may take for a success
	case err == nil:
		return nil
	}
	return refusal{http.StatusUnprocessableEntity, "ffmpeg cannot convert this film: " + reason(said.String(), err)}
}

// reason is the first thing that ffmpeg complained of, or else how it ended.
func reason(said string, ended error) string {
	first, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	if strings.HasPrefix(first, "[") {
		_, first, _ = strings.Cut(first, "] ")
	}
	if first == "" {
		return ended.Error()
	}
	first = strings.ReplaceAll(first, "file:"+filmFile, "the film")
	for _, m := range [][2]string{
		{"moov atom not found", "it is cut off or was never finished"},
		{"Invalid data found when processing input", "it is damaged, or another kind of file"},
		{"End of file", "it is cut off"},
	} {
		if strings.Contains(first, m[0]) {
			return m[1] + " (" + first + ")"
		}
	}
	return first
}

// head keeps the beginning of what is written to it, and takes the rest.
type head struct {
	bytes.Buffer
	most int
}

func (t *head) Write(p []byte) (int, error) {
	t.Buffer.Write(p[:max(0, min(len(p), t.most-t.Len()))])
	return len(p), nil
}
