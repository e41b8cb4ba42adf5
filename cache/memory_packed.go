package cache

import (
	"encoding/binary"
	"net/http"
	"slices"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/body"
	"github.com/hlsproxy/hlsproxy/internal/sharing"
)

// packed is an Entry as Memory keeps it. A header becomes a map of slices only while somebody uses it: a map takes twice as
// much memory as everything else.
type packed struct {
	text   string     // the URL, if it differs from the key, and the fields
	body   *body.Blob // nil: none
	time   time.Time
	ttl    time.Duration
	sliced int64
	status int
}

// The first byte of a text says whether the URL follows, and whether the answer gets one field less or one more.
const (
	hasURL = 1 << iota
	hasAcceptRanges
	isLive
)

// pack is for entries without a body or with a Blob.
func pack(key string, e *Entry) packed {
	p := packed{time: e.Time, ttl: e.TTL, sliced: e.Sliced, status: e.Status}
	p.body, _ = e.Body.(*body.Blob)
	var room [512]byte
	b := room[:1]
	if e.URL != key {
		b[0] |= hasURL
		b = appendString(b, e.URL)
	}
	if _, ok := e.Header["Accept-Ranges"]; ok {
		b[0] |= hasAcceptRanges
	}
	if e.Live {
		b[0] |= isLive
	}
	b = appendHeader(b, e.Header)
	p.text = string(appendHeader(b, e.Vary))
	return p
}

// headerRoom is where the header of an answer is unpacked.
type headerRoom struct {
	more   int            // fields besides those of the entry and ours
	lender sharing.Lender // has the map of a fresh 200; nil: the map is made
}

// reply unpacks the entry for one answer.
func (p *packed) reply(key string, room headerRoom) *reply {
	a := &reply{entry: Entry{URL: key, Status: p.status, Time: p.time, TTL: p.ttl, Sliced: p.sliced}}
	if p.body != nil {
		a.entry.Body = p.body
	}
	t := unpacker(p.text[1:])
	if p.text[0]&hasURL != 0 {
		a.entry.URL = t.string()
	}
	room.more += ours
	if a.entry.Live = p.text[0]&isLive != 0; a.entry.Live {
		room.more++
	}
	if p.text[0]&hasAcceptRanges != 0 {
		room.more-- // a map of more than eight entries costs twice as much
	}
	if room.lender != nil && (p.status != http.StatusOK || p.sliced > 0 || !a.entry.fresh()) {
		room.lender = nil // the entry may outlive the answer: other requests are made from it
	}
	a.entry.lent = room.lender != nil
	a.entry.Header, a.room = t.header(room, a.values[:])
	a.entry.Vary, _ = t.header(headerRoom{}, nil)
	return a
}

// usual are field names that are stored as one byte.
var usual = [...]string{
	"", "Accept", "Accept-Language", "Accept-Ranges", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
	"Access-Control-Allow-Methods", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Age", "Alt-Svc",
	"Cache-Control", "Cache-Status", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
	"Content-Range", "Content-Type", "Date", "Etag", "Expires", "Last-Modified", "Location", "Origin", "Pragma", "Server",
	"Strict-Transport-Security", "Timing-Allow-Origin", "User-Agent", "Vary", "Via", "X-Amz-Cf-Id", "X-Amz-Cf-Pop",
	"X-Amz-Id-2", "X-Amz-Request-Id", "X-Cache", "X-Content-Type-Options", "X-Served-By", "X-Timer",
}

// appendHeader writes the number of fields (plus one, to tell an empty header from nil), the number of values, and then each
// field.
func appendHeader(b []byte, h http.Header) []byte {
	if h == nil {
		return append(b, 0)
	}
	values := 0
	for _, v := range h {
		values += len(v)
	}
	b = binary.AppendUvarint(b, uint64(len(h)+1))
	b = binary.AppendUvarint(b, uint64(values))
	for name, v := range h {
		if i, ok := slices.BinarySearch(usual[1:], name); ok {
			b = append(b, byte(i+1))
		} else {
			b = appendString(append(b, 0), name)
		}
		b = binary.AppendUvarint(b, uint64(len(v)))
		for _, one := range v {
			b = appendString(b, one)
		}
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// unpacker is the unread rest of a text.
type unpacker string

// header reads a header. It also returns an array for its values: all, if that is long enough.
func (t *unpacker) header(in headerRoom, all []string) (h http.Header, room []string) {
	fields := t.number()
	if fields == 0 {
		return nil, nil
	}
	if in.lender != nil {
		h = in.lender.Lend()
	}
	if h == nil {
		h = make(http.Header, fields-1+in.more)
	}
	if values := t.number() + in.more; all == nil || len(all) < values {
		all = make([]string, values)
	}
	for range fields - 1 {
		name := usual[(*t)[0]]
		if *t = (*t)[1:]; name == "" {
			name = t.string()
		}
		n := t.number()
		for i := range n {
			all[i] = t.string()
		}
		if in.lender == nil || in.lender.Passes(name) {
			h[name], all = all[:n:n], all[n:]
		}
	}
	return h, all[:0]
}

func (t *unpacker) string() string {
	n := t.number()
	s := string((*t)[:n])
	*t = (*t)[n:]
	return s
}

func (t *unpacker) number() int {
	n, shift := 0, 0
	for i := range len(*t) {
		c := (*t)[i]
		n |= int(c&0x7f) << shift
		if c < 0x80 {
			*t = (*t)[i+1:]
			break
		}
		shift += 7
	}
	return n
}

// weigh estimates what an Entry takes besides its body: the structures of this package, a place in a map, a place among the
// ghosts, and its strings.
func weigh(key string, p *packed) int64 {
	const item = 544
	return int64(item + len(key) + len(p.text))
}
