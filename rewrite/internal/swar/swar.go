// Package swar handles eight bytes at a time, as one word with the first byte lowest. A function that finds bytes sets the
// upper bit of each byte it finds.
package swar

import "encoding/binary"

// Size is the number of bytes in a word. Ones and High have the lowest and the upper bit of each byte.
const (
	Size = 8
	Ones = 0x0101010101010101
	High = 0x80 * Ones
)

// Load and Store slice with a capacity, which avoids the extra work for slices that may be empty.

// Load is the word that begins at s[at].
func Load(s []byte, at int) uint64 { return binary.LittleEndian.Uint64(s[at : at+Size : at+Size]) }

// Store writes a word at s[at].
func Store(s []byte, at int, w uint64) { binary.LittleEndian.PutUint64(s[at:at+Size:at+Size], w) }

// ToEscape finds the bytes that are escaped in the value of a query parameter: all but letters, digits, "-", "." and "_". Each
// sum has the upper bit of a byte set if the byte is not below some bound. A byte in a range that needs no escape has passed an
// odd number of bounds.
func ToEscape(w uint64) uint64 {
	l := w &^ High
	low := l | 0x20*Ones
	passed := (l + (0x80-'-')*Ones) ^ (l + (0x80-'/')*Ones) ^ (l + (0x80-'0')*Ones) ^ (l + (0x80-':')*Ones) ^
		(low + (0x80-'a')*Ones) ^ (low + (0x80-'{')*Ones) ^
		(low + (0x80-0x7f)*Ones) ^ (l + (0x80-0x7f)*Ones) // "_" is 0x7f in low only
	return (^passed | w) & High
}

// OddInQuery finds bytes that have a meaning in a query or would not survive there, "&" included, and some others.
func OddInQuery(w uint64) uint64 {
	l := w &^ High
	two := l | 0x02*Ones
	none := (l + (0x80-'(')*Ones) &^ (l + (0x7f-'z')*Ones)
	none &= (two ^ '>'*Ones) + 0x7f*Ones // nor "<"
	none &= (two ^ '^'*Ones) + 0x7f*Ones // nor "\\"
	none &= (l ^ '`'*Ones) + 0x7f*Ones
	return ^(none &^ w) & High
}

// Plain finds the bytes that have no special meaning anywhere: letters, digits and "-".
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

// alnum finds letters and digits, digits finds only digits, if no byte is above 0x7f. Other bits are undefined.
func alnum(l uint64) uint64 {
	low := l | 0x20*Ones
	return (low+(0x80-'a')*Ones)&^(low+(0x7f-'z')*Ones) | digits(l)
}

func digits(l uint64) uint64 { return (l + (0x80-'0')*Ones) &^ (l + (0x7f-'9')*Ones) }

// NonZero finds the bytes that are not 0.
func NonZero(w uint64) uint64 { return (w&^High + 0x7f*Ones | w) & High }

// Below is not 0 if some byte of w is below n, which is at most 128. It does not tell which byte.
func Below(w uint64, n uint64) uint64 { return (w - n*Ones) &^ w & High }

// Between has all bits set in those of the eight bytes at i that lie between start and end.
func Between(i, start, end int) uint64 {
	from, to := min(max(start-i, 0), Size), min(max(end-i, 0), Size)
	if from >= to {
		return 0
	}
	return ^uint64(0) >> (64 - 8*(to-from)) << (8 * from)
}
