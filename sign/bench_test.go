package sign_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"net/http"
	"testing"

	"github.com/hlsproxy/hlsproxy/sign"
)

// a URL of 73 bytes, as in a long playlist
const benchURL = "/proxy/seg-00001.ts?url=https%3A%2F%2Fcdn.example.com%2Flive%2Fa%2Fs00.ts"

func BenchmarkSign(b *testing.B) {
	buf := make([]byte, 0, 512)
	run := func(name string, s *sign.Signer, ctx context.Context, u string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				must(s.Sign(ctx, append(buf[:0], u...)))
			}
		})
	}
	exact, dir := signer(b, nil), signer(b, directory)
	run("exact", exact, admitted(b, exact, must(exact.URL("/proxy/master.m3u8"))), benchURL)
	run("exact without a grant", exact, b.Context(), benchURL)
	run("directory", dir, admitted(b, dir, must(dir.URL("/live/a/master.m3u8"))), "/live/a/v1/seg-00001.ts")
	run("directory beside", dir, admitted(b, dir, must(dir.URL("/live/a/master.m3u8"))), "/live/b/v1/seg-00001.ts")
	b.Run("sha256 of the same", func(b *testing.B) {
		for b.Loop() {
			sum := sha256.Sum256(append(buf[:0], benchURL...))
			_ = sum
		}
	})
	seal, sealDir := sealer(b, sign.Exact), sealer(b, sign.Directory)
	const upstream = "https://cdn.example.com/live/channel/one/720p/2026/11/20/seg-00001000.m4s"
	for name, s := range map[string]*sign.Sealer{"seal": seal, "seal directory": sealDir} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				must(s.AppendPublic(buf[:0], []byte(upstream)))
			}
		})
	}
	gcm, nonce := must(cipher.NewGCM(must(aes.NewCipher(make([]byte, 32))))), make([]byte, 12)
	b.Run("gcm of the same", func(b *testing.B) {
		for b.Loop() {
			gcm.Seal(buf[:0], nonce, []byte(upstream), nil)
		}
	})
	link := must(exact.URL(benchURL))
	r := request(link)
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(exact.Verify(r))
		}
	})
	h := exact.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(nil, r)
		}
	})
}
