//go:build !linux

package e2e

import (
	"os"
	"os/exec"
	"syscall"
)

func dieWithParent() *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) { p.Kill() }

func setUser(cmd *exec.Cmd, id uint32) {}
