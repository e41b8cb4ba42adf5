package faultorigin

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
)

// Habit is something that origins do although no standard allows it, or although few clients expect it.
type Habit struct {
	Group, Name string
	Does        func(*Answer)
	As          string   // the name of the playlist; "": its usual name
	Flags       []string // flags that corsproxy needs for it; ORIGIN stands for the origin's URL
	Secure      bool     // it uses https, with a certificate that nobody has signed
}

// Answer is the answer of a correct origin, which a Habit then changes.
type Answer struct {
	Request  *http.Request // its TLS is set if it came by https
	Plain    string        // the URL of the same origin with http
	Name     string        // of the file, without the leading slash
	Playlist bool
	Status   string   // the status line, without its end
	Fields   []string // header lines
	Body     []byte   // the whole file
	EOL      string   // the end of each header line
	Pause    time.Duration
	Chunks   func(body []byte) []byte // splits the body into chunks; nil: it is sent unchanged
	Length   string                   // the Content-Length; "-": none; "": the true one
}

// Field sets a header field, or removes it.
func (a *Answer) Field(name, value string) {
	kept := a.Fields[:0]
	for _, line := range a.Fields {
		if n, _, _ := strings.Cut(line, ":"); !strings.EqualFold(n, name) {
			kept = append(kept, line)
		}
	}
	if a.Fields = kept; value != "" {
		a.Fields = append(a.Fields, name+": "+value)
	}
}

// Sloppy serves a file system with a Habit, on one connection for each answer, until the test ends. It is also its own proxy:
// it treats a request for a whole URL as one for a file. It returns its URL.
func Sloppy(tb testing.TB, files fs.FS, habit Habit) string {
	tb.Helper()
	plain := listen(tb)
	url := "http://" + plain.Addr().String()
	go habit.serve(plain, files, url)
	if !habit.Secure {
		return url
	}
	donor := httptest.NewTLSServer(nil)
	donor.Listener.Close() // Server.Close would also close connections that other tests use, of http.DefaultTransport
	secure := listen(tb)
	go habit.serve(tls.NewListener(secure, &tls.Config{Certificates: donor.TLS.Certificates}), files, url)
	return "https://" + secure.Addr().String()
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ln.Close() })
	return ln
}

func (habit Habit) serve(ln net.Listener, files fs.FS, plain string) {
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
			conn.Write(habit.answerTo(files, r, plain))
		}()
	}
}

// readRequest refuses a request line with a blank in its target, as servers do.
func readRequest(conn net.Conn) (*http.Request, error) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if secure, ok := conn.(*tls.Conn); ok && err == nil {
		state := secure.ConnectionState()
		r.TLS = &state
	}
	if err == nil && strings.ContainsAny(r.RequestURI, " \"<>") {
		err = fmt.Errorf("request target %q", r.RequestURI)
	}
	return r, err
}

func (habit Habit) answerTo(files fs.FS, r *http.Request, plain string) []byte {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	file := name
	if name == habit.As {
		file = path.Join(path.Dir(name), "index.m3u8")
	}
	body, err := fs.ReadFile(files, file)
	if err != nil {
		return []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\n\r\n")
	}
	a := &Answer{Request: r, Plain: plain, Name: name, Playlist: path.Ext(file) == ".m3u8", Status: "HTTP/1.1 200 OK", Body: body, EOL: "\r\n"}
	a.Fields = []string{"Content-Type: " + hls.TypeByName(name), "Connection: close", "Access-Control-Allow-Origin: *"}
	habit.Does(a)
	if a.Status == "HTTP/1.1 200 OK" && !strings.Contains(strings.Join(a.Fields, "\n"), "Accept-Ranges: none") {
		a.cut()
	}
	switch {
	case a.Length == "":
		a.Fields = append(a.Fields, "Content-Length: "+strconv.Itoa(len(a.Body)))
	case a.Length != "-":
		a.Fields = append(a.Fields, "Content-Length: "+strings.TrimSpace(strings.ReplaceAll(a.Length, "N", strconv.Itoa(len(a.Body)))))
	}
	if a.Chunks != nil {
		a.Body = a.Chunks(a.Body)
	}
	time.Sleep(a.Pause)
	head := a.Status + a.EOL + strings.Join(a.Fields, a.EOL) + a.EOL + a.EOL
	if r.Method == http.MethodHead {
		return []byte(head)
	}
	return append([]byte(head), a.Body...)
}

var oneRange = regexp.MustCompile(`^bytes=(\d+)-(\d*)$`)

// cut cuts the body to the requested range.
func (a *Answer) cut() {
	m := oneRange.FindStringSubmatch(a.Request.Header.Get("Range"))
	if m == nil {
		return
	}
	from, _ := strconv.Atoi(m[1])
	to, err := strconv.Atoi(m[2])
	if err != nil || to >= len(a.Body) {
		to = len(a.Body) - 1
	}
	if from > to {
		return
	}
	a.Status = "HTTP/1.1 206 Partial Content"
	a.Field("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(a.Body)))
	a.Body = a.Body[from : to+1]
}

// chunked splits a body into chunks of 64 KiB. The formats say how each length and each chunk is written.
func chunked(size, end, last string) func([]byte) []byte {
	return func(body []byte) []byte {
		var out bytes.Buffer
		for len(body) > 0 {
			n := min(len(body), 64<<10)
			fmt.Fprintf(&out, size, n)
			out.Write(body[:n])
			out.WriteString(end)
			body = body[n:]
		}
		out.WriteString(last)
		return out.Bytes()
	}
}
