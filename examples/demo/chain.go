package main

import (
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
)

// upstream is the lower half of the chain: a cache over a pool of origins. Copy this file.
type upstream struct {
	origins []string // URLs of servers that hold the same streams
	pool    *origin.Pool
	shared  *cache.Transport
}

func newUpstream(origins []string) (*upstream, error) {
	guard, err := origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}) // these origins are local
	if err != nil {
		return nil, err
	}
	pool, err := origin.NewPool(origin.PoolConfig{Origins: origins, Base: guard.Transport(), Cooldown: time.Second})
	if err != nil {
		return nil, err
	}
	shared := &cache.Transport{Base: pool, Store: cache.NewMemory(64 << 20), TTL: untilNextSegment}
	return &upstream{origins, pool, shared}, nil
}

// newChain is the upper half: prefix+x is /x on the origins, which transport reaches. With links, only signed ones play.
func newChain(prefix string, origins []string, transport http.RoundTripper, links *sign.Signer) (http.Handler, error) {
	tree, err := rewrite.Prefix(prefix, origins[0]+"/", origins[1:]...)
	if err != nil {
		return nil, err
	}
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, err
	}
	rewriter := &rewrite.Rewriter{Map: tree, Unmapped: rewrite.DropUnmapped}
	proxy := &origin.Proxy{Upstream: tree.Upstream, Transport: transport, ModifyResponse: rewriter.ModifyResponse}
	stream := rangeserve.Handler(proxy)
	if links != nil {
		rewriter.Sign = links
		stream = links.Handler(stream)
	}
	return cors.Handler(stream), nil
}

// untilNextSegment keeps a live playlist until its next segment is due. The library's own rule, half a target duration, must
// fit any origin, and asks this one about twice between two changes. Here the playlist says when it will change, because the
// origin stamps each segment with the time of this process's clock.
func untilNextSegment(e *cache.Entry) time.Duration {
	ttl := cache.HLS(e)
	if e.Status != http.StatusOK || e.Header.Get("Content-Type") != playlistType {
		return ttl
	}
	list, _, err := m3u8.DecodeFrom(io.NewSectionReader(e.Body, 0, e.Body.Size()), true)
	p, ok := list.(*m3u8.MediaPlaylist)
	if err != nil || !ok || p.Count() == 0 || p.PartTargetDuration > 0 {
		return ttl // low-latency players request the next change by its number, and such answers stay valid for long
	}
	last := p.GetAllSegments()[p.Count()-1]
	segment := time.Duration(last.Duration * float64(time.Second))
	return min(last.ProgramDateTime.Add(2*segment).Sub(e.Time), time.Duration(p.TargetDuration)*time.Second)
}
