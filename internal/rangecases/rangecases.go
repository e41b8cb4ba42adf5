// Package rangecases holds the cases of ranges and conditions that every block with such answers must pass.
package rangecases

import (
	"fmt"
	"strings"
)

// Range is a Range header for a body of size bytes, and its meaning by RFC 9110 section 14: "200" (ignored), "416", or the byte
// positions of the parts.
type Range struct {
	Header string
	Size   int
	Want   string
}

// Huge is beyond any integer type.
const Huge = "123456789012345678901"

// Ranges are the cases of ranges.
func Ranges() []Range {
	cases := []Range{
		// One range, first and last (RFC 9110 14.1.2).
		{"bytes=0-499", 1000, "0-499"},
		{"bytes=500-999", 1000, "500-999"},
		{"bytes=0-0", 1000, "0-0"},
		{"bytes=0-1", 1000, "0-1"},
		{"bytes=1-1", 1000, "1-1"},
		{"bytes=999-999", 1000, "999-999"},
		{"bytes=998-999", 1000, "998-999"},
		{"bytes=0-999", 1000, "0-999"},
		{"bytes=0-998", 1000, "0-998"},
		{"bytes=1-999", 1000, "1-999"},
		{"bytes=100-199", 1000, "100-199"},
		{"bytes=0-0", 1, "0-0"},
		{"bytes=0-9", 10, "0-9"},
		// A last position at or beyond the end is cut.
		{"bytes=0-1000", 1000, "0-999"},
		{"bytes=0-1001", 1000, "0-999"},
		{"bytes=999-1000", 1000, "999-999"},
		{"bytes=500-100000", 1000, "500-999"},
		{"bytes=0-2147483647", 1000, "0-999"},
		{"bytes=0-2147483648", 1000, "0-999"},
		{"bytes=0-4294967295", 1000, "0-999"},
		{"bytes=0-4294967296", 1000, "0-999"},
		{"bytes=0-9007199254740991", 1000, "0-999"},
		{"bytes=0-9223372036854775806", 1000, "0-999"},
		{"bytes=0-9223372036854775807", 1000, "0-999"},
		{"bytes=0-9223372036854775808", 1000, "0-999"},
		{"bytes=0-18446744073709551615", 1000, "0-999"},
		{"bytes=0-18446744073709551616", 1000, "0-999"},
		{"bytes=0-" + Huge, 1000, "0-999"},
		{"bytes=18-18446744073709551615", 1000, "18-999"},
		{"bytes=0-1", 1, "0-0"},
		// Open ranges.
		{"bytes=0-", 1000, "0-999"},
		{"bytes=1-", 1000, "1-999"},
		{"bytes=100-", 1000, "100-999"},
		{"bytes=600-", 1000, "600-999"},
		{"bytes=999-", 1000, "999-999"},
		{"bytes=0-", 1, "0-0"},
		// Suffixes.
		{"bytes=-1", 1000, "999-999"},
		{"bytes=-2", 1000, "998-999"},
		{"bytes=-500", 1000, "500-999"},
		{"bytes=-999", 1000, "1-999"},
		{"bytes=-1000", 1000, "0-999"},
		{"bytes=-1001", 1000, "0-999"},
		{"bytes=-9223372036854775807", 1000, "0-999"},
		{"bytes=-9223372036854775808", 1000, "0-999"},
		{"bytes=-18446744073709551615", 1000, "0-999"},
		{"bytes=-" + Huge, 1000, "0-999"},
		{"bytes=-1", 1, "0-0"},
		{"bytes=-5", 1, "0-0"},
		// Leading zeros are digits.
		{"bytes=00-01", 1000, "0-1"},
		{"bytes=000000000000000000000000000005-0000000000000000000000000000000009", 1000, "5-9"},
		{"bytes=-0000000000000000000000002", 1000, "998-999"},
		// Nothing to satisfy (15.5.17).
		{"bytes=1000-", 1000, "416"},
		{"bytes=1000-1000", 1000, "416"},
		{"bytes=1000-1001", 1000, "416"},
		{"bytes=1001-", 1000, "416"},
		{"bytes=2000-", 1000, "416"},
		{"bytes=2000-3000", 1000, "416"},
		{"bytes=-0", 1000, "416"},
		{"bytes=-00", 1000, "416"},
		{"bytes=9223372036854775807-", 1000, "416"},
		{"bytes=9223372036854775808-", 1000, "416"},
		{"bytes=18446744073709551615-", 1000, "416"},
		{"bytes=18446744073709551616-", 1000, "416"},
		{"bytes=" + Huge + "-", 1000, "416"},
		{"bytes=" + Huge + "-" + Huge, 1000, "416"},
		{"bytes=" + Huge + "-9" + Huge, 1000, "416"},
		{"bytes=1-", 1, "416"},
		{"bytes=1-1", 1, "416"},
		{"bytes=1000-,2000-", 1000, "416"},
		{"bytes=1000-1001,-0", 1000, "416"},
		{"bytes=-0,-0", 1000, "416"},
		// Not a range: the whole header is invalid (14.1.1, 14.2).
		{"bytes=5-2", 1000, "200"},
		{"bytes=1-0", 1000, "200"},
		{"bytes=1000-999", 1000, "200"},
		{"bytes=2000-1000", 1000, "200"},
		{"bytes=9" + Huge + "-" + Huge, 1000, "200"},
		{"bytes=" + Huge + "-5", 1000, "200"},
		{"bytes=", 1000, "200"},
		{"bytes=,", 1000, "200"},
		{"bytes=, ,\t,", 1000, "200"},
		{"bytes=-", 1000, "200"},
		{"bytes=--", 1000, "200"},
		{"bytes=--1", 1000, "200"},
		{"bytes=-1-", 1000, "200"},
		{"bytes=-1-2", 1000, "200"},
		{"bytes=1-2-3", 1000, "200"},
		{"bytes=1--2", 1000, "200"},
		{"bytes=0--1", 1000, "200"},
		{"bytes=1", 1000, "200"},
		{"bytes=abc", 1000, "200"},
		{"bytes=a-b", 1000, "200"},
		{"bytes=0-b", 1000, "200"},
		{"bytes=a-5", 1000, "200"},
		{"bytes=0-5b", 1000, "200"},
		{"bytes=+0-4", 1000, "200"},
		{"bytes=0-+4", 1000, "200"},
		{"bytes=-+4", 1000, "200"},
		{"bytes=0x0-0x4", 1000, "200"},
		{"bytes=0-4.0", 1000, "200"},
		{"bytes=0-1e2", 1000, "200"},
		{"bytes=0_0-1", 1000, "200"},
		{"bytes=0 -4", 1000, "200"},
		{"bytes=0- 4", 1000, "200"},
		{"bytes=0 - 4", 1000, "200"},
		{"bytes=0\t-4", 1000, "200"},
		{"bytes=- 4", 1000, "200"},
		{"bytes=0-4 5", 1000, "200"},
		{"bytes=0-4;5-6", 1000, "200"},
		{"bytes=0-4/10", 1000, "200"},
		{"bytes=*", 1000, "200"},
		{"bytes=0-*", 1000, "200"},
		{"bytes=\"0-4\"", 1000, "200"},
		{"bytes=٠-٤", 1000, "200"},
		{"bytes=0–4", 1000, "200"},
		{"bytes==0-4", 1000, "200"},
		{"bytes=bytes=0-4", 1000, "200"},
		{"bytes=0-4,bytes=6-7", 1000, "200"},
		{"bytes=0-4,5-2", 1000, "200"},
		{"bytes=5-2,0-4", 1000, "200"},
		{"bytes=0-4,abc", 1000, "200"},
		{"bytes=0-4,-", 1000, "200"},
		{"bytes=2000-,x", 1000, "200"},
		{"bytes=0-4,6 -7", 1000, "200"},
		{"bytes 0-4", 1000, "200"},
		{"bytes 0-4/1000", 1000, "200"},
		{"bytes:0-4", 1000, "200"},
		{"bytes =0-4", 1000, "200"},
		{"bytes", 1000, "200"},
		{"0-4", 1000, "200"},
		{"=0-4", 1000, "200"},
		// Another unit (14.1, 14.2).
		{"items=0-5", 1000, "200"},
		{"items=", 1000, "200"},
		{"items=x", 1000, "200"},
		{"seconds=1-2", 1000, "200"},
		{"byte=0-5", 1000, "200"},
		{"bytess=0-5", 1000, "200"},
		{"xbytes=0-5", 1000, "200"},
		{"none=0-5", 1000, "200"},
		// The unit is a token of any case.
		{"Bytes=0-4", 1000, "0-4"},
		{"BYTES=0-4", 1000, "0-4"},
		{"bYtEs=-4", 1000, "996-999"},
		{"BYTES=5-2", 1000, "200"},
		{"Bytes=1000-", 1000, "416"},
		// White space is allowed around commas; empty members are ignored (5.6.1.2).
		{"bytes= 0-4", 1000, "0-4"},
		{"bytes=\t0-4", 1000, "0-4"},
		{"bytes=,0-4", 1000, "0-4"},
		{"bytes= ,0-4", 1000, "0-4"},
		{"bytes=0-4,", 1000, "0-4"},
		{"bytes=0-4 ,", 1000, "0-4"},
		{"bytes=0-4, ,", 1000, "0-4"},
		{"bytes=,,0-4,,", 1000, "0-4"},
		{"bytes= \t,\t 0-4 \t,\t ", 1000, "0-4"},
		{"bytes=0-4, 6-9", 1000, "0-4,6-9"},
		{"bytes=0-4 ,6-9", 1000, "0-4,6-9"},
		{"bytes=0-4\t,\t6-9", 1000, "0-4,6-9"},
		{"bytes=0-4,,6-9", 1000, "0-4,6-9"},
		{"bytes=,,0-4, ,6-9,,", 1000, "0-4,6-9"},
		// Several ranges.
		{"bytes=0-0,-1", 1000, "0-0,999-999"},
		{"bytes=500-600,700-800", 1000, "500-600,700-800"},
		{"bytes=0-0,2-2,4-4", 1000, "0-0,2-2,4-4"},
		{"bytes=0-4,6-", 1000, "0-4,6-999"},
		{"bytes=1-3,-2", 1000, "1-3,998-999"},
		{"bytes=0-4,10-14,20-24,30-34", 1000, "0-4,10-14,20-24,30-34"},
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14", 1000, "0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14"},
		// The order of the request is kept (15.3.7.2).
		{"bytes=500-600,0-4", 1000, "500-600,0-4"},
		{"bytes=-1,0-0", 1000, "999-999,0-0"},
		{"bytes=8-8,4-4,6-6,0-0", 1000, "8-8,4-4,6-6,0-0"},
		// Ranges that cannot be satisfied are left out.
		{"bytes=0-4,2000-", 1000, "0-4"},
		{"bytes=2000-,0-4", 1000, "0-4"},
		{"bytes=0-4,-0", 1000, "0-4"},
		{"bytes=-0,0-4", 1000, "0-4"},
		{"bytes=0-4,1000-2000,6-7", 1000, "0-4,6-7"},
		{"bytes=0-4," + Huge + "-", 1000, "0-4"},
		{"bytes=998-,1000-", 1000, "998-999"},
		// Ranges that touch or overlap are joined.
		{"bytes=0-4,5-9", 1000, "0-9"},
		{"bytes=5-9,0-4", 1000, "0-9"},
		{"bytes=0-499,500-999", 1000, "0-999"},
		{"bytes=0-4,3-9", 1000, "0-9"},
		{"bytes=500-600,601-999", 1000, "500-999"},
		{"bytes=500-700,601-999", 1000, "500-999"},
		{"bytes=0-9,2-3", 1000, "0-9"},
		{"bytes=2-3,0-9", 1000, "0-9"},
		{"bytes=0-0,0-0,0-0", 1000, "0-0"},
		{"bytes=0-,0-", 1000, "0-999"},
		{"bytes=0-,1-,2-,3-", 1000, "0-999"},
		{"bytes=-1,-2,-3", 1000, "997-999"},
		{"bytes=0-,-1", 1000, "0-999"},
		{"bytes=0-1,4-5,2-3", 1000, "0-5"},
		{"bytes=0-1,10-11,4-5,2-3", 1000, "0-5,10-11"},
		{"bytes=10-11,4-5,0-1,2-3", 1000, "10-11,0-5"},
		{"bytes=0-1,3-4,6-7,0-9", 1000, "0-9"},
		{"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9", 1000, "0-9"},
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,1-1", 1000, "0-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16"},
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,0-20", 1000, "0-20"},
		// Too many parts (14.2).
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", 1000, "200"},
		// An empty body has nothing to cut.
		{"bytes=0-", 0, "200"},
		{"bytes=0-0", 0, "200"},
		{"bytes=-1", 0, "200"},
		{"bytes=-0", 0, "200"},
		{"bytes=5-", 0, "200"},
		{"bytes=0-0,2-3", 0, "200"},
		{"bytes=x", 0, "200"},
	}
	return append(cases, hostile()...)
}

