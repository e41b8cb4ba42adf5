package cache

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
)

// Slice is a piece of a body that is too long to be kept in one. It is for a Base that spreads slices over several caches, and
// asks them with RoundTripSlice.
type Slice struct {
	// Off and End are where it lies in the whole, and Length is how long that is, in bytes.
	Off, End, Length int64
	// Header has the fields of the whole that tell its version and for whom it is: ETag, Last-Modified, Date and Vary.
	Header http.Header
}

// ErrChanged: a slice cannot be had since the origin has another version of the whole by now. HTTPStatus is 502.
var ErrChanged = errors.New("cache: the slice is not of the body it was asked for")

// versionFields are those of a whole that its slices are compared with.
var versionFields = [...]string{"Etag", "Last-Modified", "Date", "Vary"}

type sliceKey struct{}

// SliceOf tells whether a request that a Transport sends to Base is for a slice, and for which.
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

// with is a context that SliceOf finds the slice in.
func (s *slice) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, sliceKey{}, s)
}

// RoundTripSlice answers with one slice, from the Store, from a running fill, or by asking Base. r is the request that
// another Transport has sent to its Base, and s what SliceOf said of it. The answer is a 206 with all of the slice, and is
// known to be of the version that s tells; else the error is an ErrChanged.
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

// IsSliced tells whether the body of an answer is put together of slices while it is read. Each costs a question, where it is
// not in the Store: a caller that only wants to know the header had better not read on.
func IsSliced(resp *http.Response) bool {
	_, ok := resp.Body.(*sliced)
	return ok
}

// key is that of the slice, if that of the whole is given.
func (s *slice) key(whole string) string {
	name, value := rules.Strong(s.head.Header)
	return whole + ofPart + "slice\x00" + name + "\x00" + value + "\x00" +
		strconv.FormatInt(s.head.Sliced, 10) + "\x00" + strconv.FormatInt(s.off/sliceSize, 10)
}

// shown is the Content-Range of the slice.
func (s *slice) shown() string {
	return "bytes " + strconv.FormatInt(s.off, 10) + "-" + strconv.FormatInt(s.end-1, 10) + "/" + strconv.FormatInt(s.head.Sliced, 10)
}
