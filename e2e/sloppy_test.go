package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sloppy is something that origins do although no standard lets them, or although few expect it.
type sloppy struct {
	group, name string
	does        func(a *answer)
	flags       []string // that corsproxy needs for it
}

// answer is what an origin would say, before a row has its way with it.
type answer struct {
	request  *http.Request
	path     string // of the file, without the leading slash
	playlist bool
	status   string   // the line, without its end
	fields   []string // lines
	body     []byte   // all of the file
	chunked  string   // what follows the length of each chunk; "no": there are no chunks
	eol      string
	pause    time.Duration // before the first byte
}

// field sets a header field, or takes it out.
func (a *answer) field(name, value string) {
	kept := a.fields[:0]
	for _, line := range a.fields {
		if n, _, _ := strings.Cut(line, ":"); !strings.EqualFold(n, name) {
			kept = append(kept, line)
		}
	}
	if a.fields = kept; value != "" {
		a.fields = append(a.fields, name+": "+value)
	}
}

// only has a row do something to playlists, or to segments.
func playlists(does func(*answer)) func(*answer) {
	return func(a *answer) {
		if a.playlist {
			does(a)
		}
	}
}

func segments(does func(*answer)) func(*answer) {
	return func(a *answer) {
		if !a.playlist {
			does(a)
		}
	}
}

func labelled(t string) func(*answer) { return func(a *answer) { a.field("Content-Type", t) } }

func with(lines ...string) func(*answer) {
	return func(a *answer) { a.fields = append(a.fields, lines...) }
}

// text changes that of a playlist.
func text(change func(string) string) func(*answer) {
	return playlists(func(a *answer) { a.body = []byte(change(string(a.body))) })
}

// named gives the segments in the playlist other names, and finds them by these.
func named(name func(i string) string) func(*answer) {
	return func(a *answer) {
		if a.playlist {
			a.body = segmentName.ReplaceAllFunc(a.body, func(b []byte) []byte { return []byte(name(string(segmentName.FindSubmatch(b)[1]))) })
		}
	}
}

var segmentName = regexp.MustCompile(`seg(\d{3})\.ts`)

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func moved(status string, to func(*answer) string) func(*answer) {
	return func(a *answer) {
		if !strings.HasPrefix(a.request.URL.RawQuery, "moved") {
			a.status, a.body = status, []byte("moved")
			a.field("Location", to(a))
		}
	}
}

