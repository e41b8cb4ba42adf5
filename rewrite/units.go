package rewrite

// maxUnits is as many as a low-latency playlist has different ones, and some.
const maxUnits = 12

const (
	effort      = 4 // how often a unit has to match to have been worth it
	maxPatience = maxUnits * effort
)

// units are the last units that were met. They outlive their playlist, for the sake of its next state.
type units struct {
	all    []unit
	ends   [maxUnits]uint16 // where each of them has its last LF
	victim int              // which one makes room next
	last   *unit

	missed   [16]uint16 // how long the last lines were that none of them matched
	misses   int
	patience int // how much may still be learned before one has to match
}

// forget makes room for a playlist with another directory or Mapper.
func (us *units) forget() { us.all, us.victim, us.last, us.misses = us.all[:0], 0, nil, 0 }

// begin prepares for a playlist.
func (us *units) begin() { us.patience = maxPatience }

// find finds the unit that text begins with, or nil. What followed last time is tried first.
func (us *units) find(text []byte) (*unit, uint64) {
	if us.last == nil {
		return nil, 0
	}
	last, guess := us.last, us.last.next
	if guess != nil {
		if differ, ok := guess.match(text); ok {
			us.last, us.patience = guess, min(us.patience+1, maxPatience)
			return guess, differ
		}
	}
	for i := range us.all {
		if end := int(us.ends[i]); end >= len(text) || text[end] != '\n' {
			continue
		}
		if u := &us.all[i]; u != guess {
			if differ, ok := u.match(text); ok {
				last.next, us.last = u, u
				us.patience = min(us.patience+1, maxPatience)
				return u, differ
			}
		}
	}
	return nil, 0
}

// learn remembers lines that no unit matched, if lines as long were missed before: what does not come twice is not
// worth it, and neither is a playlist in which hardly anything does.
func (us *units) learn(lines []byte, t *token, token span, url []byte, way *way) {
	if us.patience < effort || len(lines) > maxUnit || len(lines)+len(url) > 2*maxUnit || len(lines) < word ||
		lines[len(lines)-1] != '\n' || !us.missedBefore(len(lines)) {
		return
	}
	us.patience -= effort
	if us.all == nil {
		us.all = make([]unit, 0, maxUnits)
	}
	if us.victim == len(us.all) {
		us.all = us.all[:us.victim+1]
	}
	u := &us.all[us.victim]
	us.ends[us.victim] = uint16(len(lines) - 1)
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
