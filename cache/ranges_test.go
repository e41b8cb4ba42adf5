package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// rangeRows ask for parts of "0123456789".
var rangeRows = map[string]struct {
	field  string
	status int
	body   string
	show   string
}{
	"first two":           {"bytes=0-1", 206, "01", "bytes 0-1/10"},
	"middle":              {"bytes=3-5", 206, "345", "bytes 3-5/10"},
	"open":                {"bytes=7-", 206, "789", "bytes 7-9/10"},
	"beyond the end":      {"bytes=7-100", 206, "789", "bytes 7-9/10"},
	"RFC 8673":            {"bytes=7-9007199254740991", 206, "789", "bytes 7-9/10"},
	"suffix":              {"bytes=-3", 206, "789", "bytes 7-9/10"},
	"long suffix":         {"bytes=-30", 206, "0123456789", "bytes 0-9/10"},
	"spaces":              {"bytes= 1-2 ,, ", 206, "12", "bytes 1-2/10"},
	"unit in capitals":    {"BYTES=1-2", 206, "12", "bytes 1-2/10"},
	"the whole":           {"bytes=0-", 200, "0123456789", ""},
	"several":             {"bytes=0-1,3-4", 200, "0123456789", ""},
	"backwards":           {"bytes=5-2", 200, "0123456789", ""},
	"other unit":          {"items=0-5", 200, "0123456789", ""},
	"no unit":             {"0-5", 200, "0123456789", ""},
	"sign":                {"bytes=+0-4", 200, "0123456789", ""},
	"two minus signs":     {"bytes=--4", 200, "0123456789", ""},
	"empty":               {"bytes=", 200, "0123456789", ""},
	"only a minus":        {"bytes=-", 200, "0123456789", ""},
	"hexadecimal":         {"bytes=0x1-0x2", 200, "0123456789", ""},
	"past the end":        {"bytes=10-", 416, "", "bytes */10"},
	"21 digits":           {"bytes=123456789012345678901-", 416, "", "bytes */10"},
	"21 digits to 22":     {"bytes=123456789012345678901-1234567890123456789012", 416, "", "bytes */10"},
	"nothing":             {"bytes=-0", 416, "", "bytes */10"},
	"last of 21 digits":   {"bytes=8-123456789012345678901", 206, "89", "bytes 8-9/10"},
	"suffix of 21 digits": {"bytes=-123456789012345678901", 206, "0123456789", "bytes 0-9/10"},
}

