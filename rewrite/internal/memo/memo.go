// Package memo remembers the results for lines of a playlist, so that similar lines need not be read again.
//
// The lines of a playlist count up: the next ones often differ only in digits. Their result is then a copy with these digits
// replaced. No further check is needed: digits end no line and no attribute, are in no name that is searched for, and need no
// escape. Within the URI, other bytes without a meaning may differ as well.
//
// The package knows neither tags nor Mappers. Its caller describes by a [Mapping] how a URI became a URL, and keeps other facts
// about the lines in a [Note].
package memo

// maxUnits is a little more than the number of different units in a low-latency playlist.
const maxUnits = 12

const (
	effort      = 4 // how often a unit must match to be worth its cost
	maxPatience = maxUnits * effort
	minPatience = 2 * effort
)

// A Memo holds the units that it learned last. They outlive their playlist, because its next version has the same lines, and so
// do similar playlists. It is not safe for concurrent use. Call Forget first.
type Memo struct {
	all    []Unit
	ends   [maxUnits]uint16 // where each unit has its last LF
	victim int              // the unit to replace next
	last   *Unit

	missed   [16]uint16 // the lengths of the last lines that matched no unit
	misses   int
	patience int // how much may still be learned before a unit must match
	hope     int // that the next lines match; negative: how many lines to skip
}

const (
	maxHope = 64
	despair = 16 // how many lines are skipped when hope is lost
)

// Forget drops all units. It is called before lines are mapped differently.
func (m *Memo) Forget() {
	m.all, m.victim, m.last, m.misses = m.all[:0], 0, nil, 0
	m.patience = maxPatience
}

// Begin prepares for a playlist. If nothing matched in the last one, little is learned until something does.
func (m *Memo) Begin() { m.patience, m.hope = max(m.patience, minPatience), maxHope/2 }

// Match finds the unit that the lines at the beginning of text match, apart from bytes that may differ. nil: there is none. It
// first tries the unit that followed last time.
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

// Learn remembers lines that no unit matched. uri is where their only URI is, and url is its result. It learns lines only if
// lines of the same length were missed before: lines that do not repeat are not worth it, nor is a playlist in which hardly any
// do. Learn copies what it keeps, and returns the unit for its Note; nil: it has learned nothing.
func (m *Memo) Learn(lines []byte, uri Span, url []byte, how *Mapping) *Unit {
	if m.patience < effort || m.hope < 0 || !fits(len(lines), len(url)) || lines[len(lines)-1] != '\n' || !m.missedBefore(len(lines)) {
		return nil
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
	u.Note, u.next = Note{}, nil
	if m.last != nil {
		m.last.next = u
	}
	m.last = u
	return u
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
