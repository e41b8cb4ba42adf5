//go:build !linux

package ladder

import (
	"os/exec"
	"syscall"
)

// cpuTime is a signal that other systems do not send for it.
const cpuTime = syscall.Signal(-1)

// own leaves it at killing the command itself when it is cancelled: ffmpeg starts no others.
func own(*exec.Cmd) {}
