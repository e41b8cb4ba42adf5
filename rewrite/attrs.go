package rewrite

import "bytes"

// attrList walks an attribute list (section 4.2 of the HLS draft), more patient than the grammar: blanks around commas
// and values, values without quotes, and a missing closing quote are put up with, as some player does with each.
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
	for {
		for a.pos < a.end && (a.src[a.pos] == ',' || a.src[a.pos] == ' ' || a.src[a.pos] == '\t') {
			a.pos++
		}
		a.nameFrom = a.pos
		for a.pos < a.end && a.src[a.pos] != '=' && a.src[a.pos] != ',' {
			a.pos++
		}
		if a.pos == a.end {
			return false
		}
		if a.src[a.pos] == '=' {
			a.nameTo = a.pos
			a.pos++
			a.takeValue()
			return true
		}
	}
}

func (a *attrList) takeValue() {
	for a.pos < a.end && (a.src[a.pos] == ' ' || a.src[a.pos] == '\t') {
		a.pos++
	}
	a.quoted = a.pos < a.end && a.src[a.pos] == '"'
	if a.quoted {
		a.from = a.pos + 1
		a.to = a.until('"', a.from)
		a.pos = a.until(',', min(a.to+1, a.end))
		return
	}
	a.pos = a.until(',', a.pos)
	a.from, a.to = trimBlanks(a.src, max(a.nameTo+1, a.nameFrom), a.pos)
}

// until is where the first c at or after from stands, or the end of the list.
func (a *attrList) until(c byte, from int) int {
	if n := bytes.IndexByte(a.src[from:a.end], c); n >= 0 {
		return from + n
	}
	return a.end
}

// lookup finds the value of an attribute in what is left of the list. The receiver is a copy: nothing is used up.
func (a attrList) lookup(name string) (value []byte, ok bool) {
	for a.next() {
		if string(a.name()) == name {
			return a.value(), true
		}
	}
	return nil, false
}
