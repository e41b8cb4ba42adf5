package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
)

// Dir is a Store in files, bounded by bytes, that survives a restart. Each Entry is one file. The file gets its name when it is
// complete, so a process that is killed leaves no half entries. Entries that are dropped, or refused because their file was
// changed behind its back, are fetched from the origin again. Readers of an Entry that is dropped can read it to its end. The
// methods may be called concurrently. A directory belongs to one Dir at a time, until [Dir.Close] or the end of the process. A
// process that overlaps with its successor hands over its listener, or gives the successor another directory.
//
// Bodies are read from their files, by sendfile where the response and the system allow it.
type Dir struct {
	dir     string
	max     int64
	lock    io.Closer
	writing sync.WaitGroup // calls of Put

	mu      sync.Mutex
	closed  bool
	policy  *evict.Policy[*Entry]
	size    int64 // of files, those being written included
	evicted uint64
}

// Files of a Dir end in fileSuffix, and in tempSuffix while they are written. It neither reads nor counts nor removes any other
// file in its directory, nor a file with such an ending whose name is not built as its own are.
const (
	fileSuffix = ".hlsproxy"
	tempSuffix = ".hlsproxy-tmp"
)

// ErrDirInUse is what NewDir fails with if another Dir, in this process or in another, uses the directory. The lock ends with
// its process, however that ends.
var ErrDirInUse = errors.New("another cache uses the directory")

// lockName is an empty file that a Dir keeps locked while it uses the directory.
const lockName = "hlsproxy.lock"

// NewDir returns a Dir that takes at most maxBytes, in whole blocks of 4 KiB a file, headers included, and has what is left of
// an earlier one in the same directory. The directory is made if it is missing; an error is ErrDirInUse or one of the file
// system.
func NewDir(dir string, maxBytes int64) (*Dir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cache: %s: %w", dir, err)
	}
	d := &Dir{dir: dir, max: max(maxBytes, 0), lock: lock}
	d.policy = d.newPolicy()
	files, err := os.ReadDir(dir)
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("cache: %w", err)
	}
	for _, f := range files {
		switch {
		case !f.Type().IsRegular():
		case filepath.Ext(f.Name()) == tempSuffix:
			os.Remove(filepath.Join(dir, f.Name())) // of a process that was killed
		case filepath.Ext(f.Name()) == fileSuffix:
			d.load(f.Name())
		}
	}
	return d, nil
}

func (d *Dir) newPolicy() *evict.Policy[*Entry] {
	return evict.New(d.max, func(**Entry) bool { return false })
}

// Close leaves the directory, with all that is in it, to the next Dir. It waits for what is being written. A closed Dir has
// nothing and keeps nothing: Put fails with fs.ErrClosed. A reader of one of its bodies reads on, or fails where the next Dir
// has dropped it. A second Close does nothing.
func (d *Dir) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	d.writing.Wait()
	d.mu.Lock()
	d.policy, d.size = d.newPolicy(), 0
	d.mu.Unlock()
	return d.lock.Close()
}

// load takes over the file of an earlier Dir.
func (d *Dir) load(name string) {
	path := filepath.Join(d.dir, name)
	key, e, err := readFile(path)
	if err != nil {
		if !errors.Is(err, errForeign) || namedByUs(name) {
			os.Remove(path)
		}
		return
	}
	now := time.Now() // with the monotonic clock: what happens to the other one from now on makes no answer younger
	e.Time = now.Add(-max(now.Sub(e.Time), 0))
	d.mu.Lock()
	defer d.mu.Unlock()
	if other := d.policy.Peek(key); other != nil && other.Value.Time.After(e.Time) {
		os.Remove(path) // a process was killed before it could
		return
	}
	d.size += e.Body.(*fileBody).room()
	d.insert(key, e)
}

// Get returns the Entry that was put under key, fresh or not; nil if there is none. It fails with what the file system
// says.
func (d *Dir) Get(_ context.Context, key string) (*Entry, error) {
	d.mu.Lock()
	var it *evict.Item[*Entry]
	if !d.closed {
		it = d.policy.Get(key)
	}
	d.mu.Unlock()
	if it == nil {
		return nil, nil
	}
	e := it.Value
	if err := e.Body.(*fileBody).verify(); err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.policy.Peek(key) == it {
			d.drop(it)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	return e, nil
}

// Put writes e to a file, at the price of others. An Entry that does not fit is not kept. It fails with what the Body of e or
// the file system says. What was under key is then gone as well, unless e has the same Body, as an answer has that was
// confirmed.
func (d *Dir) Put(_ context.Context, key string, e *Entry) error {
	head, err := encodeHead(key, e)
	total := fileRoom(int64(len(head)) + e.size())
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return fmt.Errorf("cache: %s: %w", d.dir, fs.ErrClosed)
	}
	d.writing.Add(1)
	defer d.writing.Done()
	fits := err == nil && total <= d.max
	if old := d.policy.Peek(key); old != nil && (!fits || old.Value.Body != e.Body) {
		d.drop(old) // else the new file is made of the old one
	}
	if fits = fits && d.makeRoom(total); fits {
		d.size += total
	}
	d.mu.Unlock()
	if !fits {
		return err
	}
	body, err := writeFile(d.dir, key, head, e)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.size -= total
		return err
	}
	mine := *e
	mine.Body = body
	if old := d.policy.Peek(key); old != nil && old.Value.Body == e.Body {
		mine.Body = e.Body
		d.move(old, body)
	}
	d.insert(key, &mine)
	return nil
}

// move makes the body of an Entry that was confirmed lie in the file of the new one, also for those who have the body.
func (d *Dir) move(it *evict.Item[*Entry], to *fileBody) {
	old := it.Value.Body.(*fileBody).at.Swap(to.at.Load())
	d.policy.Remove(it)
	d.size -= it.Weight
	os.Remove(old.path)
}

func (d *Dir) insert(key string, e *Entry) {
	if old := d.policy.Insert(&evict.Item[*Entry]{Key: key, Value: e, Weight: e.Body.(*fileBody).room()}); old != nil {
		d.giveUp(old)
	}
	d.makeRoom(0)
}

func (d *Dir) makeRoom(n int64) bool {
	if n > d.max {
		return false
	}
	for d.size+n > d.max {
		it := d.policy.Victim()
		if it == nil {
			return false
		}
		d.evicted++
		d.drop(it)
	}
	return true
}

func (d *Dir) drop(it *evict.Item[*Entry]) {
	d.policy.Remove(it)
	d.giveUp(it)
}

// giveUp gives back what an item took.
func (d *Dir) giveUp(it *evict.Item[*Entry]) {
	d.size -= it.Weight
	os.Remove(it.Value.Body.(*fileBody).at.Load().path)
}

// Purge forgets the entries whose keys match, with their files, and returns how many there were. It never fails.
func (d *Dir) Purge(_ context.Context, match func(key string) bool) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for it := range d.policy.All() {
		if match(it.Key) {
			d.drop(it)
			n++
		}
	}
	return n, nil
}

// Len is the number of entries.
func (d *Dir) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.policy.Len()
}

// Size is what the files take, in bytes, counted as the bound of NewDir.
func (d *Dir) Size() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.size
}

func (d *Dir) evictions() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.evicted
}
