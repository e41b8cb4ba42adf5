package rewrite

import (
	"context"
	"iter"
	"log"
	"net/http"
	"path"
	"strings"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/hlsproxy/hlsproxy/internal/coding"
	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// Rewriter rewrites playlists. The zero value makes every URI absolute. Its fields must not change after first use. Its methods
// may then be called concurrently, and call the hooks concurrently.
//
// Some URIs stay as written, whatever the fields say: those of other schemes than http and https (after variables are
// substituted), empty ones, and those with an undefined variable. An absolute URI that does not change keeps its spelling.
// Blanks around a URI between quotes, which players ignore, stay as well.
//
// X-ASSET-URI and X-ASSET-LIST are URIs in an EXT-X-DATERANGE whose CLASS is com.apple.hls.interstitial, or whose ID is that of
// one with this CLASS (section 4.4.5.1 and appendix D of the HLS draft). Without it they mean nothing to a player, and stay as
// written.
type Rewriter struct {
	// Map returns the public URLs. nil: URIs become absolute, and those with the scheme and host of the playlist count as
	// public.
	Map Mapper

	// Sign extends each public URL, after mapping: a signer of package sign, a [SignFunc], or a [SignChain] of both. nil:
	// nothing is signed. If it is set, answers are marked so that shared caches do not keep them.
	//
	// Sign may change the path in the URI of an EXT-X-RENDITION-REPORT without a query, but what it appends is left out.
	// Players do not request this URI: they compare it with the beginnings of the variants' URLs.
	//
	// A URL is mapped but not signed if it lies outside of the playlist's own directory because of the client: if the value of
	// an EXT-X-DEFINE:QUERYPARAM has influenced its directory.
	Sign Signer

	// Unmapped decides about a URI that the Mapper does not cover, neither as written nor as a browser reads it
	// ("https:\\\\host/a.ts", "///host/a.ts", "https://user@host/a.ts" all lead to the host). Drop removes the URI and what
	// depends on it: a URI in a tag takes the tag along; one of a variant or segment takes its EXT-X-STREAM-INF or EXTINF; the
	// last rendition of a group takes the variants that name the group; a key or initialization section takes the segments that
	// need it. The numbers of later segments shift. If no variant or segment is left, the playlist fails. The Ref has the URL
	// as written, resolved. Unmapped may be called more than once for a URI. nil: Keep. Without Map it is never called.
	Unmapped func(Ref) Action

	// Skip reports which URIs are left absolute and unsigned, for example segments straight from a CDN. nil: none.
	Skip func(Ref) bool

	// Inherit names query parameters that the URLs in a playlist take over from the URL of the playlist, if they are on the
	// same host and do not have them: parameters that an origin wants in every request, such as a token in the URL of the first
	// playlist. A redirect on the same host that loses them does no harm. They are part of the URLs that are mapped. At most 32
	// are taken over.
	Inherit []string

	// Public is the scheme and host that players use ("https://media.example.com", no final slash). It is put before
	// path-absolute URLs where the HLS draft wants absolute ones: in EXT-X-DATERANGE and in JSON documents. "": they stay
	// path-absolute.
	Public string

	// Variant is asked about each variant and I-frame variant of a multivariant playlist; its URI is absolute and its variables
	// are substituted. false removes its lines. A rendition is removed with the last variant that refers to it, and an I-frame
	// variant with the last variant of its resolution, video group or pathway. If no variant would be left, the one of least
	// bandwidth stays. nil: all stay.
	Variant func(*m3u8.Variant) bool

	// Rendition is asked about each EXT-X-MEDIA of a multivariant playlist, before Variant is. false removes its line. A group
	// for sound or video keeps at least one member, the default if there is one; if the default is removed, another member
	// becomes the default. A group of subtitles or captions may be removed as a whole: variants then no longer name it, and
	// wvtt and stpp are removed from their CODECS. A rendition that hls-m3u8 cannot read stays without a call. Those after the
	// 1,024th and those with more than 64 KiB of attributes are removed without a call. nil: all stay.
	Rendition func(*m3u8.Alternative) bool

	// Window is the part of a media playlist that players see. The zero value: all of it.
	Window Window

	// MaxSize is the most bytes that a playlist or JSON document in an answer may have, decoded. Its result is limited as by
	// [Rewriter.Append], and to eight times MaxSize. 0 or less: 8 MiB. If it is more than 8 MiB, an IPTV list is streamed,
	// some entries at a time: see Hints. A failure then breaks the body off.
	MaxSize int64

	// ForeignKeys also maps the URIs of keys with a KEYFORMAT other than identity (sections 4.4.4.4 and 4.4.6.5 of the HLS
	// draft). They are messages to a DRM system, so by default they stay as written.
	ForeignKeys bool

	// Hints reads what an IPTV list says about requests for its entries: "URL|Referer=...&User-Agent=...", #EXTVLCOPT or #KODIPROP
	// with http-referrer=, http-user-agent=, http-origin= or http-cookie=, #KODIPROP:inputstream.adaptive.stream_headers=
	// (common_headers=, manifest_headers=), #EXTHTTP with JSON, and the attributes user-agent and http-referrer of an EXTINF. A
	// [HintMapper] gets the hints with the URL of the next entry, and they are removed from the list. With another Mapper, only
	// the part after "|" is removed. An entry that is not mapped keeps its hints. At most 16 fields with 2 KiB together count for
	// an entry. A list is a playlist without EXT-X-TARGETDURATION and EXT-X-STREAM-INF; its URIs get Public. A list that is
	// streamed is recognised by its first MiB. An entry in it may have 1 MiB, with the lines before it; a key counts for some
	// entries only; and it breaks off at an EXT-X-DEFINE, unless one is in the first MiB: then the list is held as a whole.
	Hints bool

	// Guides also maps the pictures and guides that an IPTV list names (tvg-logo, x-tvg-url, url-tvg, tvg-url, and similar
	// attributes), and where an entry has its past (catchup-source). Players put times into the latter ("{utc}", "${start}"), so
	// it is only mapped if they find the same places in the public URL and no Sign covers it. Otherwise Unmapped decides.
	Guides bool

	// Handler calls OnFailure when it answers with an error in place of a playlist, and when it breaks off a list that it streams.
	// The error is for logs: it may quote the playlist. ModifyResponse returns its errors instead. OnFailure is called
	// concurrently. nil: package log prints the error.
	OnFailure func(*http.Request, error)

	// StrictVariables makes a reference to an undefined variable an error that wraps ErrUndefined.
	StrictVariables bool
}

// Append appends the playlist to dst with its URIs rewritten, and returns the extended slice. base is the URL of the playlist
// after redirects, against which references are resolved. "" leaves references as written, and gives them to Map like that. The
// playlist must not overlap the spare capacity of dst.
//
// Append does not refuse other text. The error is one of Map or Sign (a URL that Map does not cover is no error), that of ctx,
// or wraps ErrUndefined or ErrTooLarge; dst is then returned with its contents unchanged.
//
// The work and memory for a playlist are bounded. Its result has at most 16 MiB, or eight times its bytes if that is more. The
// values of variables may have 1 MiB. They may add 64 KiB to one reference, and to all references 32 times the bytes of the
// playlist or 8 MiB, whichever is less; a reference that goes beyond counts as one with an undefined variable. Time grows with
// the bytes read and written. Append ends soon after ctx does.
func (rw *Rewriter) Append(ctx context.Context, dst, playlist []byte, base string) ([]byte, error) {
	return rw.append(&pass{ctx: ctx, url: base, relation: mapped, most: max(maxOutput, mostGrowth*len(playlist))}, dst, playlist)
}

// ModifyResponse rewrites the body of a response that is a playlist, or a JSON document that playlists lead to (an asset list,
// a steering manifest, chapters). It leaves every other response unchanged and unread. It is a hook for httputil.ReverseProxy
// and similar proxies. References are resolved against the URL of resp.Request, which must therefore be the URL after
// redirects. The hooks of the Rewriter get the context of resp.Request.
//
// Only responses with status 200 are considered. Their first bytes decide; the Content-Type and the extension are hints. A body
// is a playlist if it begins with #EXTM3U, after a byte order mark and blanks. If a playlist is expected, by type or by the
// extension .m3u8 or .m3u, a body is also one if #EXTM3U comes later in a text, or if it is a list of URLs or of names of
// media, one on each line (it then keeps its type). Media, keys and captions, by their first bytes, pass unchanged, under a
// type of their own. So does any other text that is a playlist only by its type. Nothing is read after the first byte that
// rules a playlist out.
//
// A WebVTT track whose first cue is the URL of a picture ("a.jpg#xywh=0,0,160,90") is a track of thumbnails: its pictures are
// rewritten like the URIs of a playlist, with their fragments. Captions keep every byte.
//
// gzip and deflate are decoded. An invalid Content-Encoding (aws-chunked, utf-8, none, ..), or one that the bytes contradict,
// is dropped. br and zstd are not decoded: do not accept them from origins; origin.Proxy does not. The rewritten response has
// the type application/vnd.apple.mpegurl, the length of the new body, and no header field that described the old one. A
// response to HEAD has the same, without a length.
//
// The error has status 502 if a playlist was expected and HTML, JSON or, with the extension of a playlist, another text came
// (the error quotes its beginning), if the playlist is larger than MaxSize, or if its encoding is unknown. Other errors are
// those of reading the body and of Append.
func (rw *Rewriter) ModifyResponse(resp *http.Response) error {
	d := document{rw: rw, resp: resp, ctx: context.Background(), relation: mapped}
	req := resp.Request
	if req != nil {
		d.path = req.URL.Path
	}
	if len(resp.Header["Content-Encoding"]) > 0 {
		coding.Set(resp.Header, coding.List(resp.Header))
	}
	if !hasDocument(resp.StatusCode) {
		return nil
	}
	if d.hint() == mediaHint && len(resp.Header["Content-Encoding"]) == 0 && (req != nil && req.Method == http.MethodHead || !d.look()) {
		return nil // nearly all responses, which need no further work
	}
	return d.modifyFor(req)
}

// Handler rewrites the playlists, and the JSON documents that playlists lead to, among the answers of next. next sees the same
// paths as the players: references are resolved against Public and the path of the request. Answers are treated like the
// responses of ModifyResponse. If that fails, the answer is the status of the error with a short text, and OnFailure is told
// why. Everything else streams through unchanged.
//
// Methods other than GET and HEAD, and upgrades, are left alone.
//
// Requests for the extensions .m3u8, .m3u and .json reach next without Range and the conditional fields, because these refer to
// bytes that next has never sent. A HEAD for these is answered with a GET.
func (rw *Rewriter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ext := strings.ToLower(path.Ext(r.URL.Path))
		reads := (r.Method == http.MethodGet || r.Method == http.MethodHead) && len(r.Header["Upgrade"]) == 0
		if !reads || isMediaPath(r.URL.Path) && hls.ByName(r.URL.Path) != hls.Captions {
			next.ServeHTTP(w, r)
			return
		}
		inner := r
		if ext == ".m3u8" || ext == ".m3u" || ext == ".json" {
			inner = wholeRequest(r)
		}
		c := &capture{ResponseWriter: w, doc: documentFor(rw, r, inner.Method)}
		next.ServeHTTP(c, inner)
		c.finish(r)
	})
}

