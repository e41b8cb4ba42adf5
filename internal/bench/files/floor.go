package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hlsproxy/hlsproxy/internal/bench/hammer"
)

// floor is the least that a handler of net/http can do: it knows the answers beforehand and sends each with one Write, or with
// one sendfile from an open file. This is the cost of net/http and the kernel. Whatever a server takes beyond it is its own
// cost.
func floor(mux *http.ServeMux, dir string) {
	for _, l := range memory {
		b := body(l)
		mux.HandleFunc(l.Path, func(w http.ResponseWriter, _ *http.Request) {
			ready(w.Header(), l)
			w.Write(b)
		})
	}
	for i, l := range files[:2] {
		f, err := os.Open(filepath.Join(dir, filepath.Base(l.Path)))
		if err != nil {
			log.Fatal(err)
		}
		cut := files[i+2]
		mux.HandleFunc(l.Path, func(w http.ResponseWriter, r *http.Request) {
			part := section{f, 0, l.Bytes}
			if len(r.Header["Range"]) == 0 {
				ready(w.Header(), l)
			} else {
				part = section{f, 1_000_000, cut.Bytes}
				ready(w.Header(), cut)
				w.Header()["Content-Range"] = []string{"bytes 1000000-1065535/200000000"}
				w.WriteHeader(http.StatusPartialContent)
			}
			w.(io.ReaderFrom).ReadFrom(&part)
		})
	}
}

func ready(h http.Header, l hammer.Load) {
	h["Content-Type"] = []string{"video/mp2t"}
	h["Content-Length"] = []string{fmt.Sprint(l.Bytes)}
}

// section is a part of a file. The connection can ask it to write itself.
type section struct {
	file   *os.File
	off, n int64
}

func (s *section) Read(p []byte) (int, error) {
	n, err := s.file.ReadAt(p[:min(int64(len(p)), s.n)], s.off)
	s.off, s.n = s.off+int64(n), s.n-int64(n)
	return n, err
}

func (s *section) WriteTo(w io.Writer) (int64, error) {
	before, from := s.n, int(s.file.Fd())
	conn, err := w.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := conn.Write(func(to uintptr) bool {
		for s.n > 0 && (err == nil || err == syscall.EINTR) {
			var n int
			if n, err = syscall.Sendfile(int(to), from, &s.off, int(s.n)); err == syscall.EAGAIN {
				err = nil
				return false
			}
			s.n -= int64(max(n, 0))
		}
		return true
	})
	return before - s.n, errors.Join(waited, err)
}
