package origin

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

const (
	tsPacket = 188
	tsSync   = 0x47
	tsType   = "video/mp2t"
	// tsWithin is the longest prefix that TSPrefix finds.
	tsWithin = 4 << 10
)

// TSPrefix is a [Prefix] for MPEG transport streams that follow other bytes, most often a picture of one pixel (PNG, GIF, BMP,
// JPEG), which makes a server treat segments as pictures. It looks for packets of 188 bytes that begin within the first 4 KiB:
// three in a row after a picture, five after other bytes, because an encrypted segment can contain anything. If the body ends
// earlier, three that reach exactly to its end are enough. It sets the type to video/mp2t, also for a transport stream without
// a prefix that is labelled as an image.
//
// It recognises text, playlists, MP4, audio and packets of 192 bytes by their first 16 bytes, or 389, and leaves them alone. It
// also leaves pictures alone if no packets follow.
func TSPrefix(first []byte, last bool, h http.Header) (drop int, contentType string, known bool) {
	if len(first) < 16 && !last {
		return 0, "", false
	}
	kind := hls.Sniff(first[:min(16, len(first))], last && len(first) <= 16)
	isPicture := kind == hls.Image || kind == hls.Unknown && bytes.HasPrefix(first, []byte("BM"))
	switch {
	case isPicture:
		return findTS(first, last, 8, 3)
	case kind == hls.Unknown, first[0] == tsSync:
		return findUnknownTS(first, last, h)
	}
	return 0, "", true
}

// findUnknownTS looks into a body that does not begin with a picture. It may have no prefix.
func findUnknownTS(first []byte, last bool, h http.Header) (drop int, contentType string, known bool) {
	const enough = 4 + 2*192 + 1 // for three packets of 192 bytes
	if len(first) < enough && !last {
		return 0, "", false
	}
	if hls.Sniff(first[:min(enough, len(first))], last && len(first) <= enough) != hls.Video {
		return findTS(first, last, 1, 5)
	}
	if first[0] == tsSync && strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "image/") {
		contentType = tsType
	}
	return 0, contentType, true
}

// findTS searches, from an offset on, for this many packets in a row.
func findTS(first []byte, last bool, from, packets int) (drop int, contentType string, known bool) {
	for at := from; at <= tsWithin && at < len(first); at++ {
		next := bytes.IndexByte(first[at:], tsSync)
		if at += next; next < 0 || at > tsWithin {
			break
		}
		switch n, more := countTS(first[at:], packets); {
		case n == packets, more && last && n >= 3 && len(first)-at == n*tsPacket:
			return at, tsType, true
		case more && !last:
			return 0, "", false
		}
	}
	return 0, "", last || len(first) > tsWithin
}

// countTS counts packets in a row, up to limit. more: it needs more bytes to tell.
func countTS(b []byte, limit int) (n int, more bool) {
	for ; n < limit; n++ {
		at := n * tsPacket
		if len(b) < at+4 {
			return n, true
		}
		// A packet that is marked as broken, or has neither payload nor adaptation field, is invalid (ISO/IEC 13818-1 section
		// 2.4.3.3).
		if b[at] != tsSync || b[at+1]&0x80 != 0 || b[at+3]&0x30 == 0 {
			return n, false
		}
	}
	return n, false
}
