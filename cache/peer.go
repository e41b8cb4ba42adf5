package cache

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

// Slice is a piece of a body that is too long to be kept in one. A Base that spreads slices over several caches asks them with
// RoundTripSlice.
type Slice struct {
	// Off and End are its bounds in the whole, and Length is the length of the whole, in bytes.
	Off, End, Length int64
	// Header has the fields of the whole that identify its version and its audience: ETag, Last-Modified, Date and Vary.
	Header http.Header
}

// ErrChanged: the origin now has another version of the whole, so the slice cannot be fetched. HTTPStatus is 502.
var ErrChanged = errors.New("cache: the slice is not of the body it was asked for")

// versionFields are the fields of a whole that are compared with those of its slices.
var versionFields = [...]string{"Etag", "Last-Modified", "Date", "Vary"}

type sliceKey struct{}

// SliceOf reports whether a request that a Transport sends to Base is for a slice, and returns that slice.
func SliceOf(r *http.Request) (s Slice, ok bool) {
	part, ok := r.Context().Value(sliceKey{}).(*slice)
	if !ok {
		return Slice{}, false
	}
	s = Slice{Off: part.off, End: part.end, Length: part.head.Sliced, Header: http.Header{}}
	for _, name := range versionFields {
		if v := part.head.Header[name]; v != nil {
			s.Header[name] = v
		}
	}
	return s, true
}

// with returns a context in which SliceOf finds the slice.
func (s *slice) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, sliceKey{}, s)
}

// RoundTripSlice answers with one slice: from the Store, from a running fill, or by asking Base. r is the request that another
// Transport has sent to its Base, and s is what SliceOf returned for it. The answer is a 206 with the whole slice, in the
// version that s names. If there is no such slice, the error is an ErrChanged.
func (t *Transport) RoundTripSlice(r *http.Request, s Slice) (*http.Response, error) {
	head := &Entry{URL: r.URL.String(), Header: s.Header, Sliced: s.Length}
	name, _ := rules.Strong(s.Header)
	vary, ok := varyOf(s.Header, r)
	if !ok || name == "" || s.Off < 0 || s.Off%sliceSize != 0 || s.Off >= s.Length || s.End != min(s.Off+sliceSize, s.Length) || !shareable(r) {
		return nil, &fault{ErrBroken, errors.New("no slice")}
	}
	key, err := t.key(r)
	if err != nil {
		return nil, err
	}
	if head.Vary = vary; vary != nil {
		key = variant(key, vary, r.Header)
	}
	part := &slice{head: head, off: s.Off, end: s.End, to: s.End - s.Off}
	q := r.WithContext(r.Context())
	q.Method, q.Header = http.MethodGet, fillHeader(r)
	resp, err := t.slice(q, part.key(key), part)
	if err != nil {
		return nil, err
	}
	resp.Request = r
	resp.Header.Set("Content-Range", part.shown())
	return resp, nil
}

// IsSliced reports whether the body of an answer is put together from slices while it is read. Each slice that is not in the
// Store costs a request: a caller that needs only the header should not read the body.
func IsSliced(resp *http.Response) bool {
	_, ok := resp.Body.(*sliced)
	return ok
}

// key is the key of the slice; whole is the key of the whole.
func (s *slice) key(whole string) string {
	name, value := rules.Strong(s.head.Header)
	return whole + ofPart + "slice\x00" + name + "\x00" + value + "\x00" +
		strconv.FormatInt(s.head.Sliced, 10) + "\x00" + strconv.FormatInt(s.off/sliceSize, 10)
}

// shown is the Content-Range of the slice.
func (s *slice) shown() string {
	return "bytes " + strconv.FormatInt(s.off, 10) + "-" + strconv.FormatInt(s.end-1, 10) + "/" + strconv.FormatInt(s.head.Sliced, 10)
}
