package cache

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// fileBody is a body in a file of a Dir. The file never changes; it may be gone.
type fileBody struct {
	at   atomic.Pointer[location]
	size int64
	sum  uint32 // of the body

	once  sync.Once // an earlier process wrote the file, and nobody knows what happened to it since
	fault error
}

// location is a file and where in it a body begins.
type location struct {
	path  string
	begin int64
}

func newFileBody(path string, begin, size int64, sum uint32) *fileBody {
	b := &fileBody{size: size, sum: sum}
	b.at.Store(&location{path, begin})
	return b
}

// Size is the number of bytes.
func (b *fileBody) Size() int64 { return b.size }

// total is the length of its file.
func (b *fileBody) total() int64 { return b.at.Load().begin + b.size }

// room is what the file takes.
func (b *fileBody) room() int64 { return fileRoom(b.total()) }

// fileRoom is what a file of n bytes takes on a disk: whole blocks.
func fileRoom(n int64) int64 {
	const block = 4 << 10
	return (n + block - 1) / block * block
}

// ReadAt is that of io.ReaderAt.
func (b *fileBody) ReadAt(p []byte, off int64) (int, error) {
	at := b.at.Load()
	f, err := os.Open(at.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.NewSectionReader(f, at.begin, b.size).ReadAt(p, off)
}
