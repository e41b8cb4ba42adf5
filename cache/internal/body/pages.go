// Package body keeps the bytes of answers in memory that is reused: a Buffer grows while any number of readers follow it, and
// becomes a Blob when it is whole.
//
// The contract, for all files of this package: holds of memory are counted. The owner of a Blob or a Buffer (the store, the
// fill) holds it, and so does each open Reader. The last release gives the memory back, and the next body overwrites it. Bytes
// that Reader.Next returned are valid until Advance, the following Next, or Leave, even if the Reader is closed or the bytes
// are dropped meanwhile. After a failed Write these bytes are torn: the writer may still read them, as net/http does for
// HTTP/2, whose frame may be on its way when Write returns. Torn bytes, and no others of the body, stay unchanged for ten
// seconds more (TornFor), and are counted for that time. When much is torn already, a writer that may do this gets copies.
//
// Locks are taken in this order: Buffer.mu, Pool.mu.
package body

import (
	"sync/atomic"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/arena"
)

// TornFor is how long a failed Write may still read the bytes that it was given.
const TornFor = 10 * time.Second

// pages is the memory of one body: runs of an arena, and pieces of the heap.
type pages struct {
	pool  *Pool
	holds atomic.Int64
	grows atomic.Int64 // bytes that count as growing, not yet whole

	// With pool.mu.
	runs []arena.Run
	heap int64 // bytes of the heap
}

// newPages is held once, by its maker.
func newPages(pool *Pool) *pages {
	p := &pages{pool: pool}
	p.holds.Store(1)
	return p
}

// hold keeps the memory until a release. The caller knows that somebody holds it already.
func (p *pages) hold() { p.holds.Add(1) }

// tryHold is hold for a caller that does not know that. It returns false if the memory no longer belongs to the body.
func (p *pages) tryHold() bool {
	for {
		n := p.holds.Load()
		if n == 0 {
			return false
		}
		if p.holds.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (p *pages) release() {
	if p.holds.Add(-1) == 0 {
		p.pool.free(p)
	}
}

// tear pins n bytes at off, counted from the beginning of this run, for TornFor.
func (p *pages) tear(run int, off int64, n int) {
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	var parts []arena.Run
	for ; run < len(p.runs) && n > 0; run++ {
		size := int64(p.runs[run].Size())
		if off >= size {
			off -= size
			continue
		}
		m := min(int64(n), size-off)
		parts = append(parts, p.runs[run].Part(int(off), int(m)))
		off, n = 0, n-int(m)
	}
	p.pool.pinFor(parts)
}
