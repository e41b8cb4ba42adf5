package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The command-line players run as fast as they can and report what they have decoded.

func ffmpegCell(ctx context.Context, c cell) error {
	url := c.link(c.shape.playlist)
	if c.shape.live() {
		return ffmpegDecodes(ctx, 200, "-i", url, "-map", "0:v:0", "-map", "0:a:0", "-t", "8")
	}
	err := ffmpegDecodes(ctx, frames, "-i", url, "-map", "0:v:0", "-map", "0:a:0")
	if err == nil && c.seek {
		err = ffmpegDecodes(ctx, frames*(length-seek)/length, "-ss", fmt.Sprint(seek), "-i", url, "-map", "0:v:0")
	}
	if err == nil && c.extra && c.shape.look() == "iframes" {
		err = ffmpegDecodes(ctx, 10, "-i", c.link(iframeList), "-map", "0:v:0")
	}
	return err
}

// ffmpegDecodes counts the pictures that come out of the first stream.
func ffmpegDecodes(ctx context.Context, pictures int, args ...string) error {
	args = append([]string{"-v", "error", "-xerror", "-nostdin"}, args...)
	out, err := output(ctx, nil, "ffmpeg", append(args, "-f", "framecrc", "-")...)
	if err != nil {
		return err
	}
	if got := bytes.Count(out, []byte("\n0,")); got < pictures-1 || got > pictures+1 {
		return fmt.Errorf("ffmpeg decodes %d pictures, not %d", got, pictures)
	}
	return nil
}

func mpvCell(ctx context.Context, c cell) error {
	url := c.link(c.shape.playlist)
	if c.shape.live() {
		return c.mpv(ctx, url, 0, 0, "--frames=200")
	}
	err := c.mpv(ctx, url, 0, length-0.5)
	if err == nil && c.seek {
		err = c.mpv(ctx, url, seek-0.5, length-0.5, "--start="+fmt.Sprint(seek))
	}
	if err == nil && c.extra && c.shape.look() == "iframes" {
		err = c.mpv(ctx, c.link(iframeList), 0, length-8)
	}
	return err
}

var mpvStatus = regexp.MustCompile(`at (\d+\.\d+)\.`)

// mpv has to begin at first seconds or later and to reach last.
func (c cell) mpv(ctx context.Context, url string, first, last float64, options ...string) error {
	begin, end, err := mpvSpan(ctx, url, options...)
	if err == nil && (begin < first || end < last) {
		err = fmt.Errorf("mpv plays from %g to %g s", begin, end)
	}
	return err
}

// mpvSpan is the first and the last position that mpv plays, in seconds.
func mpvSpan(ctx context.Context, url string, options ...string) (begin, end float64, err error) {
	args := append([]string{"--no-config", "--ytdl=no", "--vo=null", "--ao=null", "--ao-null-untimed=yes", "--untimed",
		"--msg-level=all=warn,statusline=status", "--term-status-msg=at ${=time-pos}."}, options...)
	out, err := output(ctx, nil, "mpv", append(args, url)...)
	if err != nil {
		return 0, 0, err
	}
	said := mpvStatus.FindAllSubmatch(out, -1)
	if len(said) == 0 {
		return 0, 0, fmt.Errorf("mpv shows nothing: %.300q", out)
	}
	begin, _ = strconv.ParseFloat(string(said[0][1]), 64)
	end, _ = strconv.ParseFloat(string(said[len(said)-1][1]), 64)
	return begin, end, nil
}

func vlcCell(ctx context.Context, c cell) error {
	url := c.link(c.shape.playlist)
	if c.shape.live() { // it ends when there is nothing new to read, or not at all; a stream that begins slowly gets longer
		var err error
		for wait := 8 * time.Second; wait < 20*time.Second && ctx.Err() == nil; wait += 5 * time.Second {
			if err = vlcPasses(ctx, url, 25, wait); err == nil {
				return nil
			}
		}
		return err
	}
	err := vlcPasses(ctx, url, frames-10, 0)
	if err == nil && c.seek {
		err = vlcPasses(ctx, url, frames*(length-seek)/length-10, 0, "--start-time="+fmt.Sprint(seek))
	}
	if err == nil && c.extra && c.shape.look() == "iframes" {
		err = vlcPasses(ctx, c.link(iframeList), 9, 0)
	}
	return err
}

// vlcPasses lets VLC copy a stream, and counts the pictures in the copy.
func vlcPasses(ctx context.Context, url string, pictures int, wait time.Duration, options ...string) error {
	short := ctx
	if wait > 0 {
		var cancel context.CancelFunc
		short, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	access := "file"
	if wait > 0 {
		access = "stream" // in real time: at the edge of a live stream it takes having nothing to read for the end
	}
	args := append([]string{"-q", "--intf", "dummy", "--sout", "#std{access=" + access + ",mux=ts,dst=-}"}, options...)
	out, err := output(short, nil, "cvlc", append(args, url, "vlc://quit")...)
	if err != nil && (wait == 0 || short.Err() == nil) {
		return err
	}
	got, err := packetsIn(ctx, out, "v:0")
	if err != nil || got < pictures {
		return fmt.Errorf("VLC passes on %d bytes and %d pictures, not %d: %w", len(out), got, pictures, err)
	}
	return nil
}

// packetsIn counts the packets of one stream of a file.
func packetsIn(ctx context.Context, file []byte, stream string) (int, error) {
	count, err := output(ctx, file, "ffprobe", "-v", "fatal", "-select_streams", stream, "-count_packets",
		"-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "pipe:0")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.Trim(strings.Fields(string(count) + " none")[0], ","))
}

func gstreamerCell(ctx context.Context, c cell) error {
	url := c.link(c.shape.playlist)
	if c.shape.live() {
		return gstreamerDecodes(ctx, url, 200, "num-buffers=200")
	}
	return gstreamerDecodes(ctx, url, frames)
}

func gstreamerDecodes(ctx context.Context, url string, pictures int, options ...string) error {
	args := append([]string{"-v", "uridecodebin3", "uri=" + url, "!", "video/x-raw", "!", "fakesink", "sync=false", "silent=false"}, options...)
	out, err := output(ctx, nil, "gst-launch-1.0", args...)
	if err != nil {
		return err
	}
	if got := bytes.Count(out, []byte("chain")); got != pictures {
		return fmt.Errorf("GStreamer decodes %d pictures, not %d", got, pictures)
	}
	return nil
}

// output returns the output of a program.
func output(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(withoutProxy(), "GST_PLUGIN_FEATURE_RANK=hlsdemux2:MAX", "TERM=dumb")
	if name == "cvlc" && os.Geteuid() == 0 { // VLC does not run as root
		setUser(cmd, 65534)
		cmd.Env = append(cmd.Env, "HOME=/nonexistent")
	}
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &said
	exited, err := spawn(cmd)
	if err == nil {
		err = <-exited
	}
	if name == "mpv" { // its status line is there
		out.Write(said.Bytes())
	}
	if err == nil && name == "ffmpeg" && said.Len() > 0 {
		err = errors.New("it complains")
	}
	if err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w: %.500s", name, err, said.String())
	}
	return out.Bytes(), nil
}
