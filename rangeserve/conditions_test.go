package rangeserve_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// conditionCases: header lines with {tag}, {weak} (W/ and the tag), {date} (Last-Modified), {before} and {after} (a
// second off), separated by " | ", and the status of a GET.
var conditionCases = []struct {
	lines string
	want  int
}{
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
}

func TestConditions(t *testing.T) {
	body := bodyOf(1000)
	for _, target := range targets(t, body) {
		t.Run(target.name, func(t *testing.T) {
			fill := validatorsOf(t, target.url)
			for _, c := range conditionCases {
				lines := strings.Split(fill.Replace(c.lines), " | ")
				a := ask(t, "GET", target.url, lines...)
				require.NoError(t, a.err, c.lines)
				require.Equal(t, c.want, a.StatusCode, c.lines)
				requireHeaderOf(t, a, c.lines, fill.Replace("{tag}"))
				requireSameForHead(t, target.url, a.StatusCode, lines)
			}
		})
	}
}

// TestIfRangeWithADateOfThisSecond: until the second is over there may be another version of the same date (RFC 9110
// section 8.8.2.2).
func TestIfRangeWithADateOfThisSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := rangeserve.Content{ReaderAt: strings.NewReader("abc"), Size: 3, ModTime: time.Now()}
		for _, want := range []int{200, 206} {
			time.Sleep(999 * time.Millisecond)
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/a.ts", nil)
			r.Header.Set("Range", "bytes=0-1")
			r.Header.Set("If-Range", c.ModTime.UTC().Format(http.TimeFormat))
			rangeserve.Serve(w, r, c)
			require.Equal(t, want, w.Code)
		}
	})
}

// validatorsOf asks a resource for what the cases refer to.
func validatorsOf(t *testing.T, url string) *strings.Replacer {
	t.Helper()
	a := ask(t, "HEAD", url)
	tag := a.Header.Get("Etag")
	require.Regexp(t, `^"[^"]+"$`, tag)
	require.Equal(t, "Thu, 29 Feb 2024 12:30:45 GMT", a.Header.Get("Last-Modified"))
	return strings.NewReplacer("{tag}", tag, "{weak}", "W/"+tag, "{date}", "Thu, 29 Feb 2024 12:30:45 GMT",
		"{before}", "Thu, 29 Feb 2024 12:30:44 GMT", "{after}", "Thu, 29 Feb 2024 12:30:46 GMT")
}

func requireHeaderOf(t *testing.T, a answer, lines, tag string) {
	t.Helper()
	switch a.StatusCode {
	case 200:
		require.Len(t, a.body, 1000, lines)
	case 304:
		require.Empty(t, a.body, lines)
		require.Equal(t, tag, a.Header.Get("Etag"), lines)
		require.Empty(t, a.Header["Content-Type"], lines)
		require.Empty(t, a.Header["Content-Length"], lines)
		require.Empty(t, a.Header["Last-Modified"], lines)
	case 412, 416:
		require.Empty(t, a.body, lines)
		require.Empty(t, a.Header["Etag"], lines)
	}
}

// requireSameForHead: HEAD answers as GET does, but knows no ranges.
func requireSameForHead(t *testing.T, url string, status int, lines []string) {
	t.Helper()
	if status == 206 || status == 416 {
		status = 200
	}
	a := ask(t, "HEAD", url, lines...)
	require.Equal(t, status, a.StatusCode, lines)
	require.Empty(t, a.body)
	if status == 200 {
		require.Equal(t, int64(1000), a.ContentLength, lines)
	}
}
