package e2e

import (
	"os"
	"os/exec"
	"syscall"
)

func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// killGroup ends a process that spawn has started, and all its children.
func killGroup(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGKILL) }

// setUser makes a process run as another user.
func setUser(cmd *exec.Cmd, id uint32) {
	cmd.SysProcAttr = dieWithParent()
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: id, Gid: id}
}
