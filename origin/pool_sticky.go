package origin

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// originField is where a pool tells a [Proxy], through a cache between them, which origin an answer came from.
const originField = "Hlsproxy-Origin"

const markBytes = 9

// markOf names an origin to viewers. Without the secret nobody can make one, or learn from one where the origin is; nodes that
// share it give the same origin the same mark.
func markOf(secret []byte, base string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(base))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:markBytes])
}

func isOriginMark(s string) bool {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && len(b) == markBytes
}

// publish puts a set in place. Those of its members that are new get their marks.
func (p *Pool) publish(s *set) {
	for _, m := range s.members {
		if p.sticky != nil && m.mark == "" {
			m.mark = markOf(p.sticky, m.base)
		}
	}
	p.set.Store(s)
}

// sticky is a mark on its way: from a public URL to the pool, and from an answer to the URLs of its children.
type sticky struct{ param, mark string }

type stickyKey struct{}

func stickyOf(ctx context.Context) sticky {
	s, _ := ctx.Value(stickyKey{}).(sticky)
	return s
}

// unstick takes the mark off the URL of a request, so that neither Upstream nor a cache sees it.
func unstick(r *http.Request, param string) *http.Request {
	s, u := sticky{param: param}, *r.URL
	u.RawQuery, s.mark = cutParam(r.URL.RawQuery, param)
	if !isOriginMark(s.mark) {
		s.mark = ""
	}
	r = r.WithContext(context.WithValue(r.Context(), stickyKey{}, s))
	r.URL = &u
	return r
}

// cutParam removes a parameter from a query and leaves all else as it is. Of several values the last one counts.
func cutParam(query, param string) (rest, value string) {
	if !strings.Contains(query, param+"=") {
		return query, ""
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if v, ok := strings.CutPrefix(pair, param+"="); ok {
			value = v
		} else {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&"), value
}

// stickTo lets the hooks of ModifyResponse know which origin an answer came from.
func stickTo(resp *http.Response) {
	s := stickyOf(resp.Request.Context())
	if mark := resp.Header.Get(originField); s.param != "" && isOriginMark(mark) {
		s.mark = mark
		resp.Request = resp.Request.WithContext(context.WithValue(resp.Request.Context(), stickyKey{}, s))
	}
}

// Stick appends to a public URL in a playlist the mark of the origin that the playlist came from, so that what it names is
// asked of the same one. It has the shape of a hook that extends such URLs; let it come before one that signs them. ctx is
// that of the response's request. Without [Proxy.Sticky], or if a playlist is of no pool with [PoolConfig.Sticky], the URL
// stays as it is. It appends to public, and never fails.
func Stick(ctx context.Context, public []byte) ([]byte, error) {
	s := stickyOf(ctx)
	if s.param == "" || s.mark == "" {
		return public, nil
	}
	at := bytes.IndexByte(public, '#')
	if at < 0 {
		at = len(public)
	}
	fragment := string(public[at:])
	separator := "?"
	if bytes.IndexByte(public[:at], '?') >= 0 {
		separator = "&"
	}
	return append(public[:at], separator+s.param+"="+s.mark+fragment...), nil
}
