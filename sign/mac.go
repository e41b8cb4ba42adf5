package sign

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
)

// macSize is how much of the HMAC a token carries: RFC 2104, section 5, wants at least half of it.
const macSize = sha256.Size / 2

// ringKey is a Key ready for use.
type ringKey struct {
	id     string
	secret []byte
	// The states of SHA-256 after the two blocks that the secret gives (RFC 2104, section 4), in the form that
	// crypto/sha256 marshals. Nil if that is not the one known here: crypto/hmac does it then.
	inner, outer []byte
}

func newRing(keys []Key) []*ringKey {
	ring := make([]*ringKey, 0, len(keys))
	for _, k := range keys {
		ring = append(ring, newRingKey(k))
	}
	return ring
}

func newRingKey(k Key) *ringKey {
	rk := &ringKey{id: k.ID, secret: bytes.Clone(k.Secret)}
	rk.inner, rk.outer = stateAfter(k.Secret, 0x36), stateAfter(k.Secret, 0x5c)
	if !rk.isRight() {
		rk.inner, rk.outer = nil, nil
	}
	return rk
}

// isRight tries the short way to a MAC with each number of bytes in a block, since it builds on a form of states that is
// stable but not documented.
func (k *ringKey) isRight() bool {
	sample := make([]byte, 3*sha256.BlockSize)
	for n := range sample {
		if !k.midway() || k.authenticate(bytes.Clone(sample[:n])) != k.plainly(sample[:n]) {
			return false
		}
	}
	return true
}

// stateAfter is the state after the block of secret (hashed, if it is longer than one) with each byte combined with pad.
func stateAfter(secret []byte, pad byte) []byte {
	if len(secret) > sha256.BlockSize {
		sum := sha256.Sum256(secret)
		secret = sum[:]
	}
	block := bytes.Repeat([]byte{pad}, sha256.BlockSize)
	for i, c := range secret {
		block[i] ^= c
	}
	h := sha256.New()
	h.Write(block)
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil || len(state) < stateBegin+sha256.BlockSize {
		return nil
	}
	return state
}

func (k *ringKey) midway() bool { return k.inner != nil && k.outer != nil }

// In a state the chaining value stands after a magic of four bytes.
const (
	stateBegin = 4
	stateRoom  = 128
)

// mac is the part of an HMAC that a token carries, as two big-endian numbers.
type mac [macSize / 8]uint64

func (m *mac) append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, m[0]), m[1])
}

// authenticate returns the MAC of message, whose spare capacity it uses. It is HMAC-SHA-256 with its padding (FIPS 180-4,
// section 5.1.1) written here, so that each of the two hashes is one call for whole blocks, with no state to copy and finish.
// Nothing of it leaves the stack.
func (k *ringKey) authenticate(message []byte) mac {
	if !k.midway() {
		return k.plainly(message)
	}
	var room [stateRoom]byte
	h := sha256.New()
	_ = h.(encoding.BinaryUnmarshaler).UnmarshalBinary(k.inner)
	h.Write(appendPadding(message, sha256.BlockSize))
	state, _ := h.(encoding.BinaryAppender).AppendBinary(room[:0])
	block := state[stateBegin : stateBegin+sha256.BlockSize] // the first sum, and room for the padding
	clear(block[sha256.Size:])
	block[sha256.Size] = 0x80
	binary.BigEndian.PutUint64(block[sha256.BlockSize-8:], 8*(sha256.BlockSize+sha256.Size))

	_ = h.(encoding.BinaryUnmarshaler).UnmarshalBinary(k.outer)
	h.Write(block)
	state, _ = h.(encoding.BinaryAppender).AppendBinary(room[:0])
	return mac{pair(state[stateBegin:]), pair(state[stateBegin+8:])}
}

// pair reads eight bytes in the two halves in which they have just been written: one read of both would wait for the writes.
func pair(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint32(b))<<32 | uint64(binary.BigEndian.Uint32(b[4:]))
}

// appendPadding completes the last block of a message of which so many bytes have been hashed already.
func appendPadding(message []byte, before int) []byte {
	bits := uint64(before+len(message)) * 8
	var zeros [sha256.BlockSize]byte
	message = append(message, 0x80)
	message = append(message, zeros[:(sha256.BlockSize-8-len(message))&(sha256.BlockSize-1)]...)
	return binary.BigEndian.AppendUint64(message, bits)
}

func (k *ringKey) plainly(message []byte) mac {
	h := hmac.New(sha256.New, k.secret)
	h.Write(bytes.Clone(message)) // for the compiler: what goes to an unknown Hash must be on the heap
	sum := h.Sum(nil)
	return mac{pair(sum), pair(sum[8:])}
}
