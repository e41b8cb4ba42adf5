package rewrite

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// windowHead writes the lines that hold for the playlist as a whole.
type windowHead struct {
	*windowed
	gone            int // how far the numbers of segments move
	discontinuities int // that are gone with them

	sequence, discontinuity, start bool // were there
}

// append appends what a line becomes.
func (h *windowHead) append(out []byte, line span) []byte {
	text := h.src[line.start:line.end]
	name, value, _ := bytes.Cut(bytes.TrimSpace(text), []byte{':'})
	switch string(name) {
	case "#EXT-X-MEDIA-SEQUENCE":
		h.sequence = true
		return appendNumbered(out, text, value, h.gone)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		h.discontinuity = true
		return appendNumbered(out, text, value, h.discontinuities)
	case "#EXT-X-PLAYLIST-TYPE":
		if h.gone > 0 && string(bytes.TrimSpace(value)) == "EVENT" {
			return out
		}
	case "#EXT-X-START":
		return h.appendStart(out, text, value)
	case "#EXT-X-SERVER-CONTROL":
		return h.appendControl(out, text)
	case "#EXT-X-SKIP":
		if left := h.skipped - h.gone; left > 0 {
			return append(out, bytes.Replace(text, []byte("SKIPPED-SEGMENTS="+strconv.Itoa(h.skipped)), []byte("SKIPPED-SEGMENTS="+strconv.Itoa(left)), 1)...)
		}
		return out
	}
	return append(out, text...)
}

func appendNumbered(out, text, value []byte, more int) []byte {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64)
	if err != nil || more == 0 {
		return append(out, text...)
	}
	return append(out, bytes.Replace(text, bytes.TrimSpace(value), strconv.AppendUint(nil, n+uint64(more), 10), 1)...)
}

// appendStart moves the place where players begin along with the playlist.
func (h *windowHead) appendStart(out, text, value []byte) []byte {
	attrs := attrList{src: value, end: len(value)}
	written, ok := attrs.lookup("TIME-OFFSET")
	offset, err := strconv.ParseFloat(string(written), 64)
	if h.NoStart || h.Start != nil || !ok || err != nil {
		if h.Start != nil && !h.NoStart && ok {
			h.start = true
			return append(out, bytes.Replace(text, written, strconv.AppendFloat(nil, *h.Start, 'f', -1, 64), 1)...)
		}
		if h.NoStart {
			return out
		}
		return append(out, text...)
	}
	if offset >= 0 {
		offset -= h.before.Seconds()
	} else {
		for _, s := range h.segments[h.last:] {
			offset += s.duration.Seconds()
		}
		offset = min(offset, 0)
	}
	switch {
	case offset < 0 && written[0] != '-':
		return out // it lies before the window
	case h.before == 0 && h.last == len(h.segments):
		return append(out, text...)
	}
	return append(out, bytes.Replace(text, written, strconv.AppendFloat(nil, offset, 'f', -1, 64), 1)...)
}

// appendControl takes the offer of delta updates out.
func (h *windowHead) appendControl(out, text []byte) []byte {
	colon := bytes.IndexByte(text, ':') + 1
	end := len(bytes.TrimRight(text, " \t\r\n"))
	c := &catalogue{state: &state{src: text}}
	c.removeAttrs(&stream{list: span{colon, end}}, []string{"CAN-SKIP-UNTIL", "CAN-SKIP-DATERANGES"})
	cut := edited(text, c.edits)
	if len(bytes.TrimSpace(cut)) <= colon {
		return out
	}
	return append(out, cut...)
}

// appendMissing appends the lines that were not there but have to be now.
func (h *windowHead) appendMissing(out []byte) []byte {
	if len(out) > 0 && out[len(out)-1] != '\n' && out[len(out)-1] != '\r' {
		out = append(out, '\n')
	}
	if !h.sequence && h.gone > 0 {
		out = append(append(append(out, "#EXT-X-MEDIA-SEQUENCE:"...), strconv.Itoa(h.gone)...), '\n')
	}
	if !h.discontinuity && h.discontinuities > 0 {
		out = append(append(append(out, "#EXT-X-DISCONTINUITY-SEQUENCE:"...), strconv.Itoa(h.discontinuities)...), '\n')
	}
	if !h.start && h.Start != nil && !h.NoStart {
		out = append(strconv.AppendFloat(append(out, "#EXT-X-START:TIME-OFFSET="...), *h.Start, 'f', -1, 64), '\n')
	}
	return out
}

// rangesFrom are the lines of the playlist as a whole that stand among the segments that are gone.
func (h *windowHead) rangesFrom(begin, end int) (out []byte) {
	for _, line := range h.head {
		if line.start >= begin && line.start < end && h.first > 0 {
			out = h.append(out, line)
		}
	}
	return out
}

