package rangeserve

import (
	"errors"
	"fmt"
	"io"
)

// ErrMP4 is what the errors of Faststart wrap that lie in the file: it is no MP4 or QuickTime file, its boxes do not
// fit, or it is larger in some respect than any film is.
var ErrMP4 = errors.New("rangeserve: not an MP4 that can be rearranged")

const (
	maxMoov  = 64 << 20 // bytes of a moov, which is held in memory; ten hours of film need some 20 MiB
	maxBoxes = 4096     // boxes of a file looked at
)

// Faststart gives a view of the MP4 or QuickTime file src, of size bytes, in which the moov box stands in front of the
// media data, so that a player can start with the first bytes that it gets. src is only read, and only where the view
// is: apart from the moov, of at most 64 MiB, nothing is held in memory. The second result is the size of the view,
// which differs from size when 32-bit chunk offsets (stco, saio) had to become 64-bit ones since they crossed 4 GiB.
//
// A file that is fast already comes back as it is, src itself; so does one that is fragmented, has its moov compressed
// (cmov), keeps its media in other files, or has items that a moved byte would break. An error wraps [ErrMP4] or is one
// of reading src.
//
// The view may be used concurrently when src may, and is a [SectionWriter]. As a resource it is not the same as the
// file: it needs an ETag of its own.
func Faststart(src io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	l, err := layOut(src, size)
	if err != nil || l == nil {
		return src, size, err
	}
	return &view{layout: l, src: src}, l.size(), nil
}

// layOut finds where the bytes of the view come from. It is nil for a file to be left alone.
func layOut(src io.ReaderAt, size int64) (*layout, error) {
	moov, insert, err := findMoov(src, size)
	if err != nil || moov.kind == "" {
		return nil, err
	}
	if moov.size > maxMoov {
		return nil, fmt.Errorf("%w: a moov of %d bytes", ErrMP4, moov.size)
	}
	raw := make([]byte, moov.size)
	if n, err := src.ReadAt(raw, moov.at); n < len(raw) {
		return nil, noEOF(err)
	}
	head, err := moveMoov(raw, moov, insert)
	if errors.Is(err, errLeave) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return newLayout(head, insert, moov, size), nil
}

// findMoov walks the boxes of a file. It gives the moov, when it stands behind media data, and where it is to go: behind
// the file type, or in front of all. A moov without a kind means that the file is to be left alone.
func findMoov(src io.ReaderAt, size int64) (moov box, insert int64, err error) {
	media := false
	for at, n := int64(0), 0; at < size; n++ {
		b, err := readBox(src, at, size)
		if err == nil && n == maxBoxes {
			err = fmt.Errorf("%w: too many boxes", ErrMP4)
		}
		switch {
		case err != nil && moov.kind != "": // behind it there may stand anything
			return moov, insert, nil
		case err != nil:
			return box{}, 0, err
		}
		switch b.kind {
		case "moof", "sidx", "meta": // fragments, an index of offsets, items at offsets
			return box{}, 0, nil
		case "mdat":
			media = true
		case "ftyp":
			if !media {
				insert = b.end()
			}
		case "moov":
			if !media {
				return box{}, 0, nil
			}
			if moov.kind == "" {
				moov = b
			}
		}
		at = b.end()
	}
	if moov.kind == "" {
		return box{}, 0, fmt.Errorf("%w: no moov", ErrMP4)
	}
	return moov, insert, nil
}
