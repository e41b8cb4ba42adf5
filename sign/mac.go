package sign

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"
)

// macSize is how much of the HMAC a token carries: RFC 2104, section 5, wants at least half of it.
const macSize = sha256.Size / 2

var base64url = base64.RawURLEncoding.Strict()

// ringKey is a Key ready for use.
type ringKey struct {
	id   string
	macs sync.Pool // of *mac
}

func newRing(keys []Key) []*ringKey {
	ring := make([]*ringKey, 0, len(keys))
	for _, k := range keys {
		secret := bytes.Clone(k.Secret)
		rk := &ringKey{id: k.ID}
		rk.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, secret)} }
		ring = append(ring, rk)
	}
	return ring
}

// mac makes one token after another in the same memory.
type mac struct {
	hash    hash.Hash
	message []byte // what is authenticated
	raw     []byte // the token, before it is text
}

func (k *ringKey) get() *mac { return k.macs.Get().(*mac) }

func (k *ringKey) put(m *mac) {
	if cap(m.message) <= 16<<10 {
		k.macs.Put(m)
	}
}

// authenticate returns the MAC of message, in memory that the next one overwrites.
func (m *mac) authenticate() []byte {
	m.raw = m.appendSum(m.raw[:0])
	return m.raw[:macSize]
}

func (m *mac) appendSum(dst []byte) []byte {
	m.hash.Reset()
	m.hash.Write(m.message)
	return m.hash.Sum(dst)
}

// A start is the beginning of a parameter that is the same for many tokens: param= and the text of their header.
type start struct {
	text []byte
	rest []byte // of the header, less than the three bytes that make four letters
}

func newStart(mark, head []byte) start {
	full := len(head) / 3 * 3
	return start{base64url.AppendEncode(bytes.Clone(mark), head[:full]), head[full:]}
}

// appendParam appends the parameter with the token for message.
func (m *mac) appendParam(dst []byte, s *start) []byte {
	m.raw = m.appendSum(append(m.raw[:0], s.rest...))
	return base64url.AppendEncode(append(dst, s.text...), m.raw[:len(s.rest)+macSize])
}
