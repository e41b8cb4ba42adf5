package rangeserve_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/rangecases"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

func TestConditions(t *testing.T) {
	body := bodyOf(1000)
	for _, target := range targets(t, body) {
		t.Run(target.name, func(t *testing.T) {
			fill := validatorsOf(t, target.url)
			for _, c := range rangecases.Conditions {
				lines := strings.Split(fill.Replace(c.Lines), " | ")
				a := ask(t, "GET", target.url, lines...)
				require.NoError(t, a.err, c.Lines)
				require.Equal(t, c.Want, a.StatusCode, c.Lines)
				requireHeaderOf(t, a, c.Lines, fill.Replace("{tag}"))
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

// validatorsOf fetches the validators that the cases refer to.
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

// requireSameForHead checks that HEAD is answered like GET, but without ranges.
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
