package rewrite

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/tchar"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

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

// hintNames are the names that lists have for some fields.
var hintNames = map[string]string{
	"referer": "Referer", "referrer": "Referer", "http-referer": "Referer", "http-referrer": "Referer",
	"user-agent": "User-Agent", "http-user-agent": "User-Agent",
	"origin": "Origin", "http-origin": "Origin",
	"cookie": "Cookie", "cookies": "Cookie", "http-cookie": "Cookie", "http-cookies": "Cookie",
}

// setOption takes in an option of VLC, or an attribute, if it is known. Lists put its value in quotes or not.
func (h *hints) setOption(name, value string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	field := hintNames[name]
	if field == "" || !strings.HasPrefix(name, "http-") {
		return false
	}
	h.set(field, unquoted(value))
	return true
}

// setNamed takes in a field under any name that lists have for it.
func (h *hints) setNamed(name, value string) {
	if field := hintNames[strings.ToLower(strings.TrimSpace(name))]; field != "" {
		name = field
	}
	h.set(name, unquoted(value))
}

func unquoted(value string) string {
	value = strings.TrimSpace(value)
	if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

// setAll takes in "name=value&name=value" in the way of Kodi, which leaves out what is for its own client. Others put a bar
// between two. false: it is none.
func (h *hints) setAll(text []byte) bool {
	found := false
	for param := range bytes.SplitSeq(text, []byte{'&'}) {
		for rest := string(param); rest != ""; found = true {
			var one string
			one, rest = cutNextHint(rest)
			name, value, ok := strings.Cut(one, "=")
			if !ok || !isFieldName(strings.TrimSpace(name)) {
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
			h.setNamed(name, value)
		}
	}
	return found
}

// cutNextHint cuts a text at a bar that has a known name behind it.
func cutNextHint(text string) (one, rest string) {
	const longest = 32 // of the names, with blanks
	for at := 0; ; at++ {
		n := strings.IndexByte(text[at:], '|')
		if n < 0 {
			return text, ""
		}
		at += n
		next := text[at+1:]
		if name, _, ok := strings.Cut(next[:min(len(next), longest)], "="); ok && hintNames[strings.ToLower(strings.TrimSpace(name))] != "" {
			return text[:at], text[at+1:]
		}
	}
}

// setJSON takes in an object of fields, or one that has them in its member "headers". false: it is none.
func (h *hints) setJSON(text []byte) bool {
	var members map[string]any
	if json.Unmarshal(text, &members) != nil {
		return false
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		switch value := members[name].(type) {
		case string:
			h.setNamed(name, value)
		case map[string]any:
			if strings.EqualFold(name, "headers") {
				for _, name := range slices.Sorted(maps.Keys(value)) {
					if value, ok := value[name].(string); ok {
						h.setNamed(name, value)
					}
				}
			}
		}
	}
	return len(members) > 0
}

// cutHints takes what follows "|" off a token, if these are header fields.
func cutHints(st *state, t *token) (h hints) {
	if !st.Hints {
		return hints{}
	}
	text := t.text(st.src)
	bar := bytes.IndexByte(text, '|')
	said := text[bar+1:]
	if bar < 0 {
		if bar, said = escapedHints(text); bar < 0 {
			return hints{}
		}
	}
	if len(said) > 4*maxHintSize || !h.setAll(said) {
		return hints{}
	}
	_, t.end = trimBlanks(st.src, t.start, t.start+bar)
	return h
}

// escapedHints finds a bar that was escaped with what follows it, or alone, if a known name stands behind it. -1: there is
// none.
func escapedHints(text []byte) (bar int, said []byte) {
	const escape = "%7C"
	for at := 0; ; at++ {
		n := bytes.IndexByte(text[at:], '%')
		if n < 0 {
			return -1, nil
		}
		if at += n; len(text)-at < len(escape) || !bytes.EqualFold(text[at:at+len(escape)], []byte(escape)) {
			continue
		}
		said = text[at+len(escape):]
		if bytes.IndexByte(said, '=') < 0 {
			said = wire.AppendUnescaped(nil, said[:min(len(said), 16*maxHintSize)])
		}
		name, _, _ := bytes.Cut(said, []byte{'='})
		if hintNames[strings.ToLower(string(name[:min(len(name), 32)]))] == "" {
			return -1, nil
		}
		return at, said
	}
}

// readAll takes in the lines before an entry. What stands behind the URL itself goes first.
func (h *hints) readAll(text []byte) {
	own := h.header
	before := hints{}
	for line := range linesOf(text) {
		if !before.read(line) {
			before.readAttrs(line)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.header)) { // if not all have room, the same ones each time
		if own[name] == nil {
			h.set(name, before.header[name][0])
		}
	}
}

// read takes a line in, and reports whether it is one of hints.
func (h *hints) read(line []byte) bool {
	line = bytes.Trim(line, " \t\r\n")
	if len(line) < len("#EXTHTTP") || string(line[:4]) != "#EXT" && line[1] != 'K' || len(line) > 4*maxHintSize {
		return false
	}
	if option, ok := bytes.CutPrefix(line, []byte("#EXTVLCOPT")); ok {
		name, value, _ := strings.Cut(strings.TrimLeft(string(option), ": \t-"), "=")
		return h.setOption(name, value)
	}
	if fields, ok := bytes.CutPrefix(line, []byte("#EXTHTTP:")); ok {
		return h.setJSON(fields)
	}
	property, ok := bytes.CutPrefix(line, []byte("#KODIPROP:"))
	if !ok {
		return false
	}
	name, value, _ := bytes.Cut(property, []byte{'='})
	switch string(bytes.TrimSpace(name)) {
	case "inputstream.adaptive.stream_headers", "inputstream.adaptive.common_headers", "inputstream.adaptive.manifest_headers":
		return h.setAll(bytes.Trim(value, " \""))
	}
	return h.setOption(string(name), string(value))
}

// readAttrs takes in the attributes of an EXTINF.
func (h *hints) readAttrs(line []byte) {
	if line = bytes.TrimLeft(line, " \t"); bytes.HasPrefix(line, []byte("#EXTINF:")) {
		for a := (listAttrs{src: line, end: len(line), titled: true}); a.next() && a.from < 4*maxHintSize; {
			if isHintAttr(a.name) {
				h.set(hintNames[string(a.name)], string(line[a.from:a.to]))
			}
		}
	}
}

// isHintAttr tells whether an attribute of an EXTINF is a header field.
func isHintAttr(name []byte) bool {
	switch string(name) {
	case "user-agent", "http-user-agent", "referrer", "referer", "http-referrer", "http-referer", "http-origin", "http-cookie":
		return true
	}
	return false
}
