package corsmw

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
)

// writer corrects the header when it is sent. Besides Unwrap it has only the methods that can send a header, or that let
// net/http avoid a copy.
type writer struct {
	http.ResponseWriter
	m       *Middleware
	origin  string
	values  values // used up by one answer after the other, which saves most of the allocations
	options bool   // the answer to a plain OPTIONS, which differs from one to a preflight
	sent    bool
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// take returns a writer, and also sets the headers at once: so they are on an answer that bypasses the writer, such as the 500
// of an outer handler that recovers a panic.
func take(w http.ResponseWriter, m *Middleware, origin string, options bool) *writer {
	cw := writers.Get().(*writer)
	*cw = writer{ResponseWriter: w, m: m, origin: origin, values: cw.values, options: options}
	if n := m.values(); cap(cw.values)-len(cw.values) < n {
		const answers = 8
		cw.values = make(values, 0, answers*n)
	}
	h := w.Header()
	m.set(h, &cw.values, origin)
	if v := cw.vary(); v != "" {
		mergeVary(h, &cw.values, v)
	}
	return cw
}

// release ends the use of cw. If the handler wrote nothing, the 200 that follows gets the right header.
func (cw *writer) release() {
	cw.correct()
	*cw = writer{values: cw.values}
	writers.Put(cw)
}

func (cw *writer) vary() string {
	switch {
	case cw.options && cw.m.any:
		return varyOpen
	case cw.options:
		return varyOptions
	}
	return cw.m.vary
}

// correct corrects the header, once.
func (cw *writer) correct() {
	if cw.sent {
		return
	}
	cw.sent = true
	h := cw.Header()
	if cw.m.strip(h, cw.origin) {
		cw.m.setOthers(h, &cw.values, cw.origin)
	} else {
		cw.m.set(h, &cw.values, cw.origin)
	}
	if v := cw.vary(); v != "" {
		mergeVary(h, &cw.values, v)
	}
}

// WriteHeader corrects the header unless code is informational. Of those, only 101 is final.
func (cw *writer) WriteHeader(code int) {
	if code >= 200 || code == http.StatusSwitchingProtocols {
		cw.correct()
	}
	cw.ResponseWriter.WriteHeader(code)
}

func (cw *writer) Write(p []byte) (int, error) {
	cw.correct()
	return cw.ResponseWriter.Write(p)
}

// WriteString avoids a copy in io.WriteString.
func (cw *writer) WriteString(s string) (int, error) {
	cw.correct()
	return io.WriteString(cw.ResponseWriter, s)
}

// ReadFrom lets io.Copy use sendfile(2). An empty src does not send the header.
func (cw *writer) ReadFrom(src io.Reader) (int64, error) {
	sent := cw.sent
	cw.correct()
	n, err := io.Copy(cw.ResponseWriter, src)
	cw.sent = sent || n > 0
	return n, err
}

// Flush is for handlers that look for http.Flusher.
func (cw *writer) Flush() { _ = cw.FlushError() }

// FlushError is what http.ResponseController looks for. After a failure the header is corrected again, since it was not sent.
func (cw *writer) FlushError() error {
	sent := cw.sent
	cw.correct()
	err := http.NewResponseController(cw.ResponseWriter).Flush()
	cw.sent = sent || err == nil
	return err
}

// Hijack corrects the header before it gives the connection away, because the caller sends the header.
func (cw *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	sent := cw.sent
	cw.correct()
	c, rw, err := http.NewResponseController(cw.ResponseWriter).Hijack()
	cw.sent = sent || err == nil
	return c, rw, err
}

// Unwrap is for http.ResponseController.
func (cw *writer) Unwrap() http.ResponseWriter { return cw.ResponseWriter }
