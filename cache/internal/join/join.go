// Package join finds the points where a decoder can begin to read an endless stream: MPEG-TS, FLV, ADTS and MPEG audio. It
// reads bytes and does not know where they come from.
package join

import "bytes"

// Scanner looks for such points in a stream that it gets piece by piece. The zero value is ready for a new stream. It is not
// safe for concurrent use.
type Scanner struct {
	format format
	failed bool
	rest   []byte // not read yet
	silent int    // bytes at the beginning of rest where no frame of audio begins
	off    int64  // of rest in the stream
	skip   int64  // bytes left of a unit that has been read

	prefix [][]byte // in pieces: a hostile stream has a point every few bytes
	point  int64
	found  bool
}

// format reads one unit (a packet, a tag, a frame) at the beginning of p. It returns the length of the unit, which may exceed
// p; 0 if p is too short to tell; -1 if no unit begins here.
type format interface {
	unit(s *Scanner, p []byte) int
}

const (
	mostSearched = 64 << 10 // bytes without a unit before the stream is given up
	mostKept     = 64 << 10 // bytes of a tag that is kept for later viewers
)

// Write reads the next bytes. It takes all of them and never fails.
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

// guess chooses the format by the first bytes. It returns false if they are too few, or of no known format.
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

// skipTags drops the ID3v2 tags at the beginning, which may take up to 256 MiB each. It returns false if nothing is left after
// them.
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

// giveUp ends the scan: no later point will be found.
func (s *Scanner) giveUp() { s.failed, s.found, s.rest, s.prefix = true, false, nil, nil }

// units reads all units. After bytes that are not a unit it searches for the next.
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

// here says that a decoder can begin at the current unit if it gets the prefix first. The pieces of the prefix do not change.
func (s *Scanner) here(prefix ...[]byte) { s.prefix, s.point, s.found = prefix, s.off, true }

// Point is the newest point where a decoder can begin if it gets Prefix first. ok is false if there is none.
func (s *Scanner) Point() (off int64, ok bool) { return s.point, s.found }

// Prefix is sent before the bytes from Point on. It belongs to the caller.
func (s *Scanner) Prefix() []byte { return clone(s.prefix...) }

// clone copies parts of the stream into one slice that does not change.
func clone(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
