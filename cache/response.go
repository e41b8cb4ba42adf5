package cache

import (
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
	"github.com/hlsproxy/hlsproxy/internal/tchar"
)

// The Cache-Status (RFC 9211) for each way an answer can take.
const (
	cacheName       = "hlsproxy"
	statusHit       = cacheName + "; hit"
	statusHitStale  = cacheName + "; hit; detail=stale"
	statusMiss      = cacheName + "; fwd=uri-miss"
	statusStale     = cacheName + "; fwd=stale"
	statusConfirmed = cacheName + "; fwd=stale; fwd-status=304"
	statusShared    = cacheName + "; fwd=stale; collapsed"
	statusBypass    = "bypass"
	statusMethod    = "method"
	statusAlone     = "uri-miss"
)

// source is what an answer is made from: a whole Entry, or a fill with what is known so far.
type source struct {
	t      *Transport
	r      *http.Request
	entry  *Entry
	fill   *fill // nil: whole
	length int64 // -1: not known yet
	status string
	age    bool
	owned  *reply // becomes the answer, with its entry; nil: the entry may be shared
	key    string // of entry, to find its slices
	part   *slice // entry is this slice; nil: the whole
}

// answer checks the conditions of r in the order of RFC 9110 section 13.2.2 and makes the response. A viewer of a broadcast
// begins at its current position, which no range can express.
func (s *source) answer() (*http.Response, error) {
	e, r := s.entry, s.r
	if p := s.part; p != nil {
		return s.respond(e.Status, p.from, p.to)
	}
	if e.Status != http.StatusOK {
		return s.respond(e.Status, 0, math.MaxInt64)
	}
	if status := httprange.Precondition(r, e.Header); status != http.StatusOK {
		return s.respond(status, 0, 0)
	}
	want, ok := wanted(r, e.Header)
	if !ok || s.fill != nil && s.fill.isOnAir() {
		return s.respond(http.StatusOK, 0, math.MaxInt64)
	}
	if s.length < 0 {
		if want.First > 0 && want.Last < 0 && s.t.channels.isHinted(s.fill.o.primary) {
			want.Last = httprange.VeryLast // a part that grows: the playlist names only its beginning
		}
		length, err := s.fill.learn(r.Context(), want)
		if err == errOutgrown {
			return s.respond(http.StatusOK, 0, math.MaxInt64)
		}
		if err != nil {
			return nil, err
		}
		s.length = length
	}
	off, end, status := within(want, s.length)
	return s.respond(status, off, end)
}

