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

// originField tells a [Proxy], through a cache in between, which origin an answer came from. A pool sets it.
const originField = "Hlsproxy-Origin"

const markBytes = 9

// markOf names an origin to viewers. Without the secret a mark can be neither forged nor traced to an origin. Nodes with the
// same secret give the same origin the same mark.
func markOf(secret []byte, base string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(base))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:markBytes])
}

func isOriginMark(s string) bool {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && len(b) == markBytes
}

// sticky is a mark under way: from a public URL to the pool, and from an answer to the URLs in it.
type sticky struct{ param, mark string }

type stickyKey struct{}

func stickyOf(ctx context.Context) sticky {
	s, _ := ctx.Value(stickyKey{}).(sticky)
	return s
}

// unstick removes the mark from the URL of a request, so that neither Upstream nor a cache sees it.
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

// cutParam removes a parameter from a query and keeps the rest unchanged. If there are several values, the last counts.
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

// stickTo tells the hooks of ModifyResponse which origin an answer came from.
func stickTo(resp *http.Response) {
	s := stickyOf(resp.Request.Context())
	if mark := resp.Header.Get(originField); s.param != "" && isOriginMark(mark) {
		s.mark = mark
		resp.Request = resp.Request.WithContext(context.WithValue(resp.Request.Context(), stickyKey{}, s))
	}
}

// Stick appends the mark of a playlist's origin to a public URL in that playlist, so that requests for the URL go to the same
// origin. It is a hook that extends such URLs; put it before the hook that signs them. ctx is the context of the response's
// request. Without [Proxy.Sticky], or if the playlist does not come from a pool with [PoolConfig.Sticky], the URL does not
// change. Stick appends to public, and never fails.
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
