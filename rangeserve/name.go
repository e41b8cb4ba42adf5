package rangeserve

import (
	"net/url"
	"path/filepath"
	"strings"
)

// fileName is the slash-separated name below the root for a URL. os.Root keeps a name inside. fileName also refuses names of
// another file than the URL seems to mean, and hidden names.
func fileName(u *url.URL) (name string, ok bool) {
	if strings.Contains(strings.ToLower(u.RawPath), "%2f") {
		return "", false
	}
	name = strings.TrimPrefix(u.Path, "/")
	if strings.ContainsAny(name, "\x00\\") {
		return "", false
	}
	for rest, more := name, true; more; {
		var segment string
		if segment, rest, more = strings.Cut(rest, "/"); segment == "" || segment[0] == '.' {
			return "", false
		}
	}
	_, err := filepath.Localize(name) // device names and drive letters, on systems that have them
	return name, err == nil
}

// attachment is a Content-Disposition for the last element of name (RFC 6266 section 4.1, RFC 8187 section 3.2).
func attachment(name string) string {
	base := name[strings.LastIndexByte(name, '/')+1:]
	plain := strings.Map(asciiName, base)
	value := `attachment; filename="` + plain + `"`
	if plain != base {
		value += "; filename*=UTF-8''" + percentEncode(base)
	}
	return value
}

// asciiName replaces characters that recipients read differently in a quoted-string.
func asciiName(c rune) rune {
	if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '%' {
		return '_'
	}
	return c
}

// percentEncode leaves the attr-char of RFC 8187 as they are.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}