// report tells why a request failed, unless nobody waits for its answer.
func (rw *Rewriter) report(r *http.Request, err error) {
	switch {
	case rw.OnFailure != nil:
		rw.OnFailure(r, err)
	case r.Context().Err() == nil:
		log.Printf("rewrite: %s %q: %v", r.Method, r.URL.Path, err)
	}
}

// Refs is [Refs], with inherited parameters in the URLs: it lists the URLs that upstream is asked for. It calls no hook.
func (rw *Rewriter) Refs(playlist []byte, base string) iter.Seq2[Ref, error] {
	return func(yield func(Ref, error) bool) {
		st := open(rw, &pass{url: base}, playlist)
		defer st.free()
		var t token
		left := max(maxOutput, mostGrowth*len(playlist))
		for st.scan.next(&t) {
			if t.tag.define {
				st.vars.define(playlist, &t)
				continue
			}
			if t.start == t.end {
				continue
			}
			text, ok := st.substitute(&t)
			ref, err := t.ref(), error(nil)
			if !ok {
				err = st.vars.undefined()
				ref.URL = string(t.text(playlist))
			} else {
				st.abs = st.base.appendResolved(st.abs[:0], text)
				st.abs = st.heritage.insert(st.abs, st.base.text)
				if left -= len(st.abs); left < 0 {
					yield(Ref{}, ErrTooLarge)
					return
				}
				ref.URL = string(st.abs)
			}
			if !yield(ref, err) {
				return
			}
		}
	}
}

const (
	maxOutput  = 16 << 20
	mostGrowth = 8 // a URI of one byte can become one of hundreds
)

// relation is how the URL of a playlist relates to the URL of the client's request.
type relation uint8

const (
	mapped     relation = iota // the client's URL is the mapped one
	same                       // the client's URL is the same
	redirected                 // the client's URL is another one
)

// pass is what a Rewriter must know about one document.
type pass struct {
	ctx      context.Context
	url      string // against which references are resolved
	entry    string // the URL that led there by redirects; "": the same
	relation relation
	most     int // bytes that its result may have
	piece    piece
	behind   *string // the extension of segments behind a piece; nil: nobody needs it
}

// piece says which piece of a document is being rewritten.
type piece uint8

const (
	entire piece = iota
	firstPiece
	laterPiece
)

func (rw *Rewriter) append(p *pass, dst, playlist []byte) ([]byte, error) {
	st := open(rw, p, playlist)
	defer st.free()
	return st.run(dst, playlist)
}
