//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly) || race

package arena

// mapRegion takes memory from the heap.
func mapRegion(size int) (region []byte, free func([]byte)) { return make([]byte, size), nil }
