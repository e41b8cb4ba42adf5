package sign

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"sync"
)

// sealKey seals deterministically: the nonce is a pseudo-random function of what is sealed, so that the same URL gives the
// same bytes, and two different ones never meet under one nonce but by a collision of 96 bits. The function is a secret
// universal hash (GMAC under a fixed nonce) that is then enciphered under another key, as AES-GCM-SIV does (RFC 8452).
type sealKey struct {
	head  []byte // of each token: form, length of the id, id
	hash  cipher.AEAD
	prf   cipher.Block
	aead  cipher.AEAD
	tools sync.Pool // of *sealTools
}

type sealTools struct {
	message []byte // head and plaintext
	raw     []byte // of the token
	sum     [aes.BlockSize]byte
	zero    [nonceSize]byte
}

const (
	nonceSize = 12
	tagSize   = aes.BlockSize
)

func newSealKey(k Key) (*sealKey, error) {
	sk := &sealKey{head: append([]byte{0, byte(len(k.ID))}, k.ID...)}
	sk.tools.New = func() any { return new(sealTools) }
	var blocks [3]cipher.Block
	for i, purpose := range [...]string{"hash", "nonce", "encryption"} {
		secret, err := hkdf.Key(sha256.New, k.Secret, nil, "hlsproxy sealed URL 1 "+purpose, 32)
		if err == nil {
			blocks[i], err = aes.NewCipher(secret)
		}
		if err != nil {
			return nil, fmt.Errorf("sign: key %q: %w", k.ID, err)
		}
	}
	sk.prf = blocks[1]
	var err error
	if sk.hash, err = cipher.NewGCM(blocks[0]); err == nil {
		sk.aead, err = cipher.NewGCM(blocks[2])
	}
	if err != nil {
		return nil, fmt.Errorf("sign: key %q: %w", k.ID, err)
	}
	return sk, nil
}

// appendToken appends base64url of head, nonce, ciphertext and tag. What is sealed is plain, after header if there is one.
func (sk *sealKey) appendToken(dst []byte, form byte, header string, plain []byte) []byte {
	t := sk.tools.Get().(*sealTools)
	t.message = append(t.message[:0], sk.head...)
	t.message[0] = form
	if header != "" {
		t.message[0] |= formHeader
		t.message = append(appendLen(t.message, len(header)), header...)
	}
	t.message = append(t.message, plain...)
	sk.hash.Seal(t.sum[:0], t.zero[:], nil, t.message)
	sk.prf.Encrypt(t.sum[:], t.sum[:])

	n := len(sk.head)
	t.raw = append(append(t.raw[:0], t.message[:n]...), t.sum[:nonceSize]...)
	t.raw = sk.aead.Seal(t.raw, t.sum[:nonceSize], t.message[n:], t.message[:n])
	dst = base64url.AppendEncode(dst, t.raw)
	if cap(t.raw) <= 16<<10 {
		sk.tools.Put(t)
	}
	return dst
}

// open returns what the rest of a token holds after its head, which names this key.
func (sk *sealKey) open(head, rest []byte) ([]byte, bool) {
	if len(rest) < nonceSize+tagSize {
		return nil, false
	}
	plain, err := sk.aead.Open(nil, rest[:nonceSize], rest[nonceSize:], head)
	return plain, err == nil
}
