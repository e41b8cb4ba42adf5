package httprange_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
	"github.com/stretchr/testify/require"
)

const (
	sunday = "Sun, 06 Nov 1994 08:49:37 GMT"
	before = "Sat, 05 Nov 1994 08:49:37 GMT"
	after  = "Mon, 07 Nov 1994 08:49:37 GMT"
)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = append(h[pairs[i]], pairs[i+1])
	}
	return h
}

func TestDecide(t *testing.T) {
	tag, weak, dated := header("Etag", `"a"`), header("Etag", `W/"a"`), header("Last-Modified", sunday, "Date", after)
	for _, c := range []struct {
		name    string
		method  string
		request http.Header
		h       http.Header
		want    int
	}{
		{"nothing asked", "GET", nil, tag, 200},
		{"range", "GET", header("Range", "bytes=0-1"), tag, 206},
		{"range by no method", "", header("Range", "bytes=0-1"), tag, 206},
		{"range by HEAD", "HEAD", header("Range", "bytes=0-1"), tag, 200},
		{"range by POST", "POST", header("Range", "bytes=0-1"), tag, 200},
		{"two lines of Range", "GET", header("Range", "bytes=0-1", "Range", "bytes=2-3"), tag, 200},
		{"range behind the end", "GET", header("Range", "bytes=10-"), tag, 416},
		{"reversed numbers beyond int64", "GET", header("Range", "bytes="+huge+"-99999999999999999998"), tag, 200},

		{"If-Match", "GET", header("If-Match", `"x", "a"`), tag, 200},
		{"If-Match of any", "GET", header("If-Match", "*"), nil, 200},
		{"If-Match of another", "GET", header("If-Match", `"b"`), tag, 412},
		{"If-Match is strong", "GET", header("If-Match", `W/"a"`), weak, 412},
		{"If-Match goes before If-Unmodified-Since", "GET", header("If-Match", `"a"`, "If-Unmodified-Since", before), header("Etag", `"a"`, "Last-Modified", sunday), 200},
		{"If-Unmodified-Since", "GET", header("If-Unmodified-Since", sunday), dated, 200},
		{"If-Unmodified-Since before", "GET", header("If-Unmodified-Since", before), dated, 412},
		{"If-Unmodified-Since without Last-Modified", "GET", header("If-Unmodified-Since", before), tag, 200},

		{"If-None-Match", "GET", header("If-None-Match", `"a"`), tag, 304},
		{"If-None-Match is weak", "GET", header("If-None-Match", `W/"a"`), tag, 304},
		{"If-None-Match on two lines", "GET", header("If-None-Match", `"b"`, "If-None-Match", `"a"`), tag, 304},
		{"If-None-Match of any", "HEAD", header("If-None-Match", " * "), tag, 304},
		{"If-None-Match by PUT", "PUT", header("If-None-Match", "*"), tag, 412},
		{"If-None-Match with a star in a list", "GET", header("If-None-Match", `"b", *`), tag, 200},
		{"If-None-Match with a blank in a tag", "GET", header("If-None-Match", `"a b"`), header("Etag", `"a b"`), 200},
		{"If-None-Match without quotes", "GET", header("If-None-Match", "a"), header("Etag", "a"), 200},
		{"If-None-Match without a tag to match", "GET", header("If-None-Match", `"a"`), nil, 200},
		{"If-None-Match and two tags", "GET", header("If-None-Match", `"a"`), header("Etag", `"a"`, "Etag", `"b"`), 200},
		{"If-None-Match goes before If-Modified-Since", "GET", header("If-None-Match", `"b"`, "If-Modified-Since", after), header("Etag", `"a"`, "Last-Modified", sunday), 200},
		{"If-None-Match goes before Range", "GET", header("If-None-Match", `"a"`, "Range", "bytes=0-1"), tag, 304},

		{"If-Modified-Since", "GET", header("If-Modified-Since", sunday), dated, 304},
		{"If-Modified-Since before", "GET", header("If-Modified-Since", before), dated, 200},
		{"If-Modified-Since by POST", "POST", header("If-Modified-Since", sunday), dated, 200},
		{"If-Modified-Since twice", "GET", header("If-Modified-Since", sunday, "If-Modified-Since", sunday), dated, 200},
		{"If-Modified-Since of no date", "GET", header("If-Modified-Since", "Sun, 6 Nov 1994 08:49:37 GMT"), dated, 200},
		{"If-Modified-Since against Date", "GET", header("If-Modified-Since", sunday), header("Date", sunday), 304},
		{"If-Modified-Since before Date", "GET", header("If-Modified-Since", before), header("Date", sunday), 200},
		{"If-Modified-Since against no date at all", "GET", header("If-Modified-Since", after), tag, 200},
		{"If-Modified-Since against a Last-Modified that is none", "GET", header("If-Modified-Since", after), header("Last-Modified", "today", "Date", sunday), 200},

		{"If-Range", "GET", header("Range", "bytes=0-1", "If-Range", `"a"`), tag, 206},
		{"If-Range of another", "GET", header("Range", "bytes=0-1", "If-Range", `"b"`), tag, 200},
		{"If-Range twice", "GET", header("Range", "bytes=0-1", "If-Range", `"a"`, "If-Range", `"b"`), tag, 200},
		{"If-Range is strong", "GET", header("Range", "bytes=0-1", "If-Range", `W/"a"`), weak, 200},
		{"If-Range of a list", "GET", header("Range", "bytes=0-1", "If-Range", `"a", "b"`), tag, 200},
		{"If-Range by date", "GET", header("Range", "bytes=0-1", "If-Range", sunday), dated, 206},
		{"If-Range by an obsolete date", "GET", header("Range", "bytes=0-1", "If-Range", "Sun Nov  6 08:49:37 1994"), dated, 206},
		{"If-Range by a later date", "GET", header("Range", "bytes=0-1", "If-Range", after), dated, 200},
		{"If-Range by a weak date", "GET", header("Range", "bytes=0-1", "If-Range", sunday), header("Last-Modified", sunday, "Date", sunday), 200},
		{"If-Range by date without Last-Modified", "GET", header("Range", "bytes=0-1", "If-Range", sunday), header("Date", sunday), 200},
		{"If-Range that fails ignores a range behind the end", "GET", header("Range", "bytes=99-", "If-Range", `"b"`), tag, 200},
	} {
		r := &http.Request{Method: c.method, Header: c.request}
		status, ranges := httprange.Decide(nil, r, c.h, 10)
		require.Equal(t, c.want, status, c.name)
		require.Equal(t, status == 206, len(ranges) > 0, c.name)
	}
}

func TestADateOfThisSecondIsWeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC().Truncate(time.Second)
		time.Sleep(time.Until(now.Add(time.Second)))
		now = now.Add(time.Second)
		h := header("Last-Modified", now.Format(http.TimeFormat))
		require.False(t, httprange.IfRange(header("If-Range", now.Format(http.TimeFormat)), h))
		time.Sleep(time.Second)
		require.True(t, httprange.IfRange(header("If-Range", now.Format(http.TimeFormat)), h))
	})
}

func TestETags(t *testing.T) {
	for _, tag := range []string{`""`, `"a"`, `W/"a"`, `"!#~"`, "\"\x80\xff\"", `"a,b"`} {
		require.True(t, httprange.ValidETag(tag), tag)
		require.Equal(t, tag[0] == '"', httprange.StrongETag(tag), tag)
		require.True(t, httprange.SameWeak(tag, tag), tag)
	}
	for _, tag := range []string{"", `"`, "a", `"a`, `a"`, `w/"a"`, `W/`, `W/a`, `W/"a`, `"a b"`, "\"a\x7f\"", `"a""`, `"a" `, ` "a"`, `"a","b"`} {
		require.False(t, httprange.ValidETag(tag), tag)
		require.False(t, httprange.StrongETag(tag), tag)
		require.False(t, httprange.SameStrong(tag, tag), tag)
		require.False(t, httprange.SameWeak(tag, tag), tag)
	}
	require.False(t, httprange.SameStrong(`W/"a"`, `W/"a"`))
	require.True(t, httprange.SameWeak(`W/"a"`, `"a"`))
	for list, want := range map[string]bool{
		`"a"`: true, ` ,, "x" ,"a"`: true, `"x""a"`: true, `*`: true, `"x" y "a"`: false, `a`: false, ``: false, `,`: false, `"x", *`: false,
	} {
		require.Equal(t, want, httprange.Lists([]string{list}, `"a"`, httprange.SameStrong), list)
	}
}