var sloppies = []sloppy{
	{"types", "a playlist as video/mp2t", playlists(labelled("video/mp2t")), nil},
	{"types", "a playlist as audio/mpeg", playlists(labelled("audio/mpeg")), nil},
	{"types", "a playlist as text/html", playlists(labelled("text/html; charset=utf-8")), nil},
	{"types", "a playlist as image/png", playlists(labelled("image/png")), nil},
	{"types", "a playlist as text/plain", playlists(labelled("text/plain")), nil},
	{"types", "a playlist as binary/octet-stream", playlists(labelled("binary/octet-stream")), nil},
	{"types", "a playlist without a type", playlists(labelled("")), nil},
	{"types", "a type that is none", playlists(labelled("m3u8")), nil},
	{"types", "segments as playlists", segments(labelled("application/vnd.apple.mpegurl")), nil},
	{"types", "segments as text/html", segments(labelled("text/html")), nil},
	{"types", "segments as image/jpeg", segments(labelled("image/jpeg")), nil},
	{"types", "segments without a type", segments(labelled("")), nil},
	{"types", "two types", with("Content-Type: text/plain"), nil},
	{"playlists", "a byte order mark", text(func(s string) string { return "\xef\xbb\xbf" + s }), nil},
	{"playlists", "blank lines first", text(func(s string) string { return "\n\n" + s }), nil},
	{"playlists", "blanks first", text(func(s string) string { return "  " + s }), nil},
	{"playlists", "lines that end with CR LF", text(func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }), nil},
	{"playlists", "no end of the last line", text(strings.TrimSpace), nil},
	{"playlists", "blanks after the names", text(func(s string) string { return strings.ReplaceAll(s, ".ts\n", ".ts  \n") }), nil},
	{"playlists", "no EXTM3U", text(func(s string) string { return strings.TrimPrefix(s, "#EXTM3U\n") }), nil},
	{"playlists", "a comment of binary data", text(func(s string) string { return strings.Replace(s, "\n", "\n# \x00\x01\xff\n", 1) }), nil},
	{"names", "a blank in a query", named(func(i string) string { return "seg" + i + ".ts?t=a b" }), nil},
	{"names", "quotes in a query", named(func(i string) string { return "seg" + i + `.ts?t="a"` }), nil},
	{"names", "angle brackets in a query", named(func(i string) string { return "seg" + i + ".ts?t=<a>" }), nil},
	{"names", "a bar in a query", named(func(i string) string { return "seg" + i + ".ts?t=a|b" }), nil},
	{"names", "letters that are not ASCII in a query", named(func(i string) string { return "seg" + i + ".ts?t=ü" }), nil},
	{"names", "a bare percent sign in a query", named(func(i string) string { return "seg" + i + ".ts?t=100%" }), nil},
	{"names", "a blank in a path", named(func(i string) string { return "a b/../seg" + i + ".ts" }), nil},
	{"names", "letters that are not ASCII in a path", named(func(i string) string { return "ü/../seg" + i + ".ts" }), nil},
	{"names", "dots that climb", named(func(i string) string { return "../ts/./seg" + i + ".ts" }), nil},
	{"names", "an URL in a query", named(func(i string) string { return "seg" + i + ".ts?u=http://h/x?y&z=1" }), nil},
	{"names", "a fragment", named(func(i string) string { return "seg" + i + ".ts#t=1" }), nil},
	{"names", "a path from the root", named(func(i string) string { return "/ts/seg" + i + ".ts" }), nil},
	{"names", "whole URLs", func(a *answer) {
		named(func(i string) string { return "http://" + a.request.Host + "/ts/seg" + i + ".ts" })(a)
	}, nil},
	{"names", "URLs without a scheme", func(a *answer) {
		named(func(i string) string { return "//" + a.request.Host + "/ts/seg" + i + ".ts" })(a)
	}, nil},
	{"names", "capitals in the scheme", func(a *answer) {
		named(func(i string) string { return "HTTP://" + a.request.Host + "/ts/seg" + i + ".ts" })(a)
	}, nil},
	{"codings", "aws-chunked", with("Content-Encoding: aws-chunked"), nil},
	{"codings", "utf-8", playlists(with("Content-Encoding: utf-8")), nil},
	{"codings", "binary", with("Content-Encoding: binary"), nil},
	{"codings", "none", with("Content-Encoding: none"), nil},
	{"codings", "identity", with("Content-Encoding: identity"), nil},
	{"codings", "an empty coding", with("Content-Encoding: "), nil},
	{"codings", "gzip, asked for or not", playlists(func(a *answer) { a.body = zipped(a.body); a.field("Content-Encoding", "gzip") }), nil},
	{"codings", "gzip that is none", playlists(with("Content-Encoding: gzip")), nil},
	{"codings", "gzip named twice", playlists(func(a *answer) { a.body = zipped(a.body); a.field("Content-Encoding", "gzip, gzip") }), nil},
	{"codings", "gzip in two fields", playlists(func(a *answer) {
		a.body = zipped(a.body)
		a.fields = append(a.fields, "Content-Encoding: gzip", "Content-Encoding: gzip")
	}), nil},
	{"codings", "deflate", playlists(func(a *answer) { a.body = deflated(a.body); a.field("Content-Encoding", "deflate") }), nil},
	{"codings", "segments in gzip", segments(func(a *answer) { a.body = zipped(a.body); a.field("Content-Encoding", "gzip") }), nil},
	{"ranges", "a whole 206 that nobody asked for", func(a *answer) {
		a.status = "HTTP/1.1 206 Partial Content"
		a.field("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(a.body)-1, len(a.body)))
	}, nil},
	{"ranges", "a 206 without a Content-Range", func(a *answer) { a.status = "HTTP/1.1 206 Partial Content" }, nil},
	{"ranges", "no ranges", with("Accept-Ranges: none"), nil},
	{"ranges", "HEAD is a 405", refusesHead("405 Method Not Allowed"), nil},
	{"ranges", "HEAD is a 404", refusesHead("404 Not Found"), nil},
	{"ranges", "HEAD is a 403", refusesHead("403 Forbidden"), nil},
	{"ranges", "HEAD is a 501", refusesHead("501 Not Implemented"), nil},
	{"wire", "ICY 200 OK", func(a *answer) { a.status = "ICY 200 OK" }, nil},
	{"wire", "HTTP/1.0 without a length", func(a *answer) { a.status, a.chunked = "HTTP/1.0 200 OK", "no"; a.field("Content-Length", "") }, nil},
	{"wire", "no reason", func(a *answer) { a.status = "HTTP/1.1 200" }, nil},
	{"wire", "a status line twice", func(a *answer) { a.fields = append([]string{a.status}, a.fields...) }, nil},
	{"wire", "a line without a colon", with("nonsense"), nil},
	{"wire", "blanks before a name", func(a *answer) { a.fields = append([]string{" X-Folded: 1"}, a.fields...) }, nil},
	{"wire", "control bytes in a value", with("X-Title: a\x01b\x7fc"), nil},
	{"wire", "bytes of Latin-1 in a value", with("X-Title: \xfc\xe9"), nil},
	{"wire", "names in small letters", func(a *answer) {
		for i, line := range a.fields {
			name, value, _ := strings.Cut(line, ":")
			a.fields[i] = strings.ToLower(name) + ":" + value
		}
	}, nil},
	{"wire", "lines that end with LF", func(a *answer) { a.eol = "\n" }, nil},
	{"wire", "Transfer-Encoding: identity", with("Transfer-Encoding: identity"), nil},
	{"wire", "two equal lengths", func(a *answer) { a.fields = append(a.fields, "Content-Length: "+strconv.Itoa(len(a.body))) }, nil},
	{"wire", "chunks", func(a *answer) {
		a.chunked = ""
		a.field("Content-Length", "")
		a.field("Transfer-Encoding", "chunked")
	}, nil},
	{"wire", "chunks with extensions", func(a *answer) {
		a.chunked = ";a=b"
		a.field("Content-Length", "")
		a.field("Transfer-Encoding", "chunked")
	}, nil},
	{"wire", "a header of 30 KiB", with("X-Large: " + strings.Repeat("a", 30<<10)), nil},
	{"wire", "a header after three seconds", playlists(func(a *answer) { a.pause = 3 * time.Second }), nil},
	{"redirects", "301 for each file", moved("HTTP/1.1 301 Moved", func(a *answer) string { return "http://" + a.request.Host + a.request.URL.Path + "?moved" }), nil},
	{"redirects", "to a relative place", moved("HTTP/1.1 302 Found", func(a *answer) string { return filepath.Base(a.path) + "?moved" }), nil},
	{"redirects", "307 without a scheme", moved("HTTP/1.1 307 Temporary Redirect", func(a *answer) string { return "//" + a.request.Host + a.request.URL.Path + "?moved" }), nil},
	{"redirects", "302 without a place, and a body", func(a *answer) { a.status = "HTTP/1.1 302 Found" }, nil},
	{"redirects", "to another host", moved("HTTP/1.1 302 Found", func(a *answer) string {
		_, port, _ := net.SplitHostPort(a.request.Host)
		return "http://localhost:" + port + a.request.URL.Path + "?moved"
	}), nil},
	{"caches", "an ETag without quotes", with("ETag: abc"), nil},
	{"caches", "no-store", with("Cache-Control: no-store"), nil},
	{"caches", "Expires: 0", with("Expires: 0"), nil},
	{"caches", "Vary: *", with("Vary: *"), nil},
	{"caches", "dates that are none", with("Last-Modified: yesterday", "Date: today", "Expires: tomorrow"), nil},
	{"caches", "a status of 203", func(a *answer) { a.status = "HTTP/1.1 203 Non-Authoritative" }, nil},
	{"caches", "a cookie with each answer", with("Set-Cookie: a=b; Path=/"), nil},
	{"caches", "a download", with(`Content-Disposition: attachment; filename="x.m3u8"`), nil},
}

