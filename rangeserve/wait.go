package rangeserve

import (
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// maxHeld is how much of a range may be awaited before its header is sent.
const maxHeld = 256 << 10

// decideUnknown begins the answer to a range of a body whose length nobody knows yet.
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

// wait holds the beginning of the range back until enough of it is there to send the header. Before that the body may
// turn out to be shorter than the range, which the header has to say.
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

// giveUpWaiting answers when the whole body has come and is shorter than what was awaited: its length is known now.
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
		c.pass(status) // an empty body
	default:
		c.refuse(status, c.pos)
	}
}
