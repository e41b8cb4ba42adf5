package cache

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/listing"
	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
)

// How long answers are fresh if the origin says nothing.
const (
	ttlMedia        = time.Hour
	ttlEnded        = time.Hour              // a playlist that does not change any longer
	ttlMultivariant = time.Minute            // to notice an encoder that restarts with other variants
	ttlMissing      = time.Second            // 404 and 410: at the live edge, a missing file appears in a moment
	ttlNamed        = 100 * time.Millisecond // 404 and 410 for a name that a playlist has just listed
	targetUnknown   = 2 * time.Second
	leastShared     = 300 * time.Millisecond
)

// HLS is the default of Transport.TTL: how long an answer is fresh, counted from Entry.Time. It depends on the kind of the
// answer.
//
//   - A media playlist that goes on: half its target duration from its arrival, or what the origin says if that is shorter. The
//     answer to a blocking reload (_HLS_msn in the URL): six target durations if it holds what was asked for
//     (draft-pantos-hls-rfc8216bis-22 appendix B.1), else half a part. An Age from elsewhere shortens only what the origin
//     says, and leaves at least 300 ms of that unless it is nothing.
//   - A media playlist that has ended (EXT-X-ENDLIST): what the origin says, else 1 h. If it has already dropped segments and
//     its type is not VOD, it is a channel that may go on air again, and is treated as one that goes on. A multivariant
//     playlist: what the origin says, else 1 min.
//   - A segment: what the origin says, else 1 h. The first bytes decide what a body is, also under the name of a playlist. If
//     they say nothing, as with encrypted segments, the media type decides, or the extension of the path.
//   - 404 and 410: what the origin says, but at most 1 s, which is also the default. Others of 400 to 499: the same, but
//     only if the origin says something. Redirects and others below 400: what the origin says.
//   - Keys, 500 and up, and answers that are not what their name or type promises (HTML for a segment, no #EXTM3U in a
//     playlist): -1, they are not kept. Other content: as long as the origin says.
//
// What the origin says is s-maxage, max-age or Expires, in this order. no-cache means 0; private and no-store mean -1 (RFC 9111
// sections 4.2.1 and 5.2.2). CDN-Cache-Control replaces all of these (RFC 9213).
//
// A Transport knows more than HLS does. It keeps for a shorter time a playlist that has ended under a URL that was live, and a
// 404 or 410 for a name that a playlist has just listed (100 ms).
func HLS(e *Entry) time.Duration {
	list, ok := hls.Info{}, false
	if e.Status == http.StatusOK {
		list, ok = lookAt(e)
	}
	return e.ttl(list, ok)
}

// ttl is HLS with what lookAt has found in the body of a 200.
func (e *Entry) ttl(list hls.Info, ok bool) time.Duration {
	c := rules.ParseControl(e.Header)
	if c.NoStore || c.Private {
		return never
	}
	said, isSaid := c.Lifetime(e.Header)
	switch {
	case e.Status == http.StatusOK:
	case httpstatus.IsMissing(e.Status):
		return atMost(ttlMissing, said, isSaid)
	case !isSaid, e.Status >= http.StatusInternalServerError:
		return never
	case e.Status >= http.StatusBadRequest:
		return min(ttlMissing, said)
	default:
		return said
	}
	if ok && list.IsChannel() {
		return e.liveTTL(list, said, isSaid)
	}
	natural := ttlEnded
	switch {
	case ok && list.Multivariant:
		natural = ttlMultivariant
	case !ok:
		natural = e.natural()
	}
	if natural != never && isSaid {
		return said
	}
	return natural
}

// liveTTL is how long a live playlist is fresh.
func (e *Entry) liveTTL(list hls.Info, said time.Duration, isSaid bool) time.Duration {
	target := list.Target
	if target == 0 {
		target = targetUnknown
	}
	d := target / 2
	if reload := reloadOf(e.URL); reload.Blocking() {
		switch {
		case list.Holds(reload):
			d = 6 * target
		case list.PartTarget > 0:
			d = min(d, list.PartTarget/2)
		}
	}
	d += e.foreign
	if isSaid && said > 0 {
		said = max(said, e.foreign+leastShared)
	}
	return atMost(d, said, isSaid)
}

