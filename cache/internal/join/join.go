// Package join finds the points at which a decoder can begin to read a stream that has no end: MPEG-TS, FLV, ADTS and MPEG
// audio. It reads bytes and knows nothing of where they come from.
package join

import "bytes"

// Scanner looks for such points in a stream that it is given piece by piece. The zero value is at the beginning of one. It
// is not safe for concurrent use.
type Scanner struct {
	format format
	failed bool
	rest   []byte // not looked at yet
	silent int    // bytes at the beginning of rest where no frame of audio begins
	off    int64  // of rest in the stream
	skip   int64  // bytes of a unit that has been looked at

	prefix [][]byte // in pieces: a hostile stream has a point in every few bytes
	point  int64
	found  bool
}

// format reads one unit at the beginning of p: a packet, a tag, a frame. It returns how long the unit is, which may be more
// than p has; 0 if p is too short to tell; -1 if no unit begins here.
type format interface {
	unit(s *Scanner, p []byte) int
}

const (
	mostSearched = 64 << 10 // bytes without a unit, after which the stream is given up
	mostKept     = 64 << 10 // bytes of a tag that later viewers are given
)

// Write looks at the next bytes. It takes them all and never fails.
func (s *Scanner) Write(p []byte) (int, error) {
	n := len(p)
	if s.failed {
		return n, nil
	}
	if skipped := min(s.skip, int64(len(p))); skipped > 0 {
		p, s.skip, s.off = p[skipped:], s.skip-skipped, s.off+skipped
	}
	if len(p) == 0 {
		return n, nil
	}
	s.rest = append(s.rest, p...)
	if s.format == nil && !s.guess() {
		return n, nil
	}
	s.units()
	return n, nil
}

// guess chooses the format by the first bytes; false if they are too few, or of none.
func (s *Scanner) guess() bool {
	if !s.skipTags() {
		return false
	}
	for _, known := range [...]func(*Scanner) (format, int){isFLV, isTS, isAudio} {
		f, need := known(s)
		if f != nil {
			s.format = f
			return true
		}
		if need > len(s.rest) {
			return false
		}
	}
	s.giveUp()
	return false
}

// skipTags drops the ID3v2 tags at the beginning, which may be as long as 256 MiB. It is false if that takes all there is.
func (s *Scanner) skipTags() bool {
	for {
		n, need := tagLength(s.rest)
		if need > 0 {
			return false
		}
		if n == 0 {
			return len(s.rest) > 0
		}
		here := min(n, len(s.rest))
		s.rest, s.off, s.skip = s.rest[here:], s.off+int64(here), int64(n-here)
	}
}

// giveUp ends the scan: nothing that comes later is a point.
func (s *Scanner) giveUp() { s.failed, s.found, s.rest, s.prefix = true, false, nil, nil }

// units reads all that are there. Where none begins it looks for the next.
func (s *Scanner) units() {
	p, lost := s.rest, 0
	for len(p) > 0 {
		n := s.format.unit(s, p)
		if s.failed {
			return
		}
		if n == 0 {
			break
		}
		if n < 0 {
			if lost++; lost > mostSearched {
				s.giveUp()
				return
			}
			n = 1
		} else {
			lost = 0
		}
		s.off += int64(min(n, len(p)))
		if n > len(p) {
			s.skip, p = int64(n-len(p)), nil
			break
		}
		p = p[n:]
	}
	s.rest = append(s.rest[:0], p...)
}

// here says that a decoder can begin at the unit that is being read, if it gets the prefix first, whose pieces do not change.
func (s *Scanner) here(prefix ...[]byte) { s.prefix, s.point, s.found = prefix, s.off, true }

// Point is the newest point where a decoder can begin, if it gets Prefix first. It is not ok if there is none.
func (s *Scanner) Point() (off int64, ok bool) { return s.point, s.found }

// Prefix is what comes before the bytes from Point on. It belongs to the caller.
func (s *Scanner) Prefix() []byte { return clone(s.prefix...) }

// clone is for what is told of the stream.
func clone(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
