package rewrite

// maxUnits is as many as a low-latency playlist has different ones, and some.
const maxUnits = 12

const (
	effort      = 4 // how often a unit has to match to have been worth it
	maxPatience = maxUnits * effort
	minPatience = 2 * effort
)

// units are the last units that were met. They outlive their playlist, for the sake of its next state, and of others like
// it.
type units struct {
	all    []unit
	ends   [maxUnits]uint16 // where each of them has its last LF
	victim int              // which one makes room next
	last   *unit

	missed   [16]uint16 // how long the last lines were that none of them matched
	misses   int
	patience int // how much may still be learned before one has to match
	hope     int // that the next lines match, or for how many lines there is none
}

const (
	maxHope = 64
	despair = 16 // how many lines are not looked at when there is no hope left
)

// forget makes room for a playlist with another Mapper.
func (us *units) forget() {
	us.all, us.victim, us.last, us.misses = us.all[:0], 0, nil, 0
	us.patience = maxPatience
}

// begin prepares for a playlist. After one in which nothing matched, little is learned until something does.
func (us *units) begin() { us.patience, us.hope = max(us.patience, minPatience), maxHope/2 }

// find finds the unit that text begins with, or nil. What followed last time is tried first.
func (us *units) find(text []byte) (u *unit, differ, loose uint64) {
	if us.last == nil {
		return nil, 0, 0
	}
	if us.hope < 0 {
		us.hope++
		return nil, 0, 0
	}
	last, guess := us.last, us.last.next
	if guess != nil {
		if differ, loose, ok := guess.match(text); ok {
			us.found(guess)
			return guess, differ, loose
		}
	}
	for i := range us.all {
		if end := int(us.ends[i]); end >= len(text) || text[end] != '\n' {
			continue
		}
		if u := &us.all[i]; u != guess {
			if differ, loose, ok := u.match(text); ok {
				last.next = u
				us.found(u)
				return u, differ, loose
			}
		}
	}
	if us.hope--; us.hope < 0 {
		us.hope = -despair
	}
	return nil, 0, 0
}

func (us *units) found(u *unit) {
	us.last = u
	us.patience = min(us.patience+1, maxPatience)
	us.hope = min(us.hope+effort, maxHope)
}

// learn remembers lines that no unit matched, if lines as long were missed before: what does not come twice is not
// worth it, and neither is a playlist in which hardly anything does.
func (us *units) learn(lines []byte, t *token, token span, url []byte, mapping *mapping, turn int) {
	if us.patience < effort || us.hope < 0 || len(lines) > maxUnit || len(lines)+len(url) > 2*maxUnit || len(lines) < word ||
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
	u.learn(lines, t, token, url, mapping)
	u.next, u.turn = nil, turn
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
