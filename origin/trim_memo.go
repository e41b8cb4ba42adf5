package origin

import (
	"crypto/sha256"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/hlsproxy/hlsproxy/internal/coding"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
)

// cutoff is the result of a Prefix for one version of a body.
type cutoff struct {
	drop        int64
	contentType string      // "": the origin's
	size        int64       // of the body with its prefix; may be httprange.Unknown
	raw         http.Header // the origin's validators and Date
}

func newCutoff(drop int64, contentType string, size int64, h http.Header) cutoff {
	raw := http.Header{}
	for _, name := range [...]string{"Etag", "Last-Modified", "Date"} {
		if v := h.Get(name); v != "" {
			raw[name] = []string{v}
		}
	}
	return cutoff{drop: drop, contentType: contentType, size: size, raw: raw}
}

// changes reports whether anything differs from what the origin sent.
func (c cutoff) changes() bool { return c.drop > 0 || c.contentType != "" }

// tag is the entity tag of the body without the prefix. It differs from the origin's, because the bytes differ.
func (c cutoff) tag() string {
	raw := c.raw.Get("Etag")
	if c.drop == 0 || raw == "" {
		return raw
	}
	if !httprange.ValidETag(raw) {
		return ""
	}
	return strings.TrimSuffix(raw, `"`) + ";" + strconv.FormatInt(c.drop, 10) + `"`
}

// validators are the fields that a viewer's condition is compared with.
func (c cutoff) validators() http.Header {
	h := c.raw.Clone()
	c.setTag(h)
	return h
}

func (c cutoff) setTag(h http.Header) {
	if tag := c.tag(); tag != "" {
		h["Etag"] = []string{tag}
	} else if c.drop > 0 {
		delete(h, "Etag")
	}
}

// dress turns a header into that of the body without its prefix, except for its length.
func (c cutoff) dress(h http.Header) {
	if c.contentType != "" {
		h["Content-Type"] = []string{c.contentType}
	}
	if c.drop == 0 {
		return
	}
	c.setTag(h)
	for _, name := range [...]string{"Content-Md5", "Content-Digest", "Repr-Digest", "Digest"} {
		delete(h, name)
	}
}

// isOf reports whether an answer is of the same version. Without a validator, only the length is compared.
func (c cutoff) isOf(h http.Header) bool {
	if h.Get("Etag") != c.raw.Get("Etag") {
		return false
	}
	now, then := h.Get("Last-Modified"), c.raw.Get("Last-Modified")
	return now == then || c.raw.Get("Etag") != "" && (now == "" || then == "")
}

var errUnsure = errors.New("the whole is needed")

// shift turns a range of the viewer into one of the origin's body. The error is httprange.ErrUnsatisfiable, or another if the
// whole must be sent.
func (c cutoff) shift(s httprange.Spec) (httprange.Spec, error) {
	if c.size >= 0 {
		part, err := s.In(c.size - c.drop)
		return httprange.Spec{First: part.Start + c.drop, Last: part.End() - 1 + c.drop}, err
	}
	if s.First < 0 || max(s.First, s.Last) > math.MaxInt64-c.drop {
		return s, errUnsure
	}
	s.First += c.drop
	if s.Last >= 0 {
		s.Last += c.drop
	}
	return s, nil
}

// cut turns the origin's part into the viewer's. It returns false if the answer holds other bytes.
func (c cutoff) cut(resp *http.Response, asked httprange.Spec) bool {
	part, ok := httprange.ParseContentRange(resp.Header)
	if !ok || part.First != asked.First || asked.Last >= 0 && part.Last > asked.Last || part.Size >= 0 && c.size >= 0 && part.Size != c.size ||
		!c.isOf(resp.Header) || coding.Is(resp.Header) {
		return false
	}
	length := part.Length()
	part.First, part.Last = part.First-c.drop, part.Last-c.drop
	if part.Size >= 0 {
		part.Size -= c.drop
	}
	c.dress(resp.Header)
	resp.Header["Content-Range"] = []string{part.String()}
	setLength(resp, length)
	resp.Body = httprange.Exact(resp.Body, length)
	return true
}

// ask translates the conditions of a viewer for the origin. It can do so only for conditions on the known version; all others
// are evaluated against the origin's answer. It reports whether it did.
func (c cutoff) ask(viewer, out http.Header) bool {
	if len(viewer["If-Match"]) > 0 || len(viewer["If-Unmodified-Since"]) > 0 {
		return false
	}
	lines, tag, date := viewer["If-None-Match"], c.tag(), c.raw.Get("Last-Modified")
	switch {
	case len(lines) > 0 && tag != "" && httprange.Lists(lines, tag, httprange.SameWeak):
		out["If-None-Match"] = c.raw["Etag"]
		return true
	case len(lines) == 0 && tag == "" && date != "" && viewer.Get("If-Modified-Since") == date:
		out["If-Modified-Since"] = c.raw["Last-Modified"]
		return true
	}
	return false
}

// setLength sets the length in both places. httprange.Unknown: none.
func setLength(resp *http.Response, n int64) {
	resp.ContentLength = n
	delete(resp.Header, "Content-Length")
	if n >= 0 {
		resp.Header["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	}
}

// cutoffs remembers the last version for each of the last few thousand URLs.
type cutoffs struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]cutoff
}

const (
	cutoffsHalf  = 2048
	maxValidator = 256 // bytes; a longer one is not remembered
)

func cutoffKey(r *http.Request) [sha256.Size]byte {
	return sha256.Sum256([]byte(r.Host + "\n" + r.URL.String()))
}

func (m *cutoffs) get(r *http.Request) (cutoff, bool) {
	key := cutoffKey(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.young[key]
	if !ok {
		if c, ok = m.old[key]; ok {
			m.add(key, c)
		}
	}
	return c, ok
}

// put remembers a version, if it has a validator.
func (m *cutoffs) put(r *http.Request, c cutoff) {
	etag, modified := c.raw.Get("Etag"), c.raw.Get("Last-Modified")
	if etag == "" && modified == "" || len(etag) > maxValidator || len(modified) > maxValidator {
		return
	}
	key := cutoffKey(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(key, c)
}

func (m *cutoffs) add(key [sha256.Size]byte, c cutoff) {
	if m.young == nil || len(m.young) >= cutoffsHalf {
		m.old, m.young = m.young, make(map[[sha256.Size]byte]cutoff)
	}
	m.young[key] = c
}