// appendText appends a part of the playlist, in which lines of the playlist as a whole may stand.
func (h *windowHead) appendText(out []byte, at span) []byte {
	i, _ := slices.BinarySearchFunc(h.head, at.start, func(line span, start int) int { return line.start - start })
	for ; i < len(h.head) && h.head[i].start < at.end; i++ {
		out = h.append(append(out, h.src[at.start:h.head[i].start]...), h.head[i])
		at.start = h.head[i].end
	}
	return append(out, h.src[at.start:at.end]...)
}

// carried is what segments that are gone say of those that follow.
type carried struct {
	keys, keysOfMap map[string]string // by KEYFORMAT
	section         string            // EXT-X-MAP
	bitrate         string
	date            time.Time // at which the next segment begins
	dated           bool
	discontinuities int
	offsets         map[string]int64 // where a byte range that names none begins, by URI
}

// read goes over the lines of the segments.
func (c *carried) read(text []byte) {
	c.keys, c.offsets = map[string]string{}, map[string]int64{}
	duration, bytesLen, from := time.Duration(0), int64(-1), int64(-1)
	lines(text, func(whole span, line []byte) {
		if len(line) == 0 {
			return
		}
		if line[0] != '#' {
			c.date = c.date.Add(duration)
			if bytesLen >= 0 {
				uri := string(line)
				if from < 0 {
					from = c.offsets[uri]
				}
				c.offsets = map[string]int64{uri: from + bytesLen}
			}
			duration, bytesLen, from = 0, -1, -1
			return
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch string(name) {
		case "#EXTINF":
			seconds, _, _ := bytes.Cut(value, []byte{','})
			duration = parseSeconds(seconds)
		case "#EXT-X-BYTERANGE":
			bytesLen, from = parseRange(value)
		case "#EXT-X-PART":
			at, uri := partRange(attrList{src: line, pos: len(name) + 1, end: len(line)})
			if n, o := parseRange(line[at.start:at.end]); n >= 0 {
				if o < 0 {
					o = c.offsets[uri]
				}
				c.offsets[uri] = o + n
			}
		case "#EXT-X-DISCONTINUITY":
			c.discontinuities++
			c.dated = false
		case "#EXT-X-KEY":
			c.key(string(line), value)
		case "#EXT-X-MAP":
			c.section, c.keysOfMap = string(line), maps.Clone(c.keys)
		case "#EXT-X-BITRATE":
			c.bitrate = string(line)
		case "#EXT-X-PROGRAM-DATE-TIME":
			c.date, c.dated = parseDate(string(bytes.TrimSpace(value)))
		}
	})
}

func (c *carried) key(line string, value []byte) {
	attrs := attrList{src: value, end: len(value)}
	if method, _ := attrs.lookup("METHOD"); string(method) == "NONE" {
		clear(c.keys)
		return
	}
	format, _ := attrs.lookup("KEYFORMAT")
	c.keys[string(format)] = line
}

// append appends what still holds, as far as the first segment that stays does not say otherwise.
func (c *carried) append(out, first []byte) []byte {
	own := func(tag string) bool {
		return bytes.HasPrefix(first, []byte(tag)) || bytes.Contains(first, []byte("\n"+tag))
	}
	if c.section != "" && !own("#EXT-X-MAP:") {
		out = appendLines(out, c.keysOfMap)
		out = append(append(out, c.section...), '\n')
		if !maps.Equal(c.keys, c.keysOfMap) {
			if len(c.keysOfMap) > 0 {
				out = append(out, "#EXT-X-KEY:METHOD=NONE\n"...)
			}
			out = appendLines(out, c.keys)
		}
	} else {
		out = appendLines(out, c.keys)
	}
	if c.bitrate != "" && !own("#EXT-X-BITRATE:") {
		out = append(append(out, c.bitrate...), '\n')
	}
	if c.dated && !own("#EXT-X-PROGRAM-DATE-TIME:") && !own("#EXT-X-DISCONTINUITY") {
		out = append(append(append(out, "#EXT-X-PROGRAM-DATE-TIME:"...), c.date.Format("2006-01-02T15:04:05.000Z07:00")...), '\n')
	}
	return out
}

func appendLines(out []byte, keys map[string]string) []byte {
	for _, format := range slices.Sorted(maps.Keys(keys)) {
		out = append(append(out, keys[format]...), '\n')
	}
	return out
}

// parseRange reads "length@offset"; -1: not there.
func parseRange(text []byte) (length, offset int64) {
	n, o, _ := strings.Cut(strings.Trim(string(text), "\" \t"), "@")
	length, offset = -1, -1
	if v, err := strconv.ParseInt(n, 10, 53); err == nil && v >= 0 {
		length = v
	}
	if v, err := strconv.ParseInt(o, 10, 53); err == nil && v >= 0 {
		offset = v
	}
	return length, offset
}

func parseDate(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999Z07"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
