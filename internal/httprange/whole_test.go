package httprange_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
	"github.com/stretchr/testify/require"
)

func TestMakeWhole(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		given  string
		length int64 // declared
		body   string
		whole  bool
		broken bool
	}{
		"a 200":             {200, "", 5, "01234", true, false},
		"whole":             {206, "bytes 0-4/5", 5, "01234", true, false},
		"whole, chunked":    {206, "bytes 0-4/5", -1, "01234", true, false},
		"short, chunked":    {206, "bytes 0-4/5", -1, "0123", true, true},
		"long, chunked":     {206, "bytes 0-4/5", -1, "012345", true, true},
		"another length":    {206, "bytes 0-4/5", 4, "0123", false, false},
		"a part":            {206, "bytes 1-4/5", 4, "1234", false, false},
		"its beginning":     {206, "bytes 0-3/5", 4, "0123", false, false},
		"of unknown size":   {206, "bytes 0-4/*", 5, "01234", false, false},
		"without a range":   {206, "", 5, "01234", false, false},
		"several parts":     {206, "", -1, "--x", false, false},
		"a range of a 200":  {200, "bytes 0-4/5", 5, "01234", true, false},
		"past its own size": {206, "bytes 0-5/5", 6, "012345", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			resp := &http.Response{StatusCode: row.status, Header: http.Header{}, ContentLength: row.length, Body: io.NopCloser(strings.NewReader(row.body))}
			if row.given != "" {
				resp.Header.Set("Content-Range", row.given)
			}
			require.Equal(t, row.whole, httprange.MakeWhole(resp))
			if row.whole && row.status == 206 {
				require.Equal(t, 200, resp.StatusCode)
				require.Empty(t, resp.Header["Content-Range"])
				require.EqualValues(t, 5, resp.ContentLength)
			}
			body, err := io.ReadAll(resp.Body)
			require.Equal(t, row.broken, err != nil)
			if !row.broken {
				require.Equal(t, row.body, string(body))
			}
		})
	}
}

// A 206 that nobody asked for is all there is, unless it says otherwise.
func TestMakeWholeOfWhatNobodyAskedFor(t *testing.T) {
	for name, row := range map[string]struct {
		asked, given, kind string
		length             int64
		whole              bool
	}{
		"no range":                  {"", "", "video/mp2t", -1, true},
		"asked for":                 {"bytes=0-", "", "video/mp2t", -1, false},
		"a unit alone":              {"", "bytes", "video/mp2t", -1, true},
		"several ranges":            {"", "", "Multipart/byteranges; boundary=x", -1, false},
		"unknown size":              {"", "bytes 0-4/*", "video/mp2t", 5, true},
		"unknown size, no length":   {"", "bytes 0-4/*", "video/mp2t", -1, true},
		"unknown size, asked for":   {"bytes=0-", "bytes 0-4/*", "video/mp2t", 5, false},
		"unknown size, another":     {"", "bytes 0-4/*", "video/mp2t", 6, false},
		"unknown size, a part":      {"", "bytes 1-4/*", "video/mp2t", 4, false},
		"misspelt":                  {"", "bytes=0-4/5", "video/mp2t", 5, true},
		"misspelt, a part":          {"", "bytes=0-4/6", "video/mp2t", 5, false},
		"one too many":              {"", "bytes 0-5/5", "video/mp2t", 5, true},
		"one too many, a part":      {"", "bytes 0-5/5", "video/mp2t", 3, false},
		"size alone":                {"", "bytes */5", "video/mp2t", 5, true},
		"size alone, a part":        {"", "bytes */5", "video/mp2t", 3, false},
		"another unit":              {"", "items 0-4/5", "video/mp2t", 5, true},
		"unreadable, no length":     {"", "bytes 0-5/5", "video/mp2t", -1, false},
		"unreadable, not its start": {"", "bytes 2-5/5", "video/mp2t", 5, false},
		"beyond all numbers":        {"", "bytes 0-" + huge + "/" + huge, "video/mp2t", 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodGet, "http://h/", nil)
			require.NoError(t, err)
			if row.asked != "" {
				r.Header.Set("Range", row.asked)
			}
			resp := &http.Response{StatusCode: 206, Header: http.Header{"Content-Type": {row.kind}}, ContentLength: row.length, Body: http.NoBody, Request: r}
			if row.given != "" {
				resp.Header.Set("Content-Range", row.given)
			}
			require.Equal(t, row.whole, httprange.MakeWhole(resp))
			require.Equal(t, row.whole, resp.StatusCode == 200)
			require.Equal(t, row.whole || row.given == "", resp.Header["Content-Range"] == nil)
		})
	}
}

func TestMend(t *testing.T) {
	for name, row := range map[string]struct {
		asked  string
		status int
		given  string // Content-Range
		length int64
		want   int
		says   string // the Content-Range then
	}{
		"well":                        {"bytes=2-4", 206, "bytes 2-4/9", 3, 206, "bytes 2-4/9"},
		"misspelt":                    {"bytes=2-4", 206, "bytes=2-4/9", 3, 206, "bytes 2-4/9"},
		"without a size":              {"bytes=2-4", 206, "2 - 4", 3, 206, "bytes 2-4/*"},
		"missing":                     {"bytes=2-4", 206, "", 3, 206, "bytes 2-4/*"},
		"missing, another length":     {"bytes=2-4", 206, "", 2, 206, ""},
		"missing, no length":          {"bytes=2-4", 206, "", -1, 206, ""},
		"missing, to the end":         {"bytes=2-", 206, "", 3, 206, ""},
		"missing, from the end":       {"bytes=-3", 206, "", 3, 206, ""},
		"unreadable":                  {"bytes=2-4", 206, "bytes x", 3, 206, "bytes x"},
		"a part that is called whole": {"bytes=2-4", 200, "bytes 2-4/9", 3, 206, "bytes 2-4/9"},
		"the whole, and a range":      {"bytes=2-4", 200, "bytes 2-4/9", 9, 200, "bytes 2-4/9"},
		"another part":                {"bytes=2-4", 200, "bytes 3-5/9", 3, 200, "bytes 3-5/9"},
		"all of it":                   {"bytes=0-2", 200, "bytes 0-2/3", 3, 200, "bytes 0-2/3"},
		"not asked for":               {"", 206, "bytes=2-4/9", 3, 206, "bytes=2-4/9"},
		"a 200 without":               {"bytes=2-4", 200, "", 3, 200, ""},
		"another status":              {"bytes=2-4", 203, "bytes=2-4/9", 3, 203, "bytes=2-4/9"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodGet, "http://h/", nil)
			require.NoError(t, err)
			if row.asked != "" {
				r.Header.Set("Range", row.asked)
			}
			resp := &http.Response{StatusCode: row.status, Header: http.Header{}, ContentLength: row.length, Body: http.NoBody, Request: r}
			if row.given != "" {
				resp.Header.Set("Content-Range", row.given)
			}
			httprange.Mend(resp)
			require.Equal(t, row.want, resp.StatusCode)
			require.Equal(t, row.says, resp.Header.Get("Content-Range"))
		})
	}
	httprange.Mend(&http.Response{StatusCode: 206})
}
