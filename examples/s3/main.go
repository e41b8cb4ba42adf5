// Command s3 accepts films through a page, turns them into HLS, and keeps them in a private bucket of an object store. Viewers
// with a link play them through this server, which has a cache and signs its requests to the store, or from CloudFront, whose
// links it makes at each request for a playlist.
//
//	go run . -endpoint http://127.0.0.1:9000 -bucket films -key SECRET     (in examples/s3)
//
// The access key comes from -access-key and -secret-key or from $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY.
// docs/object-store.md lists the rights that it needs, and the stores that were tried. Beyond loopback put TLS in front: the
// password of the page and the links are sent in clear text.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/examples/internal/uploads"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

func main() { serve.Main(run) }

// newPlayer is the chain for viewers with a link.
func newPlayer(o options, tree rewrite.Mapper, shared http.RoundTripper, links *serve.Links) http.Handler {
	playlists := &rewrite.Rewriter{Map: tree, Sign: links.Signer, Public: o.public}
	return links.Handler(rangeserve.Handler(&origin.Proxy{
		Upstream: tree.Upstream, Transport: shared, ModifyResponse: playlists.ModifyResponse, OnFailure: serve.LogFailure,
	}))
}

// newShared is the lower half: the cache, the signatures and the guard. The operator names the store, which may be anywhere;
// nothing else is reached.
func newShared(o options, s *store) (*cache.Transport, error) {
	place, err := serve.ParseOrigin(s.base)
	if err != nil {
		return nil, err
	}
	guard, err := origin.NewGuard(origin.GuardConfig{
		Hosts: []string{place.Host}, Ports: serve.Origins{place}.Ports(),
		Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
	})
	if err != nil {
		return nil, err
	}
	signed := &signing{base: guard.Transport(), bucket: s.base, region: o.region, endpoint: o.endpoint.URL, credentials: o.credentials}
	return &cache.Transport{Base: signed, Store: cache.NewMemory(o.cache)}, nil
}

// newHandler is the whole site.
func newHandler(ctx context.Context, o options, s *store, links *serve.Links) (http.Handler, error) {
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, err
	}
	tree, err := rewrite.Prefix("/play/", s.base)
	if err != nil {
		return nil, err
	}
	shared, err := newShared(o, s)
	if err != nil {
		return nil, err
	}
	site := &site{store: s, links: links, shared: shared, play: tree}
	mux := http.NewServeMux()
	mux.Handle("/play/", cors.Handler(withLink(newPlayer(o, tree, shared, links))))
	if o.edge.domain != "" {
		var edge http.Handler
		if site.edge, edge, err = newEdge(o, s, shared, links); err != nil {
			return nil, err
		}
		mux.Handle("/cloudfront/", cors.Handler(withLink(edge)))
	}
	p := &publisher{store: s, mark: mark(o)}
	if err := p.clean(ctx); err != nil {
		return nil, err
	}
	upload, err := uploads.New(ctx, uploads.Config{Dir: o.work, Limit: o.max, Publish: site.publish(p)})
	if err != nil {
		return nil, err
	}
	return mux, site.mount(mux, upload)
}

// run prints where it listens, and serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, ln, err := parse(args)
	if err != nil {
		return err
	}
	defer ln.Close()
	links, err := serve.NewLinks(o.key, o.ttl, ln.Local())
	if err != nil {
		return err
	}
	s, err := openStore(ctx, o)
	if err != nil {
		return err
	}
	h, err := newHandler(ctx, o, s, links)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\nopen %[1]s/%s\n", ln.URL(), links.Hint())
	return serve.Run(ctx, ln, h)
}
