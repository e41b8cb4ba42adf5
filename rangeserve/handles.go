package rangeserve

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// idle is how long a file stays open without being used, at least; at most it is twice that.
const idle = 5 * time.Second

// handles keeps files open for the next request: opening and closing one costs a third of serving 64 KB of it. Each request
// still asks the root which file has the name now. The zero value is ready.
type handles struct {
	mu     sync.Mutex
	byName map[string]*handle
}

// acquire returns an open regular file in its current form. The caller gives it back with release. Nothing else is ever opened,
// because to open a named pipe or a device is to act on it.
func (s *handles) acquire(root *os.Root, name string) (*handle, error) {
	info, err := root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errNotRegular}
	}
	if h := s.known(name); h != nil {
		if err == nil && sameForm(info, h.info) {
			return h, nil
		}
		s.drop(name, h)
		s.release(h)
	}
	if err != nil {
		return nil, err
	}
	h, err := openFile(root, name)
	if err != nil {
		return nil, err
	}
	s.keep(name, h)
	return h, nil
}

func (s *handles) known(name string) *handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.byName[name]
	if h != nil {
		h.users++
		h.used = true
	}
	return h
}

// keep stores h under name, if there is room and no other handle is there.
func (s *handles) keep(name string, h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.users = 1
	if s.byName[name] != nil || len(s.byName) >= maxHandles {
		return
	}
	if s.byName == nil {
		s.byName = map[string]*handle{}
	}
	s.byName[name] = h
	h.kept = true
	h.timer = time.AfterFunc(idle, func() { s.look(name, h) })
}

// look forgets a file that has not been used since the last look.
func (s *handles) look(name string, h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !h.kept:
	case h.users > 0 || h.used:
		h.used = false
		h.timer.Reset(idle)
	default:
		s.forget(name, h)
		h.file.Close()
	}
}

// drop forgets a file that no longer has its name.
func (s *handles) drop(name string, h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.kept {
		h.timer.Stop()
		s.forget(name, h)
	}
}

func (s *handles) forget(name string, h *handle) {
	h.kept = false
	delete(s.byName, name)
}

// release closes a file that is not kept when its last user gives it back.
func (s *handles) release(h *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.users--; h.users == 0 && !h.kept {
		h.file.Close()
	}
}

// sameForm reports whether two looks at a name saw the same file with the same content.
func sameForm(a, b os.FileInfo) bool {
	var x, y [32]byte
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b) &&
		bytes.Equal(appendIdentity(x[:0], a), appendIdentity(y[:0], b))
}

var (
	errNotRegular = errors.New("rangeserve: not a regular file")
	errChanged    = errors.New("rangeserve: the file changed while it was being sent")
)

// handle is an open file and what it was when it was opened. Reads at offsets may share it.
type handle struct {
	file *os.File
	info os.FileInfo
	id   identity

	// Guarded by the lock of handles.
	users int  // requests under way
	used  bool // since the timer last looked
	kept  bool // in byName
	timer *time.Timer
}

// identity stands for a file in its current form.
type identity [sha256.Size]byte

func openFile(root *os.Root, name string) (*handle, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &handle{file: f, info: info, id: identify(info)}, nil
}

func identify(info os.FileInfo) identity {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 64), uint64(info.Size()))
	b = binary.BigEndian.AppendUint64(b, uint64(info.ModTime().UnixNano()))
	return sha256.Sum256(appendIdentity(b, info))
}

// ReadAt is that of io.ReaderAt.
func (h *handle) ReadAt(p []byte, off int64) (int, error) { return h.file.ReadAt(p, off) }

// WriteSection sends the last byte only if the file has not changed: a client never gets a whole answer that mixes two
// versions. The exception is a file that the kernel sends: it keeps no copy.
func (h *handle) WriteSection(w io.Writer, off, n int64) (int64, error) {
	return writeFile(w, &fileSection{file: h.file, off: off, n: n, check: h.unchanged})
}

// unchanged ignores the change time, which also moves when another file takes the name.
func (h *handle) unchanged() error {
	now, err := h.file.Stat()
	if err != nil {
		return err
	}
	if now.Size() != h.info.Size() || !now.ModTime().Equal(h.info.ModTime()) {
		return errChanged
	}
	return nil
}
