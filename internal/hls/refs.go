package hls

import (
	"bytes"
	"iter"
)

// Refs lists what a media playlist names to be fetched as media, as it stands there: segments, parts, sections, and what it hints at,
// of which hint is true. Names that hold variables are left out.
func Refs(playlist []byte) iter.Seq2[string, bool] {
	return func(yield func(ref string, hint bool) bool) {
		for len(playlist) > 0 {
			end := bytes.IndexAny(playlist, "\r\n")
			line := playlist
			if end >= 0 {
				line, playlist = playlist[:end], playlist[end+1:]
			} else {
				playlist = nil
			}
			ref, hint := refOf(bytes.TrimSpace(bytes.TrimPrefix(line, []byte(bom))))
			if len(ref) > 0 && !bytes.Contains(ref, []byte("{$")) && !yield(string(ref), hint) {
				return
			}
		}
	}
}

func refOf(line []byte) (ref []byte, hint bool) {
	if len(line) == 0 || line[0] != '#' {
		return line, false
	}
	name, list, _ := bytes.Cut(line, []byte(":"))
	switch string(name) {
	case "#EXT-X-PART", "#EXT-X-MAP":
		return quoted(list), false
	case "#EXT-X-PRELOAD-HINT":
		return quoted(list), true
	}
	return nil, false
}

// quoted is the value of the attribute URI.
func quoted(list []byte) []byte {
	for len(list) > 0 {
		name, rest, ok := bytes.Cut(list, []byte("="))
		if !ok {
			return nil
		}
		value := rest
		if len(rest) > 0 && rest[0] == '"' {
			end := bytes.IndexByte(rest[1:], '"')
			if end < 0 {
				return nil
			}
			value, rest = rest[1:end+1], rest[end+2:]
			_, list, _ = bytes.Cut(rest, []byte(","))
		} else {
			value, list, _ = bytes.Cut(rest, []byte(","))
		}
		if string(bytes.TrimSpace(name)) == "URI" {
			return bytes.TrimSpace(value)
		}
	}
	return nil
}
