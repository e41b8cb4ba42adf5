//go:build !linux

package main

import "os/exec"

// own leaves it at killing the command itself when it is cancelled: ffmpeg starts no others.
func own(*exec.Cmd) {}
