package cache

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
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
//   - A segment: what the origin says, else 1 h. The first bytes decide what a body is, in a playlist's place as well; where
//     they say nothing, as of what is encrypted, its media type does, or the extension of its path.
//   - 404 and 410: what the origin says, but at most 1 s, which is also the default. Others of 400 to 499: the same, but
//     only if the origin says something. Redirects and others below 400: what the origin says.
//   - Keys, 500 and up, and what is not what its name or type promises (HTML for a segment, no #EXTM3U in a playlist): -1,
//     they are not kept. Other content: as long as the origin says.
//
// What the origin says is s-maxage, max-age or Expires, in this order; no-cache says 0, private and no-store say -1 (RFC
// 9111 sections 4.2.1 and 5.2.2). CDN-Cache-Control speaks in place of all these (RFC 9213).
func HLS(e *Entry) time.Duration {
	c := rules.ParseControl(e.Header)
	if c.NoStore || c.Private {
		return never
	}
	said, isSaid := c.Lifetime(e.Header)
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

// natural is how long an answer of this kind is fresh if its origin says nothing; bounded: and no longer if it does. The first
// bytes decide what it is, then its label, then its name.
func (e *Entry) natural() (d time.Duration, bounded bool) {
	path, query := "", ""
	if u, err := url.Parse(e.URL); err == nil {
		path, query = u.Path, u.RawQuery
	}
	if list, ok := lookAt(e); ok {
		return lifeOf(list, hls.IsBlocking(query))
	}
	label, name := hls.ByType(e.Header.Get("Content-Type")), hls.ByName(path)
	body := e.kind()
	switch {
	case body.IsDocument() && (name == hls.Playlist || name.IsMedia() || label == hls.Playlist || label.IsMedia()) &&
		!(body == hls.XML && (name == hls.Captions || label == hls.Captions)):
		return never, false // an error or a login that came with status 200
	case body == hls.List:
		return ttlMultivariant, false
	case body == hls.Key || keyLike(path, e.Header, e.length()):
		return never, false
	case body.IsMedia():
		return ttlMedia, false
	case label == hls.Playlist, name == hls.Playlist:
		return never, false
	case label.IsMedia(), name.IsMedia():
		return ttlMedia, false
	}
	return 0, false
}

// kind is what the first bytes are.
func (e *Entry) kind() hls.Kind {
	if e.Body == nil {
		return hls.Unknown
	}
	var first [hls.SniffLen]byte
	n, _ := e.Body.ReadAt(first[:min(e.size(), hls.SniffLen)], 0)
	return hls.Sniff(first[:n], int64(n) == e.size())
}

// lookAt reads a body as a playlist. It is not ok for anything else, nor for one that is too long to be judged.
func lookAt(e *Entry) (list hls.Info, ok bool) {
	text, gzipped, ok := open(e)
	if !ok {
		return list, false
	}
	limited := &io.LimitedReader{R: text, N: maxPlaylist}
	list, err := hls.Scan(limited)
	switch {
	case err == nil:
		return list, limited.N > 0
	case err == hls.ErrNoPlaylist:
		return list, false
	}
	return list, !gzipped && list != hls.Info{}
}

// maxPlaylist is how much plain text is looked at, which also bounds what a compressed one can cost.
const maxPlaylist = 8 << 20

// open returns the text of a body, decompressed if it was sent compressed.
func open(e *Entry) (text io.Reader, gzipped, ok bool) {
	if e.Body == nil {
		return nil, false, false
	}
	raw := io.NewSectionReader(e.Body, 0, e.size())
	var magic [2]byte
	raw.ReadAt(magic[:], 0)
	if magic != [2]byte{0x1f, 0x8b} {
		return raw, false, true
	}
	z, err := gzip.NewReader(raw)
	return z, true, err == nil
}

func lifeOf(p hls.Info, blocking bool) (d time.Duration, bounded bool) {
	switch {
	case p.Multivariant:
		return ttlMultivariant, false
	case p.Ended():
		return ttlEnded, false
	}
	target := p.Target
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