func TestParseDate(t *testing.T) {
	want := time.Date(1994, time.November, 6, 8, 49, 37, 0, time.UTC)
	for _, s := range []string{sunday, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun Nov 06 08:49:37 1994"} {
		got, ok := httprange.ParseDate(s)
		require.True(t, ok, s)
		require.Equal(t, want, got, s)
	}
	leap, ok := httprange.ParseDate("Sat, 31 Dec 2016 23:59:60 GMT")
	require.True(t, ok)
	require.Equal(t, time.Date(2017, time.January, 1, 0, 0, 0, 0, time.UTC), leap)
	for _, s := range []string{
		"", ",", "0", "-1", "now", " " + sunday, sunday + " ", "sun, 06 nov 1994 08:49:37 gmt",
		"Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun,  6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun, 06 Nov 1994  8:49:37 GMT", "Sun,  06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 PST", "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37.5 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 06 November 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
		"Thu, 31 Feb 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, +6 Nov 1994 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT",
		"Sun-06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 PST", "Monday, 06-Nov-94 08:49:37 GMT",
		"Sunmay, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT", "Sunday, 06 Nov 94 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994 GMT", "Sun Nov 6 08:49:37 1994", "Mon Nov  6 08:49:37 1994", "Sun Nov    08:49:37 1994",
		"1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
	} {
		_, ok := httprange.ParseDate(s)
		require.False(t, ok, s)
	}
}

func TestAYearOfTwoDigits(t *testing.T) {
	const form = "Monday, 02-Jan-06 15:04:05 GMT"
	now := time.Now().UTC().Truncate(time.Second)
	for years, ahead := range map[int]int{-48: 0, -1: 0, 0: 0, 1: 0, 49: 0, 52: -100, -51: 100} {
		at := now.AddDate(years, 0, 0)
		want := at.AddDate(ahead, 0, 0)
		got, ok := httprange.ParseDate(want.Format(form))
		require.True(t, ok, want)
		require.Equal(t, want, got)
	}
}

func FuzzParseDate(f *testing.F) {
	f.Add(sunday)
	f.Add("Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add("Sun Nov  6 08:49:37 1994")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := httprange.ParseDate(s)
		if !ok {
			return
		}
		again, ok := httprange.ParseDate(got.Format(http.TimeFormat))
		require.True(t, ok)
		require.Equal(t, got, again)
	})
}

func FuzzLists(f *testing.F) {
	f.Add(`"a", W/"b"`, `"b"`)
	f.Fuzz(func(t *testing.T, list, tag string) {
		strong := httprange.Lists([]string{list}, tag, httprange.SameStrong)
		weak := httprange.Lists([]string{list}, tag, httprange.SameWeak)
		require.True(t, weak || !strong)
	})
}

func TestNothingAllocates(t *testing.T) {
	r := &http.Request{Method: "GET", Header: header("Range", "bytes=1-2,5-6", "If-None-Match", `"x", "y"`, "If-Range", sunday, "If-Modified-Since", sunday)}
	h := header("Etag", `"a"`, "Last-Modified", sunday, "Date", after, "Content-Range", "bytes 0-1/2", "Content-Length", "12")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		var buf [httprange.MaxParts]httprange.Range
		httprange.Decide(buf[:0], r, h, 10)
		httprange.ParseContentRange(h)
		httprange.ContentLength(h)
		httprange.ParseOne("bytes=0-5")
	}))
}
