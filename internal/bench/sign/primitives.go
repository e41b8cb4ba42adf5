package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
	"github.com/hlsproxy/hlsproxy/sign"
)

const batch = 100 // so that reading the clock costs nothing

// oneURL compares a signature with a hash of the same bytes, and with HMAC from the standard library.
func oneURL() []ratio.Contender {
	url := []byte("/proxy/seg-00001.ts?url=https%3A%2F%2Fcdn.example.com%2Flive%2Fa%2Fs00.ts")
	exact, directory := signer(sign.Exact), signer(sign.Directory)
	byExact := admitted(exact, must(exact.URL("/proxy/master.m3u8")))
	byDirectory := admitted(directory, must(directory.URL("/live/a/master.m3u8")))
	buf := make([]byte, 0, 512)
	mac := hmac.New(sha256.New, keys()[0].Secret)
	var sum [sha256.Size]byte
	return []ratio.Contender{
		batched("SHA-256", func() { sum = sha256.Sum256(url) }),
		batched("HMAC, not encoded", func() { mac.Reset(); mac.Write(url); mac.Sum(sum[:0]) }),
		batched("HMAC in base64", func() {
			mac.Reset()
			mac.Write(url)
			base64.RawURLEncoding.AppendEncode(buf[:0], mac.Sum(sum[:0])[:sha256.Size/2])
		}),
		batched("exact", func() { hook(exact, byExact, append(buf[:0], url...)) }),
		batched("directory", func() { hook(directory, byDirectory, append(buf[:0], "/live/a/v1/seg-00001.ts"...)) }),
	}
}

// sealing compares a sealed URL with the plain encryption of the same bytes, which is neither deterministic nor text.
func sealing() []ratio.Contender {
	upstream := []byte("https://cdn.example.com/live/channel/one/720p/2026/11/20/seg-00001000.m4s")
	exact := must(sign.NewSealer(sign.Config{Keys: keys()}, "/s/"))
	directory := must(sign.NewSealer(sign.Config{Keys: keys(), Scope: sign.Directory}, "/s/"))
	gcm, nonce := must(cipher.NewGCM(must(aes.NewCipher(keys()[0].Secret)))), make([]byte, 12)
	buf := make([]byte, 0, 512)
	return []ratio.Contender{
		batched("AES-GCM", func() {
			gcm.Seal(buf, nonce, upstream, nil)
			nonce[0]++
		}),
		batched("sealed, exact", func() { must(exact.AppendPublic(buf, upstream)) }),
		batched("sealed, directory", func() { must(directory.AppendPublic(buf, upstream)) }),
	}
}

func hook(s *sign.Signer, ctx context.Context, public []byte) { must(s.Sign(ctx, public)) }

func batched(name string, once func()) ratio.Contender {
	return ratio.Contender{Name: name, Run: func() {
		for range batch {
			once()
		}
	}}
}
