package rangeserve

import (
	"errors"
	"io"
	"math"
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// errServed ends an inner handler when nobody wants its remaining bytes.
var errServed = errors.New("rangeserve: everything that was asked for has been sent")

// job is the cutting of one body.
type job struct {
	parts *parts
	array [httprange.MaxParts]httprange.Range
	size  int64  // of the inner body, or unknown
	pos   int64  // offset in the inner body of the next byte
	i     int    // the current or next range
	open  bool   // whether its part has begun
	held  []byte // the beginning of a range of a body of unknown length, until the header can be sent
}

// cut passes on the part of p that is wanted.
func (c *cutter) cut(p []byte) (n int, err error) {
	for {
		r := c.parts.ranges[c.i]
		skip := int(min(max(r.Start-c.pos, 0), int64(len(p)-n)))
		n += skip
		c.pos += int64(skip)
		if n == len(p) {
			return n, nil
		}
		if err = c.openPart(); err != nil {
			return n, err
		}
		m, err := c.ResponseWriter.Write(p[n : n+int(min(r.End()-c.pos, int64(len(p)-n)))])
		n += m
		c.pos += int64(m)
		if err != nil {
			return n, err
		}
		if c.pos < r.End() {
			return n, nil
		}
		if more, err := c.closePart(); !more {
			return n, c.enough(len(p)-n, err)
		}
	}
}

func (c *cutter) openPart() error {
	if c.open {
		return nil
	}
	c.open = true
	_, err := writeText(c.ResponseWriter, c.parts.before(c.i))
	return err
}

// closePart continues with the next range, and reports whether there is one.
func (c *cutter) closePart() (more bool, err error) {
	c.open = false
	if c.i++; c.i < len(c.parts.ranges) {
		return true, nil
	}
	c.state = served
	if _, err = writeText(c.ResponseWriter, c.parts.after()); err != nil {
		c.state = broken
	}
	return false, err
}

// enough is the result of Write after the last wanted byte: an error, unless the inner body ends there as well.
func (c *cutter) enough(left int, err error) error {
	if err != nil || left == 0 && c.pos == c.size {
		return err
	}
	_ = c.FlushError() // the client need not wait for a handler that is slow to notice
	return errServed
}

func writeText(w io.Writer, s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	return io.WriteString(w, s)
}

// cutFile is cut for a source that can skip unwanted bytes. The wanted bytes go through the ResponseWriter's own ReadFrom, so
// the kernel can send them from a file.
func (c *cutter) cutFile(src io.Reader, seeker io.Seeker) (n int64, err error) {
	for c.state == cutting {
		r := c.parts.ranges[c.i]
		if skip := r.Start - c.pos; skip > 0 {
			skipped, err := skipWithin(seeker, skip)
			n += skipped
			c.pos += skipped
			if err != nil {
				return n, err
			}
			if skipped < skip {
				break // the range begins in the handler's next source
			}
		}
		if err = c.openPart(); err != nil {
			return n, err
		}
		m, err := io.CopyN(c.ResponseWriter, src, r.End()-c.pos)
		n += m
		c.pos += m
		if err == io.EOF {
			return n, nil // finish notices the missing bytes
		}
		if err != nil {
			return n, err
		}
		if more, err := c.closePart(); !more {
			return n, c.enough(0, err)
		}
	}
	m, err := io.Copy(struct{ io.Writer }{c}, src)
	return n + m, err
}

// skipWithin moves a source forward by n bytes, or to its end if that is nearer: a seek beyond the end of a file is no error,
// and missing bytes must not be counted. A source that cannot tell its end, or claims to be after it, does not move. After an
// error its position is unknown.
func skipWithin(s io.Seeker, n int64) (skipped int64, err error) {
	at, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, nil
	}
	end, err := s.Seek(0, io.SeekEnd)
	if err != nil {
		end = at
	}
	skipped = max(min(n, end-at), 0)
	_, err = s.Seek(at+skipped, io.SeekStart)
	if err != nil {
		skipped = 0
	}
	return skipped, err
}

// boundedRange is the one range of a header that can be cut without knowing the end of the body.
func boundedRange(dst []httprange.Range, header string) ([]httprange.Range, bool) {
	ranges, err := httprange.Append(dst, header, math.MaxInt64)
	return ranges, err == nil && len(ranges) == 1 && ranges[0].End() <= httprange.VeryLast
}

// ascending reports whether the ranges can be cut out of a passing stream.
func ascending(ranges []httprange.Range) bool {
	for i := 1; i < len(ranges); i++ {
		if ranges[i].Start < ranges[i-1].End() {
			return false
		}
	}
	return true
}

// maxHeld is how much of a range is held back at most before its header is sent.
const maxHeld = 256 << 10

// decideUnknown begins the answer to a range of a body of unknown length.
func (c *cutter) decideUnknown() {
	j := &job{size: httprange.Unknown}
	line, ok := httprange.Asked(c.r)
	if ok && httprange.IfRange(c.r.Header, c.Header()) {
		var ranges []httprange.Range
		if ranges, ok = boundedRange(j.array[:0], line); ok && (ranges[0].Start > 0 || ranges[0].Length <= maxHeld) {
			j.parts = newParts(ranges, httprange.Unknown, "")
			c.job, c.state = j, waiting
			return
		}
	}
	c.pass(http.StatusOK)
}

// wait holds the beginning of the range back until there is enough of it to send the header. Until then the body may turn out
// to be shorter than the range, and the header must say so.
func (c *cutter) wait(p []byte) (int, error) {
	r := c.parts.ranges[0]
	if end := c.pos + int64(len(p)); end < r.Start+min(r.Length, maxHeld) {
		if skip := max(r.Start-c.pos, 0); skip < int64(len(p)) {
			c.held = append(c.held, p[skip:]...)
		}
		c.pos = end
		return len(p), nil
	}
	c.commit()
	if len(c.held) > 0 {
		c.open = true
		if _, err := c.ResponseWriter.Write(c.held); err != nil {
			return 0, err
		}
		c.held = nil
	}
	return c.cut(p)
}

// giveUpWaiting answers when the whole body has come and is shorter than the held part: its length is known now.
func (c *cutter) giveUpWaiting() {
	status, ranges := httprange.Decide(c.array[:0], c.r, c.Header(), c.pos)
	switch status {
	case http.StatusPartialContent:
		c.parts = newParts(ranges, c.pos, "")
		c.commit()
		_, err := c.ResponseWriter.Write(c.held)
		must(0, err)
		c.state = served
	case http.StatusOK:
		c.pass(status) // the body is empty
	default:
		c.refuse(status, c.pos)
	}
}