func TestRanges(t *testing.T) {
	for name, row := range rangeRows {
		t.Run(name, func(t *testing.T) {
			o := &scripted{answer: func(*http.Request, int64) reply {
				return text("0123456789", "Content-Type", "video/mp2t", "ETag", `"v"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
			}}
			for _, s := range []cache.Store{store(t), mapStore{&sync.Map{}}} {
				c := &cache.Transport{Base: o, Store: s}
				for _, from := range []string{"fill", "store"} {
					resp, body := fetch(t, c, segURL, "Range", row.field)
					require.Equal(t, row.status, resp.StatusCode, from)
					require.Equal(t, row.body, body, from)
					require.Equal(t, row.show, resp.Header.Get("Content-Range"), from)
					require.EqualValues(t, len(row.body), resp.ContentLength)
					require.Equal(t, `"v"`, resp.Header.Get("ETag"))
					if row.status != 416 {
						require.Equal(t, "video/mp2t", resp.Header.Get("Content-Type"))
					}
				}
			}
			require.EqualValues(t, 2, o.asked.Load())
		})
	}
}

func TestConditions(t *testing.T) {
	const old, new = "Mon, 02 Jan 2006 15:04:04 GMT", "Mon, 02 Jan 2006 15:04:06 GMT"
	o := &scripted{answer: func(*http.Request, int64) reply {
		return text("0123456789", "Content-Type", "video/mp2t", "ETag", `"v"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT", "Cache-Control", "max-age=9",
			"CDN-Cache-Control", "max-age=8", "Expires", "Mon, 02 Jan 2046 15:04:05 GMT")
	}}
	c := &cache.Transport{Base: o, Store: store(t)}
	for name, row := range map[string]struct {
		header []string
		status int
	}{
		"tag matches":                  {[]string{"If-None-Match", `"v"`}, 304},
		"weakly":                       {[]string{"If-None-Match", `W/"v"`}, 304},
		"one of several":               {[]string{"If-None-Match", `"a,b", W/"x" ,"v"`}, 304},
		"any":                          {[]string{"If-None-Match", `*`}, 304},
		"tag differs":                  {[]string{"If-None-Match", `"x"`}, 200},
		"no tag at all":                {[]string{"If-None-Match", `v`}, 200},
		"unfinished tag":               {[]string{"If-None-Match", `"v`}, 200},
		"not modified":                 {[]string{"If-Modified-Since", new}, 304},
		"modified":                     {[]string{"If-Modified-Since", old}, 200},
		"not a date":                   {[]string{"If-Modified-Since", "yesterday"}, 200},
		"tag before date":              {[]string{"If-None-Match", `"x"`, "If-Modified-Since", new}, 200},
		"must match, does":             {[]string{"If-Match", `"v"`}, 200},
		"must match, weakly":           {[]string{"If-Match", `W/"v"`}, 412},
		"must match, differs":          {[]string{"If-Match", `"x"`}, 412},
		"must not be newer, is":        {[]string{"If-Unmodified-Since", old}, 412},
		"must not be newer, is not":    {[]string{"If-Unmodified-Since", new}, 200},
		"condition before range":       {[]string{"If-None-Match", `"v"`, "Range", "bytes=0-1"}, 304},
		"if-range holds":               {[]string{"If-Range", `"v"`, "Range", "bytes=0-1"}, 206},
		"if-range weak":                {[]string{"If-Range", `W/"v"`, "Range", "bytes=0-1"}, 200},
		"if-range differs":             {[]string{"If-Range", `"x"`, "Range", "bytes=0-1"}, 200},
		"if-range date exact":          {[]string{"If-Range", "Mon, 02 Jan 2006 15:04:05 GMT", "Range", "bytes=0-1"}, 206},
		"if-range date later":          {[]string{"If-Range", new, "Range", "bytes=0-1"}, 200},
		"if-range before bad range":    {[]string{"If-Range", `"x"`, "Range", "bytes=20-"}, 200},
		"if-range that is not one":     {[]string{"If-Range", "x", "Range", "bytes=0-1"}, 200},
		"if-range without any range":   {[]string{"If-Range", `"x"`}, 200},
		"two ranges in two fields":     {[]string{"Range", "bytes=0-1", "Range", "bytes=2-3"}, 200},
		"if-range, range past the end": {[]string{"If-Range", `"v"`, "Range", "bytes=20-"}, 416},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := fetch(t, c, segURL, row.header...)
			require.Equal(t, row.status, resp.StatusCode)
			require.Equal(t, `"v"`, resp.Header.Get("ETag"))
			if row.status == 412 || row.status == 416 { // it concerns this request alone: nobody may keep it
				for _, name := range []string{"Cache-Control", "CDN-Cache-Control", "Expires", "Age"} {
					require.Empty(t, resp.Header.Get(name), name)
				}
			} else {
				require.Equal(t, "max-age=9", resp.Header.Get("Cache-Control"))
			}
			require.Equal(t, map[int]string{200: "0123456789", 206: "01"}[row.status], body)
			if row.status == 304 {
				require.Empty(t, resp.Header.Get("Content-Type"))
				require.Empty(t, resp.Header.Get("Content-Length"))
			}
		})
	}
}

// A Last-Modified of the second in which the answer was made may be that of two versions (RFC 9110 section 8.8.2.2).
func TestIfRangeByADateThatTwoVersionsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().UTC().Format(http.TimeFormat)
		o := &scripted{answer: func(_ *http.Request, n int64) reply {
			return text(strings.Repeat(string(rune('a'+n)), 10), "Last-Modified", at, "Cache-Control", "max-age=0, must-revalidate")
		}}
		c := &cache.Transport{Base: o, Store: store(t)}
		fetch(t, c, segURL, "Range", "bytes=0-4")
		resp, body := fetch(t, c, segURL, "Range", "bytes=5-9", "If-Range", at)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "cccccccccc", body)
	})
}

// mapStore is a minimal store of a caller, with bodies of its own type.
type mapStore struct{ m *sync.Map }

