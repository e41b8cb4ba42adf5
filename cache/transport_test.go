package cache_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

func TestSecondRequestIsAHit(t *testing.T) {
	o := &scripted{answer: func(*http.Request, int64) reply { return text("segment", "Content-Type", "video/mp2t", "X-A", "1") }}
	c := &cache.Transport{Base: o, Store: store(t)}
	resp, body := fetch(t, c, segURL)
	require.Equal(t, "segment", body)
	require.Equal(t, []string{"hlsproxy; fwd=uri-miss; stored"}, resp.Header["Cache-Status"])
	require.Empty(t, resp.Header["Age"])
	require.EqualValues(t, 7, resp.ContentLength)

	resp.Header.Set("X-A", "changed by a viewer")
	resp.Header["Content-Type"][0] = "changed in place"
	for range 3 {
		resp, body = fetch(t, c, segURL)
		require.Equal(t, "segment", body)
		require.Equal(t, []string{"hlsproxy; hit"}, resp.Header["Cache-Status"])
		require.Equal(t, "0", resp.Header.Get("Age"))
		require.Equal(t, "1", resp.Header.Get("X-A"))
		require.Equal(t, "video/mp2t", resp.Header.Get("Content-Type"))
		require.Equal(t, "7", resp.Header.Get("Content-Length"))
		require.Equal(t, segURL, resp.Request.URL.String())
		require.Equal(t, "bytes", resp.Header.Get("Accept-Ranges"))
		resp.Header["Content-Type"][0] = "changed in place"
	}
	require.EqualValues(t, 1, o.asked.Load())
	s := c.Stats()
	require.Equal(t, cache.Stats{Hits: 3, Misses: 1, StoreBytes: 21, FillBytes: 7, OriginBytes: 7, Stored: 1}, s)
}

func TestEmptyBodyIsAHit(t *testing.T) {
	o := &scripted{answer: func(*http.Request, int64) reply { return text("", "Content-Type", "video/mp2t") }}
	c := &cache.Transport{Base: o, Store: store(t)}
	for range 2 {
		_, body := fetch(t, c, segURL)
		require.Empty(t, body)
	}
	require.EqualValues(t, 1, o.asked.Load())
}

func TestWithoutAStoreNothingIsKept(t *testing.T) {
	o := &scripted{answer: func(*http.Request, int64) reply { return text("x", "Content-Type", "video/mp2t") }}
	c := &cache.Transport{Base: o}
	fetch(t, c, segURL)
	fetch(t, c, segURL)
	require.EqualValues(t, 2, o.asked.Load())
}

// Each row is an answer that is not shared with the next viewer.
func TestNeverStored(t *testing.T) {
	media := []string{"Content-Type", "video/mp2t"}
	for name, row := range map[string]struct {
		url     string
		request []string
		answer  reply
	}{
		"set-cookie":           {answer: text("x", append(media, "Set-Cookie", "id=1")...)},
		"private":              {answer: text("x", append(media, "Cache-Control", "Private")...)},
		"no-store":             {answer: text("x", append(media, "Cache-Control", "max-age=60, no-store")...)},
		"vary by everything":   {answer: text("x", append(media, "Vary", "Accept, *")...)},
		"authorization":        {request: []string{"Authorization", "Bearer x"}, answer: text("x", media...)},
		"cookie":               {request: []string{"Cookie", "id=1"}, answer: text("x", media...)},
		"user information":     {url: "http://u:p@o.example/a.ts", answer: text("x", media...)},
		"opaque URL":           {url: "http:a.ts", answer: text("x", media...)},
		"no-store asked":       {request: []string{"Cache-Control", "no-store"}, answer: text("x", media...)},
		"AES-128 key":          {url: "http://o.example/k", answer: text("0123456789abcdef")},
		"key by name":          {url: "http://o.example/a.KEY", answer: text("x", "Cache-Control", "max-age=60")},
		"html for a segment":   {answer: text("<html>", "Content-Type", "text/html; charset=utf-8", "Cache-Control", "max-age=60")},
		"html for a playlist":  {url: listURL, answer: text("<html>", "Content-Type", "text/html", "Cache-Control", "max-age=60")},
		"no playlist by type":  {url: "http://o.example/x", answer: text("oops", "Content-Type", "application/vnd.apple.mpegurl")},
		"500":                  {answer: reply{status: 500, header: head("Cache-Control", "max-age=60")}},
		"503":                  {answer: reply{status: 503}},
		"403":                  {answer: reply{status: 403}},
		"redirect":             {answer: reply{status: 302, header: head("Location", "/x")}},
		"no-cache":             {answer: text("x", append(media, "Cache-Control", "no-cache")...)},
		"expired":              {answer: text("x", append(media, "Expires", "0")...)},
		"s-maxage before":      {answer: text("x", append(media, "Cache-Control", "max-age=60, s-maxage=0")...)},
		"older than allowed":   {answer: text("x", append(media, "Cache-Control", "max-age=60", "Age", "60")...)},
		"page without a word":  {url: "http://o.example/page", answer: text("x", "Content-Type", "text/html")},
		"endless":              {url: "http://o.example/a.flv", answer: reply{header: head("Content-Type", "video/x-flv"), body: io.MultiReader(strings.NewReader("x"))}},
		"connection names it":  {answer: reply{status: 502, header: head("Connection", "X-Hop", "X-Hop", "1")}},
		"longer than declared": {url: "http://o.example/page", answer: text("x")},
	} {
		t.Run(name, func(t *testing.T) {
			o := &scripted{}
			o.answer = func(*http.Request, int64) reply {
				a := row.answer
				if s, ok := a.body.(*strings.Reader); ok {
					s.Seek(0, io.SeekStart)
				}
				return a
			}
			c := &cache.Transport{Base: o, Store: store(t)}
			url := row.url
			if url == "" {
				url = segURL
			}
			for range 2 {
				resp, _, err := try(t, c, url, row.request...)
				require.NoError(t, err)
				require.NotContains(t, resp.Header.Get("Cache-Status"), "hit")
			}
			require.EqualValues(t, 2, o.asked.Load())
			require.Zero(t, c.Stats().Stored)
		})
	}
}

