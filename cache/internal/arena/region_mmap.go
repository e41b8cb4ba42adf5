//go:build (linux || darwin || freebsd || netbsd || openbsd || dragonfly) && !race

package arena

import "syscall"

// mapRegion asks the system for memory that the garbage collector does not count: it would let as much garbage grow
// beside it. Under the race detector the heap is used, where it sees who touches what was given back.
func mapRegion(size int) (region []byte, free func([]byte)) {
	region, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil
	}
	return region, func(b []byte) { syscall.Munmap(b) }
}
