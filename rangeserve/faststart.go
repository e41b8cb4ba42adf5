package rangeserve

import (
	"io"

	"github.com/hlsproxy/hlsproxy/rangeserve/internal/faststart"
)

// ErrMP4 is wrapped by the errors of Faststart for which the file is to blame: it is no MP4 or QuickTime file, its boxes do not
// fit, or it is larger in some respect than any film is.
var ErrMP4 = faststart.ErrMP4

// Faststart gives a view of the MP4 or QuickTime file src, of size bytes, in which the moov box stands in front of the
// media data, so that a player can start with the first bytes that it gets. src is read only where the view is, apart
// from its moov, of at most 64 MiB, which is read once. No byte of it is held in memory. The second result is the size of
// the view, which differs from size when 32-bit chunk offsets (stco, saio) had to become 64-bit ones since they crossed
// 4 GiB.
//
// src itself is returned when there is nothing to be done: the moov is in front already, or the file has fragments. It
// is returned, too, when nothing can be done without understanding more of the file: it has a compressed header
// (cmov), keeps its media in other files, or has items that a moved byte would break. An error wraps [ErrMP4] or is one
// of reading src.
//
// The view may be used concurrently when src may, and is a [SectionWriter]. As a resource it is not the same as the
// file: it needs an ETag of its own. src must not change.
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
	check  func() error // before the last byte of a part of the moov is given away; nil: none
}

// ReadAt is that of io.ReaderAt.
func (v *view) ReadAt(p []byte, off int64) (int, error) { return v.layout.ReadAt(v.src, p, off) }

// WriteSection writes the moov by way of memory, and lets the source write the rest as it can.
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