// hostile are headers that have crashed servers.
func hostile() []Range {
	var every, same, nested strings.Builder
	for i := range 1300 { // CVE-2011-3192
		fmt.Fprintf(&nested, ",5-%d", i)
	}
	for i := range 99 {
		fmt.Fprintf(&every, ",%d-%d", 2*i, 2*i)
		same.WriteString(",0-")
	}
	return []Range{
		{"bytes=0-" + nested.String(), 1000, "200"},
		{"bytes=998-998" + every.String(), 1000, "200"},
		{"bytes=0-" + same.String(), 1000, "0-999"},
		{"bytes=0-" + same.String() + ",0-", 1000, "200"}, // 101 members
		{"bytes=" + strings.Repeat(",", 8000) + "0-0", 1000, "0-0"},
		{"bytes=" + strings.Repeat(",", 100_000) + "0-0", 1000, "200"},
		{"bytes=-1,-" + strings.Repeat("9", 100_000), 1000, "200"},
		{"bytes=0-18446744073709551615,18446744073709551615-", 1000, "0-999"}, // CVE-2015-1635
		{"bytes=-9223372036854774807,-9223372036854774807", 1000, "0-999"},    // CVE-2017-7529
		{"bytes=-1000,-9223372036854774808", 1000, "0-999"},                   // the sum wraps
		{"bytes=9223372036854775800-9223372036854775807,0-0", 1000, "0-0"},
		{"bytes=0-9223372036854775807,1-9223372036854775807", 1000, "0-999"},
	}
}

