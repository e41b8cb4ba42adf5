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
)

// newChain puts the library in front of an origin: /hls/x is /x there. It is what to copy out of this example.
func newChain(originURL string) (http.Handler, *cache.Transport, error) {
	tree, err := rewrite.Prefix("/hls/", originURL+"/")
	if err != nil {
		return nil, nil, err
	}
	cors, err := corsmw.New(corsmw.Config{Origins: []string{"*"}})
	if err != nil {
		return nil, nil, err
	}
	guard := &origin.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}} // this origin is local
	shared := &cache.Transport{
		Base:  guard.Transport(),
		Store: cache.NewMemory(64 << 20),
		TTL:   untilNextSegment,
	}
	rewriter := &rewrite.Rewriter{Map: tree}
	proxy := &origin.Proxy{Upstream: tree.Upstream, Transport: shared, ModifyResponse: rewriter.ModifyResponse}
	return cors.Handler(rangeserve.Handler(proxy)), shared, nil
}

// untilNextSegment keeps a live playlist until its next segment is due. The library's own rule, half a target duration,
// has to do for any origin and asks this one about twice between two changes; here the playlist says when it will
// change, since the origin stamps each segment with the time of the clock that this process goes by.
func untilNextSegment(e *cache.Entry) time.Duration {
	ttl := cache.HLS(e)
	if e.Status != http.StatusOK || e.Header.Get("Content-Type") != playlistType {
		return ttl
	}
	list, _, err := m3u8.DecodeFrom(io.NewSectionReader(e.Body, 0, e.Body.Size()), true)
	p, ok := list.(*m3u8.MediaPlaylist)
	if err != nil || !ok || p.Count() == 0 || p.PartTargetDuration > 0 {
		return ttl // low-latency players ask for the next change by its number, and their answers are good for long
	}
	last := p.GetAllSegments()[p.Count()-1]
	segment := time.Duration(last.Duration * float64(time.Second))
	return min(last.ProgramDateTime.Add(2*segment).Sub(e.Time), time.Duration(p.TargetDuration)*time.Second)
}
