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
	base, err := Transport()
	if err != nil {
		return nil, err
	}
	return Above(base, upstream, cache.NewMemory(1<<30))
}

// Above is New with a transport of the caller, and with a Store. Nil: nothing is shared.
func Above(base http.RoundTripper, upstream string, store cache.Store) (http.Handler, error) {
	tree, err := rewrite.Prefix("/", upstream)
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
	proxy := &origin.Proxy{Upstream: tree.Upstream, ModifyResponse: playlists.ModifyResponse, Transport: pool}
	if store != nil {
		proxy.Transport = &cache.Transport{
			Base: pool, Store: store, Refs: segments,
			StaleWhileRevalidate: time.Second, // as Varnish has it by default, and nginx is configured
		}
	}
	return cors.Handler(rangeserve.Handler(proxy)), nil
}

// Transport returns a guarded transport that may reach the loopback. It does not check certificates there.
func Transport() (*http.Transport, error) {
	guard, err := origin.NewGuard(origin.GuardConfig{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Insecure: []string{"127.0.0.1"},
	})
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
