package corsmw

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
)

// writer corrects the header at the moment it is sent. Beyond Unwrap it has only the methods through which a header can
// be sent, or which net/http offers to save a copy.
type writer struct {
	http.ResponseWriter
	m       *Middleware
	origin  string
	values  values
	options bool // the answer to a plain OPTIONS, which differs from that to a preflight
	sent    bool
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// take returns a writer with the headers already set as well: an answer that goes around it, such as the 500 of an outer
// handler that recovers a panic, has them too.
func take(w http.ResponseWriter, m *Middleware, origin string, options bool) *writer {
	cw := writers.Get().(*writer)
	*cw = writer{ResponseWriter: w, m: m, origin: origin, values: m.newValues(0), options: options}
	h := w.Header()
	m.set(h, &cw.values, origin)
	if v := cw.vary(); v != "" {
		mergeVary(h, &cw.values, v)
	}
	return cw
}

// release ends the use of cw. A handler that never wrote still gets the right header with the 200 that follows.
func (cw *writer) release() {
	cw.correct()
	*cw = writer{}
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

// correct makes the header right, once.
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

// WriteHeader corrects the header unless code is informational: of those only 101 is the last one.
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

// WriteString keeps io.WriteString from copying.
func (cw *writer) WriteString(s string) (int, error) {
	cw.correct()
	return io.WriteString(cw.ResponseWriter, s)
}

// ReadFrom keeps sendfile(2) within reach of io.Copy.
func (cw *writer) ReadFrom(src io.Reader) (int64, error) {
	cw.correct()
	return io.Copy(cw.ResponseWriter, src)
}

// Flush is for handlers that look for http.Flusher.
func (cw *writer) Flush() { _ = cw.FlushError() }

// FlushError is what http.ResponseController looks for.
func (cw *writer) FlushError() error {
	cw.correct()
	return http.NewResponseController(cw.ResponseWriter).Flush()
}

// Hijack makes the header right before it gives the connection away: the caller sends it.
func (cw *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	cw.correct()
	return http.NewResponseController(cw.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController.
func (cw *writer) Unwrap() http.ResponseWriter { return cw.ResponseWriter }
