package cache

import (
	"slices"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
)

// windows knows which entries the live playlists name now. Viewers are about to ask for these, and rarely ask for those that
// have left a playlist. It knows names by the hashes of their keys. Requests do not wait for its lock, which is taken before
// Memory.mu.
type windows struct {
	memory *Memory

	mu     sync.Mutex
	lists  map[uint64]*window // by the hash of the playlist's name
	weight int64
	swept  time.Time
}

// window is what one live playlist names.
type window struct {
	names []uint64 // in their order
	seen  time.Time
}

const (
	windowIdle  = time.Minute // a list not seen again for this long has no viewers
	sweepEvery  = 10 * time.Second
	nameWeight  = 64 // a name, in a list and in the map of all names
	listWeight  = 256
	windowShare = 8  // all lists together take at most this part of the bound
	renameBatch = 64 // names that are changed under Memory.mu at a time
)

// mostNames is how many names a list may have. A longer one is ignored.
func (w *windows) mostNames() int { return int(w.most() / nameWeight) }

func (w *windows) most() int64 { return w.memory.max / windowShare }

func (w *window) weight() int64 { return listWeight + nameWeight*int64(len(w.names)) }

// set says that a live playlist names exactly these segments now. Nil: it is not live.
func (w *windows) set(list string, names []uint64) {
	hash := evict.Hash(list)
	slices.Sort(names)
	names = slices.Compact(names)
	w.mu.Lock()
	defer w.mu.Unlock()
	now, old := time.Now(), w.lists[hash]
	if now.Sub(w.swept) >= sweepEvery {
		w.sweep(now)
		old = w.lists[hash]
	}
	w.remove(hash)
	if len(names) > 0 {
		w.makeRoom(listWeight + nameWeight*int64(len(names)))
		w.add(hash, &window{names, now})
	}
	if old == nil {
		old = &window{}
	}
	w.rename(without(names, old.names), 1, false)
	w.rename(without(old.names, names), -1, names != nil)
}

func (w *windows) add(hash uint64, l *window) {
	if w.lists == nil {
		w.lists = map[uint64]*window{}
	}
	w.lists[hash] = l
	w.charge(l.weight())
}

// remove takes a list out. The caller must then tell the policy about its names.
func (w *windows) remove(hash uint64) {
	if l := w.lists[hash]; l != nil {
		delete(w.lists, hash)
		w.charge(-l.weight())
	}
}

func (w *windows) charge(n int64) {
	w.weight += n
	w.memory.pool.Charge(n)
	w.memory.evict(0)
}

// makeRoom forgets the lists that have not been seen for the longest time.
func (w *windows) makeRoom(n int64) {
	for len(w.lists) > 0 && w.weight+n > w.most() {
		oldest, at := uint64(0), time.Time{}
		for hash, l := range w.lists {
			if at.IsZero() || l.seen.Before(at) {
				oldest, at = hash, l.seen
			}
		}
		w.forget(oldest)
	}
}

func (w *windows) sweep(now time.Time) {
	w.swept = now
	for hash, l := range w.lists {
		if now.Sub(l.seen) >= windowIdle {
			w.forget(hash)
		}
	}
}

func (w *windows) forget(hash uint64) {
	l := w.lists[hash]
	w.remove(hash)
	w.rename(l.names, -1, false)
}

// rename tells the policy about names, a few at a time, because requests wait for its lock.
func (w *windows) rename(names []uint64, more int32, over bool) {
	for batch := range slices.Chunk(names, renameBatch) {
		w.memory.mu.Lock()
		for _, name := range batch {
			w.memory.policy.Name(name, more, over)
		}
		w.memory.mu.Unlock()
	}
}

// without returns the elements of a that are not in b. Both are sorted.
func without(a, b []uint64) (rest []uint64) {
	for _, name := range a {
		for len(b) > 0 && b[0] < name {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != name {
			rest = append(rest, name)
		}
	}
	return rest
}

// watched is what the windows of a Memory learn about a playlist.
type watched struct {
	list  string   // "": nothing
	names []uint64 // hashes of the keys of its segments; nil: it is not live, or too long
}
