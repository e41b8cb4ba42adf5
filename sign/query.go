package sign

import (
	"bytes"
	"net/url"
	"strings"
)

// What players add to a URL after it has been signed.
const (
	hlsPrefix = "_HLS_"
	cmcdParam = "CMCD"
)

// appendQuery appends the parameters of raw that a signature covers, each with an & in front, so that no parameter and an
// empty one differ.
func appendQuery(dst, raw []byte, param string) []byte {
	for more := true; more; {
		var p []byte
		p, raw, more = bytes.Cut(raw, []byte{'&'})
		if name, _, _ := bytes.Cut(p, []byte{'='}); !addedByPlayer(name) && string(name) != param {
			dst = appendEscaped(append(dst, '&'), p)
		}
	}
	return dst
}

// isWhole reports whether appendQuery keeps all of raw, for sure, so that there is nothing to look for.
func isWhole(raw []byte, param string) bool {
	return !hasOdd(raw, &oddInParam) && (len(raw) == 0 || raw[0] != '_' && raw[0] != 'C' && raw[0] != param[0])
}

func addedByPlayer(name []byte) bool {
	return len(name) >= len(cmcdParam) && (string(name) == cmcdParam || bytes.HasPrefix(name, []byte(hlsPrefix)))
}

func appendEscaped(dst, p []byte) []byte {
	if !hasOdd(p, &oddInQuery) {
		return append(dst, p...)
	}
	for _, c := range p {
		if oddInQuery[c] != 0 {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

const upperHex = "0123456789ABCDEF"

// findParam returns the value of the one parameter with that name. A second one, also one whose name is spelled with
// escapes, makes it count as not unique: another parser could take that one.
func findParam(raw, param string) (value string, count int) {
	for p := range strings.SplitSeq(raw, "&") {
		name, v, _ := strings.Cut(p, "=")
		switch {
		case name == param:
			value = v
			count++
		case strings.ContainsAny(name, "%+"):
			if plain, err := url.QueryUnescape(name); err == nil && plain == param {
				count += 2 // never the one
			}
		}
	}
	return value, count
}

// hasParam is findParam for the hot path.
func hasParam(raw []byte, param string) bool {
	for len(raw) >= len(param) {
		if bytes.HasPrefix(raw, []byte(param)) && (len(raw) == len(param) || raw[len(param)] == '=' || raw[len(param)] == '&') {
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

// cutParam removes the parameter from the query of a URL text (what stands after its question mark), with one & beside it.
// The second result is whether anything is left that needs the question mark.
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

// stripURI is cutParam for the text of a request line.
func stripURI(uri, param string) string {
	path, query, ok := strings.Cut(uri, "?")
	if !ok {
		return uri
	}
	query, mark := cutParam(query, param)
	if mark {
		return path + "?" + query
	}
	return path
}
