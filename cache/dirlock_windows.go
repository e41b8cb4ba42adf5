package cache

import (
	"errors"
	"path/filepath"
	"syscall"
)

// lockDir opens a file that nobody else can open, until this process ends.
func lockDir(dir string) error {
	name, err := syscall.UTF16PtrFromString(filepath.Join(dir, lockName))
	if err != nil {
		return err
	}
	const sharingViolation = syscall.Errno(32)
	_, err = syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		return ErrDirInUse
	}
	return err
}
