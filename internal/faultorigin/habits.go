package faultorigin

import (
	"regexp"
	"slices"
	"strings"
)

// Habits are all known habits. Tests try each of them in players, directly and through the proxy.
var Habits = slices.Concat(
	group("types", typeHabits), group("playlists", playlistHabits), group("names", nameHabits), group("codings", codingHabits),
	group("ranges", rangeHabits), group("HEAD", headHabits), group("status lines", statusHabits), group("header lines", lineHabits),
	group("lengths", lengthHabits), group("redirects", redirectHabits), group("caches", cacheHabits), group("the way", wayHabits),
)

func group(name string, habits []Habit) []Habit {
	for i := range habits {
		habits[i].Group = name
	}
	return habits
}

func h(name string, does func(*Answer)) Habit { return Habit{Name: name, Does: does} }

// as gives the playlist another name.
func (habit Habit) as(name string) Habit { habit.As = name; return habit }

// needs names the flags that corsproxy needs to play it.
func (habit Habit) needs(flags ...string) Habit { habit.Flags = flags; return habit }

// secure makes the origin use https.
func (habit Habit) secure() Habit { habit.Secure = true; return habit }

func nothing(*Answer) {}

// playlists applies a change to playlists only, segments to segments only.
func playlists(does func(*Answer)) func(*Answer) {
	return func(a *Answer) {
		if a.Playlist {
			does(a)
		}
	}
}

func segments(does func(*Answer)) func(*Answer) {
	return func(a *Answer) {
		if !a.Playlist {
			does(a)
		}
	}
}

func labelled(t string) func(*Answer) { return func(a *Answer) { a.Field("Content-Type", t) } }

func with(lines ...string) func(*Answer) {
	return func(a *Answer) { a.Fields = append(a.Fields, lines...) }
}

// text changes the text of a playlist.
func text(change func(string) string) func(*Answer) {
	return playlists(func(a *Answer) { a.Body = []byte(change(string(a.Body))) })
}

// named gives the segments other names in the playlist, and serves them under these.
func named(name func(i string) string) func(*Answer) {
	return func(a *Answer) {
		if a.Playlist {
			a.Body = segmentName.ReplaceAllFunc(a.Body, func(b []byte) []byte { return []byte(name(string(segmentName.FindSubmatch(b)[1]))) })
		}
	}
}

var segmentName = regexp.MustCompile(`seg(\d{3})\.ts`)

var typeHabits = []Habit{
	h("a playlist as video/mp2t", playlists(labelled("video/mp2t"))),
	h("a playlist as audio/mpeg", playlists(labelled("audio/mpeg"))),
	h("a playlist as text/html", playlists(labelled("text/html; charset=utf-8"))),
	h("a playlist as image/png", playlists(labelled("image/png"))),
	h("a playlist as text/plain", playlists(labelled("text/plain"))),
	h("a playlist as binary/octet-stream", playlists(labelled("binary/octet-stream"))),
	h("a playlist without a type", playlists(labelled(""))),
	h("a type without a slash", playlists(labelled("m3u8"))),
	h("segments as playlists", segments(labelled("application/vnd.apple.mpegurl"))),
	h("segments as text/html", segments(labelled("text/html"))),
	h("segments as image/jpeg", segments(labelled("image/jpeg"))),
	h("segments without a type", segments(labelled(""))),
	h("two Content-Type fields", with("Content-Type: text/plain")),
	h("a playlist as application/json", playlists(labelled("application/json"))),
	h("a playlist as XML", playlists(labelled("text/xml"))),
	h("a playlist with an empty type", playlists(func(a *Answer) { a.Field("Content-Type", ""); a.Fields = append(a.Fields, "Content-Type:") })),
	h("a playlist named and labelled as a segment", playlists(labelled("video/mp2t"))).as("ts/list.ts"),
	h("a playlist named as a page", playlists(labelled("text/html"))).as("ts/list.php"),
	h("a playlist without an extension", playlists(labelled("application/octet-stream"))).as("ts/list"),
	h("a playlist without an extension and a type", playlists(labelled(""))).as("ts/list"),
	h("segments as JSON", segments(labelled("application/json"))),
	h("segments as captions", segments(labelled("text/vtt"))),
	h("segments as other playlists", segments(labelled("audio/x-mpegurl; charset=utf-8"))),
	h("segments with an empty type", segments(func(a *Answer) { a.Field("Content-Type", ""); a.Fields = append(a.Fields, "Content-Type: ") })),
}

