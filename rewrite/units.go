package rewrite

// maxUnits is as many as a low-latency playlist has different ones, and some.
const maxUnits = 12

// units are the last units that were met. They outlive their playlist, for the sake of its next state.
type units struct {
	all    []unit
	victim int // which one makes room next
	last   *unit

	missed   [16]uint16 // how long the last lines were that none of them matched
	misses   int
	patience int // how many may still be learned before one has to match
}

// forget makes room for a playlist with another directory or Mapper.
func (us *units) forget() { us.all, us.victim, us.last, us.misses = us.all[:0], 0, nil, 0 }

// begin prepares for a playlist.
func (us *units) begin() { us.patience = maxUnits }

// find finds the unit that text begins with, or nil. What followed last time is tried first.
func (us *units) find(text []byte) (*unit, uint64) {
	if us.last == nil {
		return nil, 0
	}
	last, guess := us.last, us.last.next
	if guess != nil {
		if differ, ok := guess.match(text); ok {
			us.last, us.patience = guess, maxUnits
			return guess, differ
		}
	}
	for i := range us.all {
		if u := &us.all[i]; u != guess {
			if differ, ok := u.match(text); ok {
				last.next, us.last = u, u
				us.patience = min(us.patience+1, maxUnits)
				return u, differ
			}
		}
	}
	return nil, 0
}

// learn remembers lines that no unit matched, if lines as long were missed before: what does not come twice is not
// worth it, and neither is a playlist in which hardly anything does.
func (us *units) learn(lines []byte, t *token, token span, url []byte, way *way) {
	if us.patience == 0 || len(lines) > maxUnit || len(lines)+len(url) > 2*maxUnit || len(lines) < word ||
		lines[len(lines)-1] != '\n' || !us.missedBefore(len(lines)) {
		return
	}
	us.patience--
	if us.all == nil {
		us.all = make([]unit, 0, maxUnits)
	}
	if us.victim == len(us.all) {
		us.all = us.all[:us.victim+1]
	}
	u := &us.all[us.victim]
	us.victim = (us.victim + 1) % maxUnits
	u.learn(lines, t, token, url, way)
	u.next = nil
	if us.last != nil {
		us.last.next = u
	}
	us.last = u
}

func (us *units) missedBefore(length int) bool {
	for _, n := range us.missed[:min(us.misses, len(us.missed))] {
		if int(n) == length {
			return true
		}
	}
	us.missed[us.misses%len(us.missed)] = uint16(length)
	us.misses++
	return false
}
