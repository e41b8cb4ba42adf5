package cache

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"path"
	"strconv"
	"strings"
	"time"
)

// playlist is what decides how long a playlist may be kept (draft-pantos-hls-rfc8216bis-22 sections 4.4.3 and 4.4.6).
type playlist struct {
	multivariant bool
	ended        bool // ENDLIST, or PLAYLIST-TYPE:VOD: it will not change
	target       time.Duration
}

const (
	signature   = "#EXTM3U"
	bom         = "\ufeff"
	maxPlaylist = 8 << 20 // of plain text looked at, which also bounds what a compressed one can cost
)

// lookAt reads a body as a playlist. It is not ok for anything else, nor for one that is too long to be judged.
func lookAt(e *Entry) (p playlist, ok bool) {
	if e.Body == nil {
		return p, false
	}
	text, gzipped, ok := open(e)
	if !ok {
		return p, false
	}
	limited := &io.LimitedReader{R: text, N: maxPlaylist}
	lines := bufio.NewReaderSize(limited, 4<<10)
	// Before any line is looked for: that of a segment may be as long as all of it.
	start, _ := lines.Peek(len(bom) + len(signature))
	if !bytes.HasPrefix(bytes.TrimPrefix(start, []byte(bom)), []byte(signature)) {
		return p, false
	}
	for {
		line, err := nextLine(lines)
		p.read(bytes.TrimPrefix(line, []byte(bom)))
		if err == io.EOF {
			return p, limited.N > 0
		}
		if err != nil {
			return p, !gzipped
		}
	}
}

// open returns the text of a body, decompressed if it was sent compressed.
func open(e *Entry) (text io.Reader, gzipped, ok bool) {
	raw := io.NewSectionReader(e.Body, 0, e.size())
	var magic [2]byte
	raw.ReadAt(magic[:], 0)
	if magic != [2]byte{0x1f, 0x8b} {
		return raw, false, true
	}
	z, err := gzip.NewReader(raw)
	return z, true, err == nil
}

// nextLine returns the beginning of the next line, which is all that matters of a long one, without its end. Lines end
// with LF, CRLF or, as players have it, a lone CR.
func nextLine(r *bufio.Reader) (line []byte, err error) {
	for {
		if _, err := r.Peek(1); err != nil {
			return line, err
		}
		here, _ := r.Peek(r.Buffered())
		end := bytes.IndexByte(here, '\n')
		if cr := bytes.IndexByte(here[:max(end, 0)], '\r'); cr >= 0 {
			end = cr
		} else if end < 0 {
			end = bytes.IndexByte(here, '\r')
		}
		isWhole := end >= 0
		if !isWhole {
			end = len(here)
		}
		line = append(line, here[:min(end, 128-len(line))]...)
		if isWhole {
			r.Discard(end + 1)
			return line, nil
		}
		r.Discard(end)
	}
}

func (p *playlist) read(line []byte) {
	name, value, _ := strings.Cut(string(line), ":")
	switch name {
	case "#EXT-X-ENDLIST":
		p.ended = true
	case "#EXT-X-PLAYLIST-TYPE":
		p.ended = p.ended || strings.TrimSpace(value) == "VOD"
	case "#EXT-X-STREAM-INF", "#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF":
		p.multivariant = true
	case "#EXT-X-TARGETDURATION":
		s, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err == nil && s > 0 && s < math.MaxInt32 {
			p.target = time.Duration(s * float64(time.Second))
		}
	}
}

// namedPlaylist and namedMedia judge by the last path element of a URL, which its query does not belong to.
func namedPlaylist(urlPath string) bool {
	switch strings.ToLower(path.Ext(urlPath)) {
	case ".m3u8", ".m3u":
		return true
	}
	return false
}

func namedMedia(urlPath string) bool {
	switch strings.ToLower(path.Ext(urlPath)) {
	case ".ts", ".m2ts", ".m4s", ".mp4", ".m4v", ".m4a", ".m4f", ".cmfv", ".cmfa", ".cmft", ".aac", ".ac3", ".ec3", ".mp3",
		".vtt", ".webvtt", ".ttml", ".mov", ".mpg", ".webm":
		return true
	}
	return false
}

func typedPlaylist(mediaType string) bool {
	switch mediaType {
	case "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl":
		return true
	}
	return false
}

// typedDocument recognises what is never media, and often an error or a login that came with status 200.
func typedDocument(mediaType string) bool {
	switch mediaType {
	case "text/html", "application/xhtml+xml", "application/json", "application/problem+json":
		return true
	}
	return false
}

// looksLikeHTML judges by the first bytes. No media begins so.
func looksLikeHTML(e *Entry) bool {
	if e.Body == nil {
		return false
	}
	var first [64]byte
	n, _ := e.Body.ReadAt(first[:], 0)
	text := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(first[:n], []byte(bom)), " \t\r\n\f"))
	return bytes.HasPrefix(text, []byte("<!doctype html")) || bytes.HasPrefix(text, []byte("<html"))
}

func typedMedia(mediaType string) bool {
	for _, prefix := range [...]string{"video/", "audio/", "image/", "text/vtt", "application/mp4", "application/ttml"} {
		if strings.HasPrefix(mediaType, prefix) {
			return true
		}
	}
	return false
}
