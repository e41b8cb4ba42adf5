package rewrite

import "encoding/binary"

// Eight bytes at a time are looked at as one word, the first byte lowest. What is found out of them is said by the upper
// bit of each byte.
const (
	word = 8
	ones = 0x0101010101010101
	high = 0x80 * ones
)

// load and store slice with a capacity, which spares them the work of a slice that may be empty.

func load(s []byte, at int) uint64 { return binary.LittleEndian.Uint64(s[at : at+word : at+word]) }

func store(s []byte, at int, w uint64) { binary.LittleEndian.PutUint64(s[at:at+word:at+word], w) }

// toEscape finds the bytes that a Query escapes. Each sum has the upper bit of a byte set where the byte is not below some
// bound, so that an odd number of bounds has been passed within the ranges that need no escaping.
func toEscape(w uint64) uint64 {
	l := w &^ high
	low := l | 0x20*ones
	passed := (l + (0x80-'-')*ones) ^ (l + (0x80-'/')*ones) ^ (l + (0x80-'0')*ones) ^ (l + (0x80-':')*ones) ^
		(low + (0x80-'a')*ones) ^ (low + (0x80-'{')*ones) ^
		(low + (0x80-0x7f)*ones) ^ (l + (0x80-0x7f)*ones) // "_" is 0x7f in low only
	return (^passed | w) & high
}

// oddInQuery finds what has a meaning in a query or would not survive there, "&" included, and some that has none.
func oddInQuery(w uint64) uint64 {
	l := w &^ high
	two := l | 0x02*ones
	none := (l + (0x80-'(')*ones) &^ (l + (0x7f-'z')*ones)
	none &= (two ^ '>'*ones) + 0x7f*ones // nor "<"
	none &= (two ^ '^'*ones) + 0x7f*ones // nor "\\"
	none &= (l ^ '`'*ones) + 0x7f*ones
	return ^(none &^ w) & high
}

// plain finds the bytes that stand for nothing but themselves wherever they are: letters, digits and "-".
func plain(w uint64) uint64 {
	l := w &^ high
	return (alnum(l) | ^((l ^ '-'*ones) + 0x7f*ones)) &^ w & high
}

// hexDigits finds what isHex is true of.
func hexDigits(w uint64) uint64 {
	l := w &^ high
	low := l | 0x20*ones
	return ((low+(0x80-'a')*ones)&^(low+(0x7f-'f')*ones) | digits(l)) &^ w & high
}

// alnum finds letters and digits, digits only these, where no byte is above 0x7f; other bits are left over.
func alnum(l uint64) uint64 {
	low := l | 0x20*ones
	return (low+(0x80-'a')*ones)&^(low+(0x7f-'z')*ones) | digits(l)
}

func digits(l uint64) uint64 { return (l + (0x80-'0')*ones) &^ (l + (0x7f-'9')*ones) }

// differing finds the bytes that are not 0.
func differing(w uint64) uint64 { return (w&^high + 0x7f*ones | w) & high }

// below is not 0 if some byte of w is below n, which is 128 at most.
func below(w uint64, n uint64) uint64 { return (w - n*ones) &^ w & high }
