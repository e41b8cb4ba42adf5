package rangeserve

import (
	"io"

	"github.com/hlsproxy/hlsproxy/rangeserve/internal/faststart"
)

// ErrMP4 is wrapped by the errors of Faststart that are the fault of the file: it is no MP4 or QuickTime file, its boxes do not
// fit, or it is larger in some respect than any film.
var ErrMP4 = faststart.ErrMP4

// Faststart returns a view of the MP4 or QuickTime file src, of size bytes, in which the moov box is before the media data, so
// that a player can start with the first bytes. src is read only where the view is read, except its moov of at most 64 MiB,
// which is read once. No byte of it is kept in memory. The second result is the size of the view. It differs from size if
// 32-bit chunk offsets (stco, saio) had to become 64-bit ones because they crossed 4 GiB.
//
// If there is nothing to do, the result is src itself: the moov is already in front, or the file has fragments. The same is
// true for files that Faststart cannot rearrange: those with a compressed header (cmov), with media in other files, or with
// items that a moved byte would break. An error wraps [ErrMP4] or comes from reading src.
//
// The view may be used concurrently if src may, and is a [SectionWriter]. It is another resource than the file, so it needs an
// ETag of its own. src must not change.
func Faststart(src io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	l, err := faststart.Find(src, size)
	if err != nil || l == nil {
		return src, size, err
	}
	return &view{layout: l, src: src}, l.Size(), nil
}

// view reads a source in the order of a layout.
type view struct {
	layout *faststart.Layout
	src    io.ReaderAt
	check  func() error // called before the last byte of a part of the moov is sent; nil: none
}

// ReadAt is that of io.ReaderAt.
func (v *view) ReadAt(p []byte, off int64) (int, error) { return v.layout.ReadAt(v.src, p, off) }

// WriteSection writes the moov from memory, and lets the source write the rest in its own way.
func (v *view) WriteSection(w io.Writer, off, n int64) (done int64, err error) {
	for done < n {
		from, length := v.layout.Run(off+done, n-done)
		if length == 0 {
			return done, io.ErrUnexpectedEOF
		}
		var m int64
		if from < 0 {
			m, err = copySection(w, v, off+done, length, v.check)
		} else {
			m, err = writeSection(w, v.src, from, length)
		}
		if done += m; err != nil {
			return done, err
		}
	}
	return done, nil
}
