package rewrite

import "bytes"

// attrList walks an attribute list (section 4.2 of the HLS draft). It is more patient than the grammar: it takes blanks around
// names and values, values without quotes, and a missing closing quote, since some player takes each of these. For all players,
// quotes enclose a value only if the value begins with one; elsewhere they are ordinary bytes.
type attrList struct {
	src      []byte
	pos, end int // what is left

	nameFrom, nameTo int
	from, to         int // the value, without quotes
	quoted           bool
}

func (a *attrList) name() []byte { return a.src[a.nameFrom:a.nameTo] }

func (a *attrList) value() []byte { return a.src[a.from:a.to] }

// next finds the next attribute that has a value.
func (a *attrList) next() bool {
	for a.pos < a.end {
		from, to, equals := a.item()
		if equals < 0 {
			continue
		}
		a.nameFrom, a.nameTo = trimBlanks(a.src, from, equals)
		a.from, a.to = trimBlanks(a.src, equals+1, to)
		a.quoted = a.from < a.to && a.src[a.from] == '"'
		if a.quoted {
			a.from++
			a.to = until(a.src, a.from, a.to, '"')
		}
		return true
	}
	return false
}

// item takes what stands before the next comma, and finds the first equals sign in it; -1: there is none.
func (a *attrList) item() (from, to, equals int) {
	from, equals = a.pos, -1
	src := a.src[:a.end]
	for to = from; to < len(src) && src[to] != ','; to++ {
		if src[to] != '=' || equals >= 0 {
			continue
		}
		equals = to
		value := to + 1
		for value < len(src) && (src[value] == ' ' || src[value] == '\t') {
			value++
		}
		if value < len(src) && src[value] == '"' {
			if to = until(src, value+1, len(src), '"'); to == len(src) {
				break
			}
		}
	}
	a.pos = min(to+1, a.end)
	return from, to, equals
}

// until is where the first c in src[from:end] stands, or end.
func until(src []byte, from, end int, c byte) int {
	if n := bytes.IndexByte(src[from:end], c); n >= 0 {
		return from + n
	}
	return end
}

// nextURI finds the next attribute URI in what is left. It finds what next would, but faster. All players want the name right
// behind a comma; if it stands elsewhere, found is false and the list is as it was.
func (a *attrList) nextURI() (found, sure bool) {
	if a.pos == a.end {
		return false, true
	}
	at, even := a.pos, true // whether the number of quotes up to at is even
	for scan := at; ; {
		n := bytes.IndexByte(a.src[scan:a.end], 'U')
		if n < 0 {
			return false, true
		}
		scan += n + 1
		if scan+3 > a.end || string(a.src[scan:scan+2]) != "RI" {
			continue
		}
		switch a.src[scan+2] {
		case '=':
		case ' ', '\t':
			return false, false
		default:
			continue
		}
		name := scan - 1
		even = even == (bytes.Count(a.src[at:name], quoteByte)&1 == 0)
		at = name
		if name != a.pos && a.src[name-1] != ',' {
			if c := a.src[name-1]; c == ' ' || c == '\t' {
				return false, false
			}
			continue
		}
		if !even {
			return false, false // within a value, or a quote is where none should be
		}
		from := name + 4
		if from == a.end || a.src[from] != '"' {
			return false, false
		}
		a.nameFrom, a.nameTo, a.quoted = name, name+3, true
		a.from = from + 1
		if a.to = until(a.src, a.from, a.end, '"'); a.to == a.end {
			return false, false // no closing quote: the value ends before the blanks at the end of the line
		}
		a.pos = min(until(a.src, a.to+1, a.end, ',')+1, a.end)
		return true, true
	}
}

var quoteByte = []byte{'"'}

// lookup finds the value of an attribute in what is left of the list. The receiver is a copy: nothing is used up.
func (a attrList) lookup(name string) (value []byte, ok bool) {
	for a.next() {
		if string(a.name()) == name {
			return a.value(), true
		}
	}
	return nil, false
}
