package proof

import (
	"sync"
	"time"
)

const (
	windowBits  = 1 << 16 // how many requests of one sender may overtake one
	mostSenders = 1024    // at a time; each takes 8 KiB, and only nodes with the secret are senders
)

// windows knows which numbers of which senders have been seen. The zero value is empty.
type windows struct {
	mu   sync.Mutex
	from map[string]*window
}

type window struct {
	top  uint64 // the highest number seen
	used time.Time
	bits [windowBits / 64]uint64 // by number modulo windowBits
}

// first records a number, and reports whether it was new.
func (w *windows) first(from string, number uint64, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.from[from]
	if one == nil {
		if len(w.from) >= mostSenders {
			w.sweep(now)
		}
		if len(w.from) >= mostSenders {
			return false
		}
		if w.from == nil {
			w.from = map[string]*window{}
		}
		one = new(window)
		w.from[from] = one
	}
	one.used = now
	return one.first(number)
}

// sweep forgets senders whose last request would be too old by now.
func (w *windows) sweep(now time.Time) {
	for from, one := range w.from {
		if now.Sub(one.used) > 2*Window {
			delete(w.from, from)
		}
	}
}

func (w *window) first(number uint64) bool {
	if number > w.top {
		for back := range min(number-w.top, windowBits) { // the highest number has no successor to stop at
			n := number - back
			w.bits[n%windowBits/64] &^= 1 << (n % 64)
		}
		w.top = number
	} else if w.top-number >= windowBits {
		return false
	}
	at, bit := &w.bits[number%windowBits/64], uint64(1)<<(number%64)
	if *at&bit != 0 {
		return false
	}
	*at |= bit
	return true
}
