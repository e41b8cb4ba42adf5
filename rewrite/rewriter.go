package rewrite

import (
	"bytes"
	"context"
	"net/http"

	"github.com/Eyevinn/hls-m3u8/m3u8"
)

// Rewriter rewrites playlists. The zero value makes every URI absolute. Its fields must not change after first use; its
// methods may then be called concurrently, and call the hooks concurrently.
//
// These stay as they are written, whatever the fields say: URIs of other schemes than http and https (after variables
// are substituted), empty ones, and those that use a variable which nothing defines. A URI that is absolute already and
// that nobody changes keeps its spelling, and so do the blanks around one between quotes, which players take off.
//
// X-ASSET-URI and X-ASSET-LIST are URIs in an EXT-X-DATERANGE whose CLASS is com.apple.hls.interstitial, or that has the ID of
// one with it (section 4.4.5.1 and appendix D of the HLS draft). Without a CLASS they mean nothing to a player, and stay.
type Rewriter struct {
	// Map gives the public URLs. nil: URIs become absolute, and those with the scheme and host of the playlist count as public.
	Map Mapper

	// Sign extends each public URL, after mapping: a signer of package sign, a [SignFunc], or a [SignChain] of both. nil:
	// nothing is signed. Where it is set, answers are marked so that shared caches do not keep them.
	//
	// The URI of an EXT-X-RENDITION-REPORT without a query gets what Sign makes of its path, but not what Sign appends.
	// Players do not ask for it: they look for the variant whose URL it is, or begins.
	//
	// A URL is mapped but not signed if it lies outside of the playlist's own directory because the client said so: if the
	// value of an EXT-X-DEFINE:QUERYPARAM has any part in which directory it is.
	Sign Signer

	// Unmapped is asked what becomes of a URI that the Mapper does not cover: as it stands, and as a browser reads it
	// ("https:\\\\host/a.ts", "///host/a.ts", "https://user@host/a.ts", which lead to the host all the same). With Drop, a URI
	// in a tag takes the tag along, one of a variant or segment its EXT-X-STREAM-INF or EXTINF, the last rendition of a
	// group the variants that name it, and a key or initialization section the segments that need it; the numbers of
	// the segments behind these shift. If no variant or segment is left, the playlist fails. The Ref has the URL as it is
	// written, resolved. Called more than once for some. nil: Keep. Without Map it is never called.
	Unmapped func(Ref) Action

	// Skip reports which URIs are left absolute and unsigned (segments straight from a CDN). nil: none.
	Skip func(Ref) bool

	// Inherit names query parameters that the URLs in a playlist get from the URL of the playlist, if they are on the same
	// host and have none of that name: what an origin wants to see in every request, such as a token in the URL of the
	// first playlist. A redirect that loses them does no harm on the same host. They are part of the URLs that are mapped.
	Inherit []string

	// Public is the scheme and host that the players use ("https://media.example.com", no final slash), put before
	// path-absolute URLs where the HLS draft wants absolute ones: in EXT-X-DATERANGE and in JSON documents. "": they
	// stay path-absolute.
	Public string

	// Variant is asked about each variant and I-frame variant of a multivariant playlist; its URI is absolute and its
	// variables are substituted. false removes its lines. With the last variant that refers to it a rendition goes,
	// and with the last variant of its resolution, video group or pathway an I-frame variant. If no variant would be
	// left, the one of least bandwidth stays. nil: all stay.
	Variant func(*m3u8.Variant) bool

	// Rendition is asked about each EXT-X-MEDIA of a multivariant playlist, before Variant is. false removes its line. Of a
	// group for sound or video one member stays, the default if there is one; if the default goes, another member becomes
	// it. A group of subtitles or captions may go as a whole: variants name it no more, and wvtt and stpp leave their
	// CODECS. Nobody is asked about a rendition that hls-m3u8 cannot read, which stays, nor about those behind the 1,024th
	// and those with more than 64 KiB of attributes, which go. nil: all stay.
	Rendition func(*m3u8.Alternative) bool

	// Window is the part of a media playlist that players see. The zero value: all of it.
	Window Window

	// MaxSize limits the bytes of a playlist or JSON document in an answer, decoded; what it becomes is limited as
	// by [Rewriter.Append], and to eight times as many. 0 or less: 8 MiB. With more than 8 MiB, an IPTV list goes through
	// ModifyResponse as it comes, some entries at a time: see Hints. What has failed then breaks off.
	MaxSize int64

	// ForeignKeys also maps the URIs of keys with a KEYFORMAT other than identity (sections 4.4.4.4 and 4.4.6.5 of the
	// HLS draft). They are messages to a DRM system, so by default they stay as they are.
	ForeignKeys bool

	// Hints reads what an IPTV list says about requests for its entries: "URL|Referer=...&User-Agent=...",
	// #EXTVLCOPT:http-referrer= (http-user-agent=, http-origin=) and #KODIPROP:inputstream.adaptive.stream_headers=
	// (common_headers=, manifest_headers=). A [HintMapper] gets them with the URL of the entry that follows, and they leave the
	// list; with another Mapper only what follows "|" does. An entry that is not mapped keeps them. At most 16 fields of 2 KiB
	// together count for an entry. A list is a playlist without EXT-X-TARGETDURATION and EXT-X-STREAM-INF; its URIs get Public.
	// Of one that goes through as it comes, the first MiB tells, an entry with what stands before it has at most 1 MiB, a key
	// counts for some entries only, and it breaks off at an EXT-X-DEFINE; with one in the first MiB it is held as a whole.
	Hints bool

	// Guides also maps the pictures and the guides that an IPTV list names: tvg-logo, x-tvg-url, url-tvg and tvg-url.
	Guides bool

	// OnFailure is told why Handler answered in place of a playlist. It is for logs: the error may quote what the playlist
	// says. ModifyResponse returns its errors. Called concurrently. Nil: package log prints it.
	OnFailure func(*http.Request, error)

	// StrictVariables makes a reference to an undefined variable an error that wraps ErrUndefined.
	StrictVariables bool
}

