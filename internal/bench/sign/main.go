// Command sign measures what signing costs, compared with the primitives that it uses and with rewriting alone. All numbers are
// medians of interleaved rounds. Only their ratios have a meaning.
//
//	go run ./sign [-rounds 21] [-time 20ms] [-cloudfront=false]
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/bench/ratio"
	"github.com/hlsproxy/hlsproxy/internal/playlists"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
)

var (
	rounds = flag.Int("rounds", 21, "rounds")
	round  = flag.Duration("time", 20*time.Millisecond, "time of a round for one contender")
	slow   = flag.Bool("cloudfront", true, "sign for CloudFront too; three rounds of a thousand RSA signatures")
)

func main() {
	flag.Parse()
	runtime.GOMAXPROCS(1)
	compare("one URL of 73 bytes", "SHA-256", oneURL()...)
	shape := playlists.VOD(1000)
	compare(fmt.Sprintf("%s: %d bytes, %d URIs", shape.Name, len(shape.Text), shape.URIs), "rewriting", playlist(shape)...)
	compare("one URL sealed", "AES-GCM", sealing()...)
	if *slow {
		*rounds = 3
		compare("VOD of 1000 segments for CloudFront", "one signature", cloudFront()...)
	}
}

func compare(title, anchor string, contenders ...ratio.Contender) {
	fmt.Println(title)
	ratio.Print(os.Stdout, ratio.Compare(*rounds, *round, contenders...), anchor)
}

// playlist is a long playlist. Its URIs are mapped, and then signed in different ways.
func playlist(shape playlists.Shape) []ratio.Contender {
	prefix := must(rewrite.Prefix("/live/", "https://cdn.example.com/live/"))
	token := []byte("?hpt=EABpHqQAAAE-Q0wzpG6T0n1mJt3l0dGkw")
	appended := func(_ context.Context, public []byte) ([]byte, error) { return append(public, token...), nil }
	exact, directory := signer(sign.Exact), signer(sign.Directory)
	entry := must(directory.URL("/live/channel1/1080p/index.m3u8"))
	return []ratio.Contender{
		rewritten("rewriting", shape, &rewrite.Rewriter{Map: prefix}, context.Background()),
		rewritten("+ a constant", shape, &rewrite.Rewriter{Map: prefix, Sign: constant{appended}}, context.Background()),
		rewritten("+ directory, asked each", shape, &rewrite.Rewriter{Map: prefix, Sign: rewrite.SignFunc(directory.Sign)}, admitted(directory, entry)),
		rewritten("+ directory", shape, &rewrite.Rewriter{Map: prefix, Sign: directory}, admitted(directory, entry)),
		rewritten("+ exact on every URI", shape, &rewrite.Rewriter{Map: prefix, Sign: exact}, admitted(exact, must(exact.URL("/live/index.m3u8")))),
	}
}

type constant struct{ rewrite.SignFunc }

func (constant) SignAlike(context.Context, []byte) bool { return true }

func rewritten(name string, shape playlists.Shape, rw *rewrite.Rewriter, ctx context.Context) ratio.Contender {
	var dst []byte
	return ratio.Contender{Name: name, Run: func() {
		dst = must(rw.Append(ctx, dst[:0], shape.Text, playlists.Base))
	}}
}

func signer(scope sign.Scope) *sign.Signer {
	return must(sign.New(sign.Config{Keys: keys(), Scope: scope}))
}

func keys() []sign.Key {
	return []sign.Key{{ID: "k", Secret: []byte("0123456789abcdef0123456789abcdef")}}
}

// admitted is the context of a request for a signed link.
func admitted(s *sign.Signer, link string) (ctx context.Context) {
	inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })
	s.Handler(inner).ServeHTTP(nil, must(http.NewRequest(http.MethodGet, link, nil)))
	return ctx
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
