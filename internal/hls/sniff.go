package hls

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"
)

const (
	magic = "#EXTM3U"
	bom   = "\xef\xbb\xbf"
)

// SniffLen is how many first bytes Sniff uses at most.
const SniffLen = 1024

// StartsPlaylist tells by its first bytes whether a body is a playlist: it begins with #EXTM3U, after an optional byte order
// mark, blanks and blank lines. known is false while more bytes are needed, at most SniffLen. A body may be slow or endless:
// call it again after each byte, and read no more than it needs.
func StartsPlaylist(first []byte) (is, known bool) {
	text := first[:min(len(first), SniffLen)]
	if len(text) < len(bom) && string(text) == bom[:len(text)] {
		return false, false
	}
	text = skipBlank(text)
	n := min(len(text), len(magic))
	switch {
	case string(text[:n]) != magic[:n]:
		return false, true
	case n == len(magic):
		return true, true
	}
	return false, len(first) >= SniffLen
}

// TypeOf is the media type of a body by its first bytes, or DefaultType.
func TypeOf(first []byte) string {
	text := skipBlank(first)
	switch k := Sniff(first, false); {
	case k == Video && startsTS(first):
		return "video/mp2t"
	case k == Video:
		return "video/mp4"
	case k == Audio && (bytes.HasPrefix(first, []byte("ID3")) || startsMPEGAudio(first)):
		return "audio/mpeg"
	case k == Audio:
		return "audio/aac"
	case k == Captions && bytes.HasPrefix(text, []byte("WEBVTT")):
		return "text/vtt"
	case k == Captions && text[0] == '<':
		return "application/ttml+xml"
	case k == Captions && text[0] == '[':
		return "text/x-ssa"
	case k == Captions:
		return "application/x-subrip"
	}
	return DefaultType
}

// MayStartPlaylist reports whether StartsPlaylist needs more bytes than this first one.
func MayStartPlaylist(first byte) bool {
	switch first {
	case magic[0], bom[0], ' ', '\t', '\r', '\n', '\f':
		return true
	}
	return false
}

// skipBlank removes a byte order mark, blanks and blank lines.
func skipBlank(text []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(text, []byte(bom)), " \t\r\n\f")
}

// Sniff tells the kind of a body by its first bytes. whole says that there are no more. It looks at SniffLen bytes and usually
// needs few: 16 are enough for nearly everything, and 377 tell a transport stream from bytes that only begin like one.
func Sniff(first []byte, whole bool) Kind {
	if len(first) > SniffLen {
		first, whole = first[:SniffLen], false
	}
	text := skipBlank(first)
	switch {
	case bytes.HasPrefix(text, []byte(magic)):
		return Playlist
	case whole && (len(first) == 16 || len(first) == 32):
		return keyOr(first, text)
	case isText(first, whole):
		return textKind(text, whole)
	}
	k := binaryKind(first)
	if k == Unknown && isPrintable(first) && startsList(text, whole) {
		return List // in Latin-1, as .m3u files once were
	}
	return k
}

// isPrintable reports whether bytes have no control characters other than blanks.
func isPrintable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' || c == 0x7f {
			return false
		}
	}
	return true
}

// keyOr tells a body with the length of a key from a text of that length. Some keys consist of letters.
func keyOr(first, text []byte) Kind {
	switch k := textKind(text, true); k {
	case JSON:
		if json.Valid(text) {
			return JSON
		}
	case HTML, XML, List, Captions:
		if isText(first, true) {
			return k
		}
	}
	return Key
}

// isText reports whether bytes are UTF-8 without control characters other than blanks.
func isText(b []byte, whole bool) bool {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return !whole && !utf8.FullRune(b[i:]) // cut within a character
		}
		i += n
	}
	return true
}

func textKind(text []byte, whole bool) Kind {
	switch {
	case len(text) == 0:
		return Unknown
	case bytes.HasPrefix(text, []byte("WEBVTT")), bytes.HasPrefix(text, []byte("[Script Info]")), startsSRT(text):
		return Captions
	case text[0] == '<':
		return markup(text)
	case startsJSON(text):
		return JSON
	case startsList(text, whole):
		return List
	case !whole && len(text) < 8:
		return Unknown
	}
	return Plain
}

// markup tells pages from other XML by the first element.
func markup(text []byte) Kind {
	if hasPrefixFold(text, "<?xml") {
		switch {
		case containsFoldBytes(text, "<html"):
			return HTML
		case bytes.Contains(text, []byte("<tt ")), bytes.Contains(text, []byte("<tt>")), bytes.Contains(text, []byte("<tt:tt")):
			return Captions
		}
		return XML
	}
	for _, known := range [...]struct {
		prefix string
		kind   Kind
	}{{"<tt ", Captions}, {"<tt>", Captions}, {"<tt:tt", Captions}, {"<svg", XML}, {"<mpd", XML}, {"<smoothstreamingmedia", XML}, {"<error>", XML}} {
		if hasPrefixFold(text, known.prefix) {
			return known.kind
		}
	}
	if len(text) > 1 && (text[1] == '!' || text[1] == '/' || text[1]|0x20-'a' < 26) {
		return HTML
	}
	return Plain
}

// startsJSON reports whether a text is an object or an array. It checks the second byte, because "[Script Info]" begins
// subtitles.
func startsJSON(text []byte) bool {
	rest := bytes.TrimLeft(text[1:], " \t\r\n")
	if len(rest) == 0 {
		return false
	}
	switch text[0] {
	case '{':
		return rest[0] == '"' || rest[0] == '}'
	case '[':
		return bytes.IndexByte([]byte("{[]\"-0123456789"), rest[0]) >= 0
	}
	return false
}

