package origin_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
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

// A part without a declared length has the length of its Content-Range, or it breaks.
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
		"without a range":     {"bytes=0-2", "", "abc", true},
		"without, another":    {"bytes=0-3", "", "abc", false},
		"misspelt":            {"bytes=5-7", "bytes=5-7/10", "abc", true},
		"misspelt, other":     {"bytes=5-7", "4 - 6 / 10", "abc", false},
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

// A complete 206 becomes a 200, whether a range was requested or not: players treat it as one.
func TestACompletePartIsTheWhole(t *testing.T) {
	f := newFront(t, &origin.Proxy{})
	for name, row := range map[string]struct {
		method, asked string
		chunked       bool
		status        int
	}{
		"nobody asked":          {"GET", "", false, 200},
		"nobody asked, chunked": {"GET", "", true, 200},
		"another range":         {"GET", "bytes=1-2", false, 200},
		"from 0":                {"GET", "bytes=0-", false, 200},
		"a list":                {"GET", "bytes=0-0,2-2", false, 200},
		"just that":             {"GET", "bytes=0-4", false, 206},
		"just that, as suffix":  {"GET", "bytes=-5", false, 206},
		"HEAD":                  {"HEAD", "", false, 200},
	} {
		t.Run(name, func(t *testing.T) {
			f.origin.Handle("/a.mp4", faultorigin.Script{
				Status: 206, Header: http.Header{"Content-Type": {"video/mp4"}, "Content-Range": {"bytes 0-4/5"}}, Body: []byte("media"), Chunked: row.chunked,
			})
			var header []string
			if row.asked != "" {
				header = []string{"Range", row.asked}
			}
			resp, body, err := f.do(t, row.method, "/a.mp4", header...)
			require.NoError(t, err)
			require.Equal(t, row.status, resp.StatusCode)
			if row.status == 200 {
				require.Empty(t, resp.Header["Content-Range"])
			}
			require.EqualValues(t, 5, resp.ContentLength)
			if row.method == "GET" {
				require.Equal(t, "media", string(body))
			}
		})
	}
	f.origin.Handle("/a.mp4", faultorigin.Script{Header: http.Header{"Content-Range": {"bytes 0-4/5"}}, Body: []byte("media")})
	resp, body := f.get(t, "/a.mp4")
	require.Equal(t, 200, resp.StatusCode)
	require.Empty(t, resp.Header["Content-Range"], "a 200 is no part")
	require.Equal(t, "media", body)
}

// Players that begin with a HEAD give up if an origin refuses it.
func TestHeadThatUpstreamRefuses(t *testing.T) {
	const size = 1000
	for name, row := range map[string]struct {
		refusal int
		get     faultorigin.Script
		status  int
		length  int64
	}{
		"with ranges":        {405, faultorigin.Script{Ranges: true, Body: make([]byte, size)}, 200, size},
		"not implemented":    {501, faultorigin.Script{Ranges: true, Body: make([]byte, size)}, 200, size},
		"bad request":        {400, faultorigin.Script{Ranges: true, Body: make([]byte, size)}, 200, size},
		"forbidden":          {403, faultorigin.Script{Ranges: true, Body: make([]byte, size)}, 200, size},
		"unauthorized":       {401, faultorigin.Script{Ranges: true, Body: make([]byte, size)}, 200, size},
		"not acceptable":     {406, faultorigin.Script{Ranges: true, Body: make([]byte, size)}, 200, size},
		"wants a length":     {411, faultorigin.Script{Body: make([]byte, size)}, 200, size},
		"wants a type":       {415, faultorigin.Script{Body: make([]byte, size)}, 200, size},
		"has nothing to say": {204, faultorigin.Script{Ranges: true, Body: make([]byte, size)}, 200, size},
		"misspelt range":     {405, faultorigin.Script{Status: 206, Header: http.Header{"Content-Range": {"bytes=0-0/1000"}}, Body: []byte("x")}, 200, size},
		"unreadable range":   {405, faultorigin.Script{Status: 206, Header: http.Header{"Content-Range": {"x"}}, Body: []byte("x")}, 200, -1},
		"really empty":       {204, faultorigin.Script{Status: 204}, 204, -2},
		"breaks on HEAD":     {500, faultorigin.Script{Ranges: true, Body: make([]byte, size)}, 200, size},
		"wants patience":     {429, faultorigin.Script{Body: make([]byte, size)}, 429, -2},
		"overloaded":         {503, faultorigin.Script{Body: make([]byte, size)}, 503, -2},
		"without ranges":     {404, faultorigin.Script{Body: make([]byte, size)}, 200, size},
		"empty, ranges":      {405, faultorigin.Script{Ranges: true}, 200, 0},
		"without a length":   {405, faultorigin.Script{Body: make([]byte, size), Chunked: true}, 200, -1},
		"size not known":     {405, faultorigin.Script{Status: 206, Header: http.Header{"Content-Range": {"bytes 0-0/*"}}, Body: []byte("x")}, 200, -1},
		"really not there":   {404, faultorigin.Script{Status: 404}, 404, -2},
		"really forbidden":   {403, faultorigin.Script{Status: 403}, 403, -2},
		"broken":             {405, faultorigin.Script{Status: 500}, 405, -2},
		"gone is no refusal": {410, faultorigin.Script{Body: make([]byte, size)}, 410, -2},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, &origin.Proxy{})
			well := faultorigin.Script{Header: http.Header{"Content-Type": {"video/mp4"}, "Etag": {`"e"`}}}
			row.get.Header = merged(well.Header, row.get.Header)
			f.origin.Handle("/a.mp4", faultorigin.Script{Func: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.WriteHeader(row.refusal)
					return
				}
				faultorigin.Play(w, r, row.get)
			})})
			resp, _, err := f.do(t, http.MethodHead, "/a.mp4")
			require.NoError(t, err)
			require.Equal(t, row.status, resp.StatusCode)
			if row.status != 200 {
				return
			}
			require.Equal(t, row.length, resp.ContentLength)
			require.Equal(t, "video/mp4", resp.Header.Get("Content-Type"))
			require.Empty(t, resp.Header["Content-Range"])

			before := f.origin.Requests("")
			_, _, err = f.do(t, http.MethodHead, "/a.mp4")
			require.NoError(t, err)
			asked := f.origin.Requests("") - before
			if slices.Contains([]int{401, 403, 404, 500}, row.refusal) {
				require.Equal(t, 2, asked, "it may have HEAD for other paths")
			} else {
				require.Equal(t, 1, asked, "that the host refuses HEAD is remembered")
			}
		})
	}
}

