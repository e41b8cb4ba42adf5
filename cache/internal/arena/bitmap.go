package arena

import "math/bits"

// bitmap is a set of numbers below slabPages.
type bitmap [slabPages / 64]uint64

// set adds the n numbers from first on, or removes them.
func (s *bitmap) set(first, n int, in bool) {
	for n > 0 {
		word, bit := first/64, first%64
		k := min(n, 64-bit)
		mask := ^uint64(0) >> (64 - k) << bit
		if in {
			s[word] |= mask
		} else {
			s[word] &^= mask
		}
		first, n = first+k, n-k
	}
}

// next is the first member that is not below i, -1 if there is none.
func (s *bitmap) next(i int) int {
	for word := i / 64; word < len(s); word++ {
		w := s[word]
		if word == i/64 {
			w = w >> (i % 64) << (i % 64)
		}
		if w != 0 {
			return word*64 + bits.TrailingZeros64(w)
		}
	}
	return -1
}

// gap is the first number that is not below i and not a member, slabPages if there is none.
func (s *bitmap) gap(i int) int {
	for word := i / 64; word < len(s); word++ {
		w := ^s[word]
		if word == i/64 {
			w = w >> (i % 64) << (i % 64)
		}
		if w != 0 {
			return word*64 + bits.TrailingZeros64(w)
		}
	}
	return len(s) * 64
}

// last is the greatest member, -1 if there is none.
func (s *bitmap) last() int {
	for word := len(s) - 1; word >= 0; word-- {
		if s[word] != 0 {
			return word*64 + bits.Len64(s[word]) - 1
		}
	}
	return -1
}

// run is where the first n consecutive members begin, -1 if there are none.
func (s *bitmap) run(n int) int {
	for at := s.next(0); at >= 0; {
		end := s.gap(at)
		if end-at >= n {
			return at
		}
		if end >= len(s)*64 {
			break
		}
		at = s.next(end)
	}
	return -1
}

// longest is the length of the longest sequence of consecutive members.
func (s *bitmap) longest() (n int) {
	for at := s.next(0); at >= 0; {
		end := s.gap(at)
		n = max(n, end-at)
		if end >= len(s)*64 {
			break
		}
		at = s.next(end)
	}
	return n
}
