package cache

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// fields are the header of an answer while it is made. Its values lie in one array, in pieces that cannot grow: viewers may
// change theirs.
type fields struct {
	header http.Header
	room   []string // for more values
}

// ours is how many fields an answer is given besides those of its origin, and ofARange how many more that to a Range is.
const (
	ours     = 3
	ofARange = 2
)

// newFields copies the header of an Entry.
func newFields(h http.Header) fields {
	f := fields{make(http.Header, len(h)+ours), make([]string, 0, len(h)+ours)}
	for name, values := range h {
		from := len(f.room)
		f.room = append(f.room, values...)
		f.header[name] = f.room[from:len(f.room):len(f.room)]
	}
	return f
}

func (f *fields) set(name, value string) {
	n := len(f.room)
	f.room = append(f.room, value)
	f.header[name] = f.room[n : n+1 : n+1]
}

func (f *fields) add(name, value string) {
	if before := f.header[name]; len(before) > 0 {
		f.header[name] = append(before, value)
	} else {
		f.set(name, value)
	}
}

// bounded tells of a live playlist that it is fresh for as long as we hold it to be, where its origin has promised more. aged: there is
// an Age, which viewers take off.
func (f *fields) bounded(e *Entry, aged bool) {
	c := rules.ParseControl(f.header)
	if c.NoStore || c.Private || c.NoCache {
		return
	}
	age := e.Age()
	seconds := max((e.TTL-age)/time.Second, 0)
	if aged {
		seconds += age / time.Second
	}
	for _, name := range [...]string{"Expires", "Cdn-Cache-Control", "Surrogate-Control"} {
		delete(f.header, name)
	}
	f.set("Cache-Control", "max-age="+strconv.FormatInt(int64(seconds), 10))
}

// acceptRanges says that we serve ranges, whatever the origin does.
func (f *fields) acceptRanges() {
	if v := f.header["Accept-Ranges"]; len(v) != 1 || v[0] != "bytes" {
		f.set("Accept-Ranges", "bytes")
	}
}

// contentRange sets the fields of a 206 and returns its length, -1 if it is open (RFC 8673).
func (f *fields) contentRange(off, end, length int64) int64 {
	open := end == math.MaxInt64
	last := end - 1
	if open {
		last = httprange.VeryLast
		delete(f.header, "Content-Length")
	} else {
		f.set("Content-Length", strconv.FormatInt(end-off, 10))
	}
	show := make([]byte, 0, 64)
	show = strconv.AppendInt(append(show, "bytes "...), off, 10)
	show = strconv.AppendInt(append(show, '-'), last, 10)
	if show = append(show, '/'); length >= 0 {
		show = strconv.AppendInt(show, length, 10)
	} else {
		show = append(show, '*')
	}
	f.set("Content-Range", string(show))
	if open {
		return -1
	}
	return end - off
}

// withoutContent removes what describes a content that is not sent (RFC 9110 section 15.4.5).
func withoutContent(h http.Header) {
	for _, name := range [...]string{"Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Content-Range"} {
		delete(h, name)
	}
}

// withoutFreshness removes what would let a cache keep a refusal in the place of what was refused: 412 and 416 say
// something about one request alone.
func withoutFreshness(h http.Header) {
	for _, name := range [...]string{"Cache-Control", "Cdn-Cache-Control", "Surrogate-Control", "Expires", "Age"} {
		delete(h, name)
	}
}
