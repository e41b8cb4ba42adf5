package hls

import "strings"

// Reserved is how the names of all delivery directives begin (draft-pantos-hls-rfc8216bis-22 section 6.2.5).
const Reserved = "_HLS_"

// CMCD is the query parameter by which a player tells what it sees (CTA-5004).
const CMCD = "CMCD"

// CMCDHeaders are the fields, by their canonical names, that carry CMCD in place of the query.
var CMCDHeaders = [...]string{"Cmcd-Object", "Cmcd-Request", "Cmcd-Session", "Cmcd-Status"}

// IsDirective reports whether a query parameter, "name" or "name=value", is in the name space of the delivery directives.
func IsDirective[T string | []byte](param T) bool {
	return len(param) >= len(Reserved) && string(param[:len(Reserved)]) == Reserved
}

// IsCMCD reports whether a query parameter, "name" or "name=value", is CMCD.
func IsCMCD[T string | []byte](param T) bool {
	return len(param) >= len(CMCD) && string(param[:len(CMCD)]) == CMCD && (len(param) == len(CMCD) || param[len(CMCD)] == '=')
}

// IsKnownDirective reports whether a query parameter is a delivery directive that a player sends, with a value of its
// form. Others of the name space are somebody's invention: a proxy that carries them upstream, or into a key, lets a
// viewer make as many requests of one as it likes.
func IsKnownDirective[T string | []byte](param T) bool {
	if !IsDirective(param) {
		return false
	}
	eq := len(param)
	for i := range len(param) {
		if param[i] == '=' {
			eq = i
			break
		}
	}
	name, value := param[len(Reserved):eq], param[min(eq+1, len(param)):]
	switch string(name) {
	case "msn", "part", "throughput":
		return isNumber(value, 18)
	case "skip":
		return string(value) == "YES" || string(value) == "v2"
	case "start_offset":
		return len(value) > 0 && len(value) <= maxValue
	case "pathway", "primary_id", "interstitial_id", "push", "report":
		return len(value) <= maxValue
	}
	return false
}

// maxValue is how long a value may be that is a name of the author's, percent-encoded.
const maxValue = 1024

func isNumber[T string | []byte](digits T, most int) bool {
	for i := range len(digits) {
		if digits[i]-'0' > 9 {
			return false
		}
	}
	return len(digits) > 0 && len(digits) <= most
}

// WithoutUnknown takes out of a query what is in the name space of the delivery directives and no player sends: what
// IsKnownDirective does not know, and all but the first of a name. Other bytes stay.
func WithoutUnknown(rawQuery string) string {
	if !strings.Contains(rawQuery, Reserved) {
		return rawQuery
	}
	var kept []string
	seen := map[string]bool{}
	for param := range strings.SplitSeq(rawQuery, "&") {
		if !IsDirective(param) {
			kept = append(kept, param)
			continue
		}
		name, _, _ := strings.Cut(param, "=")
		if IsKnownDirective(param) && !seen[name] {
			seen[name] = true
			kept = append(kept, param)
		}
	}
	return strings.Join(kept, "&")
}

// Reload is what the delivery directives of a query ask for.
type Reload struct {
	// MSN and Part are the media sequence number and part that the server is to wait for; -1 where they are not named.
	MSN, Part int64
	// Skip asks for a delta update: the answer has another body than one without.
	Skip bool
}

// Blocking reports whether the server is to hold its answer until the playlist has grown.
func (r Reload) Blocking() bool { return r.MSN >= 0 }

// ReloadOf reads the directives of a query. The first of a name counts; one that is malformed counts as none, and a part
// means nothing without a sequence number (section 6.2.5.2).
func ReloadOf(rawQuery string) Reload {
	r := Reload{MSN: -1, Part: -1}
	if !strings.Contains(rawQuery, Reserved) {
		return r
	}
	var seen struct{ msn, part, skip bool }
	for rest := rawQuery; rest != ""; {
		var param string
		param, rest, _ = strings.Cut(rest, "&")
		if !IsDirective(param) {
			continue
		}
		name, value, _ := strings.Cut(param[len(Reserved):], "=")
		switch {
		case name == "msn" && !seen.msn:
			r.MSN, seen.msn = number(value), true
		case name == "part" && !seen.part:
			r.Part, seen.part = number(value), true
		case name == "skip" && !seen.skip:
			r.Skip, seen.skip = value == "YES" || value == "v2", true
		}
	}
	if r.MSN < 0 {
		r.Part = -1
	}
	return r
}

// IsBlocking reports whether a query asks the server to hold its answer until the playlist has grown.
func IsBlocking(rawQuery string) bool { return ReloadOf(rawQuery).Blocking() }

// IsViewers reports whether a query parameter, "name" or "name=value", names the viewer or its mood and nothing that the
// answer depends on: CMCD, and the throughput that goes to steering servers (section 7.4).
func IsViewers[T string | []byte](param T) bool {
	const throughput = Reserved + "throughput"
	return IsCMCD(param) || len(param) >= len(throughput) && string(param[:len(throughput)]) == throughput &&
		(len(param) == len(throughput) || param[len(throughput)] == '=')
}

// number is the value of up to 18 digits, or -1.
func number(digits string) int64 {
	if !isNumber(digits, 18) {
		return -1
	}
	n := int64(0)
	for i := range len(digits) {
		n = n*10 + int64(digits[i]-'0')
	}
	return n
}
