// Package hls holds the rules of HLS that several blocks need, each written once: what a body is by its name, its label and its
// first bytes, which query parameters a player adds, and what a playlist says about its own lifetime.
//
// All functions may be called concurrently. Those that take a name, a label or first bytes do not allocate.
package hls

import "strings"

// Kind says what a body is for a player.
type Kind uint8

// The kinds.
const (
	Unknown  Kind = iota // no information
	Playlist             // an HLS playlist
	List                 // a plain list of URLs or names of media, without #EXTM3U: the older format of .m3u
	Video                // a segment, an initialization section, a film
	Audio
	Captions // WebVTT, TTML, SRT, ASS
	Image    // a picture, which can be a segment too: thumbnails
	Data     // a segment or a key, by its name
	Key      // a decryption key
	HTML     // a page: never media, often an error or a login
	JSON     // steering manifests, asset lists, and errors
	XML      // other XML than captions, including pictures that can run scripts
	Plain    // other text
)

// IsMedia reports whether a segment can be of this kind.
func (k Kind) IsMedia() bool { return k == Video || k == Audio || k == Captions || k == Image }

// IsDocument reports whether no player takes a body of this kind for media.
func (k Kind) IsDocument() bool { return k == HTML || k == JSON || k == XML }

// PlaylistType is the media type of playlists (draft-pantos-hls-rfc8216bis-22 section 4).
const PlaylistType = "application/vnd.apple.mpegurl"

// DefaultType is the media type of a body about which nothing is known.
const DefaultType = "application/octet-stream"

// ByName tells the kind by the extension of a path without a query. Path parameters, as in "a.m3u8;id=1", do not hide the
// extension.
func ByName[T string | []byte](path T) Kind {
	k, _ := named(path)
	return k
}

// TypeByName is the media type for the extension of a path, or DefaultType. It never uses the host's table, which may call .ts
// a translation of Qt and may not know .m4s.
func TypeByName[T string | []byte](path T) string {
	if _, t := named(path); t != "" {
		return t
	}
	return DefaultType
}

func named[T string | []byte](path T) (Kind, string) {
	var lower [8]byte
	if k, t := byExtension(lowerExtension(&lower, path)); k != Unknown || t != "" {
		return k, t
	}
	name := base(path)
	for i := range len(name) {
		if name[i] == ';' {
			return byExtension(lowerExtension(&lower, name[:i]))
		}
	}
	return Unknown, ""
}

// base is the last element of a path.
func base[T string | []byte](path T) T {
	for i := len(path); i > 0; i-- {
		if path[i-1] == '/' {
			return path[i:]
		}
	}
	return path
}

// lowerExtension writes the part after the last dot of the last element of a path, in lower case. It writes nothing if there is
// none, or if it does not fit.
func lowerExtension[T string | []byte](dst *[8]byte, name T) []byte {
	dot := len(name)
	for dot > 0 && name[dot-1] != '.' {
		if dot--; name[dot] == '/' {
			return nil
		}
	}
	n := len(name) - dot
	if dot == 0 || n > len(dst) {
		return nil
	}
	for i := range n {
		c := name[dot+i]
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		dst[i] = c
	}
	return dst[:n]
}

func byExtension(ext []byte) (Kind, string) {
	switch string(ext) {
	case "m3u8", "m3u":
		return Playlist, PlaylistType
	case "key":
		return Key, DefaultType
	case "bin", "init":
		return Data, DefaultType
	}
	if k, t := videoExtension(ext); t != "" {
		return k, t
	}
	if k, t := audioExtension(ext); t != "" {
		return k, t
	}
	if k, t := textExtension(ext); t != "" {
		return k, t
	}
	return imageExtension(ext)
}

func videoExtension(ext []byte) (Kind, string) {
	switch string(ext) {
	case "ts", "tsv", "m2t", "m2ts", "mts":
		return Video, "video/mp2t"
	case "mp4", "m4v", "m4s", "m4f", "m4i", "cmfv", "cmfm", "mp4v", "f4v", "dash":
		return Video, "video/mp4"
	case "mov", "qt":
		return Video, "video/quicktime"
	case "webm":
		return Video, "video/webm"
	case "mkv":
		return Video, "video/x-matroska"
	case "flv":
		return Video, "video/x-flv"
	case "avi":
		return Video, "video/x-msvideo"
	case "mpg", "mpeg", "vob", "m2v":
		return Video, "video/mpeg"
	case "ogv":
		return Video, "video/ogg"
	case "3gp":
		return Video, "video/3gpp"
	case "3g2":
		return Video, "video/3gpp2"
	case "wmv":
		return Video, "video/x-ms-wmv"
	}
	return Unknown, ""
}

func audioExtension(ext []byte) (Kind, string) {
	switch string(ext) {
	case "aac", "adts":
		return Audio, "audio/aac"
	case "m4a", "m4b", "cmfa", "mp4a":
		return Audio, "audio/mp4"
	case "tsa":
		return Audio, "video/mp2t"
	case "mp3", "mp2":
		return Audio, "audio/mpeg"
	case "ac3":
		return Audio, "audio/ac3"
	case "ec3", "eac3":
		return Audio, "audio/eac3"
	case "ac4":
		return Audio, "audio/ac4"
	case "flac":
		return Audio, "audio/flac"
	case "ogg", "oga", "opus":
		return Audio, "audio/ogg"
	case "wav":
		return Audio, "audio/wav"
	case "weba":
		return Audio, "audio/webm"
	case "mka":
		return Audio, "audio/x-matroska"
	case "aif", "aiff":
		return Audio, "audio/aiff"
	case "wma":
		return Audio, "audio/x-ms-wma"
	}
	return Unknown, ""
}

