package cmcd

import "time"

// text is a field, or a query whose escapes are off.
type text interface{ string | []byte }

// parse goes through "key=value,key,key="string"".
func parse[T text](d *Data, s T) {
	for len(s) > 0 {
		var key, value T
		key, value, s = member(s)
		if len(key) > 0 {
			d.Said = true
			set(d, key, value)
		}
	}
}

// member cuts one member off. A comma within a string or a list ends none.
func member[T text](s T) (key, value, rest T) {
	end := 0
	for end < len(s) && s[end] > '=' {
		end++ // of the key
	}
	if at := plainEnd(s, end); at >= 0 {
		value = s[min(end+1, at):at]
		return s[:end], value, s[min(at+1, len(s)):]
	}
	return anyMember(s, end)
}

// plainEnd is where a member ends whose value is a string without escapes, a token or a number, as nearly all are; of
// others it is -1. The key ends at key.
func plainEnd[T text](s T, key int) int {
	i := key
	if i+1 < len(s) && s[i] == '=' {
		i++
		if s[i] == '"' {
			for i++; i < len(s) && s[i] != '"' && s[i] != '\\'; i++ {
			}
			if i == len(s) || s[i] == '\\' {
				return -1
			}
			i++
		} else {
			for i < len(s) && s[i] > ',' && s[i] != '=' && s[i] != '\\' {
				i++
			}
		}
	}
	if i < len(s) && s[i] != ',' {
		return -1
	}
	return i
}

// anyMember is for the rest: lists, escapes, spaces.
func anyMember[T text](s T, end int) (key, value, rest T) {
	quoted, depth, eq := false, 0, -1
loop:
	for ; end < len(s); end++ {
		c := s[end]
		if quoted && c != '"' && c != '\\' || !quoted && c > ',' && c != '=' {
			continue // nearly every byte
		}
		switch {
		case c == '\\':
			if quoted {
				end++
			}
		case c == '"':
			quoted = !quoted
		case c == ',' && depth <= 0:
			break loop
		case c == '=' && eq < 0:
			eq = end
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
	}
	end = min(end, len(s))
	rest = s[min(end+1, len(s)):]
	if eq < 0 {
		return trim(s[:end]), s[:0], rest
	}
	return trim(s[:eq]), trim(s[eq+1 : end]), rest
}

func trim[T text](s T) T {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

func set[T text](d *Data, key, value T) {
	switch string(key) {
	case "sid":
		keep(&d.Session, value)
	case "cid":
		keep(&d.Content, value)
	case "br":
		d.Bitrate = kilo(value)
	case "tb":
		d.TopBitrate = kilo(value)
	case "mtp":
		d.Throughput = kilo(value)
	case "rtp":
		d.MaxThroughput = kilo(value)
	case "bl":
		d.Buffer = milli(value)
	case "dl":
		d.Deadline = milli(value)
	case "d":
		d.Duration = milli(value)
	case "msd":
		d.StartDelay = milli(value)
	case "pr":
		d.Rate = decimal(value)
	case "bs":
		d.Starved = truth(value)
	case "su":
		d.Startup = truth(value)
	case "ot":
		d.Object = letter(value)
		if string(value) == "av" {
			d.Object = 'A'
		}
	case "sf":
		d.Format = letter(value)
	case "st":
		d.Live = letter(value) == 'l'
	case "nor", "nrr":
		d.Next = true
	case "v":
		d.Version = number(value)
	}
}

// keep keeps a string, quoted or, as some players have it, not. Escapes are taken off; control characters end it.
func keep[T text](id *ID, s T) {
	if len(s) > 0 && s[0] == '"' {
		if s = s[1:]; len(s) > 0 && s[len(s)-1] == '"' {
			s = s[:len(s)-1]
		}
	}
	n := copy(id.bytes[:], s)
	for i := 0; i < n && s[i] >= ' ' && s[i] != 0x7f && s[i] != '\\'; i++ {
		if i == n-1 { // nothing to take off, as nearly always
			id.n = uint8(n)
			return
		}
	}
	n = 0
	for i := 0; i < len(s) && n < maxString; i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			i++
			c = s[i]
		}
		if c < ' ' || c == 0x7f {
			break
		}
		id.bytes[n] = c
		n++
	}
	id.n = uint8(n)
}

// number is the value of digits, of the first of them in a list of version 2, or zero for anything else.
func number[T text](s T) int64 {
	if len(s) > 0 && s[0] == '(' {
		s = trim(s[1:])
	}
	n := int64(0)
	for i := range len(s) {
		switch c := s[i]; {
		case c-'0' < 10 && n < 1e15:
			n = n*10 + int64(c-'0')
		case i > 0 && (c == '.' || c == ' ' || c == ')' || c == ';'): // of a decimal, a list, with parameters
			return n
		default:
			return 0
		}
	}
	return n
}

func kilo[T text](s T) int64 { return min(number(s), 1e12) * 1000 }

func milli[T text](s T) time.Duration { return time.Duration(min(number(s), 1e12)) * time.Millisecond }

// decimal reads "1.25", up to six places.
func decimal[T text](s T) float64 {
	whole := number(s)
	for i := range len(s) {
		if s[i] == '.' {
			frac, scale := 0.0, 1.0
			for _, c := range []byte(s[i+1 : min(i+7, len(s))]) {
				if c-'0' > 9 {
					break
				}
				scale *= 10
				frac = frac*10 + float64(c-'0')
			}
			return float64(whole) + frac/scale
		}
	}
	return float64(whole)
}

// truth is that of a key without a value, and of the forms that players have for false.
func truth[T text](s T) bool {
	switch string(s) {
	case "false", "?0", "0":
		return false
	}
	return true
}

func letter[T text](s T) byte {
	if len(s) == 0 {
		return 0
	}
	return s[0]
}
