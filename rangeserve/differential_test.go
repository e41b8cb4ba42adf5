package rangeserve_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/rangecases"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// departures are the headers for which http.ServeContent departs from RFC 9110, or for which the RFC leaves a choice that this
// package makes differently. The value is what http.ServeContent answers.
func departures() map[string]string {
	return map[string]string{
		"bytes=-0":                                          "206 bytes 1000-999/1000", // names no byte: 416
		"bytes=-00":                                         "206 bytes 1000-999/1000",
		"bytes=-0,-0":                                       "206 multipart",
		"bytes=1000-1001,-0":                                "206 bytes 1000-999/1000",
		"bytes=0-4,-0":                                      "206 multipart",
		"bytes=-0,0-4":                                      "206 multipart",
		"bytes=" + rangecases.Huge + "-":                    "416", // without "bytes */1000"
		"bytes=9223372036854775808-":                        "416",
		"bytes=18446744073709551615-":                       "416",
		"bytes=18446744073709551616-":                       "416",
		"bytes=0-18446744073709551615":                      "416", // the last position is to be cut
		"bytes=0-18446744073709551616":                      "416",
		"bytes=0-9223372036854775808":                       "416",
		"bytes=18-18446744073709551615":                     "416",
		"bytes=0-" + rangecases.Huge:                        "416",
		"bytes=-18446744073709551615":                       "416",
		"bytes=-9223372036854775808":                        "416",
		"bytes=-" + rangecases.Huge:                         "416",
		"bytes=0-4," + rangecases.Huge + "-":                "416",
		"bytes=" + rangecases.Huge + "-" + rangecases.Huge:  "416",
		"bytes=" + rangecases.Huge + "-9" + rangecases.Huge: "416",
		"Bytes=1000-":                                       "416",
		"Bytes=0-4":                                         "416", // the unit is a token of any case
		"BYTES=0-4":                                         "416",
		"bYtEs=-4":                                          "416",
	}
}

// TestAgainstServeContent: the two differ only in known cases, where several ranges are joined or limited, or for a header that
// must be ignored and that ServeContent refuses.
func TestAgainstServeContent(t *testing.T) {
	known, met := departures(), 0
	for _, c := range rangecases.Ranges() {
		if c.Size == 0 {
			continue // ServeContent answers "bytes 0--1/0" to some of these
		}
		ours, theirs := both(bodyOf(c.Size), c.Header)
		want, departs := known[c.Header]
		switch {
		case departs:
			met++
			require.Equal(t, want, theirs.text(), "%.60s", c.Header)
			require.NotEqual(t, theirs.text(), ours.text(), "%.60s", c.Header)
		case c.Want == "200" && theirs.status == 416, strings.Contains(c.Header, ","):
			require.Equal(t, c.Want == "200", ours.status == 200, "%.60s", c.Header)
		case strings.ContainsAny(c.Header, " \t+"):
			require.Contains(t, []int{ours.status, 206}, theirs.status, "%.60s", c.Header) // laxity
		default:
			require.Equal(t, theirs, ours, "%.60s", c.Header)
		}
	}
	require.Equal(t, len(known), met)
}

// outcome is the part of an answer that is compared.
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

// TestConditionsAgainstServeContent leaves out what ServeContent does not read: a second line of a field, and what follows a
// "*".
func TestConditionsAgainstServeContent(t *testing.T) {
	fill := strings.NewReplacer("{tag}", `"v1"`, "{weak}", `W/"v1"`, "{date}", modified.Format(http.TimeFormat),
		"{before}", "Thu, 29 Feb 2024 12:30:44 GMT", "{after}", "Thu, 29 Feb 2024 12:30:46 GMT")
	departs := map[string]int{
		`If-None-Match: "x", *`:                                  304, // "*" is no member of a list
		"Range: bytes=0-1 | If-Range: {tag}, \"x\"":              206, // If-Range has one tag
		"Range: bytes=99999999999999999999-99999999999999999998": 416, // the last before the first
		"If-Modified-Since: Fri, 29 Feb 2024 12:30:45 GMT":       304,
		"If-Match: ":                         200, // an empty list matches nothing
		"Range: bytes=5-2 | If-Range: {tag}": 416,
		"Range: bytes=0-1 | If-Range: ":      206,
	}
	met := 0
	for _, c := range rangecases.Conditions {
		lines := strings.Split(fill.Replace(c.Lines), " | ")
		header, others := "", lines[:0:0]
		names := map[string]bool{}
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			if name == "Range" && header == "" {
				header = value
				continue
			}
			names[name] = true
			others = append(others, line)
		}
		if len(names) < len(others) || names["Range"] {
			continue
		}
		ours, theirs := both(bodyOf(1000), header, others...)
		want, ok := departs[c.Lines]
		if !ok {
			want = c.Want
		} else {
			met++
		}
		require.Equal(t, c.Want, ours.status, c.Lines)
		require.Equal(t, want, theirs.status, c.Lines)
	}
	require.Equal(t, len(departs), met)
}
