package sign

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
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
	plain   plain
}

// plain is the message for a URL that link.SplitPlainly has split. Most URLs of a playlist differ from the one before only in
// digits. Then only these change in the message.
type plain struct {
	prefix      *prefix
	url         []byte
	path, query int // where they begin in url
	message     []byte
	at          int // where the path begins in message
}

// renumber makes the message that for u. It returns false if u differs in more than digits.
func (p *plain) renumber(b *prefix, u []byte) bool {
	if p.prefix != b || !link.DifferInDigits(u, p.url) {
		return false
	}
	copy(p.message[p.at:], u[p.path:p.query])
	if params := p.query + 1; params < len(u) {
		copy(p.message[len(p.message)-(len(u)-params):], u[params:])
	}
	return true
}

// set makes the message that for u.
func (p *plain) set(b *prefix, u []byte, path, query int) {
	p.prefix, p.url, p.path, p.query = b, append(p.url[:0], u...), path, query
	p.message = appendLen(append(p.message[:0], b.message...), query-path)
	p.at = len(p.message)
	p.message = append(p.message, u[path:query]...)
	if query == len(u) {
		p.message = append(p.message, 0)
	} else {
		p.message = append(append(appendLen(p.message, len(u)-query), '&'), u[query+1:]...)
	}
}

func (k *ringKey) get() *mac { return k.macs.Get().(*mac) }

func (k *ringKey) put(m *mac) {
	const most = 16 << 10
	if cap(m.message) <= most && cap(m.plain.message) <= most {
		k.macs.Put(m)
	}
}

// authenticate returns the MAC of message, in memory that the next one overwrites.
func (m *mac) authenticate() []byte {
	m.raw = m.appendSum(m.raw[:0], m.message)
	return m.raw[:macSize]
}

func (m *mac) appendSum(dst, message []byte) []byte {
	m.hash.Reset()
	m.hash.Write(message)
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

// appendParam appends the parameter with the token for a message.
func (m *mac) appendParam(dst []byte, s *start, message []byte) []byte {
	m.raw = m.appendSum(append(m.raw[:0], s.rest...), message)
	return base64url.AppendEncode(append(dst, s.text...), m.raw[:len(s.rest)+macSize])
}