// structured is a name as a structured field: a token (RFC 9651 section 3.3.4), or else a string.
func structured(name string) string {
	token := strings.IndexFunc(name, func(c rune) bool { return c >= 0x80 || !tchar.InStructured(byte(c)) }) < 0 &&
		strings.ContainsAny(name[:1], "*abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	if token {
		return name
	}
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, c := range name {
		switch {
		case c == '"' || c == '\\':
			quoted.WriteByte('\\')
			quoted.WriteRune(c)
		case c >= ' ' && c <= '~':
			quoted.WriteRune(c)
		default:
			quoted.WriteByte('?')
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}

// reply is an answer and its parts, in one allocation.
type reply struct {
	entry    Entry      // from the Store; unused for a fill or a foreign Store
	room     []string   // for more header values
	values   [12]string // of its header, if these are enough
	response http.Response
	body     viewer // if it comes from memory
}

func (a *reply) result() lookupResult {
	if a == nil {
		return lookupResult{}
	}
	if a.entry.Sliced > 0 {
		return lookupResult{entry: &a.entry} // later slices are compared with it
	}
	return lookupResult{entry: &a.entry, owned: a}
}

// restarted is when the encoder of a live playlist last began again. Zero: it is not known to have done so.
func (s *source) restarted() time.Time {
	key := s.key
	switch {
	case !s.entry.Live:
		return time.Time{}
	case s.fill != nil:
		key = keyOf(s.fill.o.primary, s.entry)
	}
	return s.t.channels.restarted(listOf(key))
}

// respond makes the response with the bytes from off to end.
func (s *source) respond(status int, off, end int64) (*http.Response, error) {
	r, a, f := s.r, s.owned, fields{}
	if a != nil && a.entry.Header != nil {
		f = fields{a.entry.Header, a.room}
	} else {
		a = new(reply)
		f = newFields(s.entry.Header, a.values[:0])
	}
	f.add("Cache-Status", s.t.named(s.status))
	if s.age {
		f.set("Age", strconv.FormatInt(int64(s.entry.Age()/time.Second), 10))
	}
	if r.Header[tierField] != nil {
		f.set(rules.ExactAge, strconv.FormatInt(s.entry.Age().Milliseconds(), 10))
		if at := s.restarted(); !at.IsZero() {
			f.set(rules.Restarted, strconv.FormatInt(time.Since(at).Milliseconds(), 10))
		}
	} else if s.entry.Live {
		f.bounded(s.entry, s.age)
	}
	resp := &a.response
	*resp = http.Response{
		Status: statusLine(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: f.header, Request: r, Body: http.NoBody,
	}
	switch status {
	case http.StatusNotModified, http.StatusPreconditionFailed:
		withoutContent(f.header)
		if status == http.StatusPreconditionFailed {
			withoutFreshness(f.header)
			f.set("Content-Length", "0")
		}
		return resp, nil
	case http.StatusRequestedRangeNotSatisfiable:
		withoutContent(f.header)
		withoutFreshness(f.header)
		f.set("Content-Range", "bytes */"+strconv.FormatInt(s.length, 10))
		f.set("Content-Length", "0")
		return resp, nil
	case http.StatusPartialContent:
		if s.part == nil {
			f.acceptRanges()
		}
		resp.ContentLength = f.contentRange(off, end, s.length)
	case http.StatusOK:
		f.acceptRanges()
		fallthrough
	default:
		resp.ContentLength = s.length
	}
	if r.Method == http.MethodHead || resp.ContentLength == 0 {
		return resp, nil
	}
	var err error
	if s.fill != nil {
		a.body.ctx = r.Context()
		if !s.fill.show(&a.body, off, end, status == http.StatusPartialContent) {
			return nil, errMissed
		}
		resp.Body = &a.body
		return resp, nil
	}
	resp.Body, err = s.open(off, end, &a.body)
	return resp, err
}

// open returns the body of a whole response. v: the body if it comes from memory. The caller holds the source.
func (s *source) open(off, end int64, v *viewer) (io.ReadCloser, error) {
	v.ctx, v.sent = s.r.Context(), &s.t.count.storeBytes
	end = min(end, s.length)
	if s.entry.Sliced > 0 {
		return newSliced(s.t, s.r, s.key, s.entry, off, end)
	}
	switch b := s.entry.Body.(type) {
	case *fileBody:
		return b.reader(v.ctx, off, end, v.sent)
	case *body.Blob:
		b.Open(&v.part, off, end)
		return v, nil
	case *body.Lent:
		b.Open(&v.part, off, end)
		return v, nil
	default:
		src := io.NewSectionReader(b, off, end-off)
		return &readerAtBody{limited: limited{ctx: v.ctx, left: end - off, sent: v.sent}, src: src}, nil
	}
}

func statusLine(status int) string {
	switch status {
	case http.StatusOK:
		return "200 OK"
	case http.StatusPartialContent:
		return "206 Partial Content"
	}
	return strconv.Itoa(status) + " " + http.StatusText(status)
}

// fields are the header of an answer while it is made. Its values are pieces of one array that cannot grow, because viewers may
// change theirs.
type fields struct {
	header http.Header
	room   []string // for more values
}

// ours is the number of fields added to every answer; ofARange is the number a 206 needs besides.
const (
	ours     = 3
	ofARange = 2
)

// newFields copies the header of an Entry, into room if that is large enough.
func newFields(h http.Header, room []string) fields {
	if cap(room) < len(h)+ours {
		room = make([]string, 0, len(h)+ours)
	}
	f := fields{make(http.Header, len(h)+ours), room}
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

// bounded limits the freshness that viewers of a live playlist are told to ours, if its origin has promised more. aged: the
// answer has an Age, which viewers subtract.
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
	}
	var room [96]byte
	show := strconv.AppendInt(append(room[:0], "bytes "...), off, 10)
	show = strconv.AppendInt(append(show, '-'), last, 10)
	if show = append(show, '/'); length >= 0 {
		show = strconv.AppendInt(show, length, 10)
	} else {
		show = append(show, '*')
	}
	n := len(show)
	both := string(strconv.AppendInt(show, end-off, 10)) // one string costs half of two
	f.set("Content-Range", both[:n])
	if open {
		delete(f.header, "Content-Length")
		return -1
	}
	f.set("Content-Length", both[n:])
	return end - off
}

// withoutContent removes the fields that describe content that is not sent (RFC 9110 section 15.4.5).
func withoutContent(h http.Header) {
	for _, name := range [...]string{"Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Content-Range"} {
		delete(h, name)
	}
}

// withoutFreshness removes fields that would let a cache store a refusal in place of the content: 412 and 416 concern one
// request alone.
func withoutFreshness(h http.Header) {
	for _, name := range [...]string{"Cache-Control", "Cdn-Cache-Control", "Surrogate-Control", "Expires", "Age"} {
		delete(h, name)
	}
}
