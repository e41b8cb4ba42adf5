package rewrite_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// hintsSeen writes down what a list says about an entry in place of its public URL.
type hintsSeen struct{ rewrite.Mapper }

func (m hintsSeen) AppendPublicWith(dst, upstream []byte, header http.Header) ([]byte, error) {
	dst, err := m.AppendPublic(dst, upstream)
	if err != nil {
		return dst, err
	}
	var all []string
	for name, values := range header {
		all = append(all, url.PathEscape(name+":"+strings.Join(values, ",")))
	}
	slices.Sort(all)
	return append(append(dst, '!'), strings.Join(all, ";")...), nil
}

func TestHintsOfAnIPTVList(t *testing.T) {
	const ua = "https://h/1!User-Agent:VLC"
	for name, c := range map[string]struct{ in, out string }{
		"behind a bar":           {"https://h/1|User-Agent=VLC\n", ua + "\n"},
		"two behind a bar":       {"https://h/1.m3u8|User-Agent=VLC/3 (X)&Referer=https://s.example/\n", "https://h/1.m3u8!Referer:https:%2F%2Fs.example%2F;User-Agent:VLC%2F3%20%28X%29\n"},
		"escaped behind a bar":   {"https://h/1|user-agent=A%20b+c&Referer=https%3A%2F%2Fs\n", "https://h/1!Referer:https:%2F%2Fs;User-Agent:A%20b%20c\n"},
		"of Kodi's own client":   {"https://h/1|verifypeer=false&seekable=0&!X-A=1\n", "https://h/1!X-A:1\n"},
		"lines of VLC":           {"#EXTVLCOPT:http-referrer=https://s/\r\n#EXTVLCOPT:http-user-agent=\"VLC\"\r\nhttps://h/1\r\n", "https://h/1!Referer:https:%2F%2Fs%2F;User-Agent:VLC\r\n"},
		"lines of Kodi":          {"#KODIPROP:inputstream.adaptive.stream_headers=User-Agent=VLC&Referer=https%3A%2F%2Fs\nhttps://h/1\n", "https://h/1!Referer:https:%2F%2Fs;User-Agent:VLC\n"},
		"common to all":          {"#KODIPROP:inputstream.adaptive.common_headers=user-agent=VLC\nhttps://h/1\n", ua + "\n"},
		"before and behind":      {"#KODIPROP:inputstream.adaptive.common_headers=User-Agent=VLC\n#EXTINF:-1,A\n#EXTVLCOPT:http-referrer=r\n#EXTGRP:x\nhttps://h/1\n", "#EXTINF:-1,A\n#EXTGRP:x\nhttps://h/1!Referer:r;User-Agent:VLC\n"},
		"the bar goes first":     {"#EXTVLCOPT:http-user-agent=x\nhttps://h/1|User-Agent=VLC\n", ua + "\n"},
		"of the next only":       {"#EXTVLCOPT:http-user-agent=VLC\nhttps://h/1\nhttps://h/2\n", ua + "\nhttps://h/2\n"},
		"other options stay":     {"#EXTVLCOPT:network-caching=1000\n#KODIPROP:inputstream=inputstream.adaptive\nhttps://h/1\n", "#EXTVLCOPT:network-caching=1000\n#KODIPROP:inputstream=inputstream.adaptive\nhttps://h/1\n"},
		"a bar in a path":        {"https://h/a|b.ts\nhttps://h/a|b|c=d\n", "https://h/a|b.ts\nhttps://h/a|b|c=d\n"},
		"lines in a value":       {"https://h/1|User-Agent=VLC&X-A=a%0d%0aX-B:%20c&X-C=%00\n", ua + "\n"},
		"no name":                {"https://h/1|=x\nhttps://h/1|a b=x\n", "https://h/1|=x\nhttps://h/1|a b=x\n"},
		"another scheme":         {"#EXTVLCOPT:http-user-agent=VLC\nrtmp://h/1|User-Agent=VLC\n", "#EXTVLCOPT:http-user-agent=VLC\nrtmp://h/1|User-Agent=VLC\n"},
		"not mapped":             {"#EXTVLCOPT:http-user-agent=VLC\nhttps://other/1|Referer=x\n", "#EXTVLCOPT:http-user-agent=VLC\nhttps://other/1|Referer=x\n"},
		"a playlist, no list":    {"#EXT-X-TARGETDURATION:4\n#EXTVLCOPT:http-user-agent=VLC\n#EXTINF:4,\nhttps://h/1|a=b\n", "#EXT-X-TARGETDURATION:4\n#EXTVLCOPT:http-user-agent=VLC\n#EXTINF:4,\nhttps://h/1|a=b\n"},
		"variants are no list":   {"#EXT-X-STREAM-INF:BANDWIDTH=1\nhttps://h/1|a=b\n", "#EXT-X-STREAM-INF:BANDWIDTH=1\nhttps://h/1|a=b\n"},
		"nothing follows":        {"https://h/1\n#EXTVLCOPT:http-user-agent=VLC\n", "https://h/1\n#EXTVLCOPT:http-user-agent=VLC\n"},
		"quotes behind a bar":    {"https://h/1|Referer=\"https://s/\"&user-agent='VLC'\n", "https://h/1!Referer:https:%2F%2Fs%2F;User-Agent:VLC\n"},
		"two bars":               {"https://h/1|User-Agent=VLC|Referer=r|x\n", "https://h/1!Referer:r%7Cx;User-Agent:VLC\n"},
		"nothing behind the and": {"https://h/1|User-Agent=VLC&\nhttps://h/2|\nhttps://h/3|&\n", ua + "\nhttps://h/2|\nhttps://h/3|&\n"},
		"names of VLC":           {"https://h/1|http-user-agent=VLC&http-referrer=r\n", "https://h/1!Referer:r;User-Agent:VLC\n"},
		"as in a page":           {"https://h/1|Referrer=r&Cookies=a=1; b=2\n", "https://h/1!Cookie:a=1%3B%20b=2;Referer:r\n"},
		"an escaped bar":         {"https://h/1%7CUser-Agent=VLC&Referer=https%3A%2F%2Fs%2F%3Fa%26b\n", "https://h/1!Referer:https:%2F%2Fs%2F%3Fa&b;User-Agent:VLC\n"},
		"all is escaped":         {"https://h/1?id=2%7ccookie%3Da%3Db%26User-Agent%3DVLC\n", "https://h/1?id=2!Cookie:a=b;User-Agent:VLC\n"},
		"another escaped bar":    {"https://h/1%7Cx=1&y%7C\nhttps://h/1?%\n", "https://h/1%7Cx=1&y%7C\nhttps://h/1?%\n"},
		"JSON":                   {"#EXTINF:-1,A\n#EXTHTTP:{\"cookie\":\"a=b:c=d\",\"X-A\":\"1\",\"n\":2,\"Bad\":\"a\\nb\"}\nhttps://h/1\n", "#EXTINF:-1,A\nhttps://h/1!Cookie:a=b:c=d;X-A:1\n"},
		"JSON in JSON":           {"#EXTHTTP: {\"headers\":{\"User-Agent\":\"VLC\",\"x\":[]}}\nhttps://h/1\n", ua + "\n"},
		"no JSON":                {"#EXTHTTP:User-Agent=VLC\n#EXTHTTP:{}\n#EXTHTTP:[1]\nhttps://h/1\n", "#EXTHTTP:User-Agent=VLC\n#EXTHTTP:{}\n#EXTHTTP:[1]\nhttps://h/1\n"},
		"attributes":             {"#EXTINF:-1 tvg-id=\"a\" user-agent=\"VLC\" http-referrer=\"https://s/,\" x=\"y\", user-agent=\"z\"\nhttps://h/1\n", "#EXTINF:-1 tvg-id=\"a\" x=\"y\", user-agent=\"z\"\nhttps://h/1!Referer:https:%2F%2Fs%2F%2C;User-Agent:VLC\n"},
		"attributes of a title":  {"#EXTINF:-1 ,A user-agent=\"z\"\n#EXTINF:-1 x=\"y\", user-agent=\"z\"\nhttps://h/1\n", "#EXTINF:-1 ,A user-agent=\"z\"\n#EXTINF:-1 x=\"y\", user-agent=\"z\"\nhttps://h/1\n"},
		"properties of VLC":      {"#KODIPROP:http-user-agent=VLC\n#KODIPROP:http-reconnect=true\nhttps://h/1\n", "#KODIPROP:http-reconnect=true\n" + ua + "\n"},
		"cookies of VLC":         {"#EXTVLCOPT:http-cookie=a=b\n#EXTVLCOPT:http-origin=o\nhttps://h/1\n", "https://h/1!Cookie:a=b;Origin:o\n"},
		"as on a command line":   {"#EXTVLCOPT--http-referrer=r\n#EXTVLCOPT: --HTTP-USER-AGENT = 'VLC' \nhttps://h/1\n", "https://h/1!Referer:r;User-Agent:VLC\n"},
		"blanks around the bar":  {"  https://h/1 | User-Agent=VLC \n", "  " + ua + " \n"},
	} {
		t.Run(name, func(t *testing.T) {
			m := hintsSeen{mapperFunc(func(dst, u []byte) ([]byte, error) {
				if strings.HasPrefix(string(u), "https://other") {
					return dst, rewrite.ErrUnmapped
				}
				return append(dst, u...), nil
			})}
			for _, start := range []string{"#EXTM3U\n", ""} {
				require.Equal(t, start+c.out, rewritten(t, &rewrite.Rewriter{Map: m, Hints: true}, start+c.in, base))
				require.Equal(t, start+c.in, rewritten(t, &rewrite.Rewriter{Map: m}, start+c.in, base), "off")
			}
		})
	}
}

