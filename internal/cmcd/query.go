package cmcd

import (
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// parameter is the value of CMCD in a query, still escaped. The first one counts.
func parameter(raw string) string {
	const name = hls.CMCD + "="
	for from := 0; ; {
		i := strings.Index(raw[from:], name)
		if i < 0 {
			return ""
		}
		i += from
		if from = i + len(name); i == 0 || raw[i-1] == '&' {
			value, _, _ := strings.Cut(raw[from:], "&")
			return value
		}
	}
}

// query reads the value of CMCD in a query.
func (d *Data) query(s string) {
	if len(s) <= MaxLength {
		s = d.plainQuery(s)
	}
	if s != "" {
		d.anyQuery(s)
	}
}

// anyQuery is not inlined: its buffer has to be cleared.
//
//go:noinline
func (d *Data) anyQuery(s string) {
	var buf [MaxLength]byte
	parse(d, unescape(buf[:0], s, MaxLength))
}

// plainQuery reads members as most players write them, without a copy that has no escapes. It returns the rest, from the first
// other member.
func (d *Data) plainQuery(s string) (rest string) {
	for i := 0; i < len(s); {
		from := i
		for i < len(s) && plain[s[i]] {
			i++
		}
		name, value, quoted := s[from:i], "", false
		c, n := char(s, i)
		if c == '=' {
			start := i + n
			for i = start; i < len(s) && plain[s[i]]; {
				i++
			}
			value = s[start:i]
			if c, n = char(s, i); c == '"' && value == "" {
				quoted = true
				if value, i = plainString(s, i+n); i < 0 {
					return s[from:]
				}
				c, n = char(s, i)
			}
		}
		if c != ',' {
			return s[from:]
		}
		switch key := keyOf(name); key {
		case sid, br, msd, bs, su:
			if quoted && (key != sid || value == "") {
				return s[from:]
			}
			set(d, key, value, true)
		}
		d.Said = d.Said || name != ""
		i += n
	}
	return ""
}

// plainString reads a string after its first quote. It returns its content if that is plain, else nothing, and the index after
// its last quote, which is negative if there is none, or if the string has a backslash.
func plainString(s string, i int) (content string, end int) {
	start, pure := i, true
	for i < len(s) {
		if plain[s[i]] {
			i++
			continue
		}
		switch c, n := char(s, i); {
		case c == '"' && pure:
			return s[start:i], i + n
		case c == '"':
			return "", i + n
		case c == '\\':
			return "", -1
		default:
			pure = false
			i += n
		}
	}
	return "", -1
}

// plain are the bytes of a query that stand for themselves and end nothing.
var plain = func() (table [256]bool) {
	for c := range table {
		table[c] = c > ',' && c != '=' && c != '\\' && c != 0x7f
	}
	return table
}()

// unescape removes the escapes of a query, up to most bytes. An invalid escape stays.
func unescape(dst []byte, s string, most int) []byte {
	for i := 0; i < len(s) && len(dst) < most; {
		c, n := char(s, i)
		dst = append(dst, c)
		i += n
	}
	return dst
}

// char is the character at s[i] of a query, and its length, which is three if it is escaped. At the end of s it is a comma.
func char(s string, i int) (c byte, length int) {
	if i >= len(s) {
		return ',', 0
	}
	switch c = s[i]; {
	case c == '+':
		return ' ', 1
	case c == '%' && i+2 < len(s) && wire.Unhex(s[i+1])|wire.Unhex(s[i+2]) < 16:
		return wire.Unhex(s[i+1])<<4 | wire.Unhex(s[i+2]), 3
	}
	return c, 1
}
