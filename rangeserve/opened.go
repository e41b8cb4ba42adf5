package rangeserve

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

var (
	errNotRegular = errors.New("rangeserve: not a regular file")
	errChanged    = errors.New("rangeserve: the file changed while it was being sent")
)

// identity stands for a file in its present form.
type identity [sha256.Size]byte

// openFile opens a regular file without waiting: opening a named pipe would otherwise wait for its other end.
func openFile(root *os.Root, name string) (*handle, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|openNonblock|openLarge, 0)
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
	return &handle{File: f, info: info, id: identify(info)}, nil
}

func identify(info os.FileInfo) identity {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 64), uint64(info.Size()))
	b = binary.BigEndian.AppendUint64(b, uint64(info.ModTime().UnixNano()))
	return sha256.Sum256(appendIdentity(b, info))
}

// content is what is served of h: the file, or the view of it.
func (h *handle) content(name string, v *view) Content {
	c := Content{ReaderAt: h, Size: h.info.Size(), ModTime: h.info.ModTime(), Name: name}
	tag := base64.RawURLEncoding.EncodeToString(h.id[:12])
	if v != nil {
		c.ReaderAt, c.Size = v, v.size()
		tag += "-f" // other bytes, another tag
	}
	c.ETag = `"` + tag + `"`
	return c
}

// WriteSection gives the last byte away only of a file that has not changed: a client never gets a whole answer that
// mixes two versions. The kernel's promise to send from a file is the exception: it keeps no copy.
func (h *handle) WriteSection(w io.Writer, off, n int64) (int64, error) {
	return writeFile(w, &fileSection{file: h.File, off: off, n: n, check: h.unchanged})
}

func (h *handle) unchanged() error {
	now, err := h.Stat()
	if err != nil {
		return err
	}
	if now.Size() != h.info.Size() || !now.ModTime().Equal(h.info.ModTime()) {
		return errChanged
	}
	return nil
}
