package cache

import (
	"net/http"
	"net/url"
	"time"
)

// How long answers are fresh about which the origin says nothing.
const (
	ttlMedia        = time.Hour
	ttlEnded        = time.Hour   // a playlist that cannot change any more
	ttlMultivariant = time.Minute // so that an encoder that restarts with other variants is noticed
	ttlMissing      = time.Second // 404 and 410: at the live edge what is missing now is there in a moment
	targetUnknown   = 2 * time.Second
)

// HLS is the default of Transport.TTL: how long an answer is fresh, counted from Entry.Time, by what it is.
//
//   - A live media playlist: half its target duration, or what the origin says if that is shorter. The answer to a blocking
//     reload (_HLS_msn in the URL): six (draft-pantos-hls-rfc8216bis-22 appendix B.1).
//   - A media playlist that has ended or is of type VOD: what the origin says, else 1 h. A multivariant playlist: what
//     the origin says, else 1 min.
//   - A segment, by media type or, if the type says nothing, by the extension of its path: what the origin says, else 1 h.
//   - 404 and 410: what the origin says, but at most 1 s, which is also the default. Others of 400 to 499: the same, but
//     only if the origin says something. Redirects and others below 400: what the origin says.
//   - Keys, 500 and up, and what is not what its name or type promises (HTML for a segment, no #EXTM3U in a playlist): -1,
//     they are not kept. Other content: as long as the origin says.
//
// What the origin says is s-maxage, max-age or Expires, in this order; no-cache says 0, private and no-store say -1 (RFC
// 9111 sections 4.2.1 and 5.2.2). CDN-Cache-Control speaks in place of all these (RFC 9213).
func HLS(e *Entry) time.Duration {
	c := parseControl(e.Header)
	if c.noStore || c.private {
		return never
	}
	said, isSaid := lifetime(e.Header, c)
	switch {
	case e.Status == http.StatusOK:
	case e.Status == http.StatusNotFound, e.Status == http.StatusGone:
		return atMost(ttlMissing, said, isSaid)
	case !isSaid, e.Status >= http.StatusInternalServerError:
		return never
	case e.Status >= http.StatusBadRequest:
		return min(ttlMissing, said)
	default:
		return said
	}
	natural, bounded := e.natural()
	switch {
	case bounded:
		return atMost(natural, said, isSaid)
	case natural == never:
		return never
	case isSaid:
		return said
	}
	return natural
}

const never = -1

// natural is how long an answer of this kind is fresh if its origin says nothing; bounded: and no longer if it does.
func (e *Entry) natural() (d time.Duration, bounded bool) {
	p, query := "", ""
	if u, err := url.Parse(e.URL); err == nil {
		p, query = u.Path, u.RawQuery
	}
	t := mediaType(e.Header)
	list, ok := lookAt(e)
	switch {
	case ok:
		return list.natural(blocking(query))
	case namedPlaylist(p), typedPlaylist(t), keyLike(p, e.Header, e.length()):
		return never, false
	case namedMedia(p) && typedDocument(t):
		return never, false
	case typedMedia(t), namedMedia(p):
		if looksLikeHTML(e) {
			return never, false
		}
		return ttlMedia, false
	}
	return 0, false
}

func (p playlist) natural(blocking bool) (d time.Duration, bounded bool) {
	switch {
	case p.multivariant:
		return ttlMultivariant, false
	case p.ended:
		return ttlEnded, false
	}
	target := p.target
	if target == 0 {
		target = targetUnknown
	}
	if blocking {
		return 6 * target, true
	}
	return target / 2, true
}

func atMost(d, said time.Duration, isSaid bool) time.Duration {
	if isSaid {
		return min(d, said)
	}
	return d
}
