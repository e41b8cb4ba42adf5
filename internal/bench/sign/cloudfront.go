package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"time"

	aws "github.com/aws/aws-sdk-go-v2/feature/cloudfront/sign"

	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign/cdn"
)

// cloudFront signs the segments of a playlist with one wildcard policy, and each by itself as the SDK does. Nothing is kept
// from one run to the next.
func cloudFront() []ratio.Contender {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	var segments []string
	playlist := []byte("#EXTM3U\n")
	for i := range 1000 {
		playlist = fmt.Appendf(playlist, "#EXTINF:6,\nseg-%05d.ts\n", i)
		segments = append(segments, fmt.Sprintf("https://d111111abcdef8.cloudfront.net/vod/a/seg-%05d.ts", i))
	}
	sdk, expires := aws.NewURLSigner("K2JCJMDEHXQW5F", key), time.Now().Add(time.Hour)
	buf, dst := make([]byte, 0, 1024), make([]byte, 0, 1<<20)
	return []ratio.Contender{
		{Name: "one signature", Run: func() {
			one := must(cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: "K2JCJMDEHXQW5F", Key: key, TTL: time.Hour}))
			must(one.Sign(context.Background(), append(buf[:0], segments[0]...)))
		}},
		{Name: "all by wildcard policy", Run: func() {
			all := must(cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: "K2JCJMDEHXQW5F", Key: key, TTL: time.Hour}))
			for _, s := range segments {
				must(all.Sign(context.Background(), append(buf[:0], s...)))
			}
		}},
		{Name: "the same in a playlist", Run: func() {
			all := must(cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: "K2JCJMDEHXQW5F", Key: key, TTL: time.Hour}))
			rw := &rewrite.Rewriter{Sign: all}
			dst = must(rw.Append(context.Background(), dst[:0], playlist, "https://d111111abcdef8.cloudfront.net/vod/a/index.m3u8"))
		}},
		{Name: "each, by the AWS SDK", Run: func() {
			for _, s := range segments {
				must(sdk.Sign(s, expires))
			}
		}},
	}
}
