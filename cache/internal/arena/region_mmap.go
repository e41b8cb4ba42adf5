//go:build (linux || darwin || freebsd || netbsd || openbsd || dragonfly) && !race

package arena

import "syscall"

// mapRegion takes memory from the system that the garbage collector does not count: otherwise the collector would let the same
// amount of garbage grow. Under the race detector it uses the heap, where the detector sees accesses to freed pages.
func mapRegion(size int) (region []byte, free func([]byte)) {
	region, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil
	}
	return region, func(b []byte) { syscall.Munmap(b) }
}
