// Package cache shares the answers of an origin among viewers: one upstream request, however many ask.
//
//	shared := &cache.Transport{
//		Base:  guard.Transport(), // reaches the origin; nil: http.DefaultTransport
//		Store: cache.NewMemory(1 << 30),
//	}
//	client := &http.Client{Transport: shared} // or origin.Proxy, or httputil.ReverseProxy
//	resp, err := client.Get("https://origin.example/live/1.ts")
//	if err != nil {
//		return err
//	}
//	fmt.Println(resp.Header.Get("Cache-Status")) // hlsproxy; hit
//
// [Transport] is an http.RoundTripper between a proxy and the transport that reaches the origin. The first viewer's request
// opens a fill; all others read along, each at its own pace and from the first byte. A body that arrived whole may be kept in a
// [Store] for as long as [HLS] or a function of the caller says.
//
// It is a shared cache in the sense of RFC 9111 that knows playlists.
//
// # The life of a hit
//
// [Transport.RoundTrip] (transport.go) decides whether the request may be shared, and looks its key up in the Store (key.go,
// transport_store.go). If answers vary, the key leads to a mark, and the mark to the variant. A fresh entry becomes a response
// (response.go): conditions, range, header, and a body that is read at the viewer's pace (response_viewer.go).
//
// # The life of a miss
//
//  1. The viewer joins a running fill of its key, or a request to the origin that is under way, or makes one
//     (transport_origin.go, flight.go), if there is a place for it (places.go). That request has a context of its own, and
//     singleflight opens it once.
//  2. The header comes (flight_answer.go, flight_question.go). An answer that cannot be shared goes to the viewer whose request
//     was sent; the others ask for themselves (flight_waiter.go, response_single.go). One that is too long becomes an entry
//     without a body and is fetched in slices (slice.go).
//  3. Any other answer is a fill (fill.go). Its pump reads the origin into a body of pages (fill_pump.go, internal/body). It
//     waits for viewers if memory is short or the body has no end. Endless media is broadcast (fill_broadcast.go).
//  4. The whole body is judged (hls.go, channel.go): how long it is fresh, and what a live playlist says about segments that
//     are stored. Then it is stored, and only then do viewers see its end. They have all of its bytes already, but not the last
//     ones of a playlist, which players act on. A request that comes meanwhile joins the fill; a later one finds what is
//     stored.
//  5. When it is stale, the origin is asked. A 304 renews it. If the origin fails, it may be served for longer.
//
// An answer that was purged, given up or displaced by a later one is barred: it is never stored.
//
// # What goes on for nobody
//
// Players seek and give up all the time, and another viewer is likely to ask for the same. So an answer that will be kept goes
// on after its viewers have left, if by its declared length it has at most 32 MiB, or if half of it is here. So do at most 16
// requests to one host whose answer has not begun, and a broadcast for Linger. A quarter of MaxFills (or of 1024) may go on in
// this way. If there are more, the cache gives up the one that would take the longest at its rate so far; without a rate, the
// newest (places.go). When a viewer needs a place and none is free, the cache gives up one of them, or else the renewal of an
// answer that was served stale. So one client that opens many answers and leaves them takes no place from others.
//
// # What is fetched ahead
//
// With [Transport.Ahead], a request for a segment that is stored, or that has just been fetched, leads to the next segments of
// its playlist (ahead.go, internal/ahead): those after it, or after the one that the player names (nor and nrr of CMCD,
// CTA-5004), and the initialization sections they need. If viewers ask for parts, parts are fetched, but not those that are
// only hinted at. A new version of a live playlist continues from the newest segment that was asked for within three target
// durations. When nobody asks for more, nothing more is fetched.
//
// A segment is requested with the header fields and the link of the viewer who asked last. It is requested only if its key is
// the one that the viewer's own next request would have, and if it is on the scheme, host and port of its playlist: anybody can
// write a playlist that names files of others. What a viewer says only chooses among segments that playlists name. For a byte
// range of a body that is kept in slices, its slices are fetched. Keys, gaps and playlists are never fetched ahead. An answer
// that cannot be shared or kept, or is not 200, is not kept, and stops this playlist for 10 s. Each segment is tried at most
// once a minute. Each waits for the one before it, but at most half a second while the origin has not begun to answer.
//
// At most a quarter of MaxFills (or of 1024) is fetched ahead at a time, and a sixteenth from one host. No viewer is refused
// because of that. The cache knows the playlists that it has fetched since the process began, up to 8192 segments of each, in
// 16 MiB.
//
// # Locks
//
// Transport.mu (places.go) comes first, then the lock of a body, then that of a Memory. The locks of the channels, of a keySet
// and of internal/ahead come last: a goroutine that holds one of them takes no other. Under these locks the cache
// calls no hook and no Store. The match function of a [Purger] is the only exception.
package cache
