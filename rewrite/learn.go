package rewrite

import "bytes"

// learn makes the unit one of these lines, with their URI and what became of it.
func (u *unit) learn(lines []byte, t *token, token span, url []byte, mapping *mapping) {
	u.token, u.child, u.form, u.kind, u.isMap = token, t.tag.child, t.form, t.kind, t.tag == &mapTag
	u.src = append(u.room.src[:0], lines...)
	u.below = token.start + mapping.lead
	u.name = span{u.below + mapping.name.start, u.below + mapping.name.end}
	u.moved = nil
	if mapping.query {
		u.moved = u.room.moved[:0]
		moved := 0
		for _, c := range u.src[u.below:token.end] {
			u.moved = append(u.moved, uint16(moved))
			moved += escapedLen(escapes[c]) - 1
		}
	}
	u.words, u.signature = u.room.words[:0], signature{}
	free, hex, fixed := span{u.below, u.below + mapping.free}, hexNumber(u.src, token.end), u.extension()
	for at := 0; at < len(lines); at += word {
		u.words = append(u.words, u.wordOf(min(at, len(lines)-word), free, hex, fixed))
	}
	u.tellApart()
	u.fill(url, mapping)
}

// extension is where the file name has an extension that decides what the public name ends in.
func (u *unit) extension() span {
	dot := bytes.LastIndexByte(u.src[u.name.start:u.name.end], '.')
	if dot < 0 {
		return span{}
	}
	return span{u.name.start + dot, u.name.end}
}

// fill makes out of what became of the URI.
func (u *unit) fill(url []byte, mapping *mapping) {
	if u.out == nil {
		u.out = u.room.out[:0]
	}
	u.out = append(append(append(u.out[:0], u.src[:u.token.start]...), url...), u.src[u.token.end:]...)
	u.url = span{u.token.start, u.token.start + len(url)}
	if u.second = mapping.second; u.second > 0 {
		u.second += u.token.start
	}
	u.rest = u.url.start + mapping.rest
	u.pass, u.signed = 0, false
	u.place()
}

// place finds where in out the words are.
func (u *unit) place() {
	shift := [...]int{within: u.rest - u.below, behind: len(u.out) - len(u.src)}
	for k := range u.words {
		w := &u.words[k]
		if w.part != torn {
			w.to = uint16(int(w.at) + u.movedBy(int(w.at)) + shift[w.part])
			continue
		}
		for i := range w.each {
			at := int(w.at) + i
			w.each[i] = uint16(at + u.movedBy(at) + shift[u.partOf(at)])
		}
	}
}

// partOf is the part that a byte of src is in. One that is in none of them never differs.
func (u *unit) partOf(i int) part {
	switch {
	case i < u.token.start:
		return before
	case i >= u.token.end:
		return behind
	case i >= u.below:
		return within
	}
	return torn
}

// movedBy is how much further than the part that it is in a byte of src is in out.
func (u *unit) movedBy(i int) int {
	if u.moved == nil || i < u.below || i >= u.token.end {
		return 0
	}
	return int(u.moved[i-u.below])
}

// wordOf finds out what is to be known of the eight bytes from i on, free being those that may differ in more than digits, and
// fixed those that may not differ at all.
func (u *unit) wordOf(i int, free, hex, fixed span) wordOf {
	text := load(u.src, i)
	w := wordOf{
		at:     uint16(i),
		digits: (digits(text&^high) &^ text & high) >> 7 * 0x0f &^ bytesOf(i, u.token.start, u.below) &^ bytesOf(i, fixed.start, fixed.end),
		free:   plain(text) & bytesOf(i, free.start, free.end) &^ bytesOf(i, fixed.start, fixed.end),
		hex:    high & bytesOf(i, hex.start, hex.end),
	}
	if w.part = u.partOf(i); u.partOf(i+word-1) != w.part || w.part == within && u.moved != nil && toEscape(text) != 0 {
		w.part = torn
	}
	return w
}

// bytesOf has all bits of those of the eight bytes from i on that are in src[start:end].
func bytesOf(i, start, end int) uint64 {
	from, to := min(max(start-i, 0), word), min(max(end-i, 0), word)
	if from >= to {
		return 0
	}
	return ^uint64(0) >> (64 - 8*(to-from)) << (8 * from)
}

// hexNumber finds the hexadecimal digits of the first attribute behind a place that is a number of such. Neither the
// name of an attribute that is looked for nor a value that has a meaning is made of them.
func hexNumber(src []byte, from int) span {
	n := bytes.Index(src[from:], []byte("=0x"))
	if n < 0 {
		return span{}
	}
	start := from + n + len("=0x")
	end := start
	for end < len(src) && isHex(src[end]) {
		end++
	}
	return span{start, end}
}

// renew makes out for the plan at hand, which is that of another directory. false: the URI leads elsewhere now.
func (u *unit) renew(p *plan, buf []byte) ([]byte, bool) {
	var w mapping
	url, ok := p.append(buf[:0], u.src[u.token.start:u.token.end], u.kind.extension(p.segment), &w)
	if ok = ok && w.known && u.token.start+w.lead == u.below && len(u.src)+len(url) <= 2*maxUnit; ok {
		u.fill(url, &w)
		u.turn = p.turn
	}
	return url, ok
}
