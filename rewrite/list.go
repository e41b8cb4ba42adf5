package rewrite

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/tchar"
)

// isList tells an IPTV list from a playlist.
func isList(playlist []byte) bool {
	head := playlist
	if i := bytes.Index(playlist, []byte("#EXTINF:")); i >= 0 {
		head = playlist[:i]
	}
	return !bytes.Contains(head, []byte("#EXT-X-TARGETDURATION")) && !bytes.Contains(head, []byte("#EXT-X-STREAM-INF"))
}

// appendEntry appends the lines before an entry of an IPTV list, and its URI, to what begins at begin. What is said about
// requests for it goes to the Mapper, or stays for a player that asks the origin itself.
func (st *state) appendEntry(dst []byte, begin int, t *token) (_ []byte, err error) {
	end := t.end
	hints := st.cutHints(t)
	if st.Hints {
		st.readHints(&hints, st.src[st.done:t.start])
	}
	st.hints, st.reached = hints.header, false
	st.entryText, err = st.appendURI(st.entryText[:0], t)
	reached := st.reached
	st.hints = nil
	if err != nil {
		return dst, err
	}
	if dst, err = st.appendBefore(dst, begin, t.start, reached && st.hinted != nil); err != nil {
		return dst, err
	}
	dst = append(dst, st.entryText...)
	if !reached {
		dst = append(dst, st.src[t.end:end]...)
	}
	st.done = end
	return dst, nil
}

// hints are header fields that a list asks for.
type hints struct {
	header      http.Header
	count, size int
}

const (
	maxHints    = 16
	maxHintSize = 2 << 10
)

// set takes a field in, in place of an earlier one of that name, if there is room and it can be one.
func (h *hints) set(name, value string) {
	name, value = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
	size := len(name) + len(value)
	if value == "" || !isFieldName(name) || h.count == maxHints || h.size+size > maxHintSize ||
		strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return
	}
	if h.header == nil {
		h.header = http.Header{}
	}
	h.header[name] = []string{value}
	h.count, h.size = h.count+1, h.size+size
}

// isFieldName knows the names of fields. One with "|" is none here: Kodi puts the next field behind it.
func isFieldName(name string) bool {
	return tchar.IsToken(name) && strings.IndexByte(name, '|') < 0
}

// setAll takes in "name=value&name=value" in the way of Kodi, which leaves out what is for its own client. false: it is none.
func (h *hints) setAll(text []byte) bool {
	for param := range bytes.SplitSeq(text, []byte{'&'}) {
		name, value, found := strings.Cut(string(param), "=")
		if !found || !isFieldName(strings.TrimSpace(name)) {
			return false
		}
		switch name = strings.TrimPrefix(name, "!"); strings.ToLower(name) {
		case "auth", "seekable", "noshout", "failonerror", "verifypeer", "sslcipherlist", "connection-timeout", "redirect-limit", "postdata",
			"customrequest", "acceptencoding", "encoding", "active-remote", "license_key":
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		h.set(name, value)
	}
	return true
}

// cutHints takes what follows "|" off a token, if these are header fields.
func (st *state) cutHints(t *token) (h hints) {
	text := t.text(st.src)
	bar := bytes.IndexByte(text, '|')
	if !st.Hints || bar < 0 || len(text)-bar > 4*maxHintSize || !h.setAll(text[bar+1:]) {
		return hints{}
	}
	_, t.end = trimBlanks(st.src, t.start, t.start+bar)
	return h
}

// readHints takes in the lines before an entry. What stands behind the URL itself goes first.
func (st *state) readHints(h *hints, text []byte) {
	own := h.header
	before := hints{}
	for line := range linesOf(text) {
		before.read(line)
	}
	for name, value := range before.header {
		if own[name] == nil {
			h.set(name, value[0])
		}
	}
}

// read takes a line in, and reports whether it is one of hints.
func (h *hints) read(line []byte) bool {
	line = bytes.Trim(line, " \t\r\n")
	if len(line) > 4*maxHintSize {
		return false
	}
	if option, ok := bytes.CutPrefix(line, []byte("#EXTVLCOPT:")); ok {
		name, value, _ := strings.Cut(string(option), "=")
		value = strings.Trim(strings.TrimSpace(value), "\"")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "http-referrer", "http-referer":
			h.set("Referer", value)
		case "http-user-agent":
			h.set("User-Agent", value)
		case "http-origin":
			h.set("Origin", value)
		default:
			return false
		}
		return true
	}
	property, ok := bytes.CutPrefix(line, []byte("#KODIPROP:inputstream.adaptive."))
	if !ok {
		return false
	}
	name, value, _ := bytes.Cut(property, []byte{'='})
	switch string(bytes.TrimSpace(name)) {
	case "stream_headers", "common_headers", "manifest_headers":
		return h.setAll(bytes.Trim(value, " \""))
	}
	return false
}

