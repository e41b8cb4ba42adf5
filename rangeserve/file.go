package rangeserve

import (
	"io"
	"os"
)

// writeFile writes a part of a file whose own offset stays where it is, so that one handle serves many requests. A
// large part goes by way of the ResponseWriter's ReadFrom, which hands a fileSection the bare connection.
func writeFile(w io.Writer, s *fileSection) (int64, error) {
	to, ok := w.(io.ReaderFrom)
	if !ok || s.n < sendLeast {
		return copySection(w, s.file, s.off, s.n, s.check)
	}
	return whole(s.n)(to.ReadFrom(s))
}

// sendLeast is from where on the kernel sends a part for less than copying it costs.
const sendLeast = 32 << 10

// fileSection reads a part of a file. It is also a WriterTo, which is how it learns of the connection: a *net.TCPConn
// that knows no better way to read from it asks it to write itself.
type fileSection struct {
	file   *os.File
	off, n int64
	check  func() error // before the last byte is given away; nil: none
	viewer *viewer      // nil: nobody counts the time
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

// arm gives the client new time.
func (s *fileSection) arm() {
	if s.viewer != nil {
		s.viewer.out.Arm()
	}
}

// armedWriter is for what the kernel did not send.
type armedWriter struct {
	w       io.Writer // in a named field: nothing it can do goes around Write
	section *fileSection
}

func (w armedWriter) Write(p []byte) (int, error) {
	w.section.arm()
	return w.w.Write(p)
}
