package cache

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
)

// A file of a Dir holds its magic, the length and the checksum of a head in JSON, the head, and the body.

const (
	magic    = "hlsproxy cache 2\n"
	prologue = len(magic) + 8
	maxHead  = 1 << 20
)

var (
	errForeign = errors.New("cache: not a file of this package")
	errCorrupt = errors.New("cache: a file was changed")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// fileHead is an Entry without its body. Its strings are asText.
type fileHead struct {
	Key    string
	URL    string
	Status int
	Header http.Header
	Vary   http.Header `json:",omitempty"`
	Time   time.Time
	TTL    time.Duration
	Sliced int64 `json:",omitempty"`
	Live   bool  `json:",omitempty"`
	Size   int64
	Sum    uint32
}

// encodeHead returns everything that comes before the body.
func encodeHead(key string, e *Entry) ([]byte, error) {
	sum := crc32.New(castagnoli)
	if e.Body != nil {
		if _, err := io.Copy(sum, io.NewSectionReader(e.Body, 0, e.size())); err != nil {
			return nil, fmt.Errorf("cache: %w", err)
		}
	}
	text, err := json.Marshal(fileHead{
		asText(key), asText(e.URL), e.Status, eachText(e.Header, asText), eachText(e.Vary, asText), e.Time, e.TTL, e.Sliced, e.Live, e.size(), sum.Sum32(),
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	head := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(text)))
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(text, castagnoli))
	return append(head, text...), nil
}

// asText is a string of any bytes as JSON can hold it: each byte is the character with its number. As UTF-8, different keys or
// tags could become one.
func asText(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		out = utf8.AppendRune(out, rune(s[i]))
	}
	return string(out)
}

// fromText is the inverse of asText.
func fromText(s string) string {
	out := make([]byte, 0, len(s))
	for _, c := range s {
		out = append(out, byte(c))
	}
	return string(out)
}

// eachText applies asText or fromText to a header.
func eachText(h http.Header, convert func(string) string) http.Header {
	if h == nil {
		return nil
	}
	out := make(http.Header, len(h))
	for name, values := range h {
		list := make([]string, len(values))
		for i, v := range values {
			list[i] = convert(v)
		}
		out[convert(name)] = list
	}
	return out
}

// writeFile writes an Entry to a new file, which gets its name when it is complete. The name holds the hash of the key, to show
// which files belong together, and a number, so that a file is never taken for the one it replaces.
func writeFile(dir, key string, head []byte, e *Entry) (_ *fileBody, err error) {
	temp, err := os.CreateTemp(dir, "*"+tempSuffix)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(temp.Name())
			err = fmt.Errorf("cache: %w", err)
		}
	}()
	defer temp.Close()
	if _, err := temp.Write(head); err != nil {
		return nil, err
	}
	if e.Body != nil {
		content := io.NewSectionReader(e.Body, 0, e.size())
		if _, err := io.CopyBuffer(struct{ io.Writer }{temp}, content, make([]byte, body.LargeChunk)); err != nil {
			return nil, err
		}
	}
	if err := temp.Close(); err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(key))
	path := filepath.Join(dir, hex.EncodeToString(hash[:])+"-"+rand.Text()+fileSuffix)
	if err := os.Rename(temp.Name(), path); err != nil {
		return nil, err
	}
	b := newFileBody(path, int64(len(head)), e.size(), 0)
	b.once.Do(func() {})
	return b, nil
}

// namedByUs tells whether the name of a file is one of ours. It may have lost its bytes when the machine lost power.
func namedByUs(name string) bool {
	hash, number, found := strings.Cut(strings.TrimSuffix(name, fileSuffix), "-")
	raw, err := hex.DecodeString(hash)
	return found && err == nil && len(raw) == sha256.Size && len(number) == len(rand.Text())
}

