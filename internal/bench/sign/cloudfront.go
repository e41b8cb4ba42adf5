package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"time"

	aws "github.com/aws/aws-sdk-go-v2/feature/cloudfront/sign"

	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
	"github.com/hlsproxy/hlsproxy/sign"
)

// cloudFront signs the segments of a playlist with one wildcard policy, and each for itself as the SDK does. Nothing is
// kept from one run to the next.
func cloudFront() []ratio.Contender {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	var segments []string
	for i := range 1000 {
		segments = append(segments, fmt.Sprintf("https://d111111abcdef8.cloudfront.net/vod/a/seg-%05d.ts", i))
	}
	sdk, expires := aws.NewURLSigner("K2JCJMDEHXQW5F", key), time.Now().Add(time.Hour)
	buf := make([]byte, 0, 1024)
	return []ratio.Contender{
		{Name: "one signature", Run: func() {
			one := must(sign.CloudFront("K2JCJMDEHXQW5F", key, time.Hour))
			must(one.Sign(context.Background(), append(buf[:0], segments[0]...)))
		}},
		{Name: "all by wildcard policy", Run: func() {
			all := must(sign.CloudFront("K2JCJMDEHXQW5F", key, time.Hour))
			for _, s := range segments {
				must(all.Sign(context.Background(), append(buf[:0], s...)))
			}
		}},
		{Name: "each, by the AWS SDK", Run: func() {
			for _, s := range segments {
				must(sdk.Sign(s, expires))
			}
		}},
	}
}
