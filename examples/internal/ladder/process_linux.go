package ladder

import (
	"os/exec"
	"syscall"
)

// cpuTime is the signal to a program that used up its time.
const cpuTime = syscall.SIGXCPU

// own makes a command and whatever it starts end together, when it is cancelled and also when this process is killed.
// Its caller stays on the thread that starts the command, since the kernel takes that thread's end for the parent's.
func own(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
