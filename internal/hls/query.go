package hls

import "strings"

// Reserved is the prefix of all delivery directives (draft-pantos-hls-rfc8216bis-22 section 6.2.5).
const Reserved = "_HLS_"

// CMCD is the query parameter in which a player reports its state (CTA-5004).
const CMCD = "CMCD"

// CMCDHeaders are the fields, by their canonical names, that carry CMCD instead of the query.
var CMCDHeaders = [...]string{"Cmcd-Object", "Cmcd-Request", "Cmcd-Session", "Cmcd-Status"}

// IsDirective reports whether a query parameter, "name" or "name=value", has the prefix of the delivery directives.
func IsDirective[T string | []byte](param T) bool {
	return len(param) >= len(Reserved) && string(param[:len(Reserved)]) == Reserved
}

// IsCMCD reports whether a query parameter, "name" or "name=value", is CMCD.
func IsCMCD[T string | []byte](param T) bool {
	return len(param) >= len(CMCD) && string(param[:len(CMCD)]) == CMCD && (len(param) == len(CMCD) || param[len(CMCD)] == '=')
}

// IsKnownDirective reports whether a query parameter is a delivery directive that a player sends, with a valid value. Any other
// with that prefix is invented: a proxy that passes it upstream, or puts it into a key, lets a viewer turn one request into as
// many as it likes.
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

// maxValue is the longest value that may be a name of the author's, percent-encoded.
const maxValue = 1024

func isNumber[T string | []byte](digits T, most int) bool {
	for i := range len(digits) {
		if digits[i]-'0' > 9 {
			return false
		}
	}
	return len(digits) > 0 && len(digits) <= most
}

// WithoutUnknown removes from a query the parameters with the prefix of the delivery directives that no player sends: those
// that IsKnownDirective does not know, and all but the first of a name. Other bytes stay.
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

// Reload is the content of the delivery directives in a query.
type Reload struct {
	// MSN and Part are the media sequence number and the part to wait for; -1: not given.
	MSN, Part int64
	// Skip asks for a delta update, which has another body.
	Skip bool
}

// Blocking reports whether the server must hold its answer until the playlist has grown.
func (r Reload) Blocking() bool { return r.MSN >= 0 }

// ReloadOf reads the directives of a query. The first of a name counts. A malformed one is ignored, and so is a part without a
// sequence number (section 6.2.5.2).
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

// IsViewers reports whether a query parameter, "name" or "name=value", describes the viewer and does not change the answer:
// CMCD, and the throughput for steering servers (section 7.4).
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
