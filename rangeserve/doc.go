// Package rangeserve answers HTTP range requests (RFC 9110 sections 13 and 14) for media: from memory, from files, and from any
// handler that does not know about ranges.
//
//	root, err := os.OpenRoot("films")
//	if err != nil {
//		return err
//	}
//	files := &rangeserve.Files{Root: root, Faststart: true}
//	mux.Handle("/vod/", http.StripPrefix("/vod/", files))
//
//	mux.Handle("/live/", rangeserve.Handler(proxy)) // cuts ranges out of whole answers
//
// Players ask for "bytes=0-1" to test a server, seek with open ranges, and give up on a wrong Content-Type. The package differs
// from http.ServeContent where that departs from RFC 9110. It bounds the work that a hostile Range header can cause, sends a
// body in memory without a copy, and takes media types from a table of its own, not from the host's.
//
//   - [Serve] answers one request from a [Content].
//   - [Handler] wraps a handler and cuts ranges out of its whole answers.
//   - [Files] serves a directory of media.
//   - [Faststart] is a view of an MP4 file with its moov in front, so that a player starts with the first bytes.
//   - [Parse] reads a Range header into the ranges to send, in the order of the request.
//
// Four rules hold for all of them. A playlist is never cut: players that ask for a range of one want all of it. A Range that
// the server need not honour (another unit, a malformed list, too many parts) is ignored, and the answer is a whole 200. A
// range that overlaps no byte of the body gets a 416 with the size in Content-Range. A body that turns out shorter than
// declared never ends cleanly: the connection breaks, by a panic with http.ErrAbortHandler.
package rangeserve
