package cache_test

import (
	"net/http"
	"testing"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/stretchr/testify/require"
)

// Many spellings of one URL share one answer (RFC 3986 section 6.2). A URL that may mean something else is requested.
func TestSpellingsOfOneURL(t *testing.T) {
	const url = "http://o.example/live/a~b/1.ts?x=1"
	for other, same := range map[string]bool{
		"HTTP://O.Example/live/a~b/1.ts?x=1":                       true,
		"http://o.example:80/live/a~b/1.ts?x=1":                    true,
		"http://o.example/live/%61%7Eb/1.ts?x=1":                   true,
		"http://o.example/live/a%7eb/1.ts?x=1":                     true,
		"http://o.example/live/a~b/1.ts?x=1&CMCD=br%3D1":           true,
		"http://o.example/live/a~b/1.ts?_=123&x=1":                 true,
		"http://o.example/live/a~b/1.ts?_=123&x=1&cachebust=9&_=4": true,
		"http://o.example:8080/live/a~b/1.ts?x=1":                  false,
		"https://o.example/live/a~b/1.ts?x=1":                      false,
		"https://o.example:80/live/a~b/1.ts?x=1":                   false,
		"http://o.example/live/a~b/1.ts?x=%31":                     false,
		"http://o.example/live/A~b/1.ts?x=1":                       false,
		"http://o.example/live/a~b%2F1.ts?x=1":                     false,
		"http://o.example/live/a~b/1.ts?x=1&__=1":                  false,
		"http://o.example/live/a~b/1.ts":                           false,
	} {
		o := &scripted{answer: func(*http.Request, int64) reply { return text("x") }}
		c := &cache.Transport{Base: o, Store: store(t), Ignore: []string{"_", "cachebust"}}
		fetch(t, c, url)
		resp, _ := fetch(t, c, other)
		require.Equal(t, same, resp.Header.Get("Cache-Status") == "hlsproxy; hit", other)
	}
	o := &scripted{answer: func(*http.Request, int64) reply { return text("x", "Content-Type", "video/mp2t") }}
	c := &cache.Transport{Base: o, Store: store(t)}
	for _, u := range []string{"http://o.example", "http://o.example/", "http://o.example/?", "http://o.example:80?"} {
		fetch(t, c, u)
	}
	require.EqualValues(t, 1, o.asked.Load())
}
