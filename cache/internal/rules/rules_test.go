package rules_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/stretchr/testify/require"
)

// header is made of lines "Name: value".
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

const (
	second = "Sun, 01 Nov 2026 10:00:00 GMT"
	next   = "Sun, 01 Nov 2026 10:00:01 GMT"
)

func TestLifetime(t *testing.T) {
	for name, row := range map[string]struct {
		header []string
		want   time.Duration
		said   bool
	}{
		"nothing":                  {nil, 0, false},
		"max-age":                  {[]string{"Cache-Control: max-age=5"}, 5 * time.Second, true},
		"s-maxage before max-age":  {[]string{"Cache-Control: max-age=5, s-maxage=7"}, 7 * time.Second, true},
		"the shorter of two":       {[]string{"Cache-Control: max-age=5", "Cache-Control: max-age=3"}, 3 * time.Second, true},
		"no-cache":                 {[]string{"Cache-Control: max-age=5, no-cache"}, 0, true},
		"no-cache of one field":    {[]string{`Cache-Control: max-age=5, no-cache="a,b"`}, 0, true},
		"no number":                {[]string{"Cache-Control: max-age=soon"}, 0, true},
		"negative":                 {[]string{"Cache-Control: max-age=-5"}, 0, true},
		"more than there is":       {[]string{"Cache-Control: max-age=99999999999999999999"}, rules.Longest, true},
		"Expires":                  {[]string{"Date: " + second, "Expires: " + next}, time.Second, true},
		"Expires in the past":      {[]string{"Date: " + next, "Expires: " + second}, 0, true},
		"Expires 0":                {[]string{"Date: " + second, "Expires: 0"}, 0, true},
		"Expires, one digit":       {[]string{"Date: " + second, "Expires: Sun, 1 Nov 2026 11:00:00 GMT"}, 0, true},
		"Expires, two blanks":      {[]string{"Date: " + second, "Expires: Sun,  01 Nov 2026 11:00:00 GMT"}, 0, true},
		"Expires, one digit hour":  {[]string{"Date: " + second, "Expires: Mon, 02 Nov 2026 1:00:00 GMT"}, 0, true},
		"Expires, fraction":        {[]string{"Date: " + second, "Expires: Sun, 01 Nov 2026 11:00:00.5 GMT"}, 0, true},
		"Expires, wrong weekday":   {[]string{"Date: " + second, "Expires: Mon, 01 Nov 2026 11:00:00 GMT"}, 0, true},
		"Expires, another zone":    {[]string{"Date: " + second, "Expires: Sun, 01 Nov 2026 11:00:00 PST"}, 0, true},
		"Expires, RFC 850":         {[]string{"Date: " + second, "Expires: Sunday, 01-Nov-26 10:00:03 GMT"}, 3 * time.Second, true},
		"Expires, asctime":         {[]string{"Date: " + second, "Expires: Sun Nov  1 10:00:03 2026"}, 3 * time.Second, true},
		"max-age before Expires":   {[]string{"Cache-Control: max-age=5", "Date: " + second, "Expires: " + next}, 5 * time.Second, true},
		"for CDNs":                 {[]string{"Cache-Control: no-store", "CDN-Cache-Control: max-age=9"}, 9 * time.Second, true},
		"for CDNs, says nothing":   {[]string{"Cache-Control: max-age=5", "Expires: " + next, "CDN-Cache-Control: public"}, 0, false},
		"for CDNs, malformed":      {[]string{"Cache-Control: max-age=5", "CDN-Cache-Control: max-age="}, 5 * time.Second, true},
		"for CDNs, several values": {[]string{"CDN-Cache-Control: max-age=9;x=1, no-cache=?0, y=(1 2)"}, 9 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := header(row.header...)
			got, said := rules.ParseControl(h).Lifetime(h)
			require.Equal(t, row.want, got)
			require.Equal(t, row.said, said)
		})
	}
}

func TestStale(t *testing.T) {
	for name, row := range map[string]struct {
		control string
		limit   time.Duration
		want    time.Duration
	}{
		"the limit":         {"max-age=1", time.Minute, time.Minute},
		"none":              {"max-age=1", 0, -1},
		"the origin says":   {"max-age=1, stale-if-error=5", time.Minute, 5 * time.Second},
		"the origin says 0": {"max-age=1, stale-if-error=0", time.Minute, -1},
		"must-revalidate":   {"max-age=1, must-revalidate, stale-if-error=5", time.Minute, -1},
		"proxy-revalidate":  {"proxy-revalidate", time.Minute, -1},
		"no-cache":          {"no-cache", time.Minute, -1},
		"s-maxage":          {"s-maxage=1", time.Minute, -1},
		"s-maxage, said":    {"s-maxage=1, stale-if-error=5", time.Minute, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			c := rules.ParseControl(header("Cache-Control: " + row.control))
			require.Equal(t, row.want, c.Stale(c.StaleIfError, row.limit))
		})
	}
}

func TestMade(t *testing.T) {
	now := time.Now()
	asked := now.Add(-3 * time.Second)
	for name, row := range map[string]struct {
		header []string
		age    time.Duration
	}{
		"by the origin":       {nil, 0},
		"by another cache":    {[]string{"Age: 5"}, 8 * time.Second},
		"by two caches":       {[]string{"Age: 5, 7"}, 8 * time.Second},
		"an age that is none": {[]string{"Age: x"}, 3 * time.Second},
		"exactly":             {[]string{"Age: 5", "Hlsproxy-Age: 4321"}, 4321 * time.Millisecond},
		"exactly, malformed":  {[]string{"Age: 5", "Hlsproxy-Age: -1"}, 8 * time.Second},
		"exactly, too large":  {[]string{"Hlsproxy-Age: 99999999999999999999"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.age, now.Sub(rules.Made(header(row.header...), asked, now)))
		})
	}
}

