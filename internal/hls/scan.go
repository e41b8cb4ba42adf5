package hls

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Info is what a playlist says about its own lifetime (draft-pantos-hls-rfc8216bis-22 sections 4.4.3 and 4.4.6).
type Info struct {
	// Multivariant: it lists playlists instead of segments.
	Multivariant bool
	// EndList: nothing will be added.
	EndList bool
	// VOD: its PLAYLIST-TYPE says that it cannot change.
	VOD bool
	// Target is its target duration; zero if it has none.
	Target time.Duration
	// PartTarget is the target duration of its parts; zero if it has none.
	PartTarget time.Duration
	// MediaSequence is the number of its first segment, and Discontinuity the number of its first discontinuity; zero if it
	// gives none.
	MediaSequence, Discontinuity int64
	// Segments is how many segments it lists or skips, and Parts how many parts follow the last of them.
	Segments, Parts int64
}

// Holds reports whether the playlist contains what a blocking reload asks for (section 6.2.5.2).
func (i Info) Holds(r Reload) bool {
	next := i.MediaSequence + i.Segments
	return r.MSN < next || r.MSN == next && r.Part >= 0 && r.Part < i.Parts
}

// Ended reports whether the playlist says that it will not change. One of type VOD without EXT-X-ENDLIST still grows.
func (i Info) Ended() bool { return i.EndList }

// IsChannel reports whether the playlist belongs to a live stream: it goes on, or it has ended after older segments had left
// it, so that another stream may begin under its name. Films are numbered from 0 or 1.
func (i Info) IsChannel() bool {
	return !i.Multivariant && (!i.EndList || !i.VOD && i.MediaSequence > 1)
}

// ErrNoPlaylist means that a text does not begin with #EXTM3U.
var ErrNoPlaylist = errors.New("hls: no playlist")

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

// Scan reads a playlist to its end. If r fails, Scan returns what it has read with that error. The caller bounds r. Scan needs
// 4 KiB, however long the lines are.
func Scan(r io.Reader) (Info, error) {
	lines := readers.Get().(*bufio.Reader)
	lines.Reset(r)
	defer func() {
		lines.Reset(nil)
		readers.Put(lines)
	}()
	// Check before reading a line: a line of a segment may be as long as the segment.
	first, err := peekStart(lines)
	if is, _ := StartsPlaylist(first); !is {
		if err == nil || err == io.EOF {
			err = ErrNoPlaylist
		}
		return Info{}, err
	}
	var info Info
	var line [maxLine]byte
	for {
		text, err := nextLine(line[:0], lines)
		info.read(text)
		if err == io.EOF {
			return info, nil
		}
		if err != nil {
			return info, err
		}
	}
}

// peekStart reads no more than is needed to recognise a playlist.
func peekStart(lines *bufio.Reader) (first []byte, err error) {
	for n := len(magic); ; n++ {
		n = max(n, min(lines.Buffered(), SniffLen))
		first, err = lines.Peek(n)
		if _, known := StartsPlaylist(first); known || err != nil {
			return first, err
		}
	}
}

// maxLine is how many bytes of a line matter.
const maxLine = 128

// nextLine appends the beginning of the next line, without its end. Lines end with LF, CRLF or, as players accept it, a single
// CR.
func nextLine(line []byte, r *bufio.Reader) ([]byte, error) {
	for {
		if _, err := r.Peek(1); err != nil {
			return line, err
		}
		here, _ := r.Peek(r.Buffered())
		end := bytes.IndexByte(here, '\n')
		if cr := bytes.IndexByte(here[:max(end, 0)], '\r'); cr >= 0 {
			end = cr
		} else if end < 0 {
			end = bytes.IndexByte(here, '\r')
		}
		isWhole := end >= 0
		if !isWhole {
			end = len(here)
		}
		line = append(line, here[:min(end, maxLine-len(line))]...)
		if isWhole {
			r.Discard(end + 1)
			return line, nil
		}
		r.Discard(end)
	}
}

func (i *Info) read(line []byte) {
	switch start := bytes.TrimSpace(bytes.TrimPrefix(line, []byte(bom))); {
	case len(start) == 0:
		return
	case start[0] != '#':
		i.Segments, i.Parts = i.Segments+1, 0
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch string(name) {
	case "#EXT-X-ENDLIST":
		i.EndList = true
	case "#EXT-X-PLAYLIST-TYPE":
		i.VOD = i.VOD || string(bytes.TrimSpace(value)) == "VOD"
	case "#EXT-X-STREAM-INF", "#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF":
		i.Multivariant = true
	case "#EXT-X-MEDIA-SEQUENCE":
		i.MediaSequence = max(number(strings.TrimSpace(string(value))), 0)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		i.Discontinuity = max(number(strings.TrimSpace(string(value))), 0)
	case "#EXT-X-SKIP":
		i.Segments += max(number(string(attribute(value, "SKIPPED-SEGMENTS"))), 0)
	case "#EXT-X-PART":
		i.Parts++
	case "#EXT-X-PART-INF":
		i.PartTarget = seconds(string(attribute(value, "PART-TARGET")))
	case "#EXT-X-TARGETDURATION":
		i.Target = seconds(string(value))
	}
}

// seconds is a duration, zero if it is malformed.
func seconds(s string) time.Duration {
	d, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(d > 0 && d < math.MaxInt32) {
		return 0
	}
	return time.Duration(d * float64(time.Second))
}