func merged(a, b http.Header) http.Header {
	out := a.Clone()
	for name, values := range b {
		out[name] = values
	}
	return out
}

// Players look at the bytes, so a header's coding counts only if the bytes can have it.
func TestContentCodingsThatAreNone(t *testing.T) {
	zip := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write([]byte(s))
		w.Close()
		return b.String()
	}
	ts := strings.Repeat("\x47"+strings.Repeat("x", 187), 8)
	f := newFront(t, &origin.Proxy{})
	for name, row := range map[string]struct {
		lines []string
		body  string
		want  string
	}{
		"none at all":         {nil, ts, ""},
		"aws-chunked":         {[]string{"aws-chunked"}, ts, ""},
		"aws-chunked, gzip":   {[]string{"gzip,aws-chunked"}, zip(ts), "gzip"},
		"utf-8":               {[]string{"utf-8"}, ts, ""},
		"binary":              {[]string{"binary"}, "anything", ""},
		"none":                {[]string{"none"}, ts, ""},
		"identity":            {[]string{"identity"}, ts, ""},
		"empty":               {[]string{""}, ts, ""},
		"gzip":                {[]string{"gzip"}, zip(ts), "gzip"},
		"GZIP":                {[]string{"GZIP"}, zip(ts), "gzip"},
		"gzip that is none":   {[]string{"gzip"}, ts, ""},
		"gzip of nothing":     {[]string{"gzip"}, "", ""},
		"gzip twice":          {[]string{"gzip, gzip"}, zip(zip(ts)), "gzip, gzip"},
		"gzip said twice":     {[]string{"gzip", "gzip"}, zip(ts), "gzip"},
		"gzip said, not once": {[]string{"gzip, gzip"}, ts, ""},
		"gzip five times":     {[]string{strings.Repeat("gzip,", 7)}, zip(zip(zip(zip(zip(ts))))), "gzip, gzip, gzip, gzip, gzip"},
		"gzip too often":      {[]string{"br, br, gzip, gzip, gzip, gzip, gzip, gzip"}, zip(zip(zip(zip(zip(zip(ts)))))), "br, br, gzip, gzip, gzip, gzip, gzip, gzip"},
		"br that is none":     {[]string{"br"}, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n", ""},
		"br that may be":      {[]string{"br"}, "\x1b\x03\x00\xf8\xff\xff", "br"},
		"zstd that is none":   {[]string{"zstd"}, ts, ""},
		"zstd":                {[]string{"zstd"}, "\x28\xb5\x2f\xfdx", "zstd"},
		"deflate":             {[]string{"deflate"}, "\x78\x9c\x03\x00\x00\x00\x00\x01", "deflate"},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Content-Type": {"video/mp2t"}}
			if row.lines != nil {
				h["Content-Encoding"] = row.lines
			}
			f.origin.Handle("/a.ts", faultorigin.Script{Header: h, Body: []byte(row.body)})
			resp, body := f.get(t, "/a.ts")
			require.Equal(t, 200, resp.StatusCode)
			require.Equal(t, row.want, strings.Join(resp.Header["Content-Encoding"], "|"))
			require.Equal(t, row.body, body, "the bytes stay")
			require.EqualValues(t, len(row.body), resp.ContentLength)
		})
	}
	f.origin.Handle("/a.ts", faultorigin.Script{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: []byte(zip(ts)), CutAt: 10})
	_, _, err := f.do(t, http.MethodGet, "/a.ts")
	require.Error(t, err, "a body that breaks off stays broken")
}
