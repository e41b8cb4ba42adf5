package rangeserve_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// departures are the headers for which http.ServeContent and RFC 9110 part ways, or for which both ways are open and
// the other is taken here. The value is what http.ServeContent answers.
func departures() map[string]string {
	return map[string]string{
		"bytes=-0":                                "206 bytes 1000-999/1000", // names no byte: 416
		"bytes=-00":                               "206 bytes 1000-999/1000",
		"bytes=-0,-0":                             "206 multipart",
		"bytes=1000-1001,-0":                      "206 bytes 1000-999/1000",
		"bytes=0-4,-0":                            "206 multipart",
		"bytes=-0,0-4":                            "206 multipart",
		"bytes=" + hugeDigits + "-":               "416", // without "bytes */1000"
		"bytes=9223372036854775808-":              "416",
		"bytes=18446744073709551615-":             "416",
		"bytes=18446744073709551616-":             "416",
		"bytes=0-18446744073709551615":            "416", // the last position is to be cut
		"bytes=0-18446744073709551616":            "416",
		"bytes=0-9223372036854775808":             "416",
		"bytes=18-18446744073709551615":           "416",
		"bytes=0-" + hugeDigits:                   "416",
		"bytes=-18446744073709551615":             "416",
		"bytes=-9223372036854775808":              "416",
		"bytes=-" + hugeDigits:                    "416",
		"bytes=0-4," + hugeDigits + "-":           "416",
		"bytes=" + hugeDigits + "-" + hugeDigits:  "416",
		"bytes=" + hugeDigits + "-9" + hugeDigits: "416",
		"Bytes=1000-":                             "416",
		"Bytes=0-4":                               "416", // the unit is a token of any case
		"BYTES=0-4":                               "416",
		"bYtEs=-4":                                "416",
	}
}

// TestAgainstServeContent: where the two differ, the case is one of those that are known, or one where several ranges
// are joined or limited, or a header that is to be ignored and that ServeContent refuses.
func TestAgainstServeContent(t *testing.T) {
	known, met := departures(), 0
	for _, c := range rangeCases() {
		if c.size == 0 {
			continue // ServeContent answers "bytes 0--1/0" to some of these
		}
		ours, theirs := both(bodyOf(c.size), c.header)
		want, departs := known[c.header]
		switch {
		case departs:
			met++
			require.Equal(t, want, theirs.text(), "%.60s", c.header)
			require.NotEqual(t, theirs.text(), ours.text(), "%.60s", c.header)
		case c.want == "200" && theirs.status == 416, strings.Contains(c.header, ","):
			require.Equal(t, c.want == "200", ours.status == 200, "%.60s", c.header)
		case strings.ContainsAny(c.header, " \t+"):
			require.Contains(t, []int{ours.status, 206}, theirs.status, "%.60s", c.header) // laxity
		default:
			require.Equal(t, theirs, ours, "%.60s", c.header)
		}
	}
	require.Equal(t, len(known), met)
}

// outcome is what counts of an answer.
type outcome struct {
	status                            int
	contentRange, contentLength, body string
	multipart                         bool
}

func (o outcome) text() string {
	switch {
	case o.multipart:
		return "206 multipart"
	case o.contentRange != "":
		return strconv.Itoa(o.status) + " " + o.contentRange
	}
	return strconv.Itoa(o.status)
}

func both(body []byte, header string, more ...string) (ours, theirs outcome) {
	run := func(serve func(w http.ResponseWriter, r *http.Request)) outcome {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Range", header)
		for _, line := range more {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		serve(w, r)
		o := outcome{status: w.Code, contentRange: w.Header().Get("Content-Range")}
		if o.multipart = strings.HasPrefix(w.Header().Get("Content-Type"), "multipart/"); !o.multipart && w.Code < 400 {
			o.body, o.contentLength = w.Body.String(), w.Header().Get("Content-Length")
		}
		return o
	}
	ours = run(func(w http.ResponseWriter, r *http.Request) {
		rangeserve.Serve(w, r, rangeserve.Content{
			ReaderAt: bytes.NewReader(body), Size: int64(len(body)), Type: "video/mp4", ETag: `"v1"`, ModTime: modified,
		})
	})
	theirs = run(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("Etag", `"v1"`)
		http.ServeContent(w, r, "", modified, bytes.NewReader(body))
	})
	return ours, theirs
}

// TestConditionsAgainstServeContent: the same, but for what ServeContent does not read: a second line of a field, and
// nothing behind a "*".
func TestConditionsAgainstServeContent(t *testing.T) {
	fill := strings.NewReplacer("{tag}", `"v1"`, "{weak}", `W/"v1"`, "{date}", modified.Format(http.TimeFormat),
		"{before}", "Thu, 29 Feb 2024 12:30:44 GMT", "{after}", "Thu, 29 Feb 2024 12:30:46 GMT")
	departs := map[string]int{
		`If-None-Match: "x", *`:                     304, // "*" is no member of a list
		"Range: bytes=0-1 | If-Range: {tag}, \"x\"": 206, // If-Range has one tag
		"If-Match: ":                         200, // an empty list matches nothing
		"Range: bytes=5-2 | If-Range: {tag}": 416,
		"Range: bytes=0-1 | If-Range: ":      206,
	}
	met := 0
	for _, c := range conditionCases {
		lines := strings.Split(fill.Replace(c.lines), " | ")
		header, others := "", lines[:0:0]
		names := map[string]bool{}
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			if name == "Range" {
				header = value
				continue
			}
			names[name] = true
			others = append(others, line)
		}
		if len(names) < len(others) {
			continue
		}
		ours, theirs := both(bodyOf(1000), header, others...)
		want, ok := departs[c.lines]
		if !ok {
			want = c.want
		} else {
			met++
		}
		require.Equal(t, c.want, ours.status, c.lines)
		require.Equal(t, want, theirs.status, c.lines)
	}
	require.Equal(t, len(departs), met)
}
