package cache_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// Each row is an answer of an origin and what becomes of it. Sections are those of RFC 9111 unless another is named.
func TestAnswersThatAreKept(t *testing.T) {
	yes := []string{"Cache-Control", "max-age=100"}
	for name, row := range map[string]struct {
		status int
		header []string
		kept   time.Duration
	}{
		"3 203 with max-age":             {203, yes, 100 * time.Second},
		"3 204 with max-age":             {204, yes, 100 * time.Second},
		"3 299 with max-age":             {299, yes, 100 * time.Second},
		"3 301 with max-age":             {301, append(yes, "Location", "/x"), 100 * time.Second},
		"3 302 with Expires":             {302, []string{"Expires", "Sat, 01 Jan 2000 00:00:30 GMT"}, 30 * time.Second}, // the clock of synctest begins there
		"3 302 without":                  {302, []string{"Location", "/x"}, 0},
		"3 302 with a cookie":            {302, append(yes, "Set-Cookie", "a=b"), 0},
		"3 400 with max-age":             {400, yes, time.Second},
		"3 400 without":                  {400, nil, 0},
		"3 500 with max-age":             {500, yes, 0},
		"3 599 with max-age":             {599, yes, 0},
		"5.2.2.3 299 must-understand":    {299, []string{"Cache-Control", "max-age=100, must-understand"}, 0},
		"5.2.2.3 203 must-understand":    {203, []string{"Cache-Control", "max-age=100, must-understand"}, 100 * time.Second},
		"9213 2.2 in place of no-store":  {200, []string{"Cache-Control", "no-store", "CDN-Cache-Control", "max-age=9"}, 9 * time.Second},
		"9213 2.2 in place of max-age":   {200, []string{"Cache-Control", "max-age=100", "CDN-Cache-Control", "foo, max-age=9;a=b"}, 9 * time.Second},
		"9213 2.2 in place of Expires":   {200, []string{"Expires", "0", "CDN-Cache-Control", "max-age=9"}, 9 * time.Second},
		"9213 2.2 two lines":             {200, []string{"CDN-Cache-Control", `x="a, b"`, "CDN-Cache-Control", "max-age=9"}, 9 * time.Second},
		"9213 2.2 no-store":              {200, append(yes, "CDN-Cache-Control", "no-store"), 0},
		"9213 2.2 private":               {200, append(yes, "CDN-Cache-Control", "private"), 0},
		"9213 2.2 no-cache":              {200, append(yes, "CDN-Cache-Control", "no-cache"), 0},
		"9213 2.2 false":                 {200, []string{"CDN-Cache-Control", "no-store=?0, max-age=9"}, 9 * time.Second},
		"9213 2.2 nothing said":          {203, append(yes, "CDN-Cache-Control", "foo"), 0},
		"9213 2.2 not a dictionary":      {200, append(yes, "CDN-Cache-Control", "max-age=9, &&&"), 100 * time.Second},
		"9213 2.2 upper case":            {200, append(yes, "CDN-Cache-Control", "Max-Age=9"), 100 * time.Second},
		"9213 2.2 empty":                 {200, append(yes, "CDN-Cache-Control", ""), 100 * time.Second},
		"9213 2.2 a string for a number": {200, append(yes, "CDN-Cache-Control", `max-age="9"`), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &scripted{answer: func(*http.Request, int64) reply { return reply{status: row.status, header: head(row.header...)} }}
				c := &cache.Transport{Base: o, Store: store(t)}
				fetch(t, c, "http://o.example/x")
				synctest.Wait()
				if row.kept > 0 {
					time.Sleep(row.kept - time.Nanosecond)
					resp, _ := fetch(t, c, "http://o.example/x")
					require.Equal(t, row.status, resp.StatusCode)
					require.Equal(t, head(row.header...).Get("Location"), resp.Header.Get("Location"))
					require.EqualValues(t, 1, o.asked.Load())
					time.Sleep(time.Nanosecond)
				}
				fetch(t, c, "http://o.example/x")
				require.EqualValues(t, 2, o.asked.Load())
			})
		})
	}
}

// RFC 9211 section 2.5: "stored" is only said of an answer that is stored.
func TestCacheStatusSaysStoredOnlyIfItIs(t *testing.T) {
	for name, header := range map[string][]string{
		"segment":          {"Content-Type", "video/mp2t"},
		"said":             {"Content-Type", "text/plain", "Cache-Control", "max-age=5"},
		"to be asked":      {"Content-Type", "text/plain", "ETag", `"e"`},
		"page":             {"Content-Type", "text/html"},
		"too old":          {"Content-Type", "video/mp2t", "Cache-Control", "max-age=5", "Age", "5"},
		"no-cache":         {"Content-Type", "video/mp2t", "Cache-Control", "no-cache"},
		"no-cache, a date": {"Content-Type", "video/mp2t", "Cache-Control", "no-cache", "Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT"},
	} {
		o := &scripted{answer: func(*http.Request, int64) reply { return text("x", header...) }}
		c := &cache.Transport{Base: o, Store: store(t)}
		resp, _ := fetch(t, c, "http://o.example/x")
		require.Equal(t, c.Stats().Stored == 1, strings.HasSuffix(resp.Header.Get("Cache-Status"), "; stored"), name)
	}
}