func (s mapStore) Get(_ context.Context, key string) (*cache.Entry, error) {
	e, _ := s.m.Load(key)
	found, _ := e.(*cache.Entry)
	return found, nil
}

func (s mapStore) Put(_ context.Context, key string, e *cache.Entry) error {
	if e.Body == nil {
		s.m.Store(key, e)
		return nil
	}
	all, err := io.ReadAll(io.NewSectionReader(e.Body, 0, e.Body.Size()))
	if err != nil {
		return err
	}
	mine := *e
	mine.Body = cache.Bytes(all)
	s.m.Store(key, &mine)
	return nil
}

// A range waits only for its own bytes.
func TestRangesOfARunningFill(t *testing.T) {
	for _, length := range []int64{10, -1} {
		synctest.Test(t, func(t *testing.T) {
			p := newPipe()
			c := &cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply {
				return reply{header: head("Content-Type", "video/mp2t"), body: p, length: length}
			}}}
			hold, err := c.RoundTrip(request(t, t.Context(), segURL))
			require.NoError(t, err)
			type result struct {
				status     int
				show, body string
				at         time.Duration
			}
			begin := time.Now()
			ask := func(field string) chan result {
				ch := make(chan result, 1)
				go func() {
					resp, body := fetch(t, c, segURL, "Range", field)
					ch <- result{resp.StatusCode, resp.Header.Get("Content-Range"), body, time.Since(begin)}
				}()
				return ch
			}
			rows := []struct {
				got  chan result
				want result
			}{
				{ask("bytes=0-1"), result{206, "bytes 0-1/10", "01", 1 * time.Second}},
				{ask("bytes=4-5"), result{206, "bytes 4-5/10", "45", 2 * time.Second}},
				{ask("bytes=2-20"), result{206, "bytes 2-9/10", "23456789", 3 * time.Second}},
				{ask("bytes=-2"), result{206, "bytes 8-9/10", "89", 3 * time.Second}},
				{ask("bytes=4-9007199254740991"), result{206, "bytes 4-9/10", "456789", 3 * time.Second}},
				{ask("bytes=8-"), result{206, "bytes 8-9/10", "89", 3 * time.Second}},
			}
			if length < 0 { // if the end must be known first, the answer is the whole, or a range without an end
				for i := range rows {
					rows[i].want = result{200, "", "0123456789", 3 * time.Second}
				}
				rows[4].want = result{206, "bytes 4-9007199254740991/*", "456789", 3 * time.Second}
			}
			for _, part := range []string{"0123", "45", "6789"} {
				time.Sleep(time.Second)
				p.send(part)
			}
			p.send(io.EOF)
			for _, row := range rows {
				require.Equal(t, row.want, <-row.got)
			}
			hold.Body.Close()
			synctest.Wait()
		})
	}
}

// Safari finds out by these two requests whether a film can be played: both are answered with a range and the length, or
// neither.
func TestRangesOfABodyWithoutALength(t *testing.T) {
	film := string(noise(3*mib, 5))
	for name, row := range map[string]struct {
		header []string // of all answers
		part   string   // Content-Range of the origin's first byte; "": it does no ranges
		status int
		asked  int64
	}{
		"the origin does ranges":      {[]string{"ETag", `"1"`}, fmt.Sprint("bytes 0-0/", len(film)), 206, 2},
		"of another version":          {nil, fmt.Sprint("bytes 0-0/", len(film)), 200, 1},
		"of a length that it hides":   {[]string{"ETag", `"1"`}, "bytes 0-0/*", 200, 2},
		"the origin does no ranges":   {[]string{"ETag", `"1"`}, "", 200, 2},
		"and says so":                 {[]string{"ETag", `"1"`, "Accept-Ranges", "none"}, "", 200, 1},
		"with a date for a validator": {[]string{"Last-Modified", "Mon, 01 Nov 1999 10:00:00 GMT"}, fmt.Sprint("bytes 0-0/", len(film)), 206, 2},
		"with a weak tag":             {[]string{"ETag", `W/"1"`}, fmt.Sprint("bytes 0-0/", len(film)), 200, 1},
		"with a date of this second":  {[]string{"Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT"}, fmt.Sprint("bytes 0-0/", len(film)), 200, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPipe()
				o := &scripted{answer: func(r *http.Request, _ int64) reply {
					if r.Header.Get("Range") == "" {
						return reply{header: head(row.header...), body: p}
					}
					if row.part == "" {
						return text("again", row.header...)
					}
					a := text("x", append(row.header, "Content-Range", row.part)...)
					a.status = 206
					return a
				}}
				c := &cache.Transport{Base: o, Store: store(t)}
				p.send(film[:mib])
				for _, field := range []string{"bytes=0-1", "bytes=7-"} {
					resp, err := c.RoundTrip(request(t, t.Context(), segURL, "Range", field))
					require.NoError(t, err)
					defer resp.Body.Close()
					require.Equal(t, row.status, resp.StatusCode, field)
					require.Equal(t, "bytes", resp.Header.Get("Accept-Ranges"))
					if row.status == 206 {
						require.True(t, strings.HasSuffix(resp.Header.Get("Content-Range"), fmt.Sprint("/", len(film))))
					}
				}
				p.send(film[mib:], io.EOF)
				synctest.Wait()
				resp, body := fetch(t, c, segURL, "Range", "bytes=0-1")
				require.Equal(t, 206, resp.StatusCode, "the whole is there")
				require.Equal(t, film[:2], body)
				require.Equal(t, row.asked, o.asked.Load())
			})
		})
	}
}

func TestRangeOfABodyThatBreaksBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		c := &cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply { return reply{body: p} }}}
		go func() { time.Sleep(time.Second); p.send("01", io.ErrUnexpectedEOF) }()
		_, _, err := try(t, c, segURL, "Range", "bytes=5-6")
		require.ErrorIs(t, err, cache.ErrBroken)
	})
	synctest.Test(t, func(t *testing.T) {
		c := &cache.Transport{Base: &scripted{answer: func(*http.Request, int64) reply { return reply{body: newPipe()} }}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.RoundTrip(request(t, ctx, segURL, "Range", "bytes=5-6"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestBodiesBeyondMaxBody(t *testing.T) {
	whole := string(noise(9000, 3))
	t.Run("length known", func(t *testing.T) {
		var ranges []string
		c := &cache.Transport{MaxBody: 1000, Store: store(t), Base: trip(func(r *http.Request) (*http.Response, error) {
			ranges = append(ranges, r.Header.Get("Range"))
			if r.Header.Get("Range") != "" {
				a := text(whole[10:20], "Content-Range", "bytes 10-19/9000")
				a.status = 206
				return a.response(r), nil
			}
			return text(whole, "Content-Type", "video/mp4").response(r), nil
		})}
		for range 2 {
			resp, body := fetch(t, c, segURL, "Range", "bytes=10-19")
			require.Equal(t, 206, resp.StatusCode)
			require.Equal(t, whole[10:20], body)
		}
		_, body := fetch(t, c, segURL)
		require.Equal(t, whole, body)
		require.Equal(t, []string{"", "bytes=10-19", "bytes=10-19", ""}, ranges, "the question for the whole is asked once")
		require.Zero(t, c.Stats().Stored)
	})
	t.Run("length unknown", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := &scripted{answer: func(r *http.Request, _ int64) reply {
				return reply{header: head("Content-Type", "video/mp4"), body: io.MultiReader(strings.NewReader(strings.Repeat(whole, 2000)))}
			}}
			c := &cache.Transport{Base: o, MaxBody: 10_000, Store: store(t)}
			slow, err := c.RoundTrip(request(t, t.Context(), segURL))
			require.NoError(t, err)
			synctest.Wait()
			require.Less(t, c.Stats().OriginBytes, uint64(6<<20), "the origin waits for the slowest")
			other, body := fetch(t, c, segURL)
			require.Len(t, body, 2000*len(whole), "who comes later gets an answer of its own")
			require.NotContains(t, other.Header.Get("Cache-Status"), "collapsed")
			got, err := io.ReadAll(slow.Body)
			require.NoError(t, err)
			require.True(t, strings.Repeat(whole, 2000) == string(got))
			slow.Body.Close()
			require.Zero(t, c.Stats().Stored)
			require.EqualValues(t, 2, o.asked.Load())
		})
	})
}
