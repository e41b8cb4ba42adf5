package rangeserve

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// special says what becomes of a file whose moov has a box of this kind: fragments have offsets outside of the moov, and
// a compressed moov is left alone.
func (m *mover) special(kind string, body []byte) error {
	if kind == "meta" && !bytes.Contains(body, []byte("iloc")) {
		return nil // tags and pictures; only items that lie elsewhere have offsets
	}
	return errLeave
}

// ownMedia looks through the data references of a track (ISO/IEC 14496-12 section 8.7.2): offsets into another file are
// not to be moved.
func ownMedia(body []byte) error {
	if len(body) < 8 {
		return fmt.Errorf("%w: data references cut short", ErrMP4)
	}
	n := binary.BigEndian.Uint32(body[4:])
	for body = body[8:]; n > 0; n-- {
		b, err := parseBox(body[:min(16, len(body))], int64(len(body)))
		if err != nil {
			return err
		}
		if b.toEnd || b.size < b.header+4 {
			return fmt.Errorf("%w: a data reference cut short", ErrMP4)
		}
		if body[b.header+3]&1 == 0 {
			return errLeave
		}
		body = body[b.size:]
	}
	return nil
}
