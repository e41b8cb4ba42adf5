package chaintest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/internal/rangecases"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

// described is a handler without ranges and conditions. header describes its body.
func described(body []byte, header http.Header) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
}

// both answers a request twice: from the cache, which has the body in its store, and from rangeserve, which cuts it.
func both(t *testing.T, body []byte, header http.Header) func(request http.Header) (cached, served *http.Response) {
	t.Helper()
	inner := described(body, header)
	tr := &cache.Transport{Store: cache.NewMemory(1 << 20), Base: roundTrip(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		inner.ServeHTTP(w, r)
		resp := w.Result()
		resp.Request = r
		return resp, nil
	})}
	ask := func(request http.Header) *http.Response {
		r := httptest.NewRequest("GET", "http://o.example/a.mp4", nil)
		r.RequestURI = ""
		r.Header = request.Clone()
		if r.Header == nil {
			r.Header = http.Header{}
		}
		resp, err := tr.RoundTrip(r)
		require.NoError(t, err)
		data, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		resp.Body = io.NopCloser(bytes.NewReader(data))
		return resp
	}
	require.Equal(t, 200, ask(nil).StatusCode)
	return func(request http.Header) (*http.Response, *http.Response) {
		cached := ask(request)
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/a.mp4", nil)
		r.Header = request
		rangeserve.Handler(inner).ServeHTTP(w, r)
		return cached, w.Result()
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// requireAgreement compares two answers to one request. The cache answers a range of everything, and a list of ranges, with the
// whole, so that a handler in front can cut it.
func requireAgreement(t *testing.T, cached, served *http.Response, request http.Header, name string) {
	t.Helper()
	field := request.Get("Range")
	list, all := strings.Contains(field, ","), strings.HasSuffix(field, "0-") && served.StatusCode == 206
	if cached.StatusCode == 200 && (list || all) {
		return
	}
	require.Equal(t, served.StatusCode, cached.StatusCode, name)
	require.Equal(t, served.Header.Get("Content-Range"), cached.Header.Get("Content-Range"), name)
	a, err := io.ReadAll(cached.Body)
	require.NoError(t, err)
	b, err := io.ReadAll(served.Body)
	require.NoError(t, err)
	require.True(t, bytes.Equal(a, b), name)
}

// cache and rangeserve are mounted in a row. They must never answer one request in two ways.
func TestCacheAndRangeserveAgreeOnRanges(t *testing.T) {
	for _, size := range []int{0, 1, 10, 1000} {
		body := bytes.Repeat([]byte("0123456789"), 100)[:size]
		ask := both(t, body, http.Header{"Content-Type": {"video/mp4"}, "Etag": {`"v1"`}, "Cache-Control": {"max-age=100"}})
		n := 0
		for _, c := range rangecases.Ranges() {
			if c.Size != size {
				continue
			}
			n++
			request := http.Header{"Range": {c.Header}}
			cached, served := ask(request)
			requireAgreement(t, cached, served, request, c.Header)
			switch {
			case c.Want == "200" || c.Want == "416" && !strings.Contains(c.Header, ","):
				require.Equal(t, c.Want, strconv.Itoa(cached.StatusCode), "%.60s", c.Header)
			case cached.StatusCode == 206:
				require.Equal(t, fmt.Sprintf("bytes %s/%d", c.Want, size), cached.Header.Get("Content-Range"), "%.60s", c.Header)
			}
		}
		require.NotZero(t, n)
	}
}

func TestCacheAndRangeserveAgreeOnConditions(t *testing.T) {
	const modified = "Thu, 29 Feb 2024 12:30:45 GMT"
	fill := strings.NewReplacer("{tag}", `"v1"`, "{weak}", `W/"v1"`, "{date}", modified,
		"{before}", "Thu, 29 Feb 2024 12:30:44 GMT", "{after}", "Thu, 29 Feb 2024 12:30:46 GMT")
	body := bytes.Repeat([]byte("0123456789"), 100)
	ask := both(t, body, http.Header{"Content-Type": {"video/mp4"}, "Etag": {`"v1"`}, "Last-Modified": {modified},
		"Date": {time.Now().UTC().Format(http.TimeFormat)}, "Cache-Control": {"max-age=100"}})
	for _, c := range rangecases.Conditions {
		request := http.Header{}
		for line := range strings.SplitSeq(fill.Replace(c.Lines), " | ") {
			name, value, _ := strings.Cut(line, ": ")
			name = http.CanonicalHeaderKey(name)
			request[name] = append(request[name], value)
		}
		cached, served := ask(request)
		requireAgreement(t, cached, served, request, c.Lines)
		require.Equal(t, c.Want, served.StatusCode, c.Lines)
	}
}

// Unusual validators, and none.
func TestCacheAndRangeserveAgreeOnValidators(t *testing.T) {
	hour := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	now := time.Now().UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		name    string
		header  http.Header
		request http.Header
		want    int
	}{
		{"a blank in a tag", http.Header{"Etag": {`"a b"`}}, http.Header{"If-None-Match": {`"a b"`}}, 200},
		{"a tag without quotes", http.Header{"Etag": {`a`}}, http.Header{"If-None-Match": {`a`}}, 200},
		{"two tags", http.Header{"Etag": {`"a"`, `"b"`}}, http.Header{"If-None-Match": {`"a"`}}, 200},
		{"no Last-Modified, by Date", http.Header{"Date": {now}}, http.Header{"If-Modified-Since": {hour}}, 304},
		{"no tag, and any will do", http.Header{"Date": {now}}, http.Header{"If-None-Match": {"*"}}, 304},
		{"a weak tag and If-Match", http.Header{"Etag": {`W/"a"`}}, http.Header{"If-Match": {`W/"a"`}}, 412},
		{"a weak tag and If-Range", http.Header{"Etag": {`W/"a"`}}, http.Header{"If-Range": {`W/"a"`}, "Range": {"bytes=0-1"}}, 200},
		{"a date of the same second", http.Header{"Last-Modified": {now}, "Date": {now}}, http.Header{"If-Range": {now}, "Range": {"bytes=0-1"}}, 200},
		{"a date that is none", http.Header{"Last-Modified": {"today"}, "Date": {now}}, http.Header{"If-Modified-Since": {hour}}, 200},
		{"no Range without GET's own", http.Header{"Etag": {`"a"`}}, http.Header{"If-Range": {`"a"`}}, 200},
	} {
		header := c.header.Clone()
		header.Set("Content-Type", "video/mp4")
		header.Set("Cache-Control", "max-age=100")
		cached, served := both(t, []byte("0123456789"), header)(c.request)
		require.Equal(t, []int{c.want, c.want}, []int{cached.StatusCode, served.StatusCode}, c.name)
	}
}
