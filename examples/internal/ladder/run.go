package ladder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Tools are the programs that read and convert films.
type Tools struct{ ffmpeg, ffprobe, nice, sh string }

// FindTools looks for ffmpeg and ffprobe in the PATH.
func FindTools() (t Tools, err error) {
	var missing error
	t.ffmpeg, err = exec.LookPath("ffmpeg")
	t.ffprobe, missing = exec.LookPath("ffprobe")
	t.nice, _ = exec.LookPath("nice") // some systems have neither of these
	t.sh, _ = exec.LookPath("sh")
	return t, errors.Join(err, missing)
}

// Refusal is a failure with a text for the uploader.
type Refusal struct {
	Status int
	Text   string
}

// Error returns the text.
func (r Refusal) Error() string { return r.Text }

// HTTPStatus returns the status.
func (r Refusal) HTTPStatus() int { return r.Status }

var (
	// ErrFull says that there is no room for a film.
	ErrFull = Refusal{http.StatusInsufficientStorage, "There is no room left on the server's disk."}

	errTooLong = Refusal{http.StatusUnprocessableEntity, "Converting the film took too long."}
	errMemory  = Refusal{http.StatusUnprocessableEntity, "Converting the film takes more memory than a film may have."}
)

const (
	mostMemory = 1792 << 10     // of address space for ffmpeg or ffprobe, in KiB; a fifth of it is the program itself
	mostProbe  = 1 << 20        // bytes of ffprobe's output
	probeTime  = time.Minute    // for ffprobe
	hardEnd    = 6 * time.Hour  // for a conversion
	longest    = 12 * time.Hour // length of a film
)

// limits makes the shell limit a program's resources, if the system can do that, and become the program. One heap for all
// threads keeps the address space close to the memory in use.
const limits = `ulimit -v "$1" 2>/dev/null; ulimit -t "$2" 2>/dev/null; ulimit -c 0 2>/dev/null; shift 2; exec "$@"`

// run runs a program in a folder, with low priority, for at most this long. Its complaint becomes the error, unless ctx ended
// it.
func (t Tools) run(ctx context.Context, most time.Duration, folder string, out io.Writer, program string, args ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, errTooLong)
	defer cancel()
	args = append([]string{program}, args...)
	if t.nice != "" {
		args = append([]string{t.nice, "-n", "10"}, args...)
	}
	if t.sh != "" {
		seconds := int(math.Ceil(most.Seconds())) * runtime.NumCPU()
		args = append([]string{t.sh, "-c", limits, "sh", fmt.Sprint(mostMemory), fmt.Sprint(seconds)}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	said := &head{most: 4 << 10}
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = folder, out, said, 5*time.Second
	cmd.Env = append(os.Environ(), "MALLOC_ARENA_MAX=1")
	own(cmd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	text := said.text()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case strings.Contains(text, "No space left on device"):
		return ErrFull // ffmpeg may report success
	case strings.Contains(text, "exceeds specified max pixel count"):
		return errHuge // otherwise it goes on with the next picture
	case err == nil:
		return nil
	case strings.Contains(text, "Cannot allocate memory"):
		return errMemory
	}
	if no, ok := killed(err); ok {
		return no
	}
	return Refusal{http.StatusUnprocessableEntity, "ffmpeg cannot convert this film: " + reason(text, err)}
}

// killed explains the end of a program by a signal. Only a crash is the fault of the film.
func killed(err error) (Refusal, bool) {
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() == 126 || ended.ExitCode() == 127 { // in the way of shells
		return Refusal{http.StatusInternalServerError, "The server cannot run ffmpeg."}, true
	}
	status, ok := ended.Sys().(interface {
		Signaled() bool
		Signal() syscall.Signal
	})
	if !ok || !status.Signaled() {
		return Refusal{}, false
	}
	switch status.Signal() {
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGABRT, syscall.SIGFPE, syscall.SIGILL:
		return Refusal{http.StatusUnprocessableEntity, "ffmpeg cannot convert this film: it crashes over it (" + status.Signal().String() + ")."}, true
	case cpuTime:
		return errTooLong, true
	}
	return Refusal{http.StatusInternalServerError, "ffmpeg was ended from outside (" + status.Signal().String() + "): the film may be fine; try again."}, true
}

// reason is the first complaint of ffmpeg, or else how it ended.
func reason(said string, ended error) string {
	first, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	if strings.HasPrefix(first, "[") {
		_, first, _ = strings.Cut(first, "] ")
	}
	if first == "" {
		return ended.Error()
	}
	first = strings.ReplaceAll(first, "file:"+FilmFile, "the film")
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

// head keeps the beginning of its input and drops the rest. It does not embed its buffer: a promoted ReadFrom would bypass
// Write.
type head struct {
	kept []byte
	most int
	over bool // there was more
}

func (h *head) Write(p []byte) (int, error) {
	room := max(0, h.most-len(h.kept))
	h.over = h.over || len(p) > room
	h.kept = append(h.kept, p[:min(len(p), room)]...)
	return len(p), nil
}

func (h *head) text() string { return string(h.kept) }