// startsSRT reports whether a text is SubRip captions: a number, and a line with times.
func startsSRT(text []byte) bool {
	n := 0
	for n < len(text) && text[n]-'0' <= 9 {
		n++
	}
	line := skipBlank(text[n:])
	end := bytes.IndexAny(line, "\r\n")
	if end < 0 {
		end = len(line)
	}
	from, _, shown := bytes.Cut(line[:end], []byte("-->"))
	return n > 0 && len(line) < len(text)-n && shown && len(from) > 0 && from[0]-'0' <= 9 && bytes.IndexByte(from, ':') > 0
}

// startsList reports whether the first line of a text, comments aside, is an absolute URL, or whether its lines are names of
// media, up to the first such URL.
func startsList(text []byte, whole bool) bool {
	named := false
	for len(text) > 0 {
		end := bytes.IndexAny(text, "\r\n")
		if end < 0 {
			end = len(text)
		}
		line, isWhole := bytes.TrimRight(text[:end], " \t\f"), end < len(text) || whole
		text = skipBlank(text[end:])
		switch {
		case line[0] == '#':
		case hasPrefixFold(line, "http://"), hasPrefixFold(line, "https://"):
			return true
		case !isWhole:
			return named
		case !namesEntry(line):
			return false
		default:
			named = true
		}
	}
	return named
}

// namesEntry reports whether a line of a list is a name or a URL of media or of a playlist. A sentence can end like one.
func namesEntry(line []byte) bool {
	if i := bytes.IndexAny(line, "?#|"); i > 0 {
		line = line[:i]
	}
	k := ByName(line)
	return k.IsMedia() || k == Playlist && bytes.IndexByte(line, ' ') < 0
}

func binaryKind(b []byte) Kind {
	switch {
	case bytes.HasPrefix(b, []byte("GIF8")): // a transport stream can begin almost like this
		return Image
	case startsTS(b):
		return Video
	case startsMP4(b):
		if brand := string(b[min(8, len(b)):min(12, len(b))]); string(b[4:8]) == "ftyp" && (brand == "avif" || brand == "avis") {
			return Image
		}
		return Video
	case bytes.HasPrefix(b, []byte("\x1a\x45\xdf\xa3")), bytes.HasPrefix(b, []byte("FLV\x01")), bytes.HasPrefix(b, []byte("\x00\x00\x01\xba")):
		return Video
	case bytes.HasPrefix(b, []byte("ID3")), bytes.HasPrefix(b, []byte("fLaC")), bytes.HasPrefix(b, []byte("OggS")),
		bytes.HasPrefix(b, []byte("\x0b\x77")), startsADTS(b), startsMPEGAudio(b):
		return Audio
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")), bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return Image
	case len(b) >= 12 && string(b[:4]) == "RIFF":
		switch string(b[8:12]) {
		case "WEBP":
			return Image
		case "WAVE":
			return Audio
		case "AVI ":
			return Video
		}
	}
	return Unknown
}

// startsTS reports whether bytes are a transport stream: packets of 188 bytes, or of 192 with a timestamp before each, that
// begin with 0x47 (ISO/IEC 13818-1 section 2.4.3).
func startsTS(b []byte) bool {
	const sync = 0x47
	for _, at := range [...]int{0, 4} {
		packet := 188 + at
		if len(b) < at+4 || b[at] != sync || b[at+3]&0x30 == 0 {
			continue
		}
		if at > 0 && len(b) <= at+packet {
			continue // one sync byte in packets of 192 proves nothing
		}
		if i := at + packet; i < len(b) && b[i] != sync {
			continue
		}
		if i := at + 2*packet; i < len(b) && b[i] != sync {
			continue
		}
		return true
	}
	return false
}

// startsMP4 reports whether bytes begin with a box that begins files or segments (ISO/IEC 14496-12 section 4.2).
func startsMP4(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	if size := binary.BigEndian.Uint32(b); size > 1 && size < 8 {
		return false
	}
	switch string(b[4:8]) {
	case "ftyp", "styp", "moov", "moof", "mdat", "sidx", "ssix", "emsg", "prft", "free", "skip", "wide", "pdin", "mfra", "uuid":
		return true
	}
	return false
}

// startsADTS reports whether bytes begin with a frame of AAC (ISO/IEC 13818-7 section 6.2).
func startsADTS(b []byte) bool {
	return len(b) >= 7 && b[0] == 0xff && b[1]&0xf6 == 0xf0 && b[2]>>2&0xf < 13 && int(b[3]&3)<<11|int(b[4])<<3|int(b[5])>>5 >= 7
}

// startsMPEGAudio reports whether bytes begin with a frame of layer II or III (ISO/IEC 11172-3 section 2.4.1.3).
func startsMPEGAudio(b []byte) bool {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return false
	}
	version, layer, bitrate, sampling := b[1]>>3&3, b[1]>>1&3, b[2]>>4, b[2]>>2&3
	return version != 1 && (layer == 1 || layer == 2) && bitrate != 0 && bitrate != 15 && sampling != 3
}

// hasPrefixFold ignores case. prefix is in lower case.
func hasPrefixFold(b []byte, prefix string) bool {
	if len(b) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := b[i]
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

func containsFoldBytes(b []byte, sub string) bool {
	for ; len(b) >= len(sub); b = b[1:] {
		if hasPrefixFold(b, sub) {
			return true
		}
	}
	return false
}