// With a Mapper that takes no hints the bar is cut all the same, since no origin knows it, and lines stay for the player.
func TestHintsForNobody(t *testing.T) {
	rw := &rewrite.Rewriter{Map: rewrite.Query("/q", "u"), Hints: true, Public: "https://me"}
	const lines = "#EXTM3U\n#EXTVLCOPT:http-user-agent=VLC\n#EXTINF:0,A\n"
	require.Equal(t, lines+"https://me/q/1?u=https%3A%2F%2Fh%2F1\n", rewritten(t, rw, lines+"https://h/1|User-Agent=VLC\n", base))
	require.Equal(t, lines+"https://h/1|User-Agent=VLC\n", rewritten(t, &rewrite.Rewriter{Hints: true}, lines+"https://h/1|User-Agent=VLC\n", base))
}

func TestHintsAreBounded(t *testing.T) {
	var many, long strings.Builder
	for i := range 100 {
		many.WriteString("&X-" + strconv.Itoa(i) + "=1")
		long.WriteString("&X-" + strconv.Itoa(i) + "=" + strings.Repeat("v", 300))
	}
	rw := &rewrite.Rewriter{Map: hintsSeen{identity{}}, Hints: true}
	require.Equal(t, 16, strings.Count(rewritten(t, rw, "https://h/1|"+many.String()[1:]+"\n", base), "X-"))
	in := "https://h/1|" + long.String()[1:] + "\n"
	require.Equal(t, in, rewritten(t, rw, in, base), "too long to be hints")
	fewer := long.String()[1:5000]
	fewer = fewer[:strings.LastIndexByte(fewer, '&')]
	require.Equal(t, 6, strings.Count(rewritten(t, rw, "https://h/1|"+fewer+"\n", base), "X-"))
}

