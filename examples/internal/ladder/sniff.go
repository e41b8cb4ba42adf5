package ladder

import "bytes"

// Demuxer returns the demuxer of ffmpeg for a film with these first 512 bytes. ok is false if there is none.
func Demuxer(first []byte) (string, bool) {
	at := func(offset int, text string) bool {
		return len(first) >= offset && bytes.HasPrefix(first[offset:], []byte(text))
	}
	switch {
	case at(4, "ftyp"), at(4, "moov"), at(4, "mdat"), at(4, "wide"), at(4, "free"), at(4, "skip"):
		return "mov", true
	case at(0, "\x1a\x45\xdf\xa3"):
		return "matroska", true
	case at(0, "\x47") && at(188, "\x47") && at(376, "\x47"):
		return "mpegts", true
	case at(0, "RIFF") && at(8, "AVI "):
		return "avi", true
	case at(0, "FLV\x01"):
		return "flv", true
	case at(0, "OggS"):
		return "ogg", true
	case at(0, "\x00\x00\x01\xba"):
		return "mpeg", true
	}
	return "", false
}

// Ext is the extension, with its dot, of files for a demuxer.
func Ext(demuxer string) string {
	return map[string]string{
		"mov": ".mp4", "matroska": ".mkv", "mpegts": ".ts", "avi": ".avi", "flv": ".flv", "ogg": ".ogg", "mpeg": ".mpg",
	}[demuxer]
}