// readFile reads the head of a file that an earlier process wrote.
func readFile(path string) (key string, e *Entry, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	start := make([]byte, prologue)
	if _, err := io.ReadFull(f, start); err != nil || !bytes.HasPrefix(start, []byte(magic)) {
		return "", nil, errForeign
	}
	n := binary.BigEndian.Uint32(start[len(magic):])
	if n > maxHead {
		return "", nil, errCorrupt
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(f, text); err != nil {
		return "", nil, errCorrupt
	}
	var head fileHead
	if crc32.Checksum(text, castagnoli) != binary.BigEndian.Uint32(start[len(magic)+4:]) || json.Unmarshal(text, &head) != nil {
		return "", nil, errCorrupt
	}
	b := newFileBody(path, int64(prologue)+int64(n), head.Size, head.Sum)
	info, err := f.Stat()
	if err != nil || info.Size() != b.total() {
		return "", nil, errCorrupt
	}
	return fromText(head.Key), &Entry{
		URL: fromText(head.URL), Status: head.Status, Header: eachText(head.Header, fromText), Vary: eachText(head.Vary, fromText), Body: b, Sliced: head.Sliced,
		Time: head.Time, TTL: head.TTL, Live: head.Live,
	}, nil
}

// verify reads a file of an earlier process once, before its body is served: a machine that lost power may have kept the name
// of a file and lost its bytes.
func (b *fileBody) verify() error {
	if b.lost.Load() {
		return fs.ErrNotExist
	}
	b.once.Do(func() {
		sum := crc32.New(castagnoli)
		f, begin, err := b.open()
		if err != nil {
			b.fault = err
			return
		}
		defer f.Close()
		n, err := io.Copy(sum, io.NewSectionReader(f, begin, b.size))
		if err == nil && (n != b.size || sum.Sum32() != b.sum) {
			err = errCorrupt
		}
		b.fault = err
	})
	return b.fault
}

// fileBody is a body in a file of a Dir. The file never changes, but it may be removed.
type fileBody struct {
	at   atomic.Pointer[location]
	size int64
	sum  uint32 // of the body

	once  sync.Once // for a file of an earlier process, which may have been damaged since
	fault error
	lost  atomic.Bool // the file was removed or changed behind our back, or was dropped
}

// location is a file and where in it a body begins.
type location struct {
	path  string
	begin int64
}

func newFileBody(path string, begin, size int64, sum uint32) *fileBody {
	b := &fileBody{size: size, sum: sum}
	b.at.Store(&location{path, begin})
	return b
}

// Size is the number of bytes.
func (b *fileBody) Size() int64 { return b.size }

// total is the length of its file.
func (b *fileBody) total() int64 { return b.at.Load().begin + b.size }

// room is what the file takes.
func (b *fileBody) room() int64 { return fileRoom(b.total()) }

// fileRoom is the room that a file of n bytes takes on a disk, in whole blocks.
func fileRoom(n int64) int64 {
	const block = 4 << 10
	return (n + block - 1) / block * block
}

// open opens the file. If it is not there any longer, or has another length, the body is lost.
func (b *fileBody) open() (f *os.File, begin int64, err error) {
	at := b.at.Load()
	f, err = os.Open(at.path)
	for now := b.at.Load(); err != nil && now != at; now = b.at.Load() { // it was moved meanwhile
		at = now
		f, err = os.Open(at.path)
	}
	if err != nil {
		b.lost.Store(b.lost.Load() || errors.Is(err, fs.ErrNotExist))
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != at.begin+b.size {
		b.lost.Store(true)
		err = errCorrupt
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, at.begin, nil
}

// ReadAt is that of io.ReaderAt.
func (b *fileBody) ReadAt(p []byte, off int64) (int, error) {
	f, begin, err := b.open()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.NewSectionReader(f, begin, b.size).ReadAt(p, off)
}

// fileReader reads a part of a file that stays whole while it is open.
type fileReader struct {
	limited
	file *os.File
}

// reader opens the file and seeks to off.
func (b *fileBody) reader(ctx context.Context, off, end int64, sent *atomic.Uint64) (*fileReader, error) {
	f, begin, err := b.open()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(begin+off, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return &fileReader{limited: limited{ctx: ctx, left: end - off, sent: sent}, file: f}, nil
}

// Read is that of io.Reader.
func (f *fileReader) Read(p []byte) (int, error) { return f.read(f.file, p) }

// WriteTo is that of io.WriterTo. A writer that reads from files itself, as an http.ResponseWriter does, may do so without
// a copy.
func (f *fileReader) WriteTo(w io.Writer) (written int64, err error) {
	to, ok := w.(io.ReaderFrom)
	if !ok {
		return f.copyTo(w, f)
	}
	for f.left > 0 {
		if err := f.usable(); err != nil {
			return written, err
		}
		// In pieces, to check the viewer's context between them.
		n, err := to.ReadFrom(&io.LimitedReader{R: f.file, N: min(f.left, 4<<20)})
		written += n
		if err == nil && n == 0 {
			err = io.EOF
		}
		if err := f.advance(n, err); err != nil {
			return written, err
		}
	}
	return written, nil
}

// Close is that of io.Closer.
func (f *fileReader) Close() error {
	if f.gone.Swap(true) {
		return nil
	}
	return f.file.Close()
}
