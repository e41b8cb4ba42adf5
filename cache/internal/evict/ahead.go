package evict

import (
	"hash/maphash"
	"math"
	"strings"
)

const (
	farthest = 128 // segments between a viewer and an item that is kept for it
	inARow   = 3   // asked for in order, so not by chance
)

// awaited reports whether a viewer is approaching the item: some of the preceding numbers were requested in order after it was,
// as many as it takes. A viewer that stops short keeps it alive once.
func (p *Policy[V]) awaited(it *Item[V]) bool {
	at, end := number(it.Key)
	for n := 1; n <= farthest && at < end; n *= 2 {
		run, last := p.passed(it, at, end, n)
		worth := p.odds.worth(run)
		if worth || it.why == nothing {
			it.why = run
		}
		if worth {
			it.last.Store(last)
			return true
		}
	}
	return false
}

// passed counts how many numbers, up to the item n before this one, a viewer coming from further back asked for in order since
// this one was asked for; inARow at most. when is the time of the last.
func (p *Policy[V]) passed(it *Item[V], at, end, n int) (run reason, when uint64) {
	later := uint64(math.MaxUint64)
	for ; run < inARow; run++ {
		var room [256]byte
		key, ok := appendEarlier(room[:0], it.Key, at, end, n+int(run))
		if !ok {
			break
		}
		last := p.lastAsked(key)
		if last <= it.last.Load() || last >= later {
			break
		}
		later = last
		when = max(when, later)
	}
	return run, when
}

// lastAsked is when a key was asked for, 0 if that is not known. It also knows items that have just left.
func (p *Policy[V]) lastAsked(key []byte) uint64 {
	hash := maphash.Bytes(seed, key)
	if it := p.hashed(hash, key); it != nil {
		return it.last.Load()
	}
	return p.ghosts.seen[hash]
}

// number is where the last number of the file name, or the number of a slice, stands in a key. at == end: there is none.
func number(key string) (at, end int) {
	end = len(key)
	if strings.IndexByte(key, 0) < 0 {
		if i := strings.IndexByte(key, '?'); i >= 0 {
			end = i
		}
		if i := strings.LastIndexAny(key[:end], "./"); i >= 0 && key[i] == '.' {
			end = i // skip the digits of .mp4
		}
	}
	for end > 0 && key[end-1] != '/' && !isDigit(key[end-1]) {
		end--
	}
	for at = end; at > 0 && isDigit(key[at-1]); at-- {
	}
	return at, end
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// appendEarlier appends key with its number, from at to end, reduced by n. ok is false if the number is too small.
func appendEarlier(dst []byte, key string, at, end, n int) (_ []byte, ok bool) {
	dst = append(dst, key...)
	for i := end - 1; i >= at && n > 0; i-- {
		digit := int(dst[i]-'0') - n%10
		n /= 10
		if digit < 0 {
			digit, n = digit+10, n+1
		}
		dst[i] = byte('0' + digit)
	}
	if n > 0 {
		return dst, false
	}
	if key[at] != '0' { // the numbers then have no leading zeros
		first := at
		for first < end-1 && dst[first] == '0' {
			first++
		}
		dst = append(dst[:at], dst[first:]...)
	}
	return dst, true
}
