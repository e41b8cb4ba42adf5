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
// [Transport] is an http.RoundTripper that stands between a proxy and the transport that reaches the origin. The first
// viewer's request opens a fill; all others read along, each at its own pace and from the first byte that is there. What
// arrived whole may be kept in a [Store] for as long as [HLS] or a function of the caller says.
//
// It is a shared cache in the sense of RFC 9111 that knows what a playlist is.
//
// # The life of a hit
//
// [Transport.RoundTrip] (transport.go) looks whether the request may be shared, and its key up in the Store (key.go,
// lookup.go); of answers that vary, the key leads to a mark, and that to the variant. A fresh entry becomes a response
// (response.go): conditions, range, header, and a body that is read at the viewer's pace (viewer.go).
//
// # The life of a miss
//
//  1. The viewer joins a running fill of its key, or the question to the origin, or asks it (flight.go). The question has a
//     context of its own, and singleflight opens it once.
//  2. The header comes. What cannot be shared goes to the viewer whose request was sent; the others ask for themselves
//     (waiter.go). What is too long becomes an entry without a body and is fetched in slices (slice.go).
//  3. Anything else is a fill (fill.go). Its pump reads the origin into a body of pages (pump.go, internal/body), and waits for
//     viewers where memory is short or the body has no end; endless media is broadcast (broadcast.go).
//  4. The whole is judged (hls.go, channel.go): how long it is fresh, and what a live playlist tells of the segments that are
//     stored. Then it is stored, and only then do viewers see its end, so that their next request finds it.
//  5. Stale, it is asked about (refresh.go); a 304 renews it, and where the origin fails it may be served for a while longer.
//
// What was purged, given up or displaced by a later answer is barred: it is never stored (purge.go).
//
// # What is fetched ahead
//
// With [Transport.Ahead], a request for a segment that is there, or has come, leads to the next segments of its playlist
// (ahead.go, outline.go): those behind it, or behind the one that the player names (nor and nrr of CMCD, CTA-5004), and the
// sections that they need. Where parts are asked for, parts are fetched, but none that is only hinted at. A new version of a
// live playlist leads on from the newest that was asked for within three target durations. When nobody asks for more, no more
// is fetched.
//
// A segment is asked for with the fields and the link of the viewer who was last, and only if its key is that of the viewer's
// own next request, and it is on the scheme, host and port of its playlist: anybody can write one that names what others serve.
// What a viewer says chooses among what playlists name. Of a byte range of a body that is kept in slices, its slices are
// fetched. Keys, gaps and playlists never are. What cannot be shared or kept, or is not 200, is not kept, and ends it for this
// playlist for 10 s. Each segment is tried once a minute at most. The next one waits until the one before it has come, or for
// half a second where the origin has not begun to answer.
//
// At most a quarter of MaxFills (or of 1024) is fetched ahead at a time, and a sixteenth from one host; viewers are refused for
// none of that. What playlists name is known from their answers since the process began, of up to 8192 segments of each, and in
// 16 MiB.
//
// # Locks
//
// Transport.mu comes first, then the lock of a body, then that of a Memory; channels.mu and ahead.mu are taken alone. No hook
// and no Store is called under any of them, but for the match of a [Purger].
package cache