// The hints of an entry that is dropped are not for the next.
func TestHintsGoWithTheirEntry(t *testing.T) {
	m := hintsSeen{mapperFunc(func(dst, u []byte) ([]byte, error) {
		if strings.HasPrefix(string(u), "https://other") {
			return dst, rewrite.ErrUnmapped
		}
		return append(dst, u...), nil
	})}
	rw := &rewrite.Rewriter{Map: m, Hints: true, Guides: true, Unmapped: rewrite.DropUnmapped}
	got := rewritten(t, rw, "#EXTM3U\n#EXTVLCOPT:http-user-agent=x\n#EXTINF:-1 tvg-logo=\"https://other/l\",A\nhttps://other/1|Cookie=c\n#EXTINF:-1 tvg-logo=\"https://other/l\",B\nhttps://h/2\n", base)
	require.Equal(t, "#EXTM3U\n#EXTINF:-1 tvg-logo=\"\",B\nhttps://h/2\n", got)
	for _, line := range []string{
		"#EXTVLCOPT:http-cookie=c", "#EXTVLCOPT--http-cookie=c", "#EXTVLCOPT http-cookie=c", " \t#EXTVLCOPT : --HTTP-COOKIE = c", "#EXTHTTP:{\"cookie\":\"c\"}",
		"#KODIPROP:http-cookie=c", "#KODIPROP:inputstream.adaptive.common_headers=cookie=c", "#EXTINF:-1 http-cookie=\"c\",A",
	} {
		require.Equal(t, "#EXTM3U\nhttps://h/2\n", rewritten(t, rw, "#EXTM3U\n"+line+"\nhttps://other/1\nhttps://h/2\n", base), line)
	}
}

