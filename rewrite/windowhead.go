package rewrite

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// windowHead writes the lines that apply to the playlist as a whole.
type windowHead struct {
	*windowed
	gone            int // by how much the numbers of segments move
	discontinuities int // removed discontinuities

	sequence, discontinuity, start bool // the playlist has them

	measured       bool
	before, behind time.Duration // the length of what is cut off
}

// append appends the result for a line.
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
	number := bytes.TrimSpace(value)
	n, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil || more == 0 {
		return append(out, text...)
	}
	before, after, _ := bytes.Cut(text, number)
	return append(strconv.AppendUint(append(out, before...), n+uint64(more), 10), after...)
}

// appendStart moves the start position of players along with the playlist.
func (h *windowHead) appendStart(out, text, value []byte) []byte {
	attrs := attrList{src: value, end: len(value)}
	written, ok := attrs.lookup("TIME-OFFSET")
	offset, err := strconv.ParseFloat(string(written), 64)
	if h.NoStart || h.Start != nil || !ok || err != nil {
		if h.Start != nil && !h.NoStart && ok {
			h.start = true
			return appendOffset(out, text, value, *h.Start)
		}
		if h.NoStart {
			return out
		}
		return append(out, text...)
	}
	if !h.measured {
		h.measured = true
		h.before, h.behind = h.lengthOf(h.segments[:h.first]), h.lengthOf(h.segments[h.last:])
	}
	if offset >= 0 {
		offset -= h.before.Seconds()
	} else {
		offset = min(offset+h.behind.Seconds(), 0)
	}
	switch {
	case offset < 0 && written[0] != '-':
		return out // it lies before the window
	case h.first == 0 && h.last == len(h.segments):
		return append(out, text...)
	}
	return appendOffset(out, text, value, offset)
}

// appendOffset appends an EXT-X-START with another TIME-OFFSET.
func appendOffset(out, text, value []byte, offset float64) []byte {
	at := bytes.Index(text, value)
	attrs := attrList{src: value, end: len(value)}
	for attrs.next() && string(attrs.name()) != "TIME-OFFSET" {
	}
	out = strconv.AppendFloat(append(out, text[:at+attrs.from]...), offset, 'f', -1, 64)
	return append(out, text[at+attrs.to:]...)
}

// appendControl removes the offer of delta updates.
func (h *windowHead) appendControl(out, text []byte) []byte {
	if !bytes.Contains(text, []byte("CAN-SKIP-")) {
		return append(out, text...)
	}
	colon := bytes.IndexByte(text, ':') + 1
	end := len(bytes.TrimRight(text, " \t\r\n"))
	cut := edited(text, removeAttrs(attrList{src: text, pos: colon, end: end}, []string{"CAN-SKIP-UNTIL", "CAN-SKIP-DATERANGES"}))
	if len(bytes.TrimSpace(cut)) <= colon {
		return out
	}
	return append(out, cut...)
}

// appendMissing appends lines that were missing and are needed now.
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

// appendAmong appends the lines about the whole playlist that stand among removed segments, except date ranges that ended
// before begin.
func (h *windowHead) appendAmong(out []byte, gone span, begin time.Time) []byte {
	var ended func(list []byte) bool
	for _, line := range h.head[h.headFrom(gone.start):h.headFrom(gone.end)] {
		list, is := bytes.CutPrefix(bytes.TrimSpace(h.src[line.start:line.end]), []byte(dateRangePrefix))
		if is && !begin.IsZero() {
			if ended == nil {
				ended = h.endedRanges(begin)
			}
			if ended(list) {
				continue
			}
		}
		out = h.append(out, line)
	}
	return out
}

// headFrom is the index of the first line about the whole playlist at this place or later.
func (p *windowParts) headFrom(at int) int {
	i, _ := slices.BinarySearchFunc(p.head, at, func(line span, start int) int { return line.start - start })
	return i
}

// appendText appends a part of the playlist, which may contain lines about the whole playlist.
func (h *windowHead) appendText(out []byte, at span) []byte {
	for i := h.headFrom(at.start); i < len(h.head) && h.head[i].start < at.end; i++ {
		out = h.append(append(out, h.src[at.start:h.head[i].start]...), h.head[i])
		at.start = h.head[i].end
	}
	return append(out, h.src[at.start:at.end]...)
}
