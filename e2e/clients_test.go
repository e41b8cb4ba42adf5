package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ffmpegPlays requires that ffmpeg decodes all of a URL as fast as it can, without a message.
func ffmpegPlays(t testing.TB, url string, options ...string) {
	t.Helper()
	ffmpegPlaysFor(t, url, 0, options...)
}

// ffmpegPlaysFor is ffmpegPlays for a length of an endless stream; 0 means all.
func ffmpegPlaysFor(t testing.TB, url string, d time.Duration, options ...string) {
	t.Helper()
	args := append([]string{"-v", "error", "-xerror"}, append(options, "-i", url, "-map", "0")...)
	if d > 0 {
		args = append(args, "-t", strconv.FormatFloat(d.Seconds(), 'f', -1, 64))
	}
	out, said, err := tool(t, "ffmpeg", append(args, "-f", "null", "-")...)
	require.NoError(t, err, said)
	require.Empty(t, out+said)
}

// ffmpegFails requires that ffmpeg does not play a URL, and returns its output.
func ffmpegFails(t testing.TB, url string, options ...string) string {
	t.Helper()
	args := append([]string{"-v", "error", "-xerror"}, options...)
	_, said, err := tool(t, "ffmpeg", append(args, "-i", url, "-f", "null", "-")...)
	require.Error(t, err)
	return said
}

// packets counts the video packets that ffprobe reads.
func packets(t testing.TB, url string) int {
	t.Helper()
	out, said, err := tool(t, "ffprobe", "-v", "error", "-select_streams", "v:0", "-count_packets",
		"-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", url)
	require.NoError(t, err, said)
	require.Empty(t, said)
	// A playlist with programs lists its stream a second time within the program.
	n, err := strconv.Atoi(strings.TrimRight(strings.Fields(out)[0], ","))
	require.NoError(t, err, out)
	return n
}

func tool(t testing.TB, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, requireTool(t, name), args...)
	cmd.Env = withoutProxy()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	return out.String(), said.String(), err
}

func ffmpegMakes(args ...string) error {
	text, err := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ffmpeg %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return nil
}
