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

// opened is a file as one request serves it.
type opened struct {
	*handle
	view *view // nil: the file as it is
}

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

func (o *opened) content(name string) Content {
	c := Content{ReaderAt: o, Size: o.info.Size(), ModTime: o.info.ModTime(), Name: name}
	tag := base64.RawURLEncoding.EncodeToString(o.id[:12])
	if o.view != nil {
		c.Size = o.view.size()
		tag += "-f" // other bytes, another tag
	}
	c.ETag = `"` + tag + `"`
	return c
}

// ReadAt reads what is served: the file, or the view of it.
func (o *opened) ReadAt(b []byte, off int64) (int, error) {
	if o.view != nil {
		return o.view.ReadAt(b, off)
	}
	return o.File.ReadAt(b, off)
}

// WriteSection sends the last bytes only once it is known that the file did not change before they were read: a client
// never gets a whole answer that mixes two versions.
func (o *opened) WriteSection(w io.Writer, off, n int64) (int64, error) {
	done := int64(0)
	if n >= sendLeast+lastSize {
		var err error
		if done, err = o.writeMost(w, off, n-lastSize); err != nil {
			return done, err
		}
	}
	last, err := o.writeLast(w, off+done, n-done)
	return done + last, err
}

func (o *opened) writeMost(w io.Writer, off, n int64) (int64, error) {
	if o.view != nil {
		return o.view.WriteSection(w, off, n)
	}
	return writeFile(w, o.File, off, n)
}

// lastSize is how much of a large part is sent after the check.
const lastSize = 4 << 10

func (o *opened) writeLast(w io.Writer, off, n int64) (int64, error) {
	buf := buffers.Get().(*[copySize]byte)
	if m, err := o.ReadAt(buf[:n], off); int64(m) < n {
		return 0, noEOF(err)
	}
	if err := o.unchanged(); err != nil {
		return 0, err
	}
	m, err := w.Write(buf[:n])
	if err == nil {
		buffers.Put(buf)
	}
	return int64(m), err
}

func (o *opened) unchanged() error {
	now, err := o.Stat()
	if err != nil {
		return err
	}
	if now.Size() != o.info.Size() || !now.ModTime().Equal(o.info.ModTime()) {
		return errChanged
	}
	return nil
}
