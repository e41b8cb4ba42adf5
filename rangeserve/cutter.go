package rangeserve

import (
	"io"
	"net/http"

	"github.com/hlsproxy/hlsproxy/internal/coding"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// cutter is the ResponseWriter of an inner handler. It decides which header is sent.
type cutter struct {
	http.ResponseWriter
	r     *http.Request
	cuts  bool // the request asks for less than the whole
	state state
	*job  // while cutting or waiting
}

type state uint8

const (
	undecided state = iota // no header yet
	passing                // everything goes through
	waiting                // for the first bytes of a range of a body of unknown length
	cutting                // a 206 is under way
	served                 // nothing more is wanted
	broken                 // the end could not be sent
)

// Unwrap is for http.ResponseController.
func (c *cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader decides how to answer.
func (c *cutter) WriteHeader(status int) { c.begin(status, nil) }

// begin is WriteHeader, with the first bytes of the body if they are known.
func (c *cutter) begin(status int, body []byte) {
	switch {
	case c.state != undecided:
		if c.state == passing {
			c.ResponseWriter.WriteHeader(status) // net/http logs the second header
		}
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		c.ResponseWriter.WriteHeader(status)
	case status != http.StatusOK:
		c.pass(status)
	default:
		c.decide(body)
	}
}

func (c *cutter) pass(status int) {
	c.state = passing
	c.ResponseWriter.WriteHeader(status)
}

// decide turns a 200 into what the request asks for.
func (c *cutter) decide(body []byte) {
	h := c.Header()
	playlist := hls.IsPlaylist(field(h, "Content-Type"), c.r.URL.Path)
	whole := playlist || !cuttable(h)
	if c.cuts {
		if status := httprange.Precondition(c.r, h); status != http.StatusOK {
			c.refuse(status, 0)
			return
		}
	}
	if !whole {
		advertise(h, false)
	}
	if whole || !c.cuts {
		c.pass(http.StatusOK)
		return
	}
	ensureType(h, c.r.URL.Path, body)
	if size := httprange.ContentLength(h); size != httprange.Unknown {
		c.decideKnown(size)
	} else {
		c.decideUnknown()
	}
}

func (c *cutter) decideKnown(size int64) {
	j := &job{size: size}
	status, ranges := httprange.Decide(j.array[:0], c.r, c.Header(), size)
	switch {
	case status == http.StatusRequestedRangeNotSatisfiable:
		c.refuse(status, size)
	case status == http.StatusOK || !ascending(ranges):
		c.pass(http.StatusOK)
	default:
		j.parts = newParts(ranges, size, field(c.Header(), "Content-Type"))
		c.job = j
		c.commit()
	}
}

// refuse answers without a body, also for a 304.
func (c *cutter) refuse(status int, size int64) {
	c.state = served
	if status == http.StatusNotModified {
		setNotModified(c.Header())
	} else {
		setRefused(c.Header(), status, size)
	}
	c.ResponseWriter.WriteHeader(status)
}

// commit sends the header of a 206.
func (c *cutter) commit() {
	c.state = cutting
	setPartial(c.Header(), c.parts)
	c.ResponseWriter.WriteHeader(http.StatusPartialContent)
}

// Write returns an error as soon as the rest is not wanted.
func (c *cutter) Write(p []byte) (int, error) {
	if c.state == undecided {
		c.begin(http.StatusOK, p)
	}
	switch c.state {
	case passing:
		return c.ResponseWriter.Write(p)
	case waiting:
		return c.wait(p)
	case cutting:
		return c.cut(p)
	default:
		return 0, errServed
	}
}

// FlushError is for http.ResponseController. Held bytes stay held.
func (c *cutter) FlushError() error {
	if c.state == undecided {
		c.WriteHeader(http.StatusOK)
	}
	if c.state == waiting {
		return nil
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Flush is for handlers that look for an http.Flusher.
func (c *cutter) Flush() { _ = c.FlushError() }

// ReadFrom lets the kernel send a file that passes through, or a part of it.
func (c *cutter) ReadFrom(src io.Reader) (int64, error) {
	if c.state == undecided && (!c.cuts || len(c.Header()["Content-Type"]) > 0) {
		c.WriteHeader(http.StatusOK)
	}
	switch {
	case c.state == passing:
		if to, ok := c.ResponseWriter.(io.ReaderFrom); ok {
			return to.ReadFrom(src)
		}
		return io.Copy(struct{ io.Writer }{c.ResponseWriter}, src)
	case c.state == cutting:
		if s, ok := src.(io.Seeker); ok {
			return c.cutFile(src, s)
		}
	}
	return io.Copy(struct{ io.Writer }{c}, src)
}

// finish is called when the inner handler has returned.
func (c *cutter) finish() {
	if c.state == undecided {
		c.WriteHeader(http.StatusOK)
	}
	switch c.state {
	case waiting:
		c.giveUpWaiting()
	case cutting, broken:
		panic(http.ErrAbortHandler) // the body is shorter than declared, or the client has left
	}
}

// cuttable reports whether a 200 with this header may become a 206.
func cuttable(h http.Header) bool {
	return !coding.Is(h) && len(h["Content-Range"]) == 0 && field(h, "Accept-Ranges") != "none"
}

// ensureType sets a Content-Type if the inner handler sets none: net/http would guess it from the middle of the body, where a
// range begins.
func ensureType(h http.Header, name string, body []byte) {
	if _, said := h["Content-Type"]; said {
		return
	}
	t := hls.TypeByName(name)
	if t == hls.DefaultType && len(body) > 0 {
		t = http.DetectContentType(body)
	}
	set(h, "Content-Type", t)
}
