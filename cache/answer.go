package cache

import (
	"errors"
	"math"
	"net/http"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// The Cache-Status (RFC 9211) of each way that an answer can take.
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

// named is a Cache-Status with the name of t in place of the usual one: a token, or else a string (RFC 9211 section 2).
func (t *Transport) named(status string) string {
	switch {
	case t.Name == "":
		return status
	case status != statusHit:
		return structured(t.Name) + status[len(cacheName):]
	}
	t.hitOnce.Do(func() { t.hitNamed = structured(t.Name) + statusHit[len(cacheName):] })
	return t.hitNamed
}

// source is what an answer is made of: an Entry that is whole, or a fill with what it knows so far.
type source struct {
	entry  *Entry
	fill   *fill // nil: whole
	length int64 // -1: not known yet
	status string
	age    bool
	own    *reply // to make the answer of, with its entry; nil: that may be others' as well
	key    string // of entry, to find its slices by
	part   *slice // entry is this slice; nil: the whole
}

// serve answers with what was found in the Store; nil if it cannot: its memory was given to another meanwhile, or the
// first of its slices is not to be had.
func (t *Transport) serve(r *http.Request, have found, status string) *http.Response {
	e := have.entry
	if !borrow(e) {
		return nil
	}
	defer giveBack(e)
	s := source{entry: e, length: e.length(), status: status, age: true, own: have.own, key: have.key, part: have.part}
	resp, err := t.answer(r, s)
	if err != nil {
		return nil
	}
	return resp
}

// follow answers from a running fill, of which the caller holds a share.
func (t *Transport) follow(r *http.Request, part *slice, f *fill, joined bool) (*http.Response, error) {
	s := source{entry: f.entry, fill: f, length: f.body.Length(), status: f.how, age: (joined || f.aged) && !f.isDetached(), part: part}
	switch {
	case joined:
		s.status += "; collapsed"
	case f.promises():
		s.status += "; stored"
	}
	resp, err := (*http.Response)(nil), error(nil)
	if f.list && f.entry.Status == http.StatusOK {
		var whole *Entry
		if whole, err = f.awaitEnd(r.Context()); whole != nil {
			s.entry = whole
			if whole.Body != nil {
				s.length = whole.size()
			}
		}
	}
	if err == nil {
		resp, err = t.answer(r, s)
	}
	if err != nil || resp.Body == http.NoBody {
		f.leave(1)
	}
	return resp, err
}

// answer judges the conditions of r, in the order of RFC 9110 section 13.2.2, and makes the response.
func (t *Transport) answer(r *http.Request, s source) (*http.Response, error) {
	e := s.entry
	if p := s.part; p != nil {
		return t.respond(r, s, e.Status, p.from, p.to)
	}
	if e.Status != http.StatusOK {
		return t.respond(r, s, e.Status, 0, math.MaxInt64)
	}
	if status := httprange.Precondition(r, e.Header); status != http.StatusOK {
		return t.respond(r, s, status, 0, 0)
	}
	want, ok := wanted(r, e.Header)
	if !ok {
		return t.respond(r, s, http.StatusOK, 0, math.MaxInt64)
	}
	if s.length < 0 {
		if want.First > 0 && want.Last < 0 && t.channels.isHinted(s.fill.o.primary) {
			want.Last = httprange.VeryLast // a part that grows, of which the playlist names the beginning only
		}
		length, err := s.fill.learn(r.Context(), want)
		if err == errOutgrown {
			return t.respond(r, s, http.StatusOK, 0, math.MaxInt64)
		}
		if err != nil {
			return nil, err
		}
		s.length = length
	}
	off, end, status := within(want, s.length)
	return t.respond(r, s, status, off, end)
}

func isUnsupported(err error) bool { return errors.Is(err, http.ErrNotSupported) }

// structured is a name as a structured field has it: a token (RFC 9651 section 3.3.4), or else a string.
func structured(name string) string {
	token := strings.IndexFunc(name, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~:/", c))
	}) < 0 && strings.ContainsAny(name[:1], "*abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
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
