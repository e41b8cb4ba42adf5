package cache

import (
	"fmt"
	"net/http"
	"path"
	"strings"
)

// sane refuses answers that are none to a plain GET, before anyone sees them.
func sane(resp *http.Response) error {
	switch {
	case resp.StatusCode == http.StatusPartialContent, resp.StatusCode == http.StatusNotModified,
		resp.StatusCode == http.StatusRequestedRangeNotSatisfiable, resp.StatusCode == http.StatusPreconditionFailed:
		resp.Body.Close()
		return &fault{ErrBroken, fmt.Errorf("unasked status %d", resp.StatusCode)}
	}
	return nil
}

// private tells whether an answer is for the one who asked alone: because it says so, or because it may be a key, and
// then who asks for it must be known to the origin (draft-pantos-hls-rfc8216bis-22 section 12).
func private(urlPath string, resp *http.Response, c control) bool {
	if c.noStore || c.private || resp.Header["Set-Cookie"] != nil {
		return true
	}
	return resp.StatusCode == http.StatusOK && keyLike(urlPath, resp.Header, resp.ContentLength)
}

// keyLike recognises decryption keys: AES-128 and AES-256 keys are exactly that long, and nothing else that a player
// fetches is, unless its name or type says so.
func keyLike(urlPath string, h http.Header, length int64) bool {
	if strings.EqualFold(path.Ext(urlPath), ".key") {
		return true
	}
	if length != 16 && length != 32 || namedMedia(urlPath) || namedPlaylist(urlPath) {
		return false
	}
	t := mediaType(h)
	return t == "" || t == "application/octet-stream" || t == "binary/octet-stream" || strings.HasPrefix(t, "text/plain") ||
		t == "application/pgp-keys"
}

// endless recognises streams that go on as long as their viewer likes.
func endless(resp *http.Response) bool {
	if resp.ContentLength >= 0 {
		return false
	}
	t := mediaType(resp.Header)
	return t == "video/x-flv" || t == "multipart/x-mixed-replace" || t == "text/event-stream" || resp.Header["Icy-Metaint"] != nil
}

// mediaType is the Content-Type in lower case and without parameters.
func mediaType(h http.Header) string {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// hopFields concern one connection only (RFC 9110 section 7.6.1).
var hopFields = [...]string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

// storable copies the fields of an answer that may be kept (RFC 9111 section 3.1).
func storable(h http.Header) http.Header {
	out := h.Clone()
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			delete(out, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	for _, name := range hopFields {
		delete(out, name)
	}
	delete(out, "Age")
	delete(out, exactAgeField)
	return out
}