// pathOf is the path of a URL, "" if that is malformed. Most URLs have no escapes and need not be parsed.
func pathOf(rawURL string) string {
	scheme, rest, _ := strings.Cut(rawURL, "://")
	if (scheme == "http" || scheme == "https") && strings.IndexByte(rest, '%') < 0 {
		if end := strings.IndexAny(rest, "?#"); end >= 0 {
			rest = rest[:end]
		}
		if slash := strings.IndexByte(rest, '/'); slash >= 0 {
			return rest[slash:]
		}
		return ""
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Path
}

func reloadOf(rawURL string) hls.Reload {
	_, query, _ := strings.Cut(rawURL, "?")
	return hls.ReloadOf(query)
}

const never = -1

// natural is how long anything but a playlist is fresh if its origin says nothing. The first bytes decide what it is, then its
// label, then its name.
func (e *Entry) natural() time.Duration {
	path := pathOf(e.URL)
	label, name := hls.ByType(e.Header.Get("Content-Type")), hls.ByName(path)
	body := e.kind()
	switch {
	case body.IsDocument() && (name == hls.Playlist || name.IsMedia() || label == hls.Playlist || label.IsMedia()) &&
		!(body == hls.XML && (name == hls.Captions || label == hls.Captions)):
		return never // an error page or a login page with status 200
	case body == hls.List:
		return ttlMultivariant
	case body == hls.Key || keyLike(path, e.Header, e.length()):
		return never
	case body.IsMedia():
		return ttlMedia
	case label == hls.Playlist, name == hls.Playlist:
		return never
	case label.IsMedia(), name.IsMedia(), label.IsDocument() && body == hls.Unknown && e.size() > 0:
		return ttlMedia // labelled as text, but it is not text: an encrypted segment
	}
	return 0
}

// namedTTL is the TTL of a file that a playlist names and whose kind is unknown: it is a segment, whatever its name.
func (e *Entry) namedTTL() time.Duration {
	if _, said := rules.ParseControl(e.Header).Lifetime(e.Header); said || e.kind().IsDocument() || e.natural() == never {
		return 0
	}
	return ttlMedia
}

// kind tells what the first bytes are.
func (e *Entry) kind() hls.Kind {
	switch b := e.Body.(type) {
	case nil:
		return hls.Unknown
	case *body.Blob:
		return kindOf(b)
	}
	var first [hls.SniffLen]byte
	n, _ := e.Body.ReadAt(first[:min(e.size(), hls.SniffLen)], 0)
	return hls.Sniff(first[:n], int64(n) == e.size())
}

// kindOf is kind for a body of ours, which can be read without an allocation.
func kindOf(b *body.Blob) hls.Kind {
	var first [hls.SniffLen]byte
	n, _ := b.ReadAt(first[:min(b.Size(), hls.SniffLen)], 0)
	return hls.Sniff(first[:n], int64(n) == b.Size())
}

// lookAt reads a body as a playlist. ok is false if it is something else, or too long to be judged.
func lookAt(e *Entry) (list hls.Info, ok bool) {
	if b, is := e.Body.(*body.Blob); is { // most bodies are segments
		var first [listStart]byte
		n, _ := b.ReadAt(first[:min(b.Size(), listStart)], 0)
		if isOther(first[:n]) {
			return list, false
		}
	}
	text, gzipped, ok := open(e)
	if !ok {
		return list, false
	}
	limited := &io.LimitedReader{R: text, N: listing.MaxText}
	list, err := hls.Scan(limited)
	switch {
	case err == nil:
		return list, limited.N > 0
	case err == hls.ErrNoPlaylist:
		return list, false
	}
	return list, !gzipped && list != hls.Info{}
}

// gzipMagic begins what may be a playlist that was sent compressed.
var gzipMagic = [2]byte{0x1f, 0x8b}

// listStart is how many first bytes mostly tell whether a body is a playlist.
const listStart = 64

// isOther reports whether the first bytes of a body rule out a playlist.
func isOther(first []byte) bool {
	is, known := hls.StartsPlaylist(first)
	return known && !is && !bytes.HasPrefix(first, gzipMagic[:])
}

// open returns the text of a body, decompressed if it was sent compressed.
func open(e *Entry) (text io.Reader, gzipped, ok bool) {
	if e.Body == nil {
		return nil, false, false
	}
	raw := io.NewSectionReader(e.Body, 0, e.size())
	var magic [2]byte
	raw.ReadAt(magic[:], 0)
	if magic != gzipMagic {
		return raw, false, true
	}
	z, err := gzip.NewReader(raw)
	return z, true, err == nil
}

func atMost(d, said time.Duration, isSaid bool) time.Duration {
	if isSaid {
		return min(d, said)
	}
	return d
}
