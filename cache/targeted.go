package cache

import (
	"net/http"
	"regexp"
	"strings"
)

// A structured-field dictionary (RFC 9651 section 3.2). A field that is none is to be ignored as a whole.
var dictionary = func() *regexp.Regexp {
	const (
		key   = `[a-z*][a-z0-9_.*-]*`
		bare  = `(?:-?[0-9]{1,15}(?:\.[0-9]{1,3})?|"(?:[ !#-\[\]-~]|\\["\\])*"|[A-Za-z*][!#-'*+.^_|~0-9A-Za-z:/` + "`" + `-]*|:[A-Za-z0-9+/=]*:|\?[01]|@-?[0-9]{1,15})`
		param = `(?:; *` + key + `(?:=` + bare + `)?)*`
		inner = `\( *(?:` + bare + param + `(?: +` + bare + param + `)* *)?\)`
		one   = key + `(?:=(?:` + bare + `|` + inner + `))?` + param
	)
	return regexp.MustCompile(`^ *` + one + `(?:[ \t]*,[ \t]*` + one + `)* *$`)
}()

// parseTargeted reads CDN-Cache-Control, by which an origin speaks to shared caches in front of it and to nobody else. It
// is not ok if there is none that holds; if it is, Cache-Control and Expires say nothing (RFC 9213 section 2.2).
func parseTargeted(h http.Header) (c control, ok bool) {
	lines := h["Cdn-Cache-Control"]
	if len(lines) == 0 {
		return control{}, false
	}
	field := strings.Join(lines, ",")
	if !dictionary.MatchString(field) {
		return control{}, false
	}
	c = unsaid
	c.targeted = true
	for field != "" {
		var name, value string
		name, value, field = nextDirective(field)
		name, _, _ = strings.Cut(name, ";")
		value, _, _ = strings.Cut(value, ";")
		if value != "?0" {
			c.set(name, value)
		}
	}
	return c, true
}

// structured is a name as a structured field has it: a token (RFC 9651 section 3.3.4), or else a string.
func structured(name string) string {
	token := strings.IndexFunc(name, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~:/", c))
	}) < 0 && strings.ContainsAny(name[:1], "*abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	if token {
		return name
	}
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, c := range name {
		switch {
		case c == '"' || c == '\\':
			quoted.WriteByte('\\')
			quoted.WriteRune(c)
		case c >= ' ' && c <= '~':
			quoted.WriteRune(c)
		default:
			quoted.WriteByte('?')
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}
