// Package rangeserve answers HTTP range requests (RFC 9110 sections 13 and 14) for media: from memory, from files, and
// from any handler that knows nothing of ranges.
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
// Players ask "bytes=0-1" before they believe in a file, seek with open ranges, and give up on a wrong Content-Type.
// The package differs from http.ServeContent where that one departs from RFC 9110, bounds the work that a hostile
// Range header can cause, sends a body in memory from where it lies, and takes media types from a table of its
// own rather than from the host's.
//
//   - [Serve] answers one request from a [Content].
//   - [Handler] wraps a handler and cuts the whole answers that it gives.
//   - [Files] serves a directory of media.
//   - [Faststart] is a view of an MP4 file whose moov stands in front, so that a player starts with the first bytes.
//   - [Parse] reads a Range header.
//
// Four rules hold for all of them. A playlist is never cut: players that ask for a range of one want all of it. A
// Range that the server need not honour (another unit, a malformed list, too many parts) is ignored, and the answer is
// a whole 200. A range that names no byte of the body is a 416 with the size in Content-Range. A body that turns out
// shorter than announced breaks the connection, by panicking with http.ErrAbortHandler, and never ends cleanly.
package rangeserve