func TestWritesGoToTheOriginAsTheyAre(t *testing.T) {
	o := &scripted{answer: func(r *http.Request, _ int64) reply { return text(r.Method) }}
	c := &cache.Transport{Base: o, Store: store(t)}
	for range 2 {
		r, _ := http.NewRequest(http.MethodPost, segURL, strings.NewReader("body"))
		resp, err := c.RoundTrip(r)
		require.NoError(t, err)
		require.Equal(t, "hlsproxy; fwd=method", resp.Header.Get("Cache-Status"))
		resp.Body.Close()
	}
	require.EqualValues(t, 2, o.asked.Load())
	require.EqualValues(t, 2, c.Stats().Passed)
}

func TestAFillAsksForTheWholeAndNamesNoViewer(t *testing.T) {
	type ctxKey struct{}
	var got *http.Request
	c := &cache.Transport{Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
		got = r
		return text("0123456789", "Content-Type", "video/mp2t", "ETag", `"1"`).response(r), nil
	})}
	ctx := context.WithValue(t.Context(), ctxKey{}, "value")
	r := request(t, ctx, segURL, "Range", "bytes=2-3", "If-None-Match", `"0"`, "If-Modified-Since", "x", "If-Range", `"1"`,
		"Accept-Encoding", "gzip", "User-Agent", "player", "Pragma", "no-cache")
	before := r.Header.Clone()
	resp, err := c.RoundTrip(r)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusPartialContent, resp.StatusCode)
	require.Same(t, r, resp.Request)
	require.Equal(t, before, r.Header)
	require.Equal(t, http.Header{"Accept-Encoding": {"identity"}, "User-Agent": {"player"}}, got.Header)
	require.Equal(t, "value", got.Context().Value(ctxKey{}), "values come along, cancellation does not")
}

func TestKeys(t *testing.T) {
	o := &scripted{answer: func(*http.Request, int64) reply { return text("x", "Content-Type", "video/mp2t") }}
	for name, row := range map[string]struct {
		first, second string
		same          bool
	}{
		"CMCD":                  {"http://o/a.ts?x=1&CMCD=br%3D1&y=2", "http://o/a.ts?x=1&y=2", true},
		"CMCD alone":            {"http://o/a.ts?CMCD=br%3D1", "http://o/a.ts?CMCD=br%3D2", true},
		"throughput":            {"http://o/a.ts?_HLS_throughput=5", "http://o/a.ts?_HLS_throughput=6", true},
		"media sequence number": {"http://o/a.ts?_HLS_msn=5", "http://o/a.ts?_HLS_msn=6", false},
		"part":                  {"http://o/a.ts?_HLS_msn=5&_HLS_part=1", "http://o/a.ts?_HLS_msn=5", false},
		"skip":                  {"http://o/a.ts?_HLS_skip=YES", "http://o/a.ts", false},
		"order of the query":    {"http://o/a.ts?a=1&b=2", "http://o/a.ts?b=2&a=1", false},
		"spelling of the query": {"http://o/a.ts?a=1,2", "http://o/a.ts?a=1%2C2", false},
		"spelling of the path":  {"http://o/a%2Fb.ts", "http://o/a/b.ts", false},
		"case of the host":      {"http://O.example/a.ts", "http://o.example/a.ts", true},
		"case of the path":      {"http://o/A.ts", "http://o/a.ts", false},
		"scheme":                {"http://o/a.ts", "https://o/a.ts", false},
		"not CMCD":              {"http://o/a.ts?CMCDx=1", "http://o/a.ts?CMCDx=2", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := &cache.Transport{Base: o, Store: store(t)}
			before := o.asked.Load()
			fetch(t, c, row.first)
			fetch(t, c, row.second)
			require.Equal(t, row.same, o.asked.Load()-before == 1)
		})
	}
	t.Run("host field", func(t *testing.T) {
		c := &cache.Transport{Base: o, Store: store(t)}
		before := o.asked.Load()
		for _, host := range []string{"a.example", "b.example"} {
			r := request(t, t.Context(), segURL)
			r.Host = host
			resp, err := c.RoundTrip(r)
			require.NoError(t, err)
			resp.Body.Close()
		}
		require.EqualValues(t, 2, o.asked.Load()-before)
	})
	t.Run("of the caller", func(t *testing.T) {
		c := &cache.Transport{Base: o, Store: store(t), Key: func(r *http.Request) string { return r.URL.Path }}
		before := o.asked.Load()
		fetch(t, c, "http://o/a.ts?token=1")
		fetch(t, c, "http://o/a.ts?token=2")
		require.EqualValues(t, 1, o.asked.Load()-before)
	})
}

