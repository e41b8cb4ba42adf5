package httprange

import (
	"net/http"
	"strings"
	"time"
)

// ParseDate reads an HTTP-date (RFC 9110 section 5.6.7): an IMF-fixdate or one of the two obsolete forms, exactly spelled and
// in GMT. ok is false for anything else, such as a day of one digit, another time zone, or a day of the week that does not
// match the date.
func ParseDate(s string) (t time.Time, ok bool) {
	comma := strings.IndexByte(s, ',')
	switch {
	case comma == 3:
		return parseFixdate(s)
	case comma > 0:
		return parseRFC850(s, comma)
	}
	return parseAsctime(s)
}

// DateOf is the date of a field that has exactly one line, by its canonical name.
func DateOf(h http.Header, name string) (time.Time, bool) {
	if lines := h[name]; len(lines) == 1 {
		return ParseDate(lines[0])
	}
	return time.Time{}, false
}

// parseFixdate reads "Sun, 06 Nov 1994 08:49:37 GMT".
func parseFixdate(s string) (time.Time, bool) {
	if len(s) != len(http.TimeFormat) || s[3:5] != ", " || s[7] != ' ' || s[11] != ' ' || s[16] != ' ' || s[25:] != " GMT" {
		return time.Time{}, false
	}
	d := date{weekday: s[:3], day: digits(s[5:7]), month: s[8:11], year: digits(s[12:16]), clock: s[17:25]}
	return d.time()
}

// parseRFC850 reads "Sunday, 06-Nov-94 08:49:37 GMT". The year is at most 50 years ahead; otherwise it is in the past.
func parseRFC850(s string, comma int) (time.Time, bool) {
	weekday, rest := s[:comma], s[comma:]
	if len(rest) != len(", 06-Nov-94 08:49:37 GMT") || rest[:2] != ", " || rest[4] != '-' || rest[8] != '-' || rest[11] != ' ' ||
		rest[20:] != " GMT" || len(weekday) < len("Friday") {
		return time.Time{}, false
	}
	year, now := digits(rest[9:11]), time.Now().UTC().Year()
	if year < 0 {
		return time.Time{}, false
	}
	if year += now / 100 * 100; year > now+50 {
		year -= 100
	} else if year <= now-50 {
		year += 100
	}
	d := date{weekday: weekday[:3], day: digits(rest[2:4]), month: rest[5:8], year: year, clock: rest[12:20]}
	t, ok := d.time()
	return t, ok && t.Weekday().String() == weekday
}

// parseAsctime reads "Sun Nov  6 08:49:37 1994".
func parseAsctime(s string) (time.Time, bool) {
	if len(s) != len(time.ANSIC) || s[3] != ' ' || s[7] != ' ' || s[10] != ' ' || s[19] != ' ' {
		return time.Time{}, false
	}
	day := s[8:10]
	if day[0] == ' ' {
		day = day[1:]
	}
	d := date{weekday: s[:3], day: digits(day), month: s[4:7], year: digits(s[20:]), clock: s[11:19]}
	return d.time()
}

// date is a date in pieces. A malformed number is -1.
type date struct {
	weekday   string // its first three letters
	day, year int
	month     string
	clock     string // "08:49:37"
}

func (d date) time() (time.Time, bool) {
	month := monthOf(d.month)
	hour, minute, second := digits(d.clock[:2]), digits(d.clock[3:5]), digits(d.clock[6:])
	if d.clock[2] != ':' || d.clock[5] != ':' || month == 0 || d.day < 1 || d.year < 0 ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 {
		return time.Time{}, false
	}
	day := time.Date(d.year, month, d.day, 0, 0, 0, 0, time.UTC)
	if day.Day() != d.day || day.Weekday().String()[:3] != d.weekday {
		return time.Time{}, false
	}
	return time.Date(d.year, month, d.day, hour, minute, second, 0, time.UTC), true
}

func monthOf(s string) time.Month {
	for m := time.January; m <= time.December; m++ {
		if m.String()[:3] == s {
			return m
		}
	}
	return 0
}

// digits is the value of a short number, -1 if it is malformed.
func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}
