package audience

import (
	"strings"
	"unicode"
)

// maxElement is the longest element of a path that is shown in full. Tokens and sealed URLs are longer.
const maxElement = 48

// Redact shortens elements of a path that are longer than 48 bytes to their first 8, and replaces characters that do not print
// by low lines.
func Redact(path string) string {
	if len(path) <= maxElement && plain(path) {
		return path
	}
	elements := strings.Split(path, "/")
	for i, e := range elements {
		e = strings.Map(printable, e)
		if len(e) > maxElement {
			e = strings.ToValidUTF8(e[:8], "") + ".."
		}
		elements[i] = e
	}
	return strings.Join(elements, "/")
}

// RedactURL is Redact for a URL. It removes the query, the fragment and the user.
func RedactURL(u string) string {
	u, _, _ = strings.Cut(u, "#")
	u, _, _ = strings.Cut(u, "?")
	if scheme, rest, ok := strings.Cut(u, "://"); ok {
		host, path, slash := strings.Cut(rest, "/")
		host = host[strings.LastIndexByte(host, '@')+1:]
		if slash {
			path = "/" + path
		}
		return Redact(scheme) + "://" + Redact(host) + Redact(path)
	}
	return Redact(u)
}

// RedactText applies RedactURL to all URLs and queries in a text.
func RedactText(text string) string {
	var out strings.Builder
	for text != "" {
		end := strings.IndexAny(text, " \t\r\n\"'<>(),")
		switch end {
		case -1:
			out.WriteString(redactWord(text))
			return out.String()
		case 0:
			end = 1
			out.WriteString(strings.Map(printable, text[:1]))
		default:
			out.WriteString(redactWord(text[:end]))
		}
		text = text[end:]
	}
	return out.String()
}

func redactWord(word string) string {
	colon := ""
	if strings.HasSuffix(word, ":") {
		word, colon = word[:len(word)-1], ":"
	}
	return RedactURL(word) + colon
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// printable replaces characters that move a cursor, reverse a line or are invisible, to protect logs and terminals.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return '_'
	}
	return r
}

// shown is a viewer's text as others see it: at most this many bytes, and only characters that print.
func shown(s string, most int) string {
	s = s[:min(len(s), most)]
	if plain(s) {
		return strings.Clone(s)
	}
	return strings.Map(printable, s)
}