var playlistHabits = []Habit{
	h("a byte order mark", text(func(s string) string { return "\xef\xbb\xbf" + s })),
	h("blank lines first", text(func(s string) string { return "\n\n" + s })),
	h("blanks first", text(func(s string) string { return "  " + s })),
	h("lines that end with CR LF", text(func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") })),
	h("no line break at the end", text(strings.TrimSpace)),
	h("blanks after the names", text(func(s string) string { return strings.ReplaceAll(s, ".ts\n", ".ts  \n") })),
	h("no EXTM3U", text(func(s string) string { return strings.TrimPrefix(s, "#EXTM3U\n") })),
	h("a comment of binary data", text(func(s string) string { return strings.Replace(s, "\n", "\n# \x00\x01\xff\n", 1) })),
	h("a byte order mark and blank lines first", text(func(s string) string { return "\xef\xbb\xbf\r\n" + s })),
	h("blanks after EXTM3U", text(func(s string) string { return strings.Replace(s, "#EXTM3U", "#EXTM3U \t", 1) })),
	h("attributes after EXTM3U", text(func(s string) string {
		return strings.Replace(s, "#EXTM3U", `#EXTM3U url-tvg="http://h/x" m3uautoload=1`, 1)
	})),
	h("a comment before EXTM3U", text(func(s string) string { return "# made by hand\n" + s })),
	h("blank lines between all", text(func(s string) string { return strings.ReplaceAll(s, "\n", "\n\n") })),
	h("durations without a comma", text(func(s string) string { return strings.ReplaceAll(s, ",\n", "\n") })),
	h("unknown tags", text(func(s string) string { return strings.Replace(s, "\n", "\n#EXT-X-MINE:A=\"b\"\n#EXT-X-\n#EXT\n", 1) })),
	h("zeros at the end", text(func(s string) string { return s + "\x00\x00" })),
	h("a long comment first", text(func(s string) string { return strings.Replace(s, "\n", "\n#"+strings.Repeat("x", 5000)+"\n", 1) })),
	h("a list of names", text(func(s string) string { return bare(s) })),
	h("a list of URLs", func(a *Answer) {
		text(func(s string) string { return strings.ReplaceAll(bare(s), "seg", "http://"+a.Request.Host+"/ts/seg") })(a)
	}),
}

// bare is a playlist without its tags.
func bare(s string) string {
	var names strings.Builder
	for line := range strings.Lines(s) {
		if line[0] != '#' {
			names.WriteString(line)
		}
	}
	return names.String()
}

var nameHabits = []Habit{
	h("a blank in a query", named(func(i string) string { return "seg" + i + ".ts?t=a b" })),
	h("quotes in a query", named(func(i string) string { return "seg" + i + `.ts?t="a"` })),
	h("angle brackets in a query", named(func(i string) string { return "seg" + i + ".ts?t=<a>" })),
	h("a bar in a query", named(func(i string) string { return "seg" + i + ".ts?t=a|b" })),
	h("letters that are not ASCII in a query", named(func(i string) string { return "seg" + i + ".ts?t=ü" })),
	h("a bare percent sign in a query", named(func(i string) string { return "seg" + i + ".ts?t=100%" })),
	h("a blank in a path", named(func(i string) string { return "a b/../seg" + i + ".ts" })),
	h("letters that are not ASCII in a path", named(func(i string) string { return "ü/../seg" + i + ".ts" })),
	h("dots that climb", named(func(i string) string { return "../ts/./seg" + i + ".ts" })),
	h("a URL in a query", named(func(i string) string { return "seg" + i + ".ts?u=http://h/x?y&z=1" })),
	h("a fragment", named(func(i string) string { return "seg" + i + ".ts#t=1" })),
	h("a path from the root", named(func(i string) string { return "/ts/seg" + i + ".ts" })),
	h("whole URLs", func(a *Answer) {
		named(func(i string) string { return "http://" + a.Request.Host + "/ts/seg" + i + ".ts" })(a)
	}),
	h("URLs without a scheme", func(a *Answer) {
		named(func(i string) string { return "//" + a.Request.Host + "/ts/seg" + i + ".ts" })(a)
	}),
	h("a scheme in capitals", func(a *Answer) {
		named(func(i string) string { return "HTTP://" + a.Request.Host + "/ts/seg" + i + ".ts" })(a)
	}),
	h("control characters in a query", named(func(i string) string { return "seg" + i + ".ts?t=\x01\x7f" })),
	h("bytes of Latin-1 in a query", named(func(i string) string { return "seg" + i + ".ts?t=\xfc" })),
	h("a backquote and braces in a query", named(func(i string) string { return "seg" + i + ".ts?t=`{a}^[b]\\\\" })),
	h("invalid escapes in a query", named(func(i string) string { return "seg" + i + ".ts?t=%zz%u00fc" })),
	h("an empty query", named(func(i string) string { return "seg" + i + ".ts?" })),
	h("two question marks", named(func(i string) string { return "seg" + i + ".ts?a?b" })),
	h("brackets and bars in a path", named(func(i string) string { return "a[1]|{b}^`/../seg" + i + ".ts" })),
	h("parameters in a path", named(func(i string) string { return "a;v=1/../seg" + i + ".ts" })),
	h("two slashes", named(func(i string) string { return "..//ts//seg" + i + ".ts" })),
	h("escapes in lower and upper case", named(func(i string) string { return "%73eg%2e%2E/../seg" + i + ".ts" })),
	h("a plus and an ampersand", named(func(i string) string { return "seg" + i + ".ts?t=a+b&&c=&=d" })),
}
