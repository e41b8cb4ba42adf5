// Package swar looks at eight bytes at a time, as one word with the first byte lowest. A function that finds bytes sets the
// upper bit of each byte that it found.
package swar

import "encoding/binary"

// Size is how many bytes a word has. Ones and High have the lowest and the upper bit of each byte.
const (
	Size = 8
	Ones = 0x0101010101010101
	High = 0x80 * Ones
)

// Load and Store slice with a capacity, which spares them the work of a slice that may be empty.

// Load is the word that begins at s[at].
func Load(s []byte, at int) uint64 { return binary.LittleEndian.Uint64(s[at : at+Size : at+Size]) }

// Store writes a word from s[at] on.
func Store(s []byte, at int, w uint64) { binary.LittleEndian.PutUint64(s[at:at+Size:at+Size], w) }

// ToEscape finds the bytes that are escaped in the value of a query parameter: all but letters, digits, "-", "." and "_". Each
// sum has the upper bit of a byte set where the byte is not below some bound. Within the ranges that need no escaping an odd
// number of bounds has been passed.
func ToEscape(w uint64) uint64 {
	l := w &^ High
	low := l | 0x20*Ones
	passed := (l + (0x80-'-')*Ones) ^ (l + (0x80-'/')*Ones) ^ (l + (0x80-'0')*Ones) ^ (l + (0x80-':')*Ones) ^
		(low + (0x80-'a')*Ones) ^ (low + (0x80-'{')*Ones) ^
		(low + (0x80-0x7f)*Ones) ^ (l + (0x80-0x7f)*Ones) // "_" is 0x7f in low only
	return (^passed | w) & High
}

// OddInQuery finds what has a meaning in a query or would not survive there, "&" included, and some bytes that have none.
func OddInQuery(w uint64) uint64 {
	l := w &^ High
	two := l | 0x02*Ones
	none := (l + (0x80-'(')*Ones) &^ (l + (0x7f-'z')*Ones)
	none &= (two ^ '>'*Ones) + 0x7f*Ones // nor "<"
	none &= (two ^ '^'*Ones) + 0x7f*Ones // nor "\\"
	none &= (l ^ '`'*Ones) + 0x7f*Ones
	return ^(none &^ w) & High
}

// Plain finds the bytes that stand for nothing but themselves wherever they are: letters, digits and "-".
func Plain(w uint64) uint64 {
	l := w &^ High
	return (alnum(l) | ^((l ^ '-'*Ones) + 0x7f*Ones)) &^ w & High
}

// Digits finds decimal digits.
func Digits(w uint64) uint64 { return digits(w&^High) &^ w & High }

// HexDigits finds hexadecimal digits of either case.
func HexDigits(w uint64) uint64 {
	l := w &^ High
	low := l | 0x20*Ones
	return ((low+(0x80-'a')*Ones)&^(low+(0x7f-'f')*Ones) | digits(l)) &^ w & High
}

// alnum finds letters and digits, digits only these, where no byte is above 0x7f. Other bits are left over.
func alnum(l uint64) uint64 {
	low := l | 0x20*Ones
	return (low+(0x80-'a')*Ones)&^(low+(0x7f-'z')*Ones) | digits(l)
}

func digits(l uint64) uint64 { return (l + (0x80-'0')*Ones) &^ (l + (0x7f-'9')*Ones) }

// NonZero finds the bytes that are not 0.
func NonZero(w uint64) uint64 { return (w&^High + 0x7f*Ones | w) & High }

// Below is not 0 if some byte of w is below n, which is 128 at most. It does not tell which one.
func Below(w uint64, n uint64) uint64 { return (w - n*Ones) &^ w & High }

// Between has all bits of those of the eight bytes from i on that are in start to end.
func Between(i, start, end int) uint64 {
	from, to := min(max(start-i, 0), Size), min(max(end-i, 0), Size)
	if from >= to {
		return 0
	}
	return ^uint64(0) >> (64 - 8*(to-from)) << (8 * from)
}
