package origin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/faultorigin"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

func TestRangeRules(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	body := strings.Repeat("0123456789", 100)
	for _, path := range []string{"/a.ts", "/a.m3u8", "/A.M3U", "/list"} {
		contentType := "video/mp2t"
		if path != "/a.ts" {
			contentType = "application/x-mpegURL; charset=utf-8"
		}
		f.origin.Handle(path, faultorigin.Script{Ranges: true, Header: http.Header{"Content-Type": {contentType}, "Etag": {`"e"`}}, Body: []byte(body)})
	}
	for _, row := range []struct {
		name, path, sent string
		header           []string
		status           int
		want             string
		requests         int
	}{
		{"one range", "/a.ts", "bytes=2-4", []string{"Range", "bytes=2-4"}, 206, "234", 1},
		{"suffix", "/a.ts", "bytes=-3", []string{"Range", "bytes=-3"}, 206, "789", 1},
		{"open", "/a.ts", "bytes=997-", []string{"Range", "bytes=997-"}, 206, "789", 1},
		{"with If-Range", "/a.ts", "bytes=2-4", []string{"Range", "bytes=2-4", "If-Range", `"e"`}, 206, "234", 1},
		{"with another If-Range", "/a.ts", "bytes=2-4", []string{"Range", "bytes=2-4", "If-Range", `"f"`}, 200, body, 1},
		{"from 0", "/a.ts", "", []string{"Range", "bytes=0-", "If-Range", `"f"`}, 200, body, 1},
		{"several", "/a.ts", "", []string{"Range", "bytes=0-1,5-6"}, 200, body, 1},
		{"two lines", "/a.ts", "", []string{"Range", "bytes=0-1", "Range", "bytes=5-6"}, 200, body, 1},
		{"another unit", "/a.ts", "", []string{"Range", "items=0-5"}, 200, body, 1},
		{"backwards", "/a.ts", "", []string{"Range", "bytes=5-2"}, 200, body, 1},
		{"nonsense", "/a.ts", "", []string{"Range", "bytes=x"}, 200, body, 1},
		{"past the end", "/a.ts", "bytes=2000-", []string{"Range", "bytes=2000-"}, 416, "", 1},
		{"playlist", "/a.m3u8", "", []string{"Range", "bytes=2-4", "If-Range", `"e"`}, 200, body, 1},
		{"playlist in capitals", "/A.M3U", "", []string{"Range", "bytes=2-4"}, 200, body, 1},
		{"playlist by its type", "/list", "", []string{"Range", "bytes=2-4"}, 200, body, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := f.origin.Requests("")
			resp, body := f.get(t, row.path, row.header...)
			require.Equal(t, row.status, resp.StatusCode)
			require.Equal(t, row.sent, f.last().Header.Get("Range"))
			require.Equal(t, row.requests, f.origin.Requests("")-before)
			switch row.status {
			case 416:
				require.Equal(t, "bytes */1000", resp.Header.Get("Content-Range"))
			case 206:
				require.NotEmpty(t, resp.Header.Get("Content-Range"))
				require.Equal(t, `"e"`, resp.Header.Get("Etag"))
				fallthrough
			default:
				require.Equal(t, row.want, body)
			}
		})
	}
	_, _, err := f.do(t, http.MethodHead, "/a.ts", "Range", "bytes=1-2")
	require.NoError(t, err)
	require.Empty(t, f.last().Header.Get("Range"), "Range has a meaning for GET only")
}

// A part that does not say its length has that of its Content-Range, or it is broken.
func TestPartsWithoutALengthAreCounted(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for body, whole := range map[string]bool{"": false, "ab": false, "abc": true, "abcd": false, strings.Repeat("x", 1<<20): false} {
		f.origin.Handle("/a.mp4", faultorigin.Script{
			Status: 206, Header: http.Header{"Content-Type": {"video/mp4"}, "Content-Range": {"bytes 5-7/10"}}, Body: []byte(body), Chunked: true,
		})
		resp, got, err := f.do(t, http.MethodGet, "/a.mp4", "Range", "bytes=5-7")
		require.Equal(t, whole, err == nil && resp.StatusCode == 206, "%.10s %v", body, err)
		if whole {
			require.Equal(t, body, string(got))
		}
	}
}

func TestWrongPartialAnswers(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for name, row := range map[string]struct {
		asked, given string
		body         string
		ok           bool
	}{
		"nobody asked":        {"", "bytes 0-2/10", "abc", false},
		"without a range":     {"bytes=0-2", "", "abc", false},
		"other bytes":         {"bytes=5-7", "bytes 0-2/10", "abc", false},
		"more than asked":     {"bytes=5-6", "bytes 5-7/10", "abc", false},
		"length of another":   {"bytes=5-7", "bytes 5-7/10", "abcd", false},
		"past its own end":    {"bytes=5-7", "bytes 5-7/6", "abc", false},
		"another unit":        {"bytes=5-7", "items 5-7/10", "abc", false},
		"wrong suffix":        {"bytes=-3", "bytes 5-7/10", "abc", false},
		"as asked":            {"bytes=5-7", "bytes 5-7/10", "abc", true},
		"less than asked":     {"bytes=5-9", "bytes 5-7/10", "abc", true},
		"size not known":      {"bytes=5-", "bytes 5-7/*", "abc", true},
		"suffix":              {"bytes=-3", "bytes 7-9/10", "abc", true},
		"suffix of a short":   {"bytes=-9", "bytes 0-2/3", "abc", true},
		"hint far beyond":     {"bytes=7-9007199254740991", "bytes 7-9/10", "abc", true},
		"suffix, no size":     {"bytes=-3", "bytes 7-9/*", "abc", true},
		"backwards from here": {"bytes=5-7", "bytes 7-5/10", "abc", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Content-Type": {"video/mp4"}}
			if row.given != "" {
				h.Set("Content-Range", row.given)
			}
			f.origin.Handle("/a.mp4", faultorigin.Script{Status: 206, Header: h, Body: []byte(row.body)})
			var header []string
			if row.asked != "" {
				header = []string{"Range", row.asked}
			}
			resp, body := f.get(t, "/a.mp4", header...)
			if row.ok {
				require.Equal(t, 206, resp.StatusCode)
				require.Equal(t, row.body, body)
			} else {
				require.Equal(t, 502, resp.StatusCode)
				require.NotContains(t, body, "abc")
			}
		})
	}
}
