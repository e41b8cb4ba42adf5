package sign

import (
	"net/url"
	"strings"
	"time"
)

// parseSetCookie reads a Set-Cookie line of an answer from u as browsers do (RFC 6265 sections 5.2 and 5.3): names and values
// may have any bytes but control characters, and quotes belong to the value. gone: the cookie has expired, or is to be deleted.
// ok is false if it is no cookie, or one for hosts that u does not belong to.
func parseSetCookie(line string, u *url.URL) (c cookie, gone, ok bool) {
	pair, attrs, _ := strings.Cut(line, ";")
	name, value, named := strings.Cut(pair, "=")
	if !named {
		name, value = "", pair // browsers send it as it came
	}
	c = cookie{name: strings.Trim(name, " \t"), value: strings.Trim(value, " \t"), domain: strings.ToLower(u.Hostname()), hostOnly: true}
	if c.name == "" && c.value == "" || !isFieldValue(pair) {
		return cookie{}, false, false
	}
	domain, aged := "", false
	for attr := range strings.SplitSeq(attrs, ";") {
		name, value, _ := strings.Cut(attr, "=")
		value = strings.Trim(value, " \t")
		switch strings.ToLower(strings.Trim(name, " \t")) {
		case "domain":
			domain = strings.ToLower(strings.TrimPrefix(value, "."))
		case "path":
			c.path = value
		case "secure":
			c.secure = true
		case "max-age":
			if digits := strings.TrimPrefix(value, "-"); digits != "" && strings.Trim(digits, "0123456789") == "" {
				gone, aged = digits != value || strings.Trim(digits, "0") == "", true
			}
		case "expires":
			if at, known := cookieDate(value); known && !aged { // Max-Age counts more
				gone = !at.After(time.Now())
			}
		}
	}
	switch {
	case domain == "":
	case domain == c.domain:
		c.hostOnly = isEverybodys(domain)
	case isBelow(c.domain, domain):
		c.domain, c.hostOnly = domain, false
	default:
		return cookie{}, false, false
	}
	if !strings.HasPrefix(c.path, "/") {
		c.path = "/"
		if i := strings.LastIndexByte(u.Path, '/'); i > 0 {
			c.path = u.Path[:i]
		}
	}
	return c, gone, true
}

// cookieDate reads a date in any of the forms that servers have used (RFC 6265 section 5.1.1).
func cookieDate(text string) (_ time.Time, ok bool) {
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	clock, day, month, year := []int(nil), 0, 0, -1
	for token := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool {
		return r != ':' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && r < 0x7f
	}) {
		n, digits := leadingNumber(token)
		switch at := strings.Index(months, token[:min(len(token), 3)]); {
		case clock == nil && strings.Count(token, ":") == 2:
			for part := range strings.SplitSeq(token, ":") {
				n, digits := leadingNumber(part)
				if digits < 1 || digits > 2 {
					return time.Time{}, false
				}
				clock = append(clock, n)
			}
		case day == 0 && (digits == 1 || digits == 2):
			day = n
		case month == 0 && digits == 0 && len(token) > 2 && at >= 0 && at%3 == 0:
			month = at/3 + 1
		case year < 0 && 2 <= digits && digits <= 4:
			year = n
		}
	}
	switch {
	case year >= 70 && year <= 99:
		year += 1900
	case year >= 0 && year < 70:
		year += 2000
	}
	if clock == nil || day < 1 || day > 31 || month == 0 || year < 1601 || clock[0] > 23 || clock[1] > 59 || clock[2] > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, clock[0], clock[1], clock[2], 0, time.UTC), true
}

// leadingNumber is the number that a text begins with, and how many digits it has. More than four are as bad as five.
func leadingNumber(s string) (n, digits int) {
	for digits < min(len(s), 5) && s[digits]-'0' <= 9 {
		n = 10*n + int(s[digits]-'0')
		digits++
	}
	return n, digits
}