// Section 4.4.
func TestWritesInvalidate(t *testing.T) {
	for name, row := range map[string]struct {
		method string
		answer reply
		gone   []string
	}{
		"POST":             {"POST", reply{}, []string{"/a"}},
		"PUT":              {"PUT", reply{status: 204}, []string{"/a"}},
		"DELETE redirects": {"DELETE", reply{status: 303}, []string{"/a"}},
		"unknown":          {"M-SEARCH", reply{}, []string{"/a"}},
		"failed":           {"POST", reply{status: 400}, nil},
		"OPTIONS":          {"OPTIONS", reply{}, nil},
		"Location":         {"POST", reply{status: 201, header: head("Location", "/b")}, []string{"/a", "/b"}},
		"Content-Location": {"PUT", reply{header: head("Content-Location", "http://o.example/b")}, []string{"/a", "/b"}},
		"another origin":   {"PUT", reply{header: head("Content-Location", "http://x.example/b", "Location", ":")}, []string{"/a"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := &scripted{answer: func(r *http.Request, _ int64) reply {
				if r.Method != http.MethodGet {
					return row.answer
				}
				return text("x", "Cache-Control", "max-age=100", "Vary", "Accept")
			}}
			c := &cache.Transport{Base: o, Store: store(t)}
			urls := []string{"http://o.example/a", "http://o.example/b", "http://x.example/b"}
			for _, u := range urls {
				fetch(t, c, u, "Accept", "x")
			}
			r := request(t, t.Context(), urls[0])
			r.Method = row.method
			resp, err := c.RoundTrip(r)
			require.NoError(t, err)
			resp.Body.Close()
			asked := o.asked.Load()
			var gone []string
			for _, u := range urls {
				if fetch(t, c, u, "Accept", "x"); o.asked.Load() > asked {
					asked = o.asked.Load()
					gone = append(gone, strings.TrimPrefix(u, "http://o.example"))
				}
			}
			require.Equal(t, row.gone, gone)
		})
	}
}

// Section 3.2: the fields of a 304 replace those that were stored, but not those that describe the content.
func TestFieldsOfA304(t *testing.T) {
	for name, row := range map[string]struct{ stored, said, want string }{
		"X-Field":          {"a", "b", "b"},
		"Expires":          {"Fri, 01 Jan 2038 01:01:01 GMT", "Mon, 11 Jan 2038 11:11:11 GMT", "Mon, 11 Jan 2038 11:11:11 GMT"},
		"Content-Language": {"de", "en", "en"},
		"Content-Location": {"/a", "/b", "/b"},
		"Content-Type":     {"text/plain", "Text/Plain;charset=utf-8", "Text/Plain;charset=utf-8"},
		"Content-type":     {"video/mp2t", "text/html", "video/mp2t"},
		"Content-Encoding": {"br", "gzip", "br"},
		"Content-Digest":   {"sha-256=:a:", "sha-256=:b:", "sha-256=:a:"},
		"Repr-Digest":      {"sha-256=:a:", "sha-256=:b:", "sha-256=:a:"},
		"Content-Md5":      {"a", "b", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &scripted{answer: func(r *http.Request, _ int64) reply {
				if r.Header.Get("If-None-Match") != "" {
					return reply{status: 304, header: head("ETag", `"e"`, name, row.said)}
				}
				return text("x", "ETag", `"e"`, "Cache-Control", "no-cache", name, row.stored)
			}}
			c := &cache.Transport{Base: o, Store: store(t)}
			fetch(t, c, "http://o.example/x")
			for range 2 {
				resp, body := fetch(t, c, "http://o.example/x")
				require.Equal(t, "x", body)
				require.Equal(t, row.want, resp.Header.Get(name))
			}
		})
	}
}

// Section 5.1: an answer from another cache is no younger here than there.
func TestAgeOfAnotherCache(t *testing.T) {
	for age, want := range map[string]string{"": "", "0": "0", "7": "7", "7, 9": "7", "-7": "0", "7.5": "0", "x": "0"} {
		synctest.Test(t, func(t *testing.T) {
			o := &scripted{answer: func(*http.Request, int64) reply {
				a := text("x", "Cache-Control", "max-age=100")
				if age != "" {
					a.header.Set("Age", age)
				}
				return a
			}}
			c := &cache.Transport{Base: o, Store: store(t)}
			resp, _ := fetch(t, c, "http://o.example/x")
			require.Equal(t, want, resp.Header.Get("Age"), age)
			resp, _ = fetch(t, c, "http://o.example/x")
			require.Equal(t, max(want, "0"), resp.Header.Get("Age"), age)
		})
	}
}

// Section 4.3.2: an answer without Last-Modified is as old as its Date says.
func TestIfModifiedSinceTheDate(t *testing.T) {
	o := &scripted{answer: func(*http.Request, int64) reply {
		return text("x", "Cache-Control", "max-age=100", "Date", "Sat, 01 Jan 2000 00:00:00 GMT")
	}}
	c := &cache.Transport{Base: o, Store: store(t)}
	for since, status := range map[string]int{"Sat, 01 Jan 2000 00:00:00 GMT": 304, "Fri, 31 Dec 1999 23:59:59 GMT": 200, "yesterday": 200} {
		resp, err := c.RoundTrip(request(t, t.Context(), "http://o.example/x", "If-Modified-Since", since))
		require.NoError(t, err)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		require.Equal(t, status, resp.StatusCode, since)
	}
}
