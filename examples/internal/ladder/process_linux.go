package ladder

import (
	"os/exec"
	"syscall"
)

// cpuTime is the signal to a program that has used up its CPU time.
const cpuTime = syscall.SIGXCPU

// own makes a command and its children end together, when it is cancelled and also when this process is killed. Its caller must
// stay on the thread that starts the command, because the kernel treats the end of that thread as the end of the parent.
func own(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
