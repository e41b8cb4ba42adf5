package faultorigin

import (
	"fmt"
	"net"
	"net/http"
	"path"
	"strings"
	"time"
)

var rangeHabits = []Habit{
	h("a whole 206 that nobody asked for", func(a *Answer) {
		a.Status = "HTTP/1.1 206 Partial Content"
		a.Field("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(a.Body)-1, len(a.Body)))
	}),
	h("a 206 without a Content-Range", func(a *Answer) { a.Status = "HTTP/1.1 206 Partial Content" }),
	h("no ranges", with("Accept-Ranges: none")),
	h("a whole 206 of unknown size", whole("bytes 0-LAST/*")),
	h("a whole 206 without a size", whole("bytes 0-LAST")),
	h("a whole 206 with an equals sign", whole("bytes=0-LAST/SIZE")),
	h("a whole 206 without a unit", whole("0-LAST/SIZE")),
	h("a whole 206 with blanks", whole("bytes 0 - LAST / SIZE")),
	h("a whole 206 whose range is one byte too long", whole("bytes 0-SIZE/SIZE")),
	h("a whole 206 that names its size alone", whole("bytes */SIZE")),
	h("a whole 206 with an empty range", whole("")),
	h("a whole 206 that says it twice", func(a *Answer) {
		whole("bytes 0-LAST/SIZE")(a)
		a.Fields = append(a.Fields, a.Fields[len(a.Fields)-1])
	}),
	h("a whole 206 in chunks", func(a *Answer) { whole("bytes 0-LAST/SIZE")(a); inChunks(chunked("%x\r\n", "\r\n", "0\r\n\r\n"))(a) }),
	h("a range of a 200", func(a *Answer) { whole("bytes 0-LAST/SIZE")(a); a.Status = "HTTP/1.1 200 Fine" }),
}

// whole answers every request with a 206 of the whole body.
func whole(format string) func(*Answer) {
	return func(a *Answer) {
		a.Status = "HTTP/1.1 206 Partial Content"
		n := len(a.Body)
		value := strings.NewReplacer("LAST", fmt.Sprint(n-1), "SIZE", fmt.Sprint(n)).Replace(format)
		a.Fields = append(a.Fields, "Content-Range: "+value)
	}
}

var headHabits = []Habit{
	h("405", refusesHead("405 Method Not Allowed")), h("404", refusesHead("404 Not Found")), h("403", refusesHead("403 Forbidden")),
	h("501", refusesHead("501 Not Implemented")), h("400", refusesHead("400 Bad Request")), h("500", refusesHead("500 Oops")),
	h("204", refusesHead("204 No Content")), h("406", refusesHead("406 Not Acceptable")), h("401", refusesHead("401 Unauthorized")),
}

func refusesHead(status string) func(*Answer) {
	return func(a *Answer) {
		if a.Request.Method == http.MethodHead {
			a.Status, a.Body = "HTTP/1.1 "+status, nil
		}
	}
}

func status(line string) func(*Answer) { return func(a *Answer) { a.Status = line } }

var statusHabits = []Habit{
	h("ICY 200 OK", status("ICY 200 OK")), h("no reason", status("HTTP/1.1 200")), h("no reason and a blank", status("HTTP/1.1 200 ")),
	h("no blank before the reason", status("HTTP/1.1 200OK")), h("two blanks", status("HTTP/1.1  200  OK")), h("a status line in lower case", status("http/1.1 200 ok")),
	h("no version", status("HTTP 200 OK")), h("version 2", status("HTTP/2 200")), h("version 1.2", status("HTTP/1.2 200 OK")),
	h("bytes of Latin-1", status("HTTP/1.1 200 \xfc\xe9")), h("control characters", status("HTTP/1.1 200 O\x01K\x7f")),
	h("201", status("HTTP/1.1 201 Created")), h("203", status("HTTP/1.1 203 Non-Authoritative")), h("299", status("HTTP/1.1 299 Odd")),
	h("a status line twice", func(a *Answer) { a.Fields = append([]string{a.Status}, a.Fields...) }),
	h("a blank line first", status("\r\nHTTP/1.1 200 OK")),
	h("100 Continue first", status("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")),
	h("103 first", status("HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\nHTTP/1.1 200 OK")),
}

var lineHabits = []Habit{
	h("a line without a colon", with("nonsense")),
	h("blanks before a name", func(a *Answer) { a.Fields = append([]string{" X-Folded: 1"}, a.Fields...) }),
	h("control bytes in a value", with("X-Title: a\x01b\x7fc")),
	h("bytes of Latin-1 in a value", with("X-Title: \xfc\xe9")),
	h("names in lower case", func(a *Answer) {
		for i, line := range a.Fields {
			name, value, _ := strings.Cut(line, ":")
			a.Fields[i] = strings.ToLower(name) + ":" + value
		}
	}),
	h("lines that end with LF", func(a *Answer) { a.EOL = "\n" }),
	h("a header of 30 KiB", with("X-Large: "+strings.Repeat("a", 30<<10))),
	h("an equals sign in place of a colon", with("Content-Disposition = attachment; filename=a.ts")),
	h("blanks before a colon", with("X-Title : a", "X-Other\t: b")),
	h("blanks in a name", with("X Title: a")),
	h("no name", with(": a", ":")),
	h("letters that are not ASCII in a name", with("X-T\xc3\xafle: a")),
	h("a value in two lines", with("X-Title: a", " b", "\tc")),
	h("zeros and returns in a value", with("X-Title: a\x00b\rc")),
	h("300 fields", func(a *Answer) {
		for i := range 300 {
			a.Fields = append(a.Fields, fmt.Sprintf("X-%d: %[1]d", i))
		}
	}),
	h("a line of blanks", with("X-Title: a", " ")),
	h("fields of a connection", with("Keep-Alive: timeout=5, max=100", "Proxy-Connection: keep-alive", "Upgrade: h2,h2c")),
	h("a trailer that never comes", with("Trailer: X-Sum")),
	h("a header after three seconds", playlists(func(a *Answer) { a.Pause = 3 * time.Second })),
}

// length sends another value as Content-Length. N stands for the true one.
func length(value string) func(*Answer) { return func(a *Answer) { a.Length = value } }

// coded sends a Transfer-Encoding with a body that is not encoded.
func coded(value string) func(*Answer) { return with("Transfer-Encoding:" + value) }

func inChunks(chunks func([]byte) []byte) func(*Answer) {
	return func(a *Answer) {
		a.Length, a.Chunks = "-", chunks
		a.Fields = append(a.Fields, "Transfer-Encoding: chunked")
	}
}

var lengthHabits = []Habit{
	h("none, to the end of the connection", length("-")),
	h("none, of HTTP/1.0", func(a *Answer) { a.Status, a.Length = "HTTP/1.0 200 OK", "-" }),
	h("two equal lengths", length("N\r\nContent-Length: N")),
	h("two equal lengths in a line", length("N, N")), h("a length and a semicolon", length("N;")), h("a length in bytes", length("N bytes")),
	h("a length with a sign", length("+N")), h("a length with a point", length("N.0")), h("a length with zeros", length("000N")),
	h("an empty length", length(" ")), h("a length of -1", length("-1")), h("a length in words", length("unknown")),
	h("a length in hex", length("0xN")), h("a length of more than 64 bits", length("99999999999999999999")),
	h("more than the length", func(a *Answer) {
		a.Chunks = func(body []byte) []byte { return append(body[:len(body):len(body)], "more"...) }
	}),
	h("Transfer-Encoding: identity", coded(" identity")), h("Transfer-Encoding: none", coded(" none")), h("Transfer-Encoding: binary", coded(" Binary")),
	h("an empty Transfer-Encoding", coded("")), h("Transfer-Encoding: 8bit", coded("8bit")),
	h("chunks", inChunks(chunked("%x\r\n", "\r\n", "0\r\n\r\n"))),
	h("chunks with extensions", inChunks(chunked("%x;a=b\r\n", "\r\n", "0\r\n\r\n"))),
	h("chunks with zeros and blanks", inChunks(chunked("000%X  \r\n", "\r\n", "000\r\n\r\n"))),
	h("chunks with a trailer", inChunks(chunked("%x\r\n", "\r\n", "0\r\nX-Sum: 1\r\n\r\n"))),
	h("identity before chunks", func(a *Answer) {
		a.Length, a.Chunks = "-", chunked("%x\r\n", "\r\n", "0\r\n\r\n")
		a.Fields = append(a.Fields, "Transfer-Encoding: identity, Chunked")
	}),
}

func moved(status string, to func(*Answer) string) func(*Answer) {
	return func(a *Answer) {
		if !strings.HasPrefix(a.Request.URL.RawQuery, "moved") {
			a.Status, a.Body = status, []byte("moved")
			a.Field("Location", to(a))
		}
	}
}

var redirectHabits = []Habit{
	h("301 for each file", moved("HTTP/1.1 301 Moved", func(a *Answer) string { return "http://" + a.Request.Host + a.Request.URL.Path + "?moved" })),
	h("to a relative URL", moved("HTTP/1.1 302 Found", func(a *Answer) string { return path.Base(a.Name) + "?moved" })),
	h("307 without a scheme", moved("HTTP/1.1 307 Temporary Redirect", func(a *Answer) string { return "//" + a.Request.Host + a.Request.URL.Path + "?moved" })),
	h("302 without a Location, with a body", func(a *Answer) { a.Status = "HTTP/1.1 302 Found" }),
	h("to another host", moved("HTTP/1.1 302 Found", func(a *Answer) string {
		_, port, _ := net.SplitHostPort(a.Request.Host)
		return "http://localhost:" + port + a.Request.URL.Path + "?moved"
	})),
	h("303", moved("HTTP/1.1 303 See Other", here)), h("308", moved("HTTP/1.1 308 Permanent Redirect", here)),
	h("a blank in the Location", moved("HTTP/1.1 302 Found", func(a *Answer) string { return here(a) + "&t=a b" })),
	h("letters that are not ASCII in the Location", moved("HTTP/1.1 302 Found", func(a *Answer) string { return here(a) + "&t=\xc3\xbc" })),
	h("a fragment in the Location", moved("HTTP/1.1 302 Found", func(a *Answer) string { return here(a) + "#x" })),
	h("blanks around the Location", moved("HTTP/1.1 302 Found", func(a *Answer) string { return "  " + here(a) + " \t" })),
	h("two equal Location fields", func(a *Answer) {
		if moved("HTTP/1.1 302 Found", here)(a); a.Status == "HTTP/1.1 302 Found" {
			a.Fields = append(a.Fields, "Location: "+here(a))
		}
	}),
	h("an empty Location, with a body", func(a *Answer) { a.Status = "HTTP/1.1 302 Found"; a.Fields = append(a.Fields, "Location:") }),
	h("five in a row", func(a *Answer) {
		if n := len(a.Request.URL.RawQuery); n < 5 {
			a.Status, a.Body = "HTTP/1.1 302 Found", nil
			a.Field("Location", "http://"+a.Request.Host+a.Request.URL.Path+"?"+strings.Repeat("x", n+1))
		}
	}),
	h("a Location on a 200", with("Location: /nowhere")),
}

func here(a *Answer) string { return "http://" + a.Request.Host + a.Request.URL.Path + "?moved" }

var cacheHabits = []Habit{
	h("an ETag without quotes", with("ETag: abc")),
	h("no-store", with("Cache-Control: no-store")),
	h("Expires: 0", with("Expires: 0")),
	h("Vary: *", with("Vary: *")),
	h("invalid dates", with("Last-Modified: yesterday", "Date: today", "Expires: tomorrow")),
	h("a cookie with each answer", with("Set-Cookie: a=b; Path=/")),
	h("a download", with(`Content-Disposition: attachment; filename="x.m3u8"`)),
}

var wayHabits = []Habit{
	h("a port of its own", nothing).needs("-port", "all"),
	h("behind an HTTP proxy", nothing).needs("-via-proxy", "ORIGIN"),
	h("a certificate that nobody vouches for", nothing).secure().needs("-insecure", "127.0.0.1"),
	h("https that leads to http", func(a *Answer) {
		if a.Request.TLS != nil {
			a.Status, a.Body = "HTTP/1.1 302 Found", nil
			a.Field("Location", a.Plain+a.Request.URL.Path)
		}
	}).secure().needs("-insecure", "127.0.0.1", "-downgrade"),
	h("no Via is borne", func(a *Answer) {
		if a.Request.Header["Via"] != nil {
			a.Status, a.Body = "HTTP/1.1 403 Forbidden", nil
		}
	}).needs("-no-via"),
	h("a field is wanted", func(a *Answer) {
		if a.Request.Header["Accept"] == nil {
			a.Status, a.Body = "HTTP/1.1 403 Forbidden", nil
		}
	}),
	h("a header after twelve seconds", playlists(func(a *Answer) { a.Pause = 12 * time.Second })).needs("-wait", "30s"),
	h("a playlist of nine megabytes", text(func(s string) string {
		return s + strings.Repeat("# "+strings.Repeat("nothing ", 125)+"\n", 9<<20/1000)
	})).needs("-max-playlist", "16MiB"),
}