// linesOf are those of a text, with their ends.
func linesOf(text []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(text) > 0 {
			n := bytes.IndexAny(text, "\r\n") + 1
			if n == 0 {
				n = len(text)
			} else if text[n-1] == '\r' && n < len(text) && text[n] == '\n' {
				n++
			}
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// appendBefore appends what stands before an entry, without its hints if they are taken.
func (st *state) appendBefore(dst []byte, begin, end int, taken bool) (_ []byte, err error) {
	at := st.done
	for line := range linesOf(st.src[st.done:end]) {
		var h hints
		start := at
		at += len(line)
		if st.Hints && taken && h.read(line) {
			continue
		}
		if st.Guides {
			if dst, err = st.appendGuides(dst, begin, start, at); err != nil {
				return dst, err
			}
			continue
		}
		dst = append(dst, line...)
	}
	return dst, nil
}

var (
	logoTag  = tag{name: "EXTINF", attr: "tvg-logo", kind: Thumbnail, absolute: true}
	guideTag = tag{name: "EXTM3U", attr: "x-tvg-url", kind: Data, absolute: true}
)

// appendGuides appends a line with the URLs of pictures and guides mapped.
func (st *state) appendGuides(dst []byte, begin, start, end int) (_ []byte, err error) {
	line := bytes.TrimLeft(bytes.TrimPrefix(st.src[start:end], []byte(bom)), " \t")
	var tag *tag
	switch {
	case bytes.HasPrefix(line, []byte("#EXTINF:")):
		tag = &logoTag
	case bytes.HasPrefix(line, []byte(magic)):
		tag = &guideTag
	default:
		return append(dst, st.src[start:end]...), nil
	}
	done := start
	for at := start; ; {
		from, to, name := st.nextQuoted(at, end, tag == &logoTag)
		if from < 0 {
			return append(dst, st.src[done:end]...), nil
		}
		if at = to + 1; !tag.isGuide(name) {
			continue
		}
		for from < to {
			one := to
			if tag == &guideTag { // commas separate several
				one = until(st.src, from, to, ',')
			}
			t := token{tag: tag, kind: tag.kind, form: quoted}
			t.start, t.end = trimBlanks(st.src, from, one)
			if t.start < t.end {
				dst = append(dst, st.src[done:t.start]...)
				done = t.end
				at := len(dst)
				if dst, err = st.appendURI(dst, &t); err == errDrop {
					dst, err = dst[:at], nil
				}
				if err == nil {
					err = st.pace.check(len(dst)-begin, len(dst)-at)
				}
				if err != nil {
					return dst, err
				}
			}
			from = one + 1
		}
	}
}

func (t *tag) isGuide(name []byte) bool {
	switch string(name) {
	case "tvg-logo":
		return t == &logoTag
	case "x-tvg-url", "url-tvg", "tvg-url":
		return t == &guideTag
	}
	return false
}

// nextQuoted finds the next attribute with a value in quotes. The attributes of an EXTINF end at a comma, before its title.
func (st *state) nextQuoted(at, end int, titled bool) (from, to int, name []byte) {
	for i := at; i < end; i++ {
		switch c := st.src[i]; {
		case c == ',' && titled:
			return -1, 0, nil
		case c == '"':
			n := bytes.IndexByte(st.src[i+1:end], '"')
			if n < 0 {
				return -1, 0, nil
			}
			before := bytes.TrimRight(st.src[at:i], "= \t")
			return i + 1, i + 1 + n, before[bytes.LastIndexAny(before, " \t")+1:]
		}
	}
	return -1, 0, nil
}
