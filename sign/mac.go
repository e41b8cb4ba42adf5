package sign

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// macSize is how much of the HMAC a token carries: RFC 2104, section 5, wants at least half of it.
const macSize = sha256.Size / 2

// ringKey is a Key ready for use.
type ringKey struct {
	id      string
	workers sync.Pool // of *worker
}

// worker holds what one signature needs, so that the next one costs no allocation.
type worker struct {
	mac     hash.Hash
	message []byte
	query   []byte
	raw     []byte // of the token
	sum     [sha256.Size]byte
}

func newRing(keys []Key) []*ringKey {
	ring := make([]*ringKey, 0, len(keys))
	for _, k := range keys {
		secret := append([]byte(nil), k.Secret...)
		ring = append(ring, &ringKey{id: k.ID, workers: sync.Pool{New: func() any {
			return &worker{mac: hmac.New(sha256.New, secret), message: make([]byte, 0, 1024)}
		}}})
	}
	return ring
}

func (k *ringKey) worker() *worker { return k.workers.Get().(*worker) }

func (k *ringKey) release(w *worker) {
	if cap(w.message)+cap(w.query) <= 16<<10 {
		k.workers.Put(w)
	}
}

// authenticate returns the MAC of w.message. The result is valid until the next call.
func (w *worker) authenticate() []byte {
	w.mac.Reset()
	w.mac.Write(w.message)
	return w.mac.Sum(w.sum[:0])[:macSize]
}

// appendBound appends what the MAC of a token covers besides the URL.
func appendBound(dst, head []byte, claims string) []byte {
	dst = append(append(dst, head...), 'R') // for reading
	return append(appendLen(dst, len(claims)), claims...)
}

// bind adds the path of a directory to the message, whose query is free.
func (w *worker) bind(dir []byte) {
	w.message = append(append(appendLen(w.message, len(dir)), dir...), 0)
}

// bindExact adds a path and those parameters of a query that count.
func (w *worker) bindExact(path, query []byte, hasQuery bool, param string) {
	w.query = w.query[:0]
	if hasQuery {
		w.query = appendQuery(w.query, query, param)
	}
	m := append(appendLen(w.message, len(path)), path...)
	w.message = append(appendLen(m, len(w.query)), w.query...)
}

// bindWhole is bindExact for a query of which isWhole is true.
func (w *worker) bindWhole(path, query []byte, hasQuery bool) {
	m := append(appendLen(w.message, len(path)), path...)
	if !hasQuery {
		w.message = append(m, 0)
		return
	}
	w.message = append(append(appendLen(m, len(query)+1), '&'), query...)
}

func appendLen(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)) }