// A list gets the same links each time, so that the cache knows them again.
func TestHintsThatHaveNoRoomAreTheSameEachTime(t *testing.T) {
	rw := &rewrite.Rewriter{Map: hintsSeen{identity{}}, Hints: true}
	list := "#EXTHTTP:{"
	for i := range 12 {
		list += "\"x-" + strconv.Itoa(i) + "\":\"1\","
	}
	list += "\"y\":\"1\"}\nhttps://h/1|a=1&b=1&c=1&d=1&e=1&f=1&g=1\n"
	first := rewritten(t, rw, list, base)
	require.Equal(t, 16, strings.Count(first, ":1"))
	for range 20 {
		require.Equal(t, first, rewritten(t, rw, list, base))
	}
}

// Each bar may be followed by a name. To look for it costs no more than a name is long.
func TestBarsBehindABarCostLittle(t *testing.T) {
	rw := &rewrite.Rewriter{Map: hintsSeen{identity{}}, Hints: true}
	list := []byte("https://h/1|a=" + strings.Repeat("|A", 3000) + "=\n")
	allocs := testing.AllocsPerRun(5, func() { _, _ = rw.Append(t.Context(), nil, list, base) })
	require.Less(t, allocs, 1000.0)
}

// The URL of a guide ends where its value ends, whatever the list's own URL has in it.
func TestGuidesStayInTheirQuotes(t *testing.T) {
	const list, out = "#EXTM3U\n#EXTINF:-1 tvg-logo='l/a.png' logo=\"l/a.png\",A\n1\n", "#EXTM3U\n#EXTINF:-1 tvg-logo='https://h/o%27x/l/a.png' logo=\"https://h/o'x/l/a.png\",A\nhttps://h/o'x/1\n"
	require.Equal(t, out, rewritten(t, &rewrite.Rewriter{Guides: true}, list, "https://h/o'x/list.m3u"))
}

