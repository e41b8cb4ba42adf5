package rangeserve

import (
	"path"
	"strings"
)

const (
	defaultType  = "application/octet-stream"
	playlistType = "application/vnd.apple.mpegurl"
)

// mediaType is the Content-Type by the extension of a name or URL path. The table is our own since the host's may call
// .ts a translation of Qt, and .m4s nothing at all.
func mediaType(name string) string {
	if t := videoType(extension(name)); t != "" {
		return t
	}
	if t := audioType(extension(name)); t != "" {
		return t
	}
	if t := textType(extension(name)); t != "" {
		return t
	}
	return defaultType
}

func extension(name string) string { return strings.ToLower(path.Ext(name)) }

func videoType(ext string) string {
	switch ext {
	case ".ts", ".m2t", ".m2ts", ".mts":
		return "video/mp2t"
	case ".mp4", ".m4v", ".m4s", ".m4f", ".m4i", ".cmfv", ".f4v":
		return "video/mp4"
	case ".mov", ".qt":
		return "video/quicktime"
	case ".webm":
		return "video/webm"
	case ".mkv":
		return "video/x-matroska"
	case ".flv":
		return "video/x-flv"
	case ".avi":
		return "video/x-msvideo"
	case ".mpg", ".mpeg", ".vob", ".m2v":
		return "video/mpeg"
	case ".ogv":
		return "video/ogg"
	case ".3gp":
		return "video/3gpp"
	case ".3g2":
		return "video/3gpp2"
	case ".wmv":
		return "video/x-ms-wmv"
	}
	return ""
}

func audioType(ext string) string {
	switch ext {
	case ".aac", ".adts":
		return "audio/aac"
	case ".m4a", ".m4b", ".cmfa":
		return "audio/mp4"
	case ".mp3", ".mp2":
		return "audio/mpeg"
	case ".ac3":
		return "audio/ac3"
	case ".ec3", ".eac3":
		return "audio/eac3"
	case ".ac4":
		return "audio/ac4"
	case ".flac":
		return "audio/flac"
	case ".ogg", ".oga", ".opus":
		return "audio/ogg"
	case ".wav":
		return "audio/wav"
	case ".weba":
		return "audio/webm"
	case ".mka":
		return "audio/x-matroska"
	case ".aif", ".aiff":
		return "audio/aiff"
	case ".wma":
		return "audio/x-ms-wma"
	}
	return ""
}

func textType(ext string) string {
	switch ext {
	case ".m3u8", ".m3u":
		return playlistType
	case ".mpd":
		return "application/dash+xml"
	case ".xml":
		return "application/xml"
	case ".cmft", ".mp4t":
		return "application/mp4"
	case ".vtt", ".webvtt":
		return "text/vtt"
	case ".ttml", ".dfxp", ".itt":
		return "application/ttml+xml"
	case ".srt":
		return "application/x-subrip"
	case ".ass", ".ssa":
		return "text/x-ssa"
	case ".json", ".map":
		return "application/json"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".wasm":
		return "application/wasm"
	}
	return imageType(ext)
}

func imageType(ext string) string {
	switch ext {
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	case ".webp":
		return "image/webp"
	case ".gif":
		return "image/gif"
	case ".avif":
		return "image/avif"
	case ".svg":
		return "image/svg+xml"
	case ".ico":
		return "image/vnd.microsoft.icon"
	case ".woff2":
		return "font/woff2"
	}
	return ""
}

// isPlaylist reports whether a body is an HLS playlist, by its type or, where the type says nothing, by its name. The
// draft (draft-pantos-hls-rfc8216bis-22 section 4) lets a playlist be known by either.
func isPlaylist(contentType, name string) bool {
	if i := strings.IndexByte(contentType, '/'); i >= 0 && containsFold(contentType[i:], "mpegurl") {
		return true
	}
	switch extension(name) {
	case ".m3u8", ".m3u":
		return !strings.HasPrefix(contentType, "video/") && !strings.HasPrefix(contentType, "audio/")
	}
	return false
}

func containsFold(s, sub string) bool {
	for ; len(s) >= len(sub); s = s[1:] {
		if strings.EqualFold(s[:len(sub)], sub) {
			return true
		}
	}
	return false
}
