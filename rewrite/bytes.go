package rewrite

// What a byte means to the code that maps URLs. One table answers all questions at one look per byte.
const (
	escaped     = 1 << iota // a Query escapes it: what url.QueryEscape does, and "~", which some players escape on their own
	colon                   // may end a scheme
	slash                   // separates path elements
	question                // begins a query
	percent                 // begins an escape
	special                 // begins a fragment or a variable reference
	oddPath                 // is sent as an escape in a path
	oddQuery                // is sent as an escape in a query, or would not survive in the query of a public URL, see odd.go
	sentEscaped             // is sent as an escape in a query
	hostBytes               // may stand in the authority of a URL
	telling                 // means something by where it stands or by what follows
)

// class holds the meanings of each byte.
var class = classes()

func classes() (t [256]uint16) {
	set := func(bytes string, bit uint16) {
		for i := range len(bytes) {
			t[bytes[i]] |= bit
		}
	}
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for c := range t {
		t[c] = escaped
		if c <= ' ' || c >= 0x7f {
			t[c] |= oddPath | oddQuery | sentEscaped
		}
		if c >= 0x80 {
			t[c] |= hostBytes
		}
	}
	set(alnum+"-._~", hostBytes)
	for _, c := range []byte(alnum + "-._") {
		t[c] &^= escaped
	}
	set("!$&'()*+,;=", hostBytes)
	set("\"<>\\^`{|}", oddPath|oddQuery)
	set("\"<>'", oddQuery|sentEscaped) // as the URL standard of browsers has it for http
	set(":", colon)
	set("/", slash)
	set("?", question)
	set("%", percent)
	set("#{ ", special)
	set("/?&%", telling)
	return t
}

// classOf unites the meanings of all bytes of s.
func classOf(s []byte) (m uint16) {
	for len(s) >= 8 {
		m |= class[s[0]] | class[s[1]] | class[s[2]] | class[s[3]] | class[s[4]] | class[s[5]] | class[s[6]] | class[s[7]]
		s = s[8:]
	}
	for _, c := range s {
		m |= class[c]
	}
	return m
}

func isHex(c byte) bool { return c-'0' < 10 || c|0x20-'a' < 6 }

const upperHex = "0123456789ABCDEF"

// upperNibble is the value of an upper-case hexadecimal digit, or above 15.
func upperNibble(c byte) byte {
	switch {
	case c-'0' < 10:
		return c - '0'
	case c-'A' < 6:
		return c - 'A' + 10
	}
	return 0xff
}

func nibble(c byte) byte {
	if c >= 'a' {
		c -= 'a' - 'A'
	}
	return upperNibble(c)
}
