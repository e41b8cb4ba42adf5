package rangeserve

import (
	"bytes"
	"os"
	"sync"
	"time"
)

// idle is how long a file stays open without being used, at least; at most it is twice that.
const idle = 5 * time.Second

// handles keeps files open for the next request: opening and closing one costs a third of serving 64 KB of it. Each
// request still asks the root what the name stands for now. The zero value is ready.
type handles struct {
	mu     sync.Mutex
	byName map[string]*handle
}

// handle is an open file and what it was when it was opened. Reads at offsets may share it.
type handle struct {
	*os.File
	info os.FileInfo
	id   identity

	// Under the lock of handles.
	users int  // requests under way
	used  bool // since the timer last looked
	kept  bool // in byName
	timer *time.Timer
}

// acquire gives an open regular file in its present form, to be given back with release.
func (s *handles) acquire(root *os.Root, name string) (*handle, error) {
	if h := s.known(name); h != nil {
		if info, err := root.Stat(name); err == nil && sameForm(info, h.info) {
			return h, nil
		}
		s.drop(name, h)
		s.release(h)
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

// keep makes h the one to be known by name, if there is room and no other has come first.
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

// look forgets a file that nobody has used since the last look.
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
		h.Close()
	}
}

// drop forgets a file that is no longer what its name stands for.
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
		h.Close()
	}
}

// sameForm reports whether two looks at a name saw the same file with the same content.
func sameForm(a, b os.FileInfo) bool {
	var x, y [32]byte
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b) &&
		bytes.Equal(appendIdentity(x[:0], a), appendIdentity(y[:0], b))
}