func TestGuides(t *testing.T) {
	for name, c := range map[string]struct{ in, out string }{
		"a logo": {
			"#EXTINF:-1 tvg-id=\"x\" tvg-logo=\"https://l/a.png?x=1\" group-title=\"a,b\",A, tvg-logo=\"https://l/a.png\"\nhttps://h/1\n",
			"#EXTINF:-1 tvg-id=\"x\" tvg-logo=\"https://me/q/a.png?u=https%3A%2F%2Fl%2Fa.png%3Fx%3D1\" group-title=\"a,b\",A, tvg-logo=\"https://l/a.png\"\nhttps://me/q/1?u=https%3A%2F%2Fh%2F1\n",
		},
		"guides": {
			"#EXTM3U x-tvg-url=\"https://g/a.xml.gz, https://g/b.xml\" url-tvg=\"\" x=\"https://g/\"\nhttps://h/1\n",
			"#EXTM3U x-tvg-url=\"https://me/q/a.xml.gz?u=https%3A%2F%2Fg%2Fa.xml.gz, https://me/q/b.xml?u=https%3A%2F%2Fg%2Fb.xml\" url-tvg=\"\" x=\"https://g/\"\nhttps://me/q/1?u=https%3A%2F%2Fh%2F1\n",
		},
		"other quotes and none": {
			"#EXTM3U x-tvg-url=https://g/a url-tvg='https://g/b' URL-EPG=\"https://g/c\"\n#EXTINF:-1 tvg-logo=https://l/a,A\n#EXTINF:-1,  tvg-logo=\"https://l/b\" group-logo='https://l/c' ,A, logo=https://l/d\nhttps://h/1\n",
			"#EXTM3U x-tvg-url=https://me/q/a?u=https%3A%2F%2Fg%2Fa url-tvg='https://me/q/b?u=https%3A%2F%2Fg%2Fb' URL-EPG=\"https://me/q/c?u=https%3A%2F%2Fg%2Fc\"\n#EXTINF:-1 tvg-logo=https://me/q/a?u=https%3A%2F%2Fl%2Fa,A\n#EXTINF:-1,  tvg-logo=\"https://me/q/b?u=https%3A%2F%2Fl%2Fb\" group-logo='https://me/q/c?u=https%3A%2F%2Fl%2Fc' ,A, logo=https://l/d\nhttps://me/q/1?u=https%3A%2F%2Fh%2F1\n",
		},
		"guides with commas and others between": {
			"#EXTM3U x-tvg-url=\"https://g/a?x=1,2;3;https://g/b https://g/c ,  https://g/d,\" tvg-url=\"a.xml,b/c.xml\"\nhttps://h/1\n",
			"#EXTM3U x-tvg-url=\"https://me/q/a?u=https%3A%2F%2Fg%2Fa%3Fx%3D1%2C2%3B3;https://me/q/b?u=https%3A%2F%2Fg%2Fb https://me/q/c?u=https%3A%2F%2Fg%2Fc ,  https://me/q/d?u=https%3A%2F%2Fg%2Fd,\" tvg-url=\"https://me/q/a.xml?u=https%3A%2F%2Fcdn.example%2Flive%2Fch1%2Fa.xml,https://me/q/c.xml?u=https%3A%2F%2Fcdn.example%2Flive%2Fch1%2Fb%2Fc.xml\"\nhttps://me/q/1?u=https%3A%2F%2Fh%2F1\n",
		},
		"pictures that the player has": {
			"#EXTINF:-1 tvg-logo=\"CNN.png\",A\n#EXTIMG:front cover\n#EXTALBUMARTURL: https://l/a.png \r\nhttps://h/1\n",
			"#EXTINF:-1 tvg-logo=\"CNN.png\",A\n#EXTIMG:front cover\n#EXTALBUMARTURL: https://me/q/a.png?u=https%3A%2F%2Fl%2Fa.png \r\nhttps://me/q/1?u=https%3A%2F%2Fh%2F1\n",
		},
		"a quote too many": {
			"#EXTINF:-1 tvg-name=\"5\" TV\" tvg-logo=\"https://l/a\" x=\"\"\" logo = \"https://l/b\" \"z=\" y=\"1\",A\nhttps://h/1\n",
			"#EXTINF:-1 tvg-name=\"5\" TV\" tvg-logo=\"https://me/q/a?u=https%3A%2F%2Fl%2Fa\" x=\"\"\" logo = \"https://me/q/b?u=https%3A%2F%2Fl%2Fb\" \"z=\" y=\"1\",A\nhttps://me/q/1?u=https%3A%2F%2Fh%2F1\n",
		},
		"data and open quotes": {
			"#EXTINF:-1 tvg-logo=\"data:image/png;base64,AA\" tvg-logo=\"https://l\nhttps://h/1\n",
			"#EXTINF:-1 tvg-logo=\"data:image/png;base64,AA\" tvg-logo=\"https://l\nhttps://me/q/1?u=https%3A%2F%2Fh%2F1\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			rw := &rewrite.Rewriter{Map: rewrite.Query("/q", "u"), Guides: true, Public: "https://me"}
			require.Equal(t, c.out, rewritten(t, rw, c.in, base))
		})
	}
}

