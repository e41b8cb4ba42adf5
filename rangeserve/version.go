package rangeserve

import (
	"encoding/base64"
	"hash/maphash"
	"io"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve/internal/faststart"
)

// A file that is written to in place gets the time of a write when the write begins. Bytes that are read before its end have
// that time, too, but belong to another version. So nothing joins bytes of a file that was changed less than young ago with
// later bytes: no strong ETag, no Last-Modified, no layout that is kept. And a file that was changed less than restless ago may
// still be in a write.
const (
	young    = 2 * time.Second
	restless = 200 * time.Millisecond
)

// version is what one request sees of a file.
type version struct {
	*handle
	name   string
	layout *faststart.Layout // nil: as it is
	age    time.Duration     // since the last change; negative if the file system's clock is ahead
}

// content is the Content of v.
func (v *version) content(fast bool) Content {
	src := io.ReaderAt(v.handle)
	if v.age < young {
		src = copiedFile{v.handle}
	}
	c := Content{ReaderAt: src, Size: v.info.Size(), Name: v.name}
	if v.layout != nil {
		c.ReaderAt, c.Size = &view{layout: v.layout, src: src, check: v.unchanged}, v.layout.Size()
	}
	if v.age < restless && v.age > -young {
		c.ReaderAt = &restlessFile{ReaderAt: c.ReaderAt, version: v, fast: fast}
	}
	tag := base64.RawURLEncoding.EncodeToString(v.id[:12])
	if v.layout != nil {
		tag += "-f" // other bytes, another tag
	}
	c.ETag = `W/"` + tag + `"`
	if v.age >= young {
		c.ModTime = v.info.ModTime()
		c.ETag = c.ETag[len("W/"):]
	}
	return c
}

// copiedFile is a file that may be written to at any time. It is copied through memory: bytes that the kernel sends from a file
// may change after the last check of its times.
type copiedFile struct{ file *handle }

// ReadAt is that of io.ReaderAt.
func (f copiedFile) ReadAt(p []byte, off int64) (int, error) { return f.file.ReadAt(p, off) }

// WriteSection is that of SectionWriter.
func (f copiedFile) WriteSection(w io.Writer, off, n int64) (int64, error) {
	return copySection(w, f.file, off, n, f.file.unchanged)
}

// restlessFile is a file that may be in a write. Its bytes are read twice, the second time after such a write has ended, and
// the last piece is sent only if both were the same.
type restlessFile struct {
	io.ReaderAt
	version *version
	fast    bool // the layout counts
}

// WriteSection is that of SectionWriter.
func (f *restlessFile) WriteSection(w io.Writer, off, n int64) (done int64, err error) {
	buf, again := buffers.Get().(*[copySize]byte), buffers.Get().(*[copySize]byte)
	seed := maphash.MakeSeed()
	var sent, there maphash.Hash
	sent.SetSeed(seed)
	there.SetSeed(seed)
	last := max(n-copySize, 0)
	for done < last {
		piece := buf[:min(copySize, last-done)]
		if err := f.read(piece, off+done, &sent); err != nil {
			return done, err
		}
		m, err := w.Write(piece)
		if done += int64(m); err != nil {
			return done, err
		}
	}
	piece := buf[:n-last]
	if err := f.read(piece, off+last, &sent); err != nil {
		return done, err
	}
	time.Sleep(restless - max(f.version.age, 0))
	for at := int64(0); at < n; at += copySize {
		if err := f.read(again[:min(copySize, n-at)], off+at, &there); err != nil {
			return done, err
		}
	}
	if sent.Sum64() != there.Sum64() || !f.sameLayout() {
		return done, errChanged
	}
	if err := f.version.unchanged(); err != nil {
		return done, err
	}
	m, err := w.Write(piece)
	if err == nil { // otherwise an HTTP/2 server may still be sending the bytes
		buffers.Put(buf)
		buffers.Put(again)
	}
	return done + int64(m), err
}

func (f *restlessFile) read(p []byte, off int64, into *maphash.Hash) error {
	n, err := f.ReadAt(p, off)
	if n < len(p) {
		return noEOF(err)
	}
	into.Write(p)
	return nil
}

func (f *restlessFile) sameLayout() bool {
	if !f.fast {
		return true
	}
	now, _ := faststart.Find(f.version.handle, f.version.info.Size())
	return now.Equal(f.version.layout)
}
