// Package hlsproxy is the map of a library of HLS proxy building blocks; it holds documentation only. The blocks are its
// sub-packages, and a service takes those it needs:
//
//   - rewrite changes the URIs of a playlist and no other byte of it.
//   - rangeserve answers byte ranges, from memory, from files, or from any handler that knows no ranges.
//   - cache is an http.RoundTripper that asks the origin once however many viewers ask at the same time.
//   - sign makes links that expire, and hands a viewer's grant on to every URI of the playlists it fetches.
//   - corsmw answers preflights and puts CORS headers on every status.
//   - audience knows who is watching: sessions, limits, events, an access log.
//   - origin is the upstream side: Guard decides which addresses are dialled, Pool which origin is asked, Proxy joins
//     the handlers to the transports.
//
// # Two seams
//
// Every block fits one of two shapes of the standard library: downstream func(http.Handler) http.Handler, upstream
// [net/http.RoundTripper]. No package imports another; they meet in the caller's main. Hooks have the shape of those of
// [net/http/httputil.ReverseProxy], so that a service which already has one can add a single block to it.
//
// # The order rule
//
// From the client inwards:
//
//	corsmw.Handler            headers on every status; preflights carry no token, so nothing may refuse them first
//	  sign.Handler            checks and strips the token: nothing further in sees one
//	    rangeserve.Handler    cuts a whole 200 into a 206
//	      origin.Proxy        one request in, one round trip out; ModifyResponse rewrites playlists
//	        cache.Transport   shared bytes as the origin sent them: below rewriting, above the pool
//	          origin.Pool     which origin
//	            Guard         which address
//
// Each wrong order fails in its own way. sign outside corsmw: a preflight carries no token, so it is refused and the
// browser reports a CORS error in place of every answer. corsmw inside sign: a 403 has no CORS headers, and the page
// cannot tell an expired link from a dead network. The cache above rewriting (as a handler around the proxy): one
// viewer's signed links are served to the next. The cache below the pool: each origin fills its own copy. rangeserve
// outside sign is merely slow; a Guard that is not the innermost transport guards nothing. The examples of this
// package run the right order and a wrong one and print what comes of them.
package hlsproxy