// A player puts times into the URL of an entry's past, or appends it to that of the entry.
func TestThePastOfAnEntry(t *testing.T) {
	sealer := mapperFunc(func(dst, _ []byte) ([]byte, error) { return append(dst, "/s/sealed"...), nil })
	signer := rewrite.SignFunc(func(_ context.Context, u []byte) ([]byte, error) { return append(u, "?s"...), nil })
	tree, err := rewrite.Prefix("/p/", "https://h/")
	require.NoError(t, err)
	query := rewrite.Query("/q", "u")
	const times = "https://h/a-{utc}-${duration:60}.m3u8?t={utc}"
	for name, c := range map[string]struct {
		rw       rewrite.Rewriter
		in, want string
	}{
		"in a query":       {rewrite.Rewriter{Map: query}, times, "https://me/q/a-{utc}-${duration:60}.m3u8?u=https%3A%2F%2Fh%2Fa-{utc}-${duration:60}.m3u8%3Ft%3D{utc}"},
		"in a path":        {rewrite.Rewriter{Map: tree}, times, "https://me/p/a-{utc}-${duration:60}.m3u8?t={utc}"},
		"without times":    {rewrite.Rewriter{Map: tree, Sign: signer}, "https://h/a", "https://me/p/a?s"},
		"appended":         {rewrite.Rewriter{Map: query}, "?utc={utc}&lutc={lutc}", "?utc={utc}&lutc={lutc}"},
		"another host":     {rewrite.Rewriter{Map: tree}, "https://other/{utc}", "https://other/{utc}"},
		"and is dropped":   {rewrite.Rewriter{Map: tree, Unmapped: rewrite.DropUnmapped}, "https://other/{utc}", ""},
		"sealed":           {rewrite.Rewriter{Map: sealer}, times, times},
		"sealed, dropped":  {rewrite.Rewriter{Map: sealer, Unmapped: rewrite.DropUnmapped}, times, ""},
		"signed":           {rewrite.Rewriter{Map: query, Sign: signer}, times, times},
		"signed, dropped":  {rewrite.Rewriter{Map: query, Sign: signer, Unmapped: rewrite.DropUnmapped}, times, ""},
		"a slash in it":    {rewrite.Rewriter{Map: tree}, "https://h/a/{/../../../x}", "https://h/a/{/../../../x}"},
		"more parameters":  {rewrite.Rewriter{Map: query}, "https://h/{a&u=b}", "https://h/{a&u=b}"},
		"slash, dropped":   {rewrite.Rewriter{Map: tree, Unmapped: rewrite.DropUnmapped}, "https://h/{a/../..}", ""},
		"an open brace":    {rewrite.Rewriter{Map: tree}, "https://h/{utc", "https://me/p/%7Butc"},
		"our own stand-in": {rewrite.Rewriter{Map: tree}, "https://h/zq64{utc}", "https://h/zq64{utc}"},
	} {
		t.Run(name, func(t *testing.T) {
			c.rw.Guides, c.rw.Public = true, "https://me"
			out := rewritten(t, &c.rw, "#EXTM3U\n#EXTINF:-1 catchup-source=\""+c.in+"\",A\nhttps://h/1\n", base)
			require.Contains(t, out, "catchup-source=\""+c.want+"\",A\n")
		})
	}
	past := strings.NewReplacer("{utc}", "17", "${duration:60}", "3").Replace("/q/a-{utc}-${duration:60}.m3u8?u=https%3A%2F%2Fh%2Fa-{utc}-${duration:60}.m3u8%3Ft%3D{utc}")
	public, err := url.Parse(past)
	require.NoError(t, err)
	up, err := query.Upstream(public)
	require.NoError(t, err)
	require.Equal(t, "https://h/a-17-3.m3u8?t=17", up)
}

// Hooks see where the past of an entry is as the list has it.
func TestHooksSeeThePlacesForTimes(t *testing.T) {
	tree, err := rewrite.Prefix("/p/", "https://h/")
	require.NoError(t, err)
	var asked, missed []string
	rw := &rewrite.Rewriter{
		Map: tree, Guides: true, Public: "https://me",
		Skip:     func(ref rewrite.Ref) bool { asked = append(asked, ref.URL); return strings.Contains(ref.URL, "{now}") },
		Unmapped: func(ref rewrite.Ref) rewrite.Action { missed = append(missed, ref.URL); return rewrite.Keep },
	}
	const in = "#EXTM3U\n#EXTINF:-1 catchup-source=\"https://other/{utc}\" timeshift-source=\"//h/{now}\",A\nhttps://h/1\n"
	require.Equal(t, strings.Replace(in, "https://h/1", "https://me/p/1", 1), rewritten(t, rw, in, base))
	require.Subset(t, []string{"https://h/1", "https://other/{utc}", "https://h/{now}"}, asked)
	require.Contains(t, asked, "https://h/{now}")
	require.Equal(t, []string{"https://other/{utc}"}, slices.Compact(missed))
}