func TestVary(t *testing.T) {
	o := &scripted{answer: func(r *http.Request, _ int64) reply {
		return text(r.Header.Get("Accept-Language"), "Content-Type", "video/mp2t", "Vary", "accept-language, Accept-Encoding", "Vary", "Cookie")
	}}
	c := &cache.Transport{Base: o, Store: store(t)}
	for _, lang := range []string{"de", "de", "en"} {
		_, body := fetch(t, c, segURL, "Accept-Language", lang, "Accept-Encoding", lang)
		require.Equal(t, lang, body)
	}
	require.EqualValues(t, 2, o.asked.Load())
}

// RFC 9111 section 4.1: fields with the same meaning match, however they are written.
func TestSpellingsOfAFieldThatAnswersVaryBy(t *testing.T) {
	for name, row := range map[string]struct {
		first, second []string
		same          bool
	}{
		"blanks":          {[]string{"a, b"}, []string{" a\t,b "}, true},
		"lines":           {[]string{"a", "b"}, []string{"a,b"}, true},
		"quoted":          {[]string{`"a, b",c`}, []string{`"a,b",c`}, false},
		"order":           {[]string{"a, b"}, []string{"b, a"}, false},
		"case":            {[]string{"a"}, []string{"A"}, false},
		"more":            {[]string{"a,b"}, []string{"a"}, false},
		"none":            {nil, []string{"a"}, false},
		"blanks in words": {[]string{"a b"}, []string{"a  b"}, false},
	} {
		o := &scripted{answer: func(*http.Request, int64) reply { return text("x", "Content-Type", "video/mp2t", "Vary", "X-F") }}
		c := &cache.Transport{Base: o, Store: store(t)}
		for _, lines := range [][]string{row.first, row.second} {
			r := request(t, t.Context(), segURL)
			r.Header["X-F"] = lines
			resp, err := c.RoundTrip(r)
			require.NoError(t, err)
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		require.Equal(t, row.same, o.asked.Load() == 1, name)
	}
}

func TestHEAD(t *testing.T) {
	o := &scripted{answer: func(r *http.Request, _ int64) reply {
		return text("0123456789", "Content-Type", "video/mp2t", "M", r.Method)
	}}
	c := &cache.Transport{Base: o, Store: store(t)}
	ask := func() *http.Response {
		r := request(t, t.Context(), segURL, "Range", "bytes=0-1")
		r.Method = http.MethodHead
		resp, err := c.RoundTrip(r)
		require.NoError(t, err)
		resp.Body.Close()
		return resp
	}
	require.Equal(t, "HEAD", ask().Header.Get("M"), "a cold HEAD does not fetch the body")
	fetch(t, c, segURL)
	resp := ask()
	require.Equal(t, "GET", resp.Header.Get("M"))
	require.EqualValues(t, 10, resp.ContentLength)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Empty(t, body)
	require.EqualValues(t, 2, o.asked.Load())
}

func TestAgeGrowsAndFreshnessEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &scripted{answer: func(*http.Request, int64) reply {
			return text("x", "Content-Type", "video/mp2t", "Cache-Control", "max-age=100", "Age", "7", "Connection", "X-Hop", "X-Hop", "1", "Keep-Alive", "1")
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		fetch(t, c, segURL)
		for _, row := range []struct {
			wait  time.Duration
			age   string
			asked int64
		}{{0, "7", 1}, {10 * time.Second, "17", 1}, {82 * time.Second, "99", 1}, {2 * time.Second, "7", 2}, {time.Second, "8", 2}} {
			time.Sleep(row.wait)
			resp, _ := fetch(t, c, segURL)
			require.Equal(t, row.age, resp.Header.Get("Age"))
			require.Equal(t, row.asked, o.asked.Load())
			require.Empty(t, resp.Header.Get("X-Hop"))
			require.Empty(t, resp.Header.Get("Keep-Alive"))
		}
	})
}
