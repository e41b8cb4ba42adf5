// Package chain is this library as a contender: the chain of examples/live, without signing.
package chain

import (
	"iter"
	"net/http"
	"net/netip"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
)

// New returns the chain in front of one origin on the loopback. The URL of the origin ends in a slash. The cache keeps 1 GiB.
func New(upstream string) (http.Handler, error) {
	tree, err := rewrite.Prefix("/", upstream)
	if err != nil {
		return nil, err
	}
	base, err := Transport()
	if err != nil {
		return nil, err
	}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: []string{upstream}, Base: base})
	if err != nil {
		return nil, err
	}
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, err
	}
	playlists := &rewrite.Rewriter{Map: tree}
	return cors.Handler(rangeserve.Handler(&origin.Proxy{
		Upstream: tree.Upstream, ModifyResponse: playlists.ModifyResponse,
		Transport: &cache.Transport{
			Base: pool, Store: cache.NewMemory(1 << 30), Refs: segments,
			StaleWhileRevalidate: time.Second, // as Varnish has it by default, and nginx is configured
		},
	})), nil
}

// Transport returns a guarded transport that may reach the loopback.
func Transport() (*http.Transport, error) {
	guard, err := origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		return nil, err
	}
	return guard.Transport(), nil
}

// segments lists what a live playlist names.
func segments(playlist []byte, base string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for ref, err := range rewrite.Refs(playlist, base) {
			if err == nil && ref.Kind == rewrite.Segment && !yield(ref.URL) {
				return
			}
		}
	}
}
