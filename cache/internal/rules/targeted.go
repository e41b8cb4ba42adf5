package rules

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// A structured-field dictionary (RFC 9651 section 3.2). A malformed field is ignored as a whole.
var dictionary = sync.OnceValue(func() *regexp.Regexp {
	const (
		key   = `[a-z*][a-z0-9_.*-]*`
		bare  = `(?:-?[0-9]{1,15}(?:\.[0-9]{1,3})?|"(?:[ !#-\[\]-~]|\\["\\])*"|[A-Za-z*][!#-'*+.^_|~0-9A-Za-z:/` + "`" + `-]*|:[A-Za-z0-9+/=]*:|\?[01]|@-?[0-9]{1,15})`
		param = `(?:; *` + key + `(?:=` + bare + `)?)*`
		inner = `\( *(?:` + bare + param + `(?: +` + bare + param + `)* *)?\)`
		one   = key + `(?:=(?:` + bare + `|` + inner + `))?` + param
	)
	return regexp.MustCompile(`^ *` + one + `(?:[ \t]*,[ \t]*` + one + `)* *$`)
})

// parseTargeted reads CDN-Cache-Control, which an origin sends to the shared caches in front of it. ok is false if there is no
// valid one. If there is one, Cache-Control and Expires are ignored (RFC 9213 section 2.2).
func parseTargeted(h http.Header) (c Control, ok bool) {
	lines := h["Cdn-Cache-Control"]
	if len(lines) == 0 {
		return Control{}, false
	}
	field := strings.Join(lines, ",")
	if !dictionary().MatchString(field) {
		return Control{}, false
	}
	c = unsaid
	c.Targeted = true
	for all := (members{rest: field}); all.rest != ""; {
		name, value := all.directive()
		name, _, _ = strings.Cut(name, ";")
		value, _, _ = strings.Cut(value, ";")
		if value != "?0" {
			c.set(name, value)
		}
	}
	return c, true
}
