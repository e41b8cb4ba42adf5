package rangeserve

import (
	"io"
	"os"
)

// writeFile writes a part of a file without moving the file's own offset, so that one handle serves many requests. A large part
// goes through the ResponseWriter's ReadFrom, which passes a fileSection to the bare connection.
func writeFile(w io.Writer, s *fileSection) (int64, error) {
	to, ok := w.(io.ReaderFrom)
	if !ok || s.n < sendLeast {
		return copySection(w, s.file, s.off, s.n, s.check)
	}
	return whole(s.n)(to.ReadFrom(s))
}

// sendLeast is the size from which the kernel sends a part more cheaply than a copy.
const sendLeast = 32 << 10

// fileSection reads a part of a file. As a WriterTo it learns of the connection: a *net.TCPConn that has no better way to read
// from it asks it to write itself.
type fileSection struct {
	file   *os.File
	off, n int64
	check  func() error // called before the last byte is sent; nil: none
	viewer *viewer      // nil: there is no time limit
}

func (s *fileSection) Read(p []byte) (int, error) {
	if s.n <= 0 {
		return 0, io.EOF
	}
	m, err := s.file.ReadAt(p[:min(int64(len(p)), s.n)], s.off)
	if int64(m) == s.n {
		if err := s.checked(); err != nil {
			return 0, err
		}
	}
	s.advance(int64(m))
	if s.n > 0 && err != nil {
		return m, noEOF(err)
	}
	return m, nil
}

func (s *fileSection) checked() error {
	if s.check == nil {
		return nil
	}
	return s.check()
}

func (s *fileSection) WriteTo(w io.Writer) (int64, error) {
	done, err := s.sendfile(w)
	if err != nil || s.n == 0 {
		return done, err
	}
	more, err := copySection(armedWriter{w, s}, s.file, s.off, s.n, s.check)
	s.advance(more)
	return done + more, err
}

func (s *fileSection) advance(n int64) {
	s.off += n
	s.n -= n
}

// arm renews the client's time limit.
func (s *fileSection) arm() {
	if s.viewer != nil {
		s.viewer.out.Arm()
	}
}

// armedWriter writes what the kernel did not send.
type armedWriter struct {
	w       io.Writer // in a named field, so that no method bypasses Write
	section *fileSection
}

func (w armedWriter) Write(p []byte) (int, error) {
	w.section.arm()
	return w.w.Write(p)
}