// Append appends the playlist to dst with its URIs rewritten, and returns the extended slice. base is the URL of the
// playlist after redirects, against which references are resolved; "" leaves them as they are written, and hands them
// to Map like that. The playlist must not overlap the spare capacity of dst.
//
// Text that is no playlist is not refused. The error is one of Map or Sign (an URL that Map does not cover is no
// error), that of ctx, or wraps ErrUndefined or ErrTooLarge; dst is then returned with its contents unchanged.
//
// The work and memory that a playlist can take are bounded. What it becomes has at most 16 MiB, or eight times its bytes if
// that is more. Variables may have 1 MiB of values, may add 64 KiB to one reference, and to all of them 32 times the bytes of
// the playlist or 8 MiB, whichever is less; a reference that goes beyond is one to an undefined variable. Time grows with the
// bytes read and written. Append ends soon after ctx does.
func (rw *Rewriter) Append(ctx context.Context, dst, playlist []byte, base string) ([]byte, error) {
	return rw.append(pass{ctx: ctx, base: base, relation: mapped, most: max(maxOutput, mostGrowth*len(playlist))}, dst, playlist)
}

const (
	maxOutput  = 16 << 20
	mostGrowth = 8 // a URI of one byte can become one of hundreds
)

// relation is how the URL of a playlist relates to the one that the client asked for.
type relation uint8

const (
	mapped     relation = iota // the client's is what Map makes of it
	same                       // the client's is the same
	redirected                 // the client's is another one
)

// pass is what a Rewriter has to know of one document.
type pass struct {
	ctx      context.Context
	base     string // the URL against which references are resolved
	entry    string // the one that led there by redirects; "": the same
	relation relation
	most     int // bytes that it may become
	piece    piece
}

// piece says which piece of a document is being rewritten.
type piece uint8

const (
	entire piece = iota
	firstPiece
	laterPiece
)

func (rw *Rewriter) append(p pass, dst, playlist []byte) ([]byte, error) {
	st := newState()
	defer st.free()
	return rw.run(st, p, dst, playlist)
}

func (rw *Rewriter) run(st *state, p pass, dst, playlist []byte) ([]byte, error) {
	st.open(rw, p)
	st.begin(playlist, p.base)
	if (rw.Hints || rw.Guides) && (p.piece != entire || isList(playlist)) {
		st.list, st.usual, st.segment = true, "", ""
	}
	if rw.Variant != nil || rw.Rendition != nil {
		if bytes.Contains(playlist, []byte("#"+streamInf.name+":")) {
			st.restart(st.filter(playlist))
		}
	}
	if rw.Window.isSet() {
		cut, err := st.window.cut(&rw.Window, &st.pace, st.src)
		if err != nil {
			return dst, err
		}
		st.restart(cut)
	}
	if st.plan.prepare(rw, &st.base); st.list {
		st.plan.mapper = nil
	}
	out, err := st.rewrite(dst)
	if err != nil {
		return dst, err
	}
	return out, nil
}