func textExtension(ext []byte) (Kind, string) {
	switch string(ext) {
	case "cmft", "mp4t", "stpp":
		return Captions, "application/mp4"
	case "vtt", "webvtt":
		return Captions, "text/vtt"
	case "ttml", "dfxp", "itt", "imsc":
		return Captions, "application/ttml+xml"
	case "srt":
		return Captions, "application/x-subrip"
	case "ass", "ssa":
		return Captions, "text/x-ssa"
	case "mpd":
		return XML, "application/dash+xml"
	case "xml":
		return XML, "application/xml"
	case "svg":
		return XML, "image/svg+xml"
	case "json", "map":
		return JSON, "application/json"
	case "html", "htm", "xhtml":
		return HTML, "text/html; charset=utf-8"
	case "txt":
		return Plain, "text/plain; charset=utf-8"
	case "js", "mjs":
		return Plain, "text/javascript; charset=utf-8"
	case "css":
		return Plain, "text/css; charset=utf-8"
	case "woff2":
		return Unknown, "font/woff2"
	case "wasm":
		return Unknown, "application/wasm"
	}
	return Unknown, ""
}

func imageExtension(ext []byte) (Kind, string) {
	switch string(ext) {
	case "jpg", "jpeg":
		return Image, "image/jpeg"
	case "png":
		return Image, "image/png"
	case "webp":
		return Image, "image/webp"
	case "gif":
		return Image, "image/gif"
	case "avif":
		return Image, "image/avif"
	case "ico":
		return Image, "image/vnd.microsoft.icon"
	}
	return Unknown, ""
}

// ByType tells the kind by a Content-Type. The label is a hint: some origins give the same label to all files. A field with
// several types says nothing.
func ByType(contentType string) Kind {
	switch contentType { // the common spellings
	case "video/mp2t", "video/MP2T", "video/mp4", "video/iso.segment":
		return Video
	case "audio/mp4", "audio/aac", "audio/mpeg":
		return Audio
	case "application/vnd.apple.mpegurl", "application/x-mpegURL", "application/x-mpegurl":
		return Playlist
	}
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.TrimSpace(t)
	if strings.IndexByte(t, ',') >= 0 {
		return Unknown
	}
	main, sub, _ := strings.Cut(t, "/")
	switch {
	case containsFold(t, "mpegurl"):
		return Playlist
	case foldEqual(t, "application/json"), foldEqual(t, "text/json"), hasSuffixFold(sub, "+json"),
		foldEqual(t, "application/vnd.apple.steering-list"):
		return JSON
	case foldEqual(t, "text/html"), foldEqual(t, "application/xhtml+xml"):
		return HTML
	case foldEqual(t, "text/vtt"), foldEqual(t, "application/ttml+xml"), foldEqual(t, "application/x-subrip"), foldEqual(t, "text/x-ssa"):
		return Captions
	case foldEqual(t, "application/xml"), foldEqual(t, "text/xml"), hasSuffixFold(sub, "+xml"):
		return XML
	case foldEqual(main, "video"), foldEqual(t, "application/mp4"):
		return Video
	case foldEqual(main, "audio"), foldEqual(t, "application/ogg"):
		return Audio
	case foldEqual(main, "image"):
		return Image
	case foldEqual(t, "application/pgp-keys"), foldEqual(t, "application/vnd.apple.keynote"),
		foldEqual(t, "application/x-iwork-keynote-sffkey"):
		return Key // the type that servers use for .key
	}
	return Unknown
}

// Essence is the type in a Content-Type, without its parameters and in lower case.
func Essence(contentType string) string {
	switch contentType { // the common spellings
	case "video/mp2t", "video/mp4", "audio/mp4", "application/vnd.apple.mpegurl":
		return contentType
	}
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.Trim(t, " \t"))
}

// RunsScripts reports whether a browser that shows a body of this Content-Type may run scripts in it: pages, and all XML.
func RunsScripts(contentType string) bool {
	return containsFold(contentType, "html") || containsFold(contentType, "xml")
}

// Fits reports whether a player that goes by the extension treats a file of this name like one with the extension ext: "m3u8"
// for playlists, "key" for keys, and others for segments and initialization sections.
func Fits[T string | []byte](name T, ext string) bool {
	k := ByName(name)
	switch ext {
	case "m3u8":
		return k == Playlist
	case "key":
		return k == Key || k == Data
	}
	return k == Playlist || k.IsMedia() && k != Image
}

// IsPlaylist tells by its label, or else by its name, whether a body counts as a playlist before its first byte has come. A
// player recognises one by either (draft-pantos-hls-rfc8216bis-22 section 4). A label that says audio or video, but not
// mpegurl, counts more than the name.
func IsPlaylist(contentType, path string) bool {
	switch k := ByType(contentType); k {
	case Playlist:
		return true
	case Video, Audio:
		return false
	}
	return ByName(path) == Playlist
}

func foldEqual(s, t string) bool { return len(s) == len(t) && strings.EqualFold(s, t) }

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

func containsFold(s, sub string) bool {
	for ; len(s) >= len(sub); s = s[1:] {
		if strings.EqualFold(s[:len(sub)], sub) {
			return true
		}
	}
	return false
}
