package cache

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/cache/internal/evict"
	"github.com/hlsproxy/hlsproxy/cache/internal/listing"
	"github.com/hlsproxy/hlsproxy/cache/internal/rules"
	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/internal/httprange"
	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
	"github.com/hlsproxy/hlsproxy/internal/maker"
)

// question is what the origin is asked. Its methods judge the answer: whether it may be shared and kept, for how long, and what
// it says about other answers.
type question struct {
	t            *Transport
	primary, key string        // of the URL, and of its variant
	part         *slice        // the slice that is requested; nil: the whole
	req          *http.Request // without the viewer's context, range and conditions
	anonymous    bool          // req tells nothing about its viewer
	restarted    time.Time     // when the encoder of this playlist began again, as another cache says; zero: it says nothing
}

// isAwaited reports whether an answer may take longer because a playlist hints at it. Anybody can write a playlist, so a hint
// means nothing for what was there already.
func (q *question) isAwaited(have *Entry) bool {
	return (have == nil || have.Status != http.StatusOK) && q.t.channels.isHinted(q.primary)
}

// sane refuses an answer that does not fit the request, before anyone sees it.
func (q *question) sane(resp *http.Response) error {
	switch {
	case q.part != nil:
		return q.part.check(q, resp)
	case !httprange.MakeWhole(resp), resp.StatusCode < 200, resp.StatusCode > 999, resp.StatusCode == http.StatusNotModified,
		resp.StatusCode == http.StatusRequestedRangeNotSatisfiable, resp.StatusCode == http.StatusPreconditionFailed:
		resp.Body.Close()
		return &fault{ErrBroken, fmt.Errorf("unasked status %d", resp.StatusCode)}
	}
	return nil
}

// isPrivate reports whether an answer is for its asker alone: because it says so, or because it may be a key. The origin of a
// key must know each client that asks for it (draft-pantos-hls-rfc8216bis-22 section 12).
func (q *question) isPrivate(resp *http.Response, c rules.Control) bool {
	if q.isPersonal(c, resp.Header, resp.Header) || resp.StatusCode >= 300 && resp.Header["Set-Cookie"] != nil {
		return true
	}
	return resp.StatusCode == http.StatusOK && keyLike(q.req.URL.Path, resp.Header, resp.ContentLength)
}

// isPersonal reports whether an answer says that it is for its asker alone. sent is the header that came, and h is that of the
// whole answer: a 304 does not repeat all fields.
func (q *question) isPersonal(c rules.Control, sent, h http.Header) bool {
	return c.NoStore || c.Private || sent["Set-Cookie"] != nil && !q.forAll(h)
}

// forAll reports whether an answer with the header h is for everybody although it sets a cookie: a segment or a playlist whose
// request said nothing about the viewer. See Transport.PerViewer.
func (q *question) forAll(h http.Header) bool {
	return q.anonymous && !maker.WantsCookies(q.req) && (q.isMedia(h) || hls.IsPlaylist(h.Get("Content-Type"), q.req.URL.Path))
}

// isMedia goes by the name and type of an answer, and by what playlists of its own host name. A playlist of another host may be
// anybody's: it must not turn a private answer into a shared one.
func (q *question) isMedia(h http.Header) bool {
	return hls.ByType(h.Get("Content-Type")).IsMedia() || hls.ByName(q.req.URL.Path).IsMedia() || q.t.channels.own.has(q.primary, namedFor)
}

// varyOf returns the fields of r that an answer with the header h varies by. Credentials of a link's maker are not among them:
// the key holds a digest of them already, while these fields are stored in full.
func varyOf(h http.Header, r *http.Request) (fields http.Header, ok bool) {
	return rules.VaryOf(h, r.Header, append(viewerFields[:len(viewerFields):len(viewerFields)], maker.Credentials(r)...))
}

// varyOf returns the request fields that an answer with the header h varies by, as they were sent. ok is false if the answer
// varies by more than fields.
func (q *question) varyOf(h http.Header) (fields http.Header, ok bool) {
	fields, ok = varyOf(h, q.req)
	if _, byPlayer := fields["User-Agent"]; byPlayer && q.anonymous && q.isMedia(h) {
		if delete(fields, "User-Agent"); len(fields) == 0 {
			fields = nil
		}
	}
	return fields, ok
}

// leadsToMedia recognises the redirect of a segment. Object stores use it to give each request a freshly signed URL. It is for
// everybody if the request said nothing about the viewer.
func (q *question) leadsToMedia(resp *http.Response) bool {
	return isPassing(resp.StatusCode) && q.anonymous && q.t.TTL == nil && q.isMedia(resp.Header)
}