func refusesHead(status string) func(*answer) {
	return func(a *answer) {
		if a.request.Method == http.MethodHead {
			a.status = "HTTP/1.1 " + status
		}
	}
}

// sloppyOrigin serves a folder as a row has it, on a connection for each answer.
func sloppyOrigin(t testing.TB, dir string, row sloppy) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute))
				r, err := readRequest(conn)
				if err != nil {
					conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
					return
				}
				conn.Write(row.answerTo(dir, r))
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

// readRequest takes no request line with a blank in its target, as servers do.
func readRequest(conn net.Conn) (*http.Request, error) {
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err == nil && strings.ContainsAny(r.RequestURI, " \"<>") {
		err = fmt.Errorf("request target %q", r.RequestURI)
	}
	return r, err
}

func (row sloppy) answerTo(dir string, r *http.Request) []byte {
	name := strings.TrimPrefix(filepath.Clean(r.URL.Path), "/")
	body, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\n\r\n")
	}
	a := &answer{request: r, path: name, playlist: filepath.Ext(name) == ".m3u8", status: "HTTP/1.1 200 OK", body: body, eol: "\r\n", chunked: "no"}
	a.fields = []string{"Content-Type: " + mediaType(name), "Connection: close", "Access-Control-Allow-Origin: *"}
	row.does(a)
	if a.status == "HTTP/1.1 200 OK" && !strings.Contains(strings.Join(a.fields, "\n"), "Accept-Ranges: none") {
		a.cut()
	}
	if framing := strings.ToLower(strings.Join(a.fields, "\n")); a.chunked == "no" && !strings.HasPrefix(a.status, "HTTP/1.0") {
		a.fields = append(a.fields, "Content-Length: "+strconv.Itoa(len(a.body)))
	} else if strings.Contains(framing, "transfer-encoding: chunked") {
		a.body = fmt.Appendf(nil, "%x%s\r\n%s\r\n0\r\n\r\n", len(a.body), a.chunked, a.body)
	}
	time.Sleep(a.pause)
	head := a.status + a.eol + strings.Join(a.fields, a.eol) + a.eol + a.eol
	if r.Method == http.MethodHead {
		return []byte(head)
	}
	return append([]byte(head), a.body...)
}

var oneRange = regexp.MustCompile(`^bytes=(\d+)-(\d*)$`)

// cut answers a range.
func (a *answer) cut() {
	m := oneRange.FindStringSubmatch(a.request.Header.Get("Range"))
	if m == nil {
		return
	}
	from, _ := strconv.Atoi(m[1])
	to, err := strconv.Atoi(m[2])
	if err != nil || to >= len(a.body) {
		to = len(a.body) - 1
	}
	if from > to {
		return
	}
	a.status = "HTTP/1.1 206 Partial Content"
	a.field("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(a.body)))
	a.body = a.body[from : to+1]
}