func TestVary(t *testing.T) {
	sent := header("A: 1", "B: x ,y", "Cookie: c")
	many, most := "", http.Header{}
	for i := range 64 {
		name := "X-" + strconv.Itoa(i)
		many += name + ","
		most[name] = nil
	}
	for name, row := range map[string]struct {
		vary []string
		want http.Header
		ok   bool
	}{
		"by nothing":      {nil, nil, true},
		"by one":          {[]string{"Vary: a"}, header("A: 1"), true},
		"by lists":        {[]string{"Vary: A, b", "Vary: ,c"}, http.Header{"A": {"1"}, "B": {"x ,y"}, "C": nil}, true},
		"by all":          {[]string{"Vary: a", "Vary: *"}, nil, false},
		"by what is none": {[]string{"Vary: Cookie, , range"}, nil, true},
		"by many":         {[]string{"Vary: " + many, "Vary: " + many}, most, true},
		"by too many":     {[]string{"Vary: " + many, "Vary: a"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := rules.VaryOf(header(row.vary...), sent, []string{"Cookie", "Range"})
			require.Equal(t, row.ok, ok)
			require.Equal(t, row.want, got)
		})
	}
	vary := http.Header{"A": nil, "B": {"x, y"}}
	require.True(t, rules.Selects(header("B: x ,y", "C: 1"), vary))
	require.True(t, rules.Selects(header("B: x", "B: y"), vary))
	require.False(t, rules.Selects(header("B: x,y", "A: 1"), vary))
	require.False(t, rules.Selects(header("B: y,x"), vary))
	require.False(t, rules.Selects(nil, vary))
}

func TestStrong(t *testing.T) {
	for name, row := range map[string]struct {
		header []string
		want   string
	}{
		"nothing":                   {nil, ""},
		"a tag":                     {[]string{`ETag: "1"`, "Last-Modified: " + second}, "Etag"},
		"a weak tag":                {[]string{`ETag: W/"1"`}, ""},
		"two tags":                  {[]string{`ETag: "1"`, `ETag: "2"`}, ""},
		"a tag that is none":        {[]string{`ETag: "a b"`}, ""},
		"a date":                    {[]string{"Last-Modified: " + second, "Date: " + next}, "Last-Modified"},
		"a date of this second":     {[]string{"Last-Modified: " + second, "Date: " + second}, ""},
		"a date without a clock":    {[]string{"Last-Modified: " + second}, ""},
		"a weak tag, and a date":    {[]string{`ETag: W/"1"`, "Last-Modified: " + second, "Date: " + next}, ""},
		"a date that nobody writes": {[]string{"Last-Modified: 2026-11-01", "Date: " + next}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, value := rules.Strong(header(row.header...))
			require.Equal(t, row.want, got)
			require.Equal(t, got != "", value != "")
		})
	}
}

func TestUpdated(t *testing.T) {
	h := header("Content-Type: video/mp4", "Content-Length: 10", "X: 1", "Etag: \"a\"")
	got := rules.Updated(h, header("Content-Type: text/html", "Content-Length: 0", "X: 2", "Connection: X-Hop, close", "X-Hop: 1",
		"Age: 3", "Hlsproxy-Age: 3", "Content-Digest: x", "Y: 1", "Etag: W/\"a\""))
	require.Equal(t, header("Content-Type: video/mp4", "Content-Length: 10", "X: 2", "Etag: \"a\"", "Y: 1"), got)
	require.Equal(t, "1", h.Get("X"), "the old one is not touched")
	require.True(t, rules.Confirms(header(`ETag: W/"a"`), h))
	require.True(t, rules.Confirms(nil, h))
	require.False(t, rules.Confirms(header(`ETag: "b"`), h))
}

// A string hides no directive that follows it, whatever is in it, and not even if it has no end.
func TestStringsHideNothing(t *testing.T) {
	for _, control := range []string{
		`private`, `x="a,b", private`, `x="a\"b", private`, `x="\"", private`, `x="\\", private`, `x="a, private`,
		`", private`, `x="\", private`, `private, x="\`, `x="a"", private`,
	} {
		require.True(t, rules.ParseControl(header("Cache-Control: "+control)).Private, control)
	}
	for _, control := range []string{`x="a, private"`, `x="\", private, \""`, `x=private`} {
		require.False(t, rules.ParseControl(header("Cache-Control: "+control)).Private, control)
	}
	for _, lines := range [][2]string{{`"a\" ,b"`, `"a\", b"`}, {`"a`, `a`}, {`"a, b`, `a, b`}, {`"a, b"`, `"a,b"`}} {
		require.NotEqual(t, rules.Combined(lines[:1]), rules.Combined(lines[1:]), lines)
	}
	for _, torn := range []string{`"\",`, `",`, `",",`, `a,`, `\,`, `"\\",`} { // each takes time that grows with its length only
		rules.ParseControl(header("Cache-Control: " + strings.Repeat(torn, 1<<16)))
		rules.ParseControl(header("Cache-Control: " + strings.Repeat(torn, 1<<16) + `"`))
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add("max-age=1, x=\",\"", "max-age=1;q=?1, (a b)")
	f.Fuzz(func(t *testing.T, control, targeted string) {
		for _, h := range []http.Header{header("Cache-Control: " + control), header("Cdn-Cache-Control: " + targeted)} {
			c := rules.ParseControl(h)
			for _, d := range []time.Duration{c.MaxAge, c.SMaxAge, c.StaleIfError, c.StaleRevalidate} {
				require.GreaterOrEqual(t, d, time.Duration(-1))
				require.LessOrEqual(t, d, rules.Longest)
			}
		}
	})
}
