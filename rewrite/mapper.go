package rewrite

import (
	"errors"
	"net/http"
	"net/url"
)

// A Mapper is a mapping between upstream URLs and the public URLs that players see. Both halves must be safe for
// concurrent use. Two laws tie them:
//
//   - For every URL u that AppendPublic accepts, Upstream of the result is u as it is sent. That is u byte for byte,
//     except for bytes that a browser escapes (blanks, quotes, "<", ">", control bytes and non-ASCII ones, and in a path also
//     "\^`{|}" and a percent sign that begins no escape), and except for another spelling of scheme, host, default port
//     and empty path (RFC 3986 section 6.2).
//   - For every public URL p that Upstream accepts, AppendPublic of the result has the path of p. A second spelling of a
//     path would get past the rules that an application has for it. A Mapper that ignores the path, as Query does, is exempt.
//
// A Mapper of your own should keep the file extension at the end of the public path, because players go by it. It must depend
// on nothing but the URL, because a player compares URIs across reloads (section 6.3.4 of the HLS draft).
type Mapper interface {
	// AppendPublic appends the public URL of an absolute upstream URL to dst: path-absolute ("/proxy/a.ts"), or absolute. The
	// upstream bytes are as the playlist has them, valid or not. They may have a fragment, which must survive like the rest.
	// The same upstream URL always gives the same bytes. It returns ErrUnmapped for a URL that the Mapper does not cover.
	// upstream must be neither kept nor changed.
	AppendPublic(dst, upstream []byte) ([]byte, error)

	// Upstream returns the absolute upstream URL for a client's request. It passes on the client's delivery directives (query
	// parameters that begin with _HLS_) if the URL may be one of a playlist. The error should have an HTTPStatus() int method
	// that says what the client did wrong; it must not show upstream URLs.
	Upstream(public *url.URL) (string, error)
}

// A KindMapper is told what a URL leads to. [Query] and the Sealer of package sign are KindMappers: with them, seg-1.jpg and
// /play/1 get public names that are accepted by players which go by the extension (ffmpeg from 7.1 on, and players built on
// it). A Rewriter looks for it by a type assertion, and then calls AppendPublicOf for the URIs in playlists and JSON documents.
type KindMapper interface {
	Mapper

	// AppendPublicOf is AppendPublic for a URL that leads to a resource of this kind, which is the name of a [Kind]
	// ("Segment"). ext is the extension, without a dot, that the public path should end in if the URL has none that fits:
	//
	//   - "m3u8" for a playlist, "key" for a key, "mp4" for an initialization section.
	//   - "m4s" for segments and parts after an EXT-X-MAP, unless that names MPEG-TS, and in a delta update, where the
	//     section may be in the skipped part. Otherwise "ts": a playlist does not say more.
	//   - "" for everything else, for pictures (EXT-X-IMAGES-ONLY) and for the channels of an IPTV list, which have a
	//     negative duration.
	//
	// The same arguments always give the same bytes. Upstream of them is the same URL.
	AppendPublicOf(dst, upstream []byte, kind, ext string) ([]byte, error)
}

// A HintMapper accepts what an IPTV list says about requests for an entry; see [Rewriter.Hints]. The Sealer of package sign is
// one. A Rewriter looks for it by a type assertion.
type HintMapper interface {
	Mapper

	// AppendPublicWith is AppendPublic for an entry with at least one header field. The names are in canonical form, and may be
	// any, because a list is not trusted. The fields may reach only requests for this entry and for what is below it, and
	// nobody else may get an answer to these. header must be neither kept nor changed.
	AppendPublicWith(dst, upstream []byte, header http.Header) ([]byte, error)
}

// ErrUnmapped is returned by Mapper.AppendPublic for a URL that the Mapper does not cover. A Rewriter leaves such a URL
// absolute and unsigned. An error with a method Unmapped() bool that returns true means the same.
var ErrUnmapped = errors.New("rewrite: URL is not covered by the mapper")

// isUnmapped also asks the error itself: a Mapper of another package need not import this one.
func isUnmapped(err error) bool {
	if err == nil {
		return false // before known costs an allocation
	}
	var known interface{ Unmapped() bool }
	return errors.Is(err, ErrUnmapped) || errors.As(err, &known) && known.Unmapped()
}

// ErrUndefined is reported for a reference with an undefined variable (section 4.3 of the HLS draft).
var ErrUndefined = errors.New("rewrite: reference uses an undefined variable")

// ErrTooLarge is reported for a playlist or a JSON document that has, or would become, more bytes than allowed.
var ErrTooLarge = errors.New("rewrite: larger than the limit")

// statusError is an error with an HTTP status.
type statusError struct {
	status int
	text   string
	cause  error
}

func (e *statusError) Error() string {
	if e.cause != nil {
		return "rewrite: " + e.text + ": " + e.cause.Error()
	}
	return "rewrite: " + e.text
}

// HTTPStatus is the status to answer with.
func (e *statusError) HTTPStatus() int { return e.status }

func (e *statusError) Unwrap() error { return e.cause }

func badRequest(text string) error { return &statusError{status: http.StatusBadRequest, text: text} }

func notFound(text string) error { return &statusError{status: http.StatusNotFound, text: text} }

func badGateway(text string, cause error) error {
	return &statusError{status: http.StatusBadGateway, text: text, cause: cause}
}

// absolute is the Mapper of a Rewriter without one: URLs on the host of the playlist are public, unchanged.
type absolute struct{}

func (absolute) AppendPublic(dst, upstream []byte) ([]byte, error) {
	if n := httpScheme(upstream); authorityEnd(upstream, n) <= n+2 {
		return dst, ErrUnmapped // no host
	}
	return append(dst, upstream...), nil
}

func (absolute) Upstream(public *url.URL) (string, error) { return public.String(), nil }
