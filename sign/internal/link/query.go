package link

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// AppendQuery appends the parameters of raw that a signature covers. Each has an & in front, so that no parameter and an empty
// one differ. Neither param nor what ignore lists is covered.
func AppendQuery(dst, raw []byte, param string, ignore []string) []byte {
	for more := true; more; {
		var p []byte
		p, raw, more = bytes.Cut(raw, []byte{'&'})
		if name, _, _ := bytes.Cut(p, []byte{'='}); !addedByPlayer(name) && string(name) != param && !slices.Contains(ignore, string(name)) {
			dst = appendEscaped(append(dst, '&'), p)
		}
	}
	return dst
}

// beginsWhole reports whether no parameter of a query can be one that AppendQuery leaves out, by their first bytes.
func beginsWhole(raw []byte, param string, more bool) bool {
	for len(raw) > 0 {
		if c := raw[0]; c == '_' || c == 'C' || c == '%' || c == param[0] {
			return false
		}
		i := -1
		if more {
			i = bytes.IndexByte(raw, '&')
		}
		if i < 0 {
			return true
		}
		raw = raw[i+1:]
	}
	return true
}

// addedByPlayer reports parameters that players add to a URL after it has been signed.
func addedByPlayer(name []byte) bool {
	return hls.IsDirective(name) || hls.IsCMCD(name)
}

func appendEscaped(dst, p []byte) []byte {
	if !HasOdd(p, &OddInQuery) {
		return append(dst, p...)
	}
	for _, c := range p {
		if OddInQuery[c] != 0 {
			dst = append(dst, '%', wire.UpperHex[c>>4], wire.UpperHex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// FindParam returns the value of the only parameter with that name. If there is a second one, also with escapes in its name,
// the parameter is not unique: another parser could take that one.
func FindParam(raw, param string) (value string, count int) {
	for p := range strings.SplitSeq(raw, "&") {
		name, v, _ := strings.Cut(p, "=")
		switch {
		case name == param:
			value = v
			count++
		case strings.ContainsAny(name, "%+"):
			if plain, err := url.QueryUnescape(name); err == nil && plain == param {
				count += 2 // then it is never the only one
			}
		}
	}
	return value, count
}

// HasParam reports whether a parameter has that name, or had it before KeepParam renamed it.
func HasParam(raw []byte, param string) bool {
	for len(raw) >= len(param) {
		if bytes.HasPrefix(raw, []byte(param)) && (len(raw) == len(param) || raw[len(param)] == '=' || raw[len(param)] == '&' || raw[len(param)] == aside) {
			return true
		}
		i := bytes.IndexByte(raw, '&')
		if i < 0 {
			return false
		}
		raw = raw[i+1:]
	}
	return false
}

// MeansParam is HasParam for names in any spelling. param is a name: no plus sign can be a part of it.
func MeansParam(raw []byte, param string) bool {
	if bytes.IndexByte(raw, '%') < 0 {
		return HasParam(raw, param)
	}
	for p := range bytes.SplitSeq(raw, []byte{'&'}) {
		name, _, _ := bytes.Cut(p, []byte{'='})
		if bytes.IndexByte(name, '%') >= 0 {
			if plain, err := url.QueryUnescape(string(name)); err == nil && isOrWas(plain, param) {
				return true
			}
		}
	}
	return HasParam(raw, param)
}

// StripParam removes the parameter, with one & beside it, from a query (what follows its question mark). It gives parameters
// that KeepParam has renamed their names back. The second result is whether anything is left that needs the question mark.
func StripParam(raw, param string) (string, bool) {
	raw, mark := cutParam(raw, param)
	if !strings.Contains(raw, param+string(aside)) {
		return raw, mark
	}
	params := strings.Split(raw, "&")
	for i, p := range params {
		if name, _, _ := strings.Cut(p, "="); isOrWas(name, param) {
			params[i] = param + p[len(param)+1:]
		}
	}
	return strings.Join(params, "&"), mark
}

// StripURI is StripParam for the text of a request line.
func StripURI(uri, param string) string {
	path, query, ok := strings.Cut(uri, "?")
	if !ok {
		return uri
	}
	query, mark := StripParam(query, param)
	if mark {
		return path + "?" + query
	}
	return path
}

// aside is the end of a parameter's name while another parameter has that name. No Param may end in it, and no client that
// rewrites the query escapes it.
const aside = '.'

// isOrWas reports whether name is param, or param as KeepParam renames it.
func isOrWas(name, param string) bool {
	rest, ok := strings.CutPrefix(name, param)
	return ok && strings.Trim(rest, string(aside)) == ""
}

// KeepParam renames the parameters with that name, so that a token can have it. StripParam undoes this.
func (p *URL) KeepParam(param string) {
	query, ok := p.Query()
	if !ok {
		return
	}
	out := append([]byte(nil), p.Text[:p.query]...)
	separator := byte('?')
	for q := range bytes.SplitSeq(query, []byte{'&'}) {
		name, value, hasValue := strings.Cut(string(q), "=")
		if plain, err := url.QueryUnescape(name); err == nil && isOrWas(plain, param) {
			name = plain + string(aside)
		}
		out = append(append(out, separator), name...)
		if hasValue {
			out = append(append(out, '='), value...)
		}
		separator = '&'
	}
	p.replace(out[:p.query:p.query], bytes.Clone(out[p.query:]))
}

func cutParam(raw, param string) (string, bool) {
	for start := 0; start <= len(raw); {
		end := len(raw)
		if i := strings.IndexByte(raw[start:], '&'); i >= 0 {
			end = start + i
		}
		if name, _, _ := strings.Cut(raw[start:end], "="); name == param {
			switch {
			case start > 0:
				return raw[:start-1] + raw[end:], true
			case end < len(raw):
				return raw[end+1:], true
			}
			return "", false
		}
		start = end + 1
	}
	return raw, true
}
