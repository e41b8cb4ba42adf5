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

// A 206 that nobody asked for, and that names no range, is all there is.
func TestMakeWholeOfWhatNamesNoRange(t *testing.T) {
	for name, row := range map[string]struct {
		asked, given, kind string
		whole              bool
	}{
		"plain":          {"", "", "video/mp2t", true},
		"asked for":      {"bytes=0-", "", "video/mp2t", false},
		"a bad range":    {"", "bytes", "video/mp2t", false},
		"several ranges": {"", "", "Multipart/byteranges; boundary=x", false},
	} {
		r, err := http.NewRequest(http.MethodGet, "http://h/", nil)
		require.NoError(t, err)
		if row.asked != "" {
			r.Header.Set("Range", row.asked)
		}
		resp := &http.Response{StatusCode: 206, Header: http.Header{"Content-Type": {row.kind}}, ContentLength: -1, Body: http.NoBody, Request: r}
		if row.given != "" {
			resp.Header.Set("Content-Range", row.given)
		}
		require.Equal(t, row.whole, httprange.MakeWhole(resp), name)
	}
}
