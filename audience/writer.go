package audience

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// writer is the ResponseWriter of a counted request.
type writer struct {
	http.ResponseWriter
	a       *Audience
	session *session      // nil: not counted
	path    string        // of a playlist whose answer has not begun; empty: none
	stream  *stream       // the stream whose target duration a playlist may tell; nil: none
	page    *http.Request // a request with the name of a page, while its answer may still be a page; nil: no such request
	status  int           // 0: no header yet
	first   time.Time
	bytes   atomic.Int64
	broken  atomic.Bool // its session was ended
	err     error       // of the last Write

	next, prev *writer // in the session's list, guarded by the lock of its shard
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// join counts a request with the name of a page whose answer is not a page. It breaks off an answer that must be refused.
func (w *writer) join(label string) {
	kind := hls.ByType(label)
	if label == "" || kind == hls.HTML || strings.HasPrefix(label, "text/") || strings.Contains(label, "javascript") {
		return
	}
	r := w.page
	w.page = nil
	var who viewer
	switch w.a.count(w, r, kind, &who, w.a.clock()) {
	case beyond, kicked:
		panic(http.ErrAbortHandler)
	}
}

// note stores the name of a session's playlist, and returns the session's stream.
func (w *writer) note(s *session) *stream {
	a, urlPath := w.a, w.path
	sh := a.shardOf(s.id)
	sh.Lock()
	defer sh.Unlock()
	if strings.HasPrefix(urlPath, s.stream.prefix) && urlPath[len(s.stream.prefix):] == s.variant {
		return s.stream
	}
	if name := a.streams.variantOf(s.stream, urlPath); name != "" {
		s.variant = name
	}
	return s.stream
}

// finish ends the count of a request. A writer is not reused after a panic.
func (w *writer) finish(returned bool) {
	a := w.a
	if w.status == 0 && returned {
		w.header(http.StatusOK) // net/http will send it
	}
	if s := w.session; s != nil {
		sh := a.shardOf(s.id)
		sh.Lock()
		s.leave(w)
		if !s.begun.Load() && !s.out && s.active.Load() == 0 {
			a.remove(sh, s)
		}
		sh.Unlock()
	}
	if returned {
		w.ResponseWriter, w.a, w.page, w.path, w.stream, w.status, w.first, w.err = nil, nil, nil, "", nil, 0, time.Time{}, nil
		if w.bytes.Load() != 0 { // a store costs more than a check
			w.bytes.Store(0)
		}
		if w.broken.Load() {
			w.broken.Store(false)
		}
		writers.Put(w)
	}
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the status.
func (w *writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.header(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// header is called when the status is known. The session begins with the first status that is no refusal.
func (w *writer) header(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	if w.page != nil && status < 400 {
		w.join(w.Header().Get("Content-Type"))
	}
	s := w.session
	if s == nil || status >= 400 {
		return
	}
	if w.path != "" {
		w.stream = w.note(s)
	}
	if s.begun.Load() {
		return
	}
	sh := w.a.shardOf(s.id)
	sh.Lock()
	first := !s.begun.Load() && !s.out // a session that was replaced before its first answer has never begun
	if first {
		s.begun.Store(true)
		s.telling = w.a.OnStart != nil
	}
	told := s.public()
	sh.Unlock()
	if first && w.a.OnStart != nil {
		w.a.start(s, told)
	}
}

// begin is called before bytes of the body are sent. It breaks off the answer if the session was ended.
func (w *writer) begin() {
	if w.status == 0 {
		w.header(http.StatusOK)
	}
	if w.broken.Load() {
		panic(http.ErrAbortHandler)
	}
	if w.first.IsZero() && w.a.OnServed != nil {
		w.first = time.Unix(0, w.a.clock())
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.begin()
	if w.stream != nil && w.bytes.Load() == 0 {
		w.learn(p)
	}
	n, err := w.ResponseWriter.Write(p)
	w.count(int64(n), err)
	return n, err
}

func (w *writer) count(n int64, err error) {
	w.bytes.Add(n)
	if err != nil {
		w.err = err
	}
}

// ReadFrom lets the kernel send a file.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	w.begin()
	to, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	n, err := to.ReadFrom(src)
	w.count(n, err)
	return n, err
}

// FlushError is for http.ResponseController.
func (w *writer) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is for handlers that look for an http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// SetWriteDeadline is for http.ResponseController. It does not extend the time of a session that has ended or ends meanwhile.
func (w *writer) SetWriteDeadline(at time.Time) error {
	rc := http.NewResponseController(w.ResponseWriter)
	err := rc.SetWriteDeadline(at)
	if w.broken.Load() {
		err = rc.SetWriteDeadline(time.Unix(1, 0))
	}
	return err
}

// breakOff ends the answer at this point. The caller holds the shard, so the handler has not returned.
func (w *writer) breakOff() {
	w.broken.Store(true)
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Unix(1, 0))
}

// learn reads the target duration from the beginning of a playlist.
func (w *writer) learn(p []byte) {
	const tag = "#EXT-X-TARGETDURATION:"
	p = p[:min(len(p), 4<<10)]
	i := bytes.Index(p, []byte(tag))
	if i < 0 {
		return
	}
	n := int64(0)
	for _, c := range p[i+len(tag):] {
		if c-'0' > 9 || n > 1000 {
			break
		}
		n = n*10 + int64(c-'0')
	}
	if n > 0 {
		w.stream.target.Store(int64(min(n, 1000)) * int64(time.Second))
	}
}
