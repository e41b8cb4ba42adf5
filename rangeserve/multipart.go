package rangeserve

import (
	"crypto/rand"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// parts are the ranges of one 206. With more than one the body is multipart/byteranges (RFC 9110 section 14.6).
type parts struct {
	ranges      []httprange.Range
	size        int64  // of the whole body; it may be unknown if there is one range
	boundary    string // empty for one range
	contentType string // of the whole body, repeated in each part
}

func newParts(ranges []httprange.Range, size int64, contentType string) *parts {
	p := &parts{ranges: ranges, size: size}
	if len(ranges) > 1 {
		p.boundary = rand.Text()
		p.contentType = strings.Map(noControl, contentType)
	}
	return p
}

// noControl keeps a Content-Type from adding lines to the header of a part.
func noControl(c rune) rune {
	if c < ' ' || c == 0x7f {
		return ' '
	}
	return c
}

// before is what precedes the bytes of range i.
func (p *parts) before(i int) string {
	if p.boundary == "" {
		return ""
	}
	open := "\r\n--"
	if i == 0 {
		open = "--"
	}
	kind := ""
	if p.contentType != "" {
		kind = "Content-Type: " + p.contentType + "\r\n"
	}
	return open + p.boundary + "\r\n" + kind + "Content-Range: " + p.ranges[i].Of(p.size).String() + "\r\n\r\n"
}

// after is what follows the last range.
func (p *parts) after() string {
	if p.boundary == "" {
		return ""
	}
	return "\r\n--" + p.boundary + "--\r\n"
}

// length is the Content-Length of the whole body.
func (p *parts) length() int64 {
	n := int64(len(p.after()))
	for i, r := range p.ranges {
		n += int64(len(p.before(i))) + r.Length
	}
	return n
}
