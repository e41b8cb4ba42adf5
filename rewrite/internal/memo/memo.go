// Package memo remembers what lines of a playlist became, so that lines like them need not be read again.
//
// The lines of a playlist count up: the next ones are often the same but for digits, and then what they become is a copy with
// these digits replaced. Nothing else has to be looked at: digits end no line and no attribute, are in no name that is looked
// for, and need no escaping. Within the URI other bytes without a meaning may differ too.
//
// The package knows neither tags nor Mappers. Its caller says by a [Mapping] how a URI became another one, and keeps what else
// it has to know of the lines in a [Note].
package memo

// maxUnits is as many as a low-latency playlist has different ones, and some.
const maxUnits = 12

const (
	effort      = 4 // how often a unit has to match to have been worth it
	maxPatience = maxUnits * effort
	minPatience = 2 * effort
)

// A Memo holds the units that it learned last. They outlive their playlist: its next state has the same lines, and so have
// others like it. It is not for concurrent use. Call Forget before anything else.
type Memo struct {
	all    []Unit
	ends   [maxUnits]uint16 // where each of them has its last LF
	victim int              // which one makes room next
	last   *Unit

	missed   [16]uint16 // how long the last lines were that none of them matched
	misses   int
	patience int // how much may still be learned before one has to match
	hope     int // that the next lines match, or for how many lines there is none
}

const (
	maxHope = 64
	despair = 16 // how many lines are not looked at when there is no hope left
)

// Forget drops all units, before lines that become something else.
func (m *Memo) Forget() {
	m.all, m.victim, m.last, m.misses = m.all[:0], 0, nil, 0
	m.patience = maxPatience
}

// Begin prepares for a playlist. After one in which nothing matched, little is learned until something does.
func (m *Memo) Begin() { m.patience, m.hope = max(m.patience, minPatience), maxHope/2 }

// Match finds the unit whose lines text begins with, but for what may differ. nil: there is none. The unit that followed last
// time is tried first.
func (m *Memo) Match(text []byte) (*Unit, Difference) {
	if m.last == nil {
		return nil, Difference{}
	}
	if m.hope < 0 {
		m.hope++
		return nil, Difference{}
	}
	last, guess := m.last, m.last.next
	if guess != nil {
		if d, ok := guess.match(text); ok {
			m.found(guess)
			return guess, d
		}
	}
	for i := range m.all {
		if end := int(m.ends[i]); end >= len(text) || text[end] != '\n' {
			continue
		}
		if u := &m.all[i]; u != guess {
			if d, ok := u.match(text); ok {
				last.next = u
				m.found(u)
				return u, d
			}
		}
	}
	if m.hope--; m.hope < 0 {
		m.hope = -despair
	}
	return nil, Difference{}
}

func (m *Memo) found(u *Unit) {
	m.last = u
	m.patience = min(m.patience+1, maxPatience)
	m.hope = min(m.hope+effort, maxHope)
}

// Learn remembers lines that no unit matched. uri is where in them their only URI stands, and url is what became of it. Lines
// are learned if lines as long were missed before: what does not come twice is not worth it, and neither is a playlist in which
// hardly anything does. Learn copies what it keeps.
func (m *Memo) Learn(lines []byte, uri Span, url []byte, how *Mapping, note Note) {
	if m.patience < effort || m.hope < 0 || !fits(len(lines), len(url)) || lines[len(lines)-1] != '\n' || !m.missedBefore(len(lines)) {
		return
	}
	m.patience -= effort
	if m.all == nil {
		m.all = make([]Unit, 0, maxUnits)
	}
	if m.victim == len(m.all) {
		m.all = m.all[:m.victim+1]
	}
	u := &m.all[m.victim]
	m.ends[m.victim] = uint16(len(lines) - 1)
	m.victim = (m.victim + 1) % maxUnits
	u.learn(lines, uri, url, how)
	u.Note, u.next = note, nil
	if m.last != nil {
		m.last.next = u
	}
	m.last = u
}

func (m *Memo) missedBefore(length int) bool {
	for _, n := range m.missed[:min(m.misses, len(m.missed))] {
		if int(n) == length {
			return true
		}
	}
	m.missed[m.misses%len(m.missed)] = uint16(length)
	m.misses++
	return false
}
