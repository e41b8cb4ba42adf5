package faultorigin

import (
	"bytes"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Play answers a request by a Script. A Func that answers some requests itself can call it for the others.
func Play(w http.ResponseWriter, r *http.Request, s Script) { play(w, r, s, nil) }

func play(w http.ResponseWriter, r *http.Request, s Script, gone <-chan struct{}) {
	if !sleep(r, s.Delay, gone) {
		panic(http.ErrAbortHandler)
	}
	switch {
	case s.Func != nil:
		s.Func.ServeHTTP(w, r)
	case s.Raw != nil:
		raw(w, s.Raw)
	case s.Hang:
		wait(r, gone)
		panic(http.ErrAbortHandler)
	case s.Refuse:
		panic(http.ErrAbortHandler)
	case s.Ranges:
		maps.Copy(w.Header(), s.Header)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.Body))
	default:
		body(w, r, s, gone)
	}
}

// raw takes the connection over, because net/http would not send a malformed answer.
func raw(w http.ResponseWriter, answer []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.Write(answer)
	conn.Close()
}

func body(w http.ResponseWriter, r *http.Request, s Script, gone <-chan struct{}) {
	h := w.Header()
	maps.Copy(h, s.Header)
	switch {
	case s.Length != 0:
		h.Set("Content-Length", strconv.FormatInt(s.Length, 10))
	case !s.Chunked && h.Get("Content-Length") == "":
		h.Set("Content-Length", strconv.Itoa(len(s.Body)))
	}
	w.WriteHeader(max(s.Status, http.StatusOK))
	if r.Method == http.MethodHead {
		return
	}
	rc := http.NewResponseController(w)
	rc.Flush()
	for {
		if !send(w, r, s, rc, gone) || !s.Loop {
			return
		}
	}
}

func send(w http.ResponseWriter, r *http.Request, s Script, rc *http.ResponseController, gone <-chan struct{}) bool {
	step := s.Step
	if step <= 0 {
		step = max(len(s.Body), 1)
	}
	for at := 0; at < len(s.Body); {
		end := min(at+step, len(s.Body))
		for _, stop := range []int{s.HoldAt, s.StallAt, s.CutAt} {
			if stop > at && stop < end {
				end = stop
			}
		}
		if _, err := w.Write(s.Body[at:end]); err != nil {
			return false
		}
		rc.Flush()
		at = end
		if s.HoldAt > 0 && at == s.HoldAt {
			s.Hold()
		}
		if s.StallAt > 0 && at >= s.StallAt {
			wait(r, gone)
			panic(http.ErrAbortHandler)
		}
		if s.CutAt > 0 && at >= s.CutAt {
			reset(rc)
		}
		if !sleep(r, s.Every, gone) {
			panic(http.ErrAbortHandler)
		}
	}
	return true
}

// reset ends the connection with a TCP reset if it can (HTTP/1). Otherwise it aborts the stream.
func reset(rc *http.ResponseController) {
	if conn, _, err := rc.Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			// The bytes that were written must arrive before the reset.
			time.Sleep(20 * time.Millisecond)
			tcp.SetLinger(0)
		}
		conn.Close()
	}
	panic(http.ErrAbortHandler)
}

func wait(r *http.Request, gone <-chan struct{}) {
	select {
	case <-r.Context().Done():
	case <-gone:
	}
}

func sleep(r *http.Request, d time.Duration, gone <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-gone:
	}
	return false
}
