package cmcd

import "time"

// text is a field, or a query without its escapes.
type text interface{ string | []byte }

// parse reads "key=value,key,key="string"". A comma within a string or a list does not end a member.
func parse[T text](d *Data, s T) {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c-'a' < 26 && !counts(c, s[min(i+1, len(s)-1)]) { // most members are skipped
			j := i
			for j < len(s) && special[s[j]]&inMember == 0 {
				j++
			}
			if j == len(s) || s[j] == ',' {
				d.Said, i = true, j
				continue
			}
		}
		start, key := i, uint32(0)
		for i < len(s) && s[i] > '=' {
			key = key<<8 | uint32(s[i])
			i++
		}
		end, from := i, i
		if i+1 < len(s) && s[i] == '=' {
			i++
			from = i
			if s[i] == '"' {
				for i++; i+8 <= len(s) && isPlain(s[i:i+8]); i += 8 {
				}
				for i < len(s) && special[s[i]]&inString == 0 {
					i++
				}
				if i < len(s) && s[i] == '"' {
					i++
				}
			} else {
				for i < len(s) && special[s[i]]&inToken == 0 {
					i++
				}
			}
		}
		if i < len(s) && s[i] != ',' || i == len(s) && from < i && s[from] == '"' && s[i-1] != '"' {
			var name, value T
			name, value, s = anyMember(s[start:])
			if len(name) > 0 {
				d.Said = true
				set(d, keyOf(name), value, false)
			}
			i = -1
			continue
		}
		if end > start {
			d.Said = true
			if end-start <= 3 {
				set(d, key, s[from:i], true)
			}
		}
	}
}

// isPlain reports whether eight bytes of a string are all kept and do not end it. It may err if one is not ASCII.
func isPlain[T text](b T) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	x := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
	return (x|(x-' '*each)|((x^'"'*each)-each)|((x^'\\'*each)-each)|((x^0x7f*each)-each))&high == 0
}

// special are the bytes at which parse stops: in a string, in a number or token, and in a skipped member. If one of them stands
// elsewhere than at the end, which is rare, anyMember reads the member.
var special = func() (table [256]uint8) {
	for c := range table {
		if c < ' ' || c == 0x7f || c == '"' || c == '\\' {
			table[c] |= inString
		}
		if c <= ',' || c == '\\' || c == 0x7f {
			table[c] |= inMember | inToken
		}
		if c == '=' {
			table[c] |= inToken
		}
	}
	return table
}()

const (
	inString = 1 << iota
	inToken
	inMember
)

// counts reports, by its first two bytes, whether a key may be one that is read: sid and su, br and bs, msd.
func counts(first, second byte) bool {
	switch first {
	case 's':
		return second == 'i' || second == 'u'
	case 'b':
		return second == 'r' || second == 's'
	}
	return first == 'm' && second == 's'
}

// anyMember reads all other members: with lists, escapes or spaces.
func anyMember[T text](s T) (key, value, rest T) {
	quoted, depth, eq, end := false, 0, -1, 0
loop:
	for ; end < len(s); end++ {
		c := s[end]
		if quoted && c != '"' && c != '\\' || !quoted && c > ',' && c != '=' {
			continue // nearly every byte
		}
		switch {
		case c == '\\':
			if quoted {
				end++
			}
		case c == '"':
			quoted = !quoted
		case c == ',' && depth <= 0:
			break loop
		case c == '=' && eq < 0:
			eq = end
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
	}
	end = min(end, len(s))
	rest = s[min(end+1, len(s)):]
	if eq < 0 {
		return trim(s[:end]), s[:0], rest
	}
	return trim(s[:eq]), trim(s[eq+1 : end]), rest
}

func trim[T text](s T) T {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// The keys that are read, by their letters.
const (
	sid = 's'<<16 | 'i'<<8 | 'd'
	msd = 'm'<<16 | 's'<<8 | 'd'
	br  = 'b'<<8 | 'r'
	bs  = 'b'<<8 | 's'
	su  = 's'<<8 | 'u'
)

// keyOf is the key with a name that parse has not read itself. Zero: it is not read.
func keyOf[T text](name T) (key uint32) {
	if len(name) > 3 {
		return 0
	}
	for i := range len(name) {
		key = key<<8 | uint32(name[i])
	}
	return key
}

func set[T text](d *Data, key uint32, value T, plain bool) {
	switch key {
	case sid:
		keep(&d.Session, value, plain)
	case br:
		d.Bitrate = min(number(value), 1e12) * 1000
	case msd:
		d.StartDelay = time.Duration(min(number(value), 1e12)) * time.Millisecond
	case bs:
		d.Starved = truth(value)
	case su:
		d.Startup = truth(value)
	}
}

// keep stores a string. Some players send it without quotes. Escapes are removed; a control character ends it. A plain string
// has neither.
func keep[T text](id *ID, s T, plain bool) {
	if len(s) > 0 && s[0] == '"' {
		if s = s[1:]; len(s) > 0 && s[len(s)-1] == '"' {
			s = s[:len(s)-1]
		}
	}
	if plain {
		id.n = uint8(copy(id.bytes[:], s))
		return
	}
	n := 0
	for i := 0; i < len(s) && n < maxString; i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			i++
			c = s[i]
		}
		if c < ' ' || c == 0x7f {
			break
		}
		id.bytes[n] = c
		n++
	}
	id.n = uint8(n)
}

// number is the value of digits, or of the first number in a list of version 2. It is zero for anything else.
func number[T text](s T) int64 {
	if len(s) > 0 && s[0] == '(' {
		s = trim(s[1:])
	}
	n := int64(0)
	for i := range len(s) {
		switch c := s[i]; {
		case c-'0' < 10 && n < 1e15:
			n = n*10 + int64(c-'0')
		case i > 0 && (c == '.' || c == ' ' || c == ')' || c == ';'): // the rest of a decimal, a list, or parameters
			return n
		default:
			return 0
		}
	}
	return n
}

// truth is true for a key without a value. It is false for the forms of false that players send.
func truth[T text](s T) bool {
	switch string(s) {
	case "false", "?0", "0":
		return false
	}
	return true
}