// Condition is header lines, separated by " | ", and the status of a GET with them. Placeholders are {tag}, {weak} (W/ and the
// tag), {date} (Last-Modified), and {before} and {after} (one second off).
type Condition struct {
	Lines string
	Want  int
}

// Conditions are the cases of conditions.
var Conditions = []Condition{
	// If-Match (13.1.1): strong comparison.
	{"If-Match: {tag}", 200},
	{"If-Match: *", 200},
	{"If-Match: \"x\"", 412},
	{"If-Match: \"x\", {tag}", 200},
	{"If-Match: \"x\",{tag} , \"y\"", 200},
	{"If-Match: , ,{tag}", 200},
	{"If-Match: \"x\", \"y\"", 412},
	{"If-Match: {weak}", 412},
	{"If-Match: {weak}, {tag}", 200},
	{"If-Match: \"x\" | If-Match: {tag}", 200},
	{"If-Match: \"x\" | If-Match: \"y\"", 412},
	{"If-Match: bare", 412},
	{"If-Match: \"x, {tag}", 412},
	{"If-Match: ", 412},
	// If-Unmodified-Since (13.1.4).
	{"If-Unmodified-Since: {date}", 200},
	{"If-Unmodified-Since: {after}", 200},
	{"If-Unmodified-Since: {before}", 412},
	{"If-Unmodified-Since: yesterday", 200},
	{"If-Unmodified-Since: {before} | If-Unmodified-Since: {before}", 200},
	{"If-Unmodified-Since: Thursday, 29-Feb-24 12:30:44 GMT", 412},
	{"If-Unmodified-Since: Thu Feb 29 12:30:45 2024", 200},
	// If-None-Match (13.1.2): weak comparison.
	{"If-None-Match: {tag}", 304},
	{"If-None-Match: {weak}", 304},
	{"If-None-Match: *", 304},
	{"If-None-Match:  * ", 304},
	{"If-None-Match: \"x\"", 200},
	{"If-None-Match: \"x\", {tag}", 304},
	{"If-None-Match: \"x\",,{weak}", 304},
	{"If-None-Match: \"x\" | If-None-Match: {tag}", 304},
	{"If-None-Match: \"a,b\", {tag}", 304},
	{"If-None-Match: bare", 200},
	{"If-None-Match: \"x\", *", 200},
	{"If-None-Match: ", 200},
	{"If-None-Match: \"\"", 200},
	// If-Modified-Since (13.1.3).
	{"If-Modified-Since: {date}", 304},
	{"If-Modified-Since: {after}", 304},
	{"If-Modified-Since: {before}", 200},
	{"If-Modified-Since: Thu Feb 29 12:30:45 2024", 304},
	{"If-Modified-Since: Thursday, 29-Feb-24 12:30:45 GMT", 304},
	{"If-Modified-Since: 2024-02-29T12:30:45Z", 200},
	{"If-Modified-Since: {date} | If-Modified-Since: {date}", 200},
	// Precedence (13.2.2).
	{"If-Match: {tag} | If-Unmodified-Since: {before}", 200},
	{"If-Match: \"x\" | If-Unmodified-Since: {after}", 412},
	{"If-None-Match: \"x\" | If-Modified-Since: {after}", 200},
	{"If-None-Match: {tag} | If-Modified-Since: {before}", 304},
	{"If-Match: {tag} | If-None-Match: {tag}", 304},
	{"If-Match: \"x\" | If-None-Match: {tag}", 412},
	{"If-Match: {tag} | If-Modified-Since: {date}", 304},
	{"If-Unmodified-Since: {before} | If-None-Match: {tag}", 412},
	{"If-Unmodified-Since: {date} | If-Modified-Since: {date}", 304},
	// Preconditions come before Range (13.2.2, 14.2).
	{"If-Match: {tag} | Range: bytes=0-1", 206},
	{"If-Match: \"x\" | Range: bytes=0-1", 412},
	{"If-Match: \"x\" | Range: bytes=2000-", 412},
	{"If-None-Match: {tag} | Range: bytes=0-1", 304},
	{"If-None-Match: {tag} | Range: bytes=2000-", 304},
	{"If-None-Match: \"x\" | Range: bytes=0-1", 206},
	{"If-None-Match: \"x\" | Range: bytes=2000-", 416},
	{"If-Modified-Since: {date} | Range: bytes=0-1", 304},
	{"If-Modified-Since: {before} | Range: bytes=0-1", 206},
	{"If-Unmodified-Since: {date} | Range: bytes=0-1", 206},
	{"If-Unmodified-Since: {before} | Range: bytes=0-1", 412},
	// If-Range (13.1.5): strong comparison, the exact date.
	{"Range: bytes=0-1 | If-Range: {tag}", 206},
	{"Range: bytes=0-1 | If-Range:  {tag} ", 206},
	{"Range: bytes=0-1 | If-Range: \"x\"", 200},
	{"Range: bytes=0-1 | If-Range: {weak}", 200},
	{"Range: bytes=0-1 | If-Range: *", 200},
	{"Range: bytes=0-1 | If-Range: {tag}, \"x\"", 200},
	{"Range: bytes=0-1 | If-Range: bare", 200},
	{"Range: bytes=0-1 | If-Range: ", 200},
	{"Range: bytes=0-1 | If-Range: {date}", 206},
	{"Range: bytes=0-1 | If-Range: {before}", 200},
	{"Range: bytes=0-1 | If-Range: {after}", 200},
	{"Range: bytes=0-1 | If-Range: {tag} | If-Range: {tag}", 200},
	{"Range: bytes=2000- | If-Range: {tag}", 416},
	{"Range: bytes=2000- | If-Range: \"x\"", 200},
	{"Range: bytes=5-2 | If-Range: {tag}", 200},
	{"Range: bytes=0-1,5-6 | If-Range: {tag}", 206},
	{"Range: bytes=0-1,5-6 | If-Range: \"x\"", 200},
	{"If-Range: {tag}", 200},
	{"If-Range: \"x\"", 200},
	{"Range: bytes=0-1 | If-Range: {tag} | If-None-Match: {tag}", 304},
	{"Range: bytes=0-1 | If-Range: \"x\" | If-None-Match: {tag}", 304},
	{"Range: bytes=0-1 | If-Range: \"x\" | If-Match: \"x\"", 412},
	{"Range: bytes=0-1 | If-Range: {tag} | If-Match: {tag}", 206},
	// From the cache's table.
	{"If-None-Match: \"a,b\", W/\"x\" ,{tag}", 304},
	{"If-None-Match: \"unfinished", 200},
	{"If-None-Match: {weak} | Range: bytes=0-1", 304},
	{"Range: bytes=0-1 | Range: bytes=2-3", 200},
	{"Range: bytes=2000- | If-Range: {weak}", 200},
	// Cases that two copies of the rules once answered differently.
	{"Range: bytes=1-2 | If-Range: {tag} | If-Range: \"b\"", 200},
	{"Range: bytes=99999999999999999999-99999999999999999998", 200},
	{"If-Modified-Since: Thu, 29 Feb 2024 12:30:45 PST", 200},
	{"If-Modified-Since: Fri, 29 Feb 2024 12:30:45 GMT", 200},
	{"If-Modified-Since: Thu, 29 Feb 2024  2:30:45 GMT", 200},
}
