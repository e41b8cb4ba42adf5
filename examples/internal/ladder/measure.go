package ladder

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// bandwidth is the largest and the average bit rate of a playlist's segments (draft-pantos-hls-rfc8216bis-22 section 4.4.6.2).
func bandwidth(folder string, media *m3u8.MediaPlaylist) (peak, average uint32, err error) {
	var size, seconds float64
	for _, s := range media.GetAllSegments() {
		length, whole := measure(filepath.Join(folder, s.URI))
		if !whole {
			return 0, 0, errIncomplete
		}
		bits := 8 * float64(length)
		size, seconds = size+bits, seconds+s.Duration
		// A segment much shorter than the others, such as the last one, does not show what a player must sustain.
		if s.Duration >= float64(media.TargetDuration)/2 {
			peak = max(peak, uint32(bits/s.Duration)+1)
		}
	}
	average = uint32(size/cmp.Or(seconds, 1)) + 1
	return max(peak, average), average, nil
}

// measure also reports whether a segment is complete: whether it ends where its last packet or box ends.
func measure(file string) (size int64, whole bool) {
	f, err := os.Open(file)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	if size, err = f.Seek(0, io.SeekEnd); err != nil || size == 0 || filepath.Ext(file) == ".ts" {
		return size, err == nil && size > 0 && size%188 == 0
	}
	var header [16]byte
	for at := int64(0); at < size; {
		n, _ := f.ReadAt(header[:], at)
		length := int64(binary.BigEndian.Uint32(header[:]))
		if length == 1 && n == len(header) {
			length = int64(binary.BigEndian.Uint64(header[8:]))
		}
		if n < 8 || length < 8 || length > size-at {
			return size, false
		}
		at += length
	}
	return size, true
}

// codecOf reads the profile, constraints and level (RFC 6381 section 3.3) from the avcC box at the beginning of a fragmented
// MP4, or from the first sequence parameter set of a transport stream.
func codecOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	first := make([]byte, 64<<10)
	n, err := f.Read(first)
	if err != nil {
		return "", err
	}
	for _, before := range []string{"avcC\x01", "\x00\x00\x01\x67", "\x00\x00\x01\x27"} {
		if _, after, ok := bytes.Cut(first[:n], []byte(before)); ok && len(after) >= 3 {
			return fmt.Sprintf("avc1.%02x%02x%02x", after[0], after[1], after[2]), nil
		}
	}
	return "", errIncomplete
}