// judge decides how long an answer is fresh and whether it is a live playlist. It returns that playlist.
func (q *question) judge(e *Entry) (list hls.Info, err error) {
	t := q.t
	e.TTL, e.Live = rules.Longest, false // a slice is valid as long as its whole is
	if q.part != nil {
		return list, nil
	}
	is := false
	if e.Status == http.StatusOK {
		list, is = lookAt(e)
	}
	if t.TTL == nil {
		e.TTL = e.ttl(list, is)
	} else if e.TTL, err = t.ttl(e); err != nil {
		return hls.Info{}, err
	}
	switch {
	case isPassing(e.Status):
		if t.TTL == nil && e.TTL < 0 && q.anonymous && q.isMedia(e.Header) && !rules.ParseControl(e.Header).NoStore {
			e.TTL = ttlMedia // while its target is there; see isFresh
		}
	case httpstatus.IsMissing(e.Status):
		if t.TTL == nil && e.TTL > ttlNamed && t.channels.named.has(q.primary, namedFor) {
			e.TTL = ttlNamed
		}
	case e.Status == http.StatusOK:
		if keyLike(q.req.URL.Path, e.Header, e.length()) {
			e.TTL = never // whatever the caller's TTL says
			list = hls.Info{}
			break
		}
		if !is && t.TTL == nil && e.TTL == 0 && t.channels.named.has(q.primary, namedFor) {
			e.TTL = e.namedTTL()
		}
		if !is || list.Multivariant {
			break
		}
		again := list.Ended() && !(list.VOD && list.MediaSequence == 0) && t.channels.wasLive(listOf(keyOf(q.primary, e)))
		e.Live = list.IsChannel() || again
		if again && t.TTL == nil && e.TTL > 0 {
			e.TTL = e.liveTTL(list, e.TTL, true)
		}
	}
	return list, nil
}

// notice takes in a new version of a playlist. If a live one shows that stored answers belong to an earlier programme, the
// origin is asked before they are served again. It is called before any viewer can see the end of the playlist.
func (q *question) notice(e *Entry, list hls.Info) (w watched) {
	if list.Segments+list.Parts == 0 || list.Multivariant {
		return w
	}
	v := version{info: list, partial: strings.Contains(e.URL, "_HLS_skip="), restarted: q.restarted}
	text, _, ok := open(e)
	if !ok || !q.t.reading.Read(text, e.URL, q.t.refs, func(p *listing.Playlist) { w = q.learn(e, p, &v) }) {
		v.partial = true // nobody knows what it names
	}
	if !e.Live {
		return w
	}
	if old := q.t.channels.next(listOf(keyOf(q.primary, e)), v); len(old) > 0 {
		q.t.channels.outdated.set(old)
		q.t.outdate(old)
	}
	return w
}

// learn remembers what a playlist names.
func (q *question) learn(e *Entry, p *listing.Playlist, v *version) watched {
	t, list := q.t, listOf(keyOf(q.primary, e))
	n := p.Names(func(u *url.URL) (string, error) { return scout{t}.Key(q.req, u) })
	v.keys = n.All
	t.channels.note(n)
	if t.leads() {
		t.ahead.Listed(scout{t}, q.req, list, p, v.info, v.partial)
	}
	return q.windowOf(list, e, p, v)
}

// windowOf is what the windows of a Memory learn about a new playlist. list is its key.
func (q *question) windowOf(list string, e *Entry, p *listing.Playlist, v *version) (w watched) {
	m := q.t.memory()
	if m == nil || q.t.Refs == nil || e.Status != http.StatusOK || p.Err != nil || v.partial {
		return w // a delta update names only a part of them (draft-pantos-hls-rfc8216bis-22 section 6.2.5.1)
	}
	w.list = list
	refs, all := p.All()
	most := m.windows.mostNames()
	if v.info.Ended() || !all || len(refs) > most || len(p.Text) >= most*nameWeight {
		return w
	}
	for _, ref := range refs {
		u, err := url.Parse(ref)
		if err != nil {
			continue
		}
		key, err := scout{q.t}.Key(q.req, u)
		if err != nil {
			return watched{}
		}
		w.names = append(w.names, evict.Hash(key))
	}
	return w
}

// isPassing recognises a redirect whose target is for now only.
func isPassing(status int) bool {
	return status == http.StatusFound || status == http.StatusSeeOther || status == http.StatusTemporaryRedirect
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
