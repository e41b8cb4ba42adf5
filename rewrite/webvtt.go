package rewrite

import (
	"bytes"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

const vttMagic = "WEBVTT"

// startsVTT reports whether first is the beginning of captions. known: more bytes will not change that.
func startsVTT(first []byte) (is, known bool) {
	if len(first) < len(bom) && string(first) == bom[:len(first)] {
		return false, false
	}
	text := bytes.TrimPrefix(first, []byte(bom))
	n := min(len(text), len(vttMagic))
	if string(text[:n]) != vttMagic[:n] {
		return false, true
	}
	return n == len(vttMagic), n == len(vttMagic)
}

// cues reads a WebVTT text (W3C WebVTT section 4.1) that may still grow. The zero value is at its beginning.
type cues struct {
	at  vttPlace
	pos int // where the next line begins
}

type vttPlace uint8

const (
	inHeader vttPlace = iota // of the text, or in a block that is not a cue
	betweenCues
	inIdentifier
	inPayload
)

// payloads calls f with each line of each cue, from where it stopped, until f returns false. whole: the text is complete.
// Otherwise the last line may be incomplete.
func (c *cues) payloads(text []byte, whole bool, f func(start, end int) bool) {
	s := scanner{src: text, pos: c.pos, lf: -1}
	for s.pos < len(text) {
		from := s.pos
		end := s.lineEnd()
		if s.pos == len(text) && !whole && (end == len(text) || text[len(text)-1] == '\r') {
			return
		}
		c.pos = s.pos
		start, end := trimBlanks(text, from, end)
		line := text[start:end]
		switch {
		case len(line) == 0:
			c.at = betweenCues
		case c.at == inPayload:
			if !f(start, end) {
				return
			}
		case c.at == inHeader:
		case bytes.Contains(line, []byte("-->")):
			c.at = inPayload
		case c.at == betweenCues && isVTTBlock(line):
			c.at = inHeader
		default:
			c.at = inIdentifier
		}
	}
}

func isVTTBlock(line []byte) bool {
	for _, name := range []string{"NOTE", "STYLE", "REGION"} {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t') {
			return true
		}
	}
	return false
}

// isPicture reports whether a line of a cue is the URL of a picture, maybe of a part of one ("a.jpg#xywh=0,0,160,90").
func isPicture(line []byte) bool {
	if bytes.IndexByte(line, '<') >= 0 {
		return false
	}
	path, _, fragment := splitTail(line)
	return bytes.HasPrefix(fragment, []byte("#xywh=")) || bytes.IndexByte(line, ' ') < 0 && hls.ByName(path) == hls.Image
}

// appendThumbnails appends a WebVTT text with the URLs of its pictures rewritten.
func appendThumbnails(rw *Rewriter, p *pass, dst, text []byte) (_ []byte, err error) {
	st := open(rw, p, text)
	defer st.free()
	done, begin := 0, len(dst)
	new(cues).payloads(text, true, func(start, end int) bool {
		if !isPicture(text[start:end]) {
			return true
		}
		t := token{start: start, end: end, tag: &thumbnailTag, kind: Thumbnail, form: line}
		dst = append(dst, text[done:start]...)
		at := len(dst)
		done = end
		if dst, err = st.appendReference(dst, text[start:end], &t); err == errDrop {
			dst, err = dst[:at], nil
		}
		if err == nil {
			err = st.pace.check(len(dst)-begin, len(dst)-at)
		}
		return err == nil
	})
	return append(dst, text[done:]...), err
}