// One line may name any number of guides. It is no way around the bound of what a list may become.
func TestGuidesOfOneLineAreBounded(t *testing.T) {
	mapped := 0
	long := bytes.Repeat([]byte{'a'}, 1000)
	m := mapperFunc(func(dst, _ []byte) ([]byte, error) {
		mapped++
		return append(append(dst, '/'), long...), nil
	})
	list := "#EXTM3U x-tvg-url=\"" + strings.Repeat("g,", 256<<10) + "\"\n#EXTINF:-1,A\nhttps://h/1\n"
	_, err := (&rewrite.Rewriter{Map: m, Guides: true}).Append(t.Context(), nil, []byte(list), base)
	require.ErrorIs(t, err, rewrite.ErrTooLarge)
	require.Less(t, mapped, 20<<10)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mapped = 0
	_, err = (&rewrite.Rewriter{Map: m, Guides: true}).Append(ctx, nil, []byte(list), base)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, mapped, 2000)
}

// isWithin reports whether a text has all bytes of a line in their order: attributes may be cut out of it.
func isWithin(line, text string) bool {
	for i := range len(line) {
		n := strings.IndexByte(text, line[i])
		if n < 0 {
			return false
		}
		text = text[n+1:]
	}
	return true
}

// linesOf are the lines of a text that are not empty, without blanks and escapes.
func linesOf(text string) []string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
	for i, line := range lines {
		lines[i] = string(unescaped([]byte(strings.TrimRight(line, " \t"))))
	}
	return lines
}

func FuzzLists(f *testing.F) {
	for _, list := range []string{
		"#EXTM3U x-tvg-url=\"https://g/a,b\"\n#EXTINF:-1 tvg-logo=\"l\",A\n#EXTVLCOPT:http-referrer=r\nhttps://h/1|User-Agent=a&b=%0a\n", "a|b=c\r\n|\n|=\n",
		"#KODIPROP:inputstream.adaptive.common_headers=Authorization=x&Cookie=y\na", "#EXTINF:\"tvg-logo=\"\",\"\n\"|a=b",
		"a#b|c= \r#d", // what stands behind hints that go comes to stand behind a fragment
		"0#{$000",
		"#EXTINF:-1 user-agent=\"a\" catchup-source='http://h/{utc}' tvg-logo=x,\n#EXTHTTP:{\"a\":\"b\"}\nhttps://h/1%7Ccookie%3Da", "#EXTIMG:http://h\n#EXTINF:,a=\"b\"c=\na|cookie=|referer=",
	} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		const mark = "\x01mark"
		m := hintsSeen{mapperFunc(func(dst, _ []byte) ([]byte, error) { return append(dst, mark...), nil })}
		out, err := (&rewrite.Rewriter{Map: m, Hints: true, Guides: true}).Append(t.Context(), nil, []byte(list), base)
		require.NoError(t, err)
		if strings.Contains(list, mark) {
			return
		}
		all, pieces := linesOf(list), strings.Split(string(out), mark)
		for i, piece := range pieces {
			if i > 0 && strings.HasPrefix(piece, "!") {
				hints, rest, _ := strings.Cut(piece+"\n", "\n")
				require.NotContains(t, hints, "%0D")
				require.NotContains(t, hints, "%0A")
				piece = rest
			}
			lines := linesOf(piece)
			for j, line := range lines {
				beginsURL := j == len(lines)-1 && i < len(pieces)-1
				endsURL := i > 0 && j == 0
				if beginsURL || endsURL || strings.HasPrefix(strings.TrimLeft(line, " \t\ufeff"), "#EXTINF:") {
					require.True(t, slices.ContainsFunc(all, func(whole string) bool { return isWithin(line, whole) }), "nothing is made up: %q", line)
				} else {
					require.Contains(t, all, line, "nothing is cut")
				}
			}
		}
		same, err := (&rewrite.Rewriter{Map: identity{}, Guides: true}).Append(t.Context(), nil, []byte(list), "")
		require.NoError(t, err)
		plain, err := (&rewrite.Rewriter{Map: identity{}}).Append(t.Context(), nil, []byte(list), "")
		require.NoError(t, err)
		require.Equal(t, string(plain), string(same))
	})
}
