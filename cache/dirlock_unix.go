//go:build unix

package cache

import (
	"errors"
	"io"
	"path/filepath"
	"syscall"
)

// lockDir locks a directory for this process, until it ends. The lock is one of the process: it would go with any file of the
// same name that is closed, so that this one stays open.
func lockDir(dir string) error {
	fd, err := syscall.Open(filepath.Join(dir, lockName), syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	err = syscall.FcntlFlock(uintptr(fd), syscall.F_SETLK, &lock)
	if err == nil {
		return nil
	}
	_ = syscall.Close(fd)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return ErrDirInUse
	}
	return err
}
