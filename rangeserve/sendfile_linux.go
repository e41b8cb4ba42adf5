package rangeserve

import (
	"io"
	"syscall"
)

// sendfileMost is what one call of sendfile may take: the kernel's own limit is a little less than 2 GiB.
const sendfileMost = 1 << 30

// sendfile lets the kernel write as much of s as it will. It leaves the rest, for whatever reason, to the caller,
// unless the connection failed.
func (s *fileSection) sendfile(w io.Writer) (done int64, err error) {
	conn, ok := w.(syscall.Conn)
	if !ok {
		return 0, nil
	}
	dst, err := conn.SyscallConn()
	if err != nil {
		return 0, nil
	}
	src, err := s.file.SyscallConn()
	if err != nil {
		return 0, nil
	}
	before := s.n
	var werr error
	err = src.Control(func(from uintptr) {
		werr = dst.Write(func(to uintptr) bool { return s.sendfileTo(int(to), int(from)) })
	})
	if werr != nil {
		err = werr
	}
	return before - s.n, err
}

// sendfileTo reports false when the connection takes no more for now. What it cannot do is found out again, and
// reported, by whoever copies the rest.
func (s *fileSection) sendfileTo(to, from int) (ready bool) {
	for s.n > 0 {
		m, err := syscall.Sendfile(to, from, &s.off, int(min(s.n, sendfileMost)))
		switch {
		case m > 0:
			s.n -= int64(m) // the kernel has moved s.off
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return false
		default:
			return true
		}
	}
	return true
}
