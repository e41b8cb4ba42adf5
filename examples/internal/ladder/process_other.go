//go:build !linux

package ladder

import (
	"os/exec"
	"syscall"
)

// cpuTime is never sent on other systems.
const cpuTime = syscall.Signal(-1)

// own does nothing: cancelling kills only the command itself, but ffmpeg starts no others.
func own(*exec.Cmd) {}
