package cache

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
	"github.com/hlsproxy/hlsproxy/internal/maker"
)

// sane refuses answers that cannot belong to a plain GET, before anyone sees them.
func sane(resp *http.Response) error {
	switch {
	case !httprange.MakeWhole(resp), resp.StatusCode < 200, resp.StatusCode > 999, resp.StatusCode == http.StatusNotModified,
		resp.StatusCode == http.StatusRequestedRangeNotSatisfiable, resp.StatusCode == http.StatusPreconditionFailed:
		resp.Body.Close()
		return &fault{ErrBroken, fmt.Errorf("unasked status %d", resp.StatusCode)}
	}
	return nil
}

// isPrivate reports whether an answer is for its asker alone: because it says so, or because it may be a key. The origin of a
// key must know each client that asks for it (draft-pantos-hls-rfc8216bis-22 section 12).
func (o *flight) isPrivate(resp *http.Response, c rules.Control) bool {
	if o.isPersonal(c, resp.Header, resp.Header) || resp.StatusCode >= 300 && resp.Header["Set-Cookie"] != nil {
		return true
	}
	return resp.StatusCode == http.StatusOK && keyLike(o.req.URL.Path, resp.Header, resp.ContentLength)
}

// isPersonal reports whether an answer says that it is for its asker alone. sent is the header that came, and h is that of the
// whole answer: a 304 does not repeat all fields.
func (o *flight) isPersonal(c rules.Control, sent, h http.Header) bool {
	return c.NoStore || c.Private || sent["Set-Cookie"] != nil && !o.forAll(h)
}

// forAll reports whether an answer with the header h is for everybody although it sets a cookie: a segment or a playlist whose
// request said nothing about the viewer. See Transport.PerViewer.
func (o *flight) forAll(h http.Header) bool {
	return o.anonymous && !maker.WantsCookies(o.req) && (o.isMedia(h) || hls.IsPlaylist(h.Get("Content-Type"), o.req.URL.Path))
}

// isMedia goes by the name and type of an answer, and by what playlists of its own host name. A playlist of another host may be
// anybody's: it must not turn a private answer into a shared one.
func (o *flight) isMedia(h http.Header) bool {
	return hls.ByType(h.Get("Content-Type")).IsMedia() || hls.ByName(o.req.URL.Path).IsMedia() || o.t.channels.own.has(o.primary, namedFor)
}

// varyOf returns the fields of r that an answer with the header h varies by. Credentials of a link's maker are not among them:
// the key holds a digest of them already, while these fields are stored in full.
func varyOf(h http.Header, r *http.Request) (fields http.Header, ok bool) {
	return rules.VaryOf(h, r.Header, append(viewerFields[:len(viewerFields):len(viewerFields)], maker.Credentials(r)...))
}

// varyOf returns the request fields that an answer with the header h varies by, as they were sent. ok is false if the answer
// varies by more than fields.
func (o *flight) varyOf(h http.Header) (fields http.Header, ok bool) {
	fields, ok = varyOf(h, o.req)
	if _, byPlayer := fields["User-Agent"]; byPlayer && o.anonymous && o.isMedia(h) {
		if delete(fields, "User-Agent"); len(fields) == 0 {
			fields = nil
		}
	}
	return fields, ok
}

// longestKey is the length of an AES-256 key; an AES-128 key has half of it.
const longestKey = 32

// keyLike recognises decryption keys: AES-128 and AES-256 keys have exactly these lengths. Nothing else that a player fetches
// has, unless its name or type says what it is. Scripts that deliver keys often label them as a web page.
func keyLike(urlPath string, h http.Header, length int64) bool {
	name, label := hls.ByName(urlPath), hls.ByType(h.Get("Content-Type"))
	switch {
	case name == hls.Key:
		return true
	case length != longestKey/2 && length != longestKey:
		return false
	}
	return !name.IsMedia() && name != hls.Playlist && !label.IsMedia() && label != hls.Playlist
}

// streamed recognises bodies that are made while they are sent, and so are out of date when they are whole.
func streamed(resp *http.Response) bool {
	return resp.ContentLength < 0 && hls.Essence(resp.Header.Get("Content-Type")) == "video/x-flv"
}

// endless recognises streams that go on as long as their viewer stays, and that nobody else can join.
func endless(resp *http.Response) bool {
	if resp.ContentLength >= 0 {
		return false
	}
	t := hls.Essence(resp.Header.Get("Content-Type"))
	return t == "multipart/x-mixed-replace" || t == "text/event-stream" || resp.Header["Icy-Metaint"] != nil
}

// leadsToMedia recognises the redirect of a segment. Object stores use it to give each request a freshly signed URL. It is for
// everybody if the request said nothing about the viewer.
func (o *flight) leadsToMedia(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect:
		return o.anonymous && o.t.TTL == nil && o.isMedia(resp.Header)
	}
	return false
}

// newEntry makes an Entry of the header of an answer.
func newEntry(o *flight, resp *http.Response, vary http.Header) *Entry {
	if resp.Header["Date"] == nil {
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat)) // RFC 9110 section 6.6.1
	}
	e := &Entry{
		URL: o.req.URL.String(), Status: resp.StatusCode, Header: rules.Storable(resp.Header), Vary: vary,
	}
	e.arrived(resp.Header, o.asked)
	delete(e.Header, "Set-Cookie") // a shared answer sets no cookie
	if resp.ContentLength >= 0 {
		e.Header["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	} else {
		delete(e.Header, "Content-Length")
	}
	return e
}

// keepable reports whether an answer with this status may be stored: success, "not found", and any other that has a lifetime
// from the origin (RFC 9111 section 3), but never a server error. All others are shared only while they arrive.
func keepable(resp *http.Response, c rules.Control) bool {
	switch status := resp.StatusCode; {
	case status == http.StatusOK, httpstatus.IsMissing(status):
		return true
	case status >= http.StatusInternalServerError, c.MustUnderstand && http.StatusText(status) == "":
		return false
	}
	said, ok := c.Lifetime(resp.Header)
	return ok && said > 0
}
