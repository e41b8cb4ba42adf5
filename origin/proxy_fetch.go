package origin

import (
	"crypto/sha256"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/maker"
	"github.com/hlsproxy/hlsproxy/internal/wire"
)

// fetch is one request of a viewer on its way through upstream servers. Everything it needs is in one allocation.
type fetch struct {
	proxy  *Proxy
	viewer *http.Request
	client string // the viewer's name for limits
	via    string
	clock  upstreamContext
	url    url.URL         // the URL that Upstream returned
	body   watchedWriterTo // of the answer
	out    *viewer
	fixed  [5]string      // values of fields that every upstream request has, and every answer
	first  http.Request   // upstream
	sent   *http.Request  // the last upstream request
	resp   *http.Response // its answer in the end; nil: none

	entered bool // limits have admitted it
	whole   bool // the viewer's Range cannot be used
	get     bool // a HEAD that only a GET can answer
	one     bool // a HEAD that a GET for one byte answers
	session bool // a redirect has set a cookie that the link carries on
	lends   bool // the transport may fill the header of the viewer's answer
}

// answer returns the final answer of upstream, ready to be passed on.
func (f *fetch) answer(target *url.URL) (*http.Response, error) {
	wait := or(f.proxy.Wait, defaultWait)
	if isBlocking(target) && wait > 0 {
		wait = max(wait, headerLimit)
	}
	f.clock.wait(wait)
	defer f.clock.stop()
	f.get = isPlaylistPath(target) && f.proxy.ModifyResponse != nil
	resp, err := f.ask()
	if err != nil {
		return nil, err
	}
	if f.needsWhole(resp) {
		f.whole, f.get, f.one = true, f.proxy.ModifyResponse != nil, false
		drop(resp)
		if resp, err = f.follow(target); err != nil {
			return nil, err
		}
	}
	if err = f.mend(resp); err != nil {
		drop(resp)
		return nil, err
	}
	f.clock.header()
	return f.modify(resp, wait)
}

// mend corrects what an answer says about its body.
func (f *fetch) mend(resp *http.Response) error {
	err := f.checkPartial(resp)
	if err == nil {
		err = mendCoding(resp)
	}
	if err == nil {
		err = mendType(resp)
	}
	return err
}

// ask sends the first request.
func (f *fetch) ask() (*http.Response, error) {
	f.one = f.viewer.Method == http.MethodHead && !f.get && f.proxy.headless.has(f.url.Host)
	resp, err := f.find(&f.url)
	if err != nil {
		return nil, err
	}
	if f.one {
		return headOf(resp), nil
	}
	return f.insteadOfHead(resp)
}

// modify prepares an answer for the viewer. A hook may read the whole body, within a time limit for upstream.
func (f *fetch) modify(resp *http.Response, wait time.Duration) (*http.Response, error) {
	resp.Body = f.watch(resp.Body)
	if f.proxy.Sticky != "" {
		stickTo(resp)
	}
	if !f.out.lent.has(resp.Header) { // it was filled through Passes
		clean(resp.Header, f.proxy.expose)
	}
	if f.proxy.ModifyResponse == nil {
		return resp, nil
	}
	if wait > 0 {
		f.clock.total = max(wait, headerLimit)
	}
	modified := false
	defer func() {
		if !modified { // an error, or a panic that must break the connection
			resp.Body.Close()
		}
	}()
	err := f.proxy.modify(resp)
	f.clock.total, f.clock.deadline = 0, time.Time{}
	if err != nil {
		return nil, err
	}
	modified = true
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if resp.StatusCode < 200 || resp.StatusCode > 999 { // net/http would panic, or wait for another header
		resp.Body.Close()
		return nil, &statusError{status: http.StatusInternalServerError, text: "a hook set a status out of range"}
	}
	return resp, nil
}

// watch puts the idle limit on a body, however it is read.
func (f *fetch) watch(body io.ReadCloser) io.ReadCloser {
	f.body.watched = watched{body, &f.clock}
	if to, ok := body.(io.WriterTo); ok {
		f.body.to = to
		return &f.body
	}
	return &f.body.watched
}

// needsWhole reports whether an answer is a playlist although its path did not say so, and the request was one for media.
func (f *fetch) needsWhole(resp *http.Response) bool {
	media := resp.StatusCode == http.StatusPartialContent ||
		resp.StatusCode == http.StatusOK && f.viewer.Method == http.MethodHead && !f.get && f.proxy.ModifyResponse != nil
	return media && !f.whole && (isPlaylistType(resp.Header) || isPlaylistPath(f.sent.URL))
}

// follow sends the request and follows redirects, each with a round trip of its own.
func (f *fetch) follow(u *url.URL) (*http.Response, error) { return f.followFrom(u, true) }

// followFrom is follow from a URL on the host of the viewer's request or, if first is false, maybe on another.
func (f *fetch) followFrom(u *url.URL, first bool) (*http.Response, error) {
	hops := f.proxy.Redirects
	if hops == 0 {
		hops = defaultRedirects
	}
	allow := f.proxy.allow
	if !first {
		allow = f.proxy.abroad
	}
	var redirect *http.Response
	for {
		resp, err := f.send(u, f.header(u, allow, first), redirect)
		if err != nil || !isRedirect(resp) {
			return resp, err
		}
		next, err := location(resp, u, f.proxy.Downgrade)
		drop(resp)
		if err != nil {
			return nil, err
		}
		f.ignore(next)
		if hops--; hops < 0 {
			return nil, errRedirects
		}
		if !wire.SameOrigin(next, u) {
			allow, first = f.proxy.abroad, false // fields for the first host are not meant for another one
		}
		u, redirect = next, resp
	}
}

// send requests u. redirect is the answer that led there, nil for the first request.
func (f *fetch) send(u *url.URL, header http.Header, redirect *http.Response) (*http.Response, error) {
	method := f.viewer.Method
	if f.get || f.one {
		method = http.MethodGet
	}
	r := &f.first
	if f.sent != nil {
		r = new(http.Request)
	}
	*r = *(&http.Request{
		Method: method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Response: redirect,
	}).WithContext(&f.clock) // it allocates nothing here
	f.sent = r
	m := f.clock.maker
	f.lends = m == nil && f.proxy.Sticky == "" // the two want fields that do not reach the viewer
	resp, err := f.proxy.shared.RoundTrip(r)
	f.lends = false
	if err != nil {
		return nil, err
	}
	if m != nil {
		m.Received(u, resp.Header)
		f.session = f.session || isRedirect(resp) && resp.Header["Set-Cookie"] != nil && slices.Contains(m.Credentials(u), maker.SetCookie)
	}
	if resp.Request == nil {
		resp.Request = r
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	whole(resp)
	if resp.StatusCode < 200 || resp.StatusCode > 999 {
		drop(resp)
		return nil, &statusError{status: http.StatusBadGateway, text: "status out of range"}
	}
	return resp, nil
}

// drop closes an answer that is not needed. It reads a short body first, so that the connection can be reused.
func drop(resp *http.Response) {
	if 0 < resp.ContentLength && resp.ContentLength <= 4<<10 {
		_, _ = io.CopyN(io.Discard, resp.Body, resp.ContentLength)
	}
	resp.Body.Close()
}

var (
	errRedirects = &statusError{status: http.StatusBadGateway, text: "too many redirects"}
	errLocation  = &statusError{status: http.StatusBadGateway, text: "redirect leads nowhere"}
	errScheme    = &statusError{status: http.StatusBadGateway, text: "redirect to another scheme"}
)

func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// whole turns a redirect without a Location but with a body into a whole answer: players play such a body.
func whole(resp *http.Response) {
	if isRedirect(resp) && resp.Header.Get("Location") == "" && len(resp.Header["Location"]) <= 1 && resp.ContentLength != 0 {
		resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	}
}

// place is the target of a redirect, if it names only one, even if twice.
func place(resp *http.Response) (string, bool) {
	lines := resp.Header["Location"]
	if len(lines) == 0 || slices.ContainsFunc(lines, func(line string) bool { return line != lines[0] }) {
		return "", false
	}
	return lines[0], lines[0] != ""
}

// slashed is a reference with slashes for the backslashes in front of its query, as browsers read it.
func slashed(ref string) string {
	end := strings.IndexAny(ref, "?#")
	if end < 0 {
		end = len(ref)
	}
	if strings.IndexByte(ref[:end], '\\') < 0 {
		return ref
	}
	return strings.ReplaceAll(ref[:end], `\`, "/") + ref[end:]
}

// location is where a redirect of u leads: to http or https, but from https to http only if downgrade is true.
func location(resp *http.Response, u *url.URL, downgrade bool) (*url.URL, error) {
	where, ok := place(resp)
	if !ok {
		return nil, errLocation
	}
	next, err := u.Parse(sendable(slashed(where)))
	if err != nil {
		return nil, errLocation
	}
	if next.Scheme != "http" && next.Scheme != "https" || u.Scheme == "https" && next.Scheme != "https" && !downgrade {
		return nil, errScheme
	}
	if unfit(next) != "" {
		return nil, errLocation
	}
	next.Fragment, next.RawFragment = u.Fragment, u.RawFragment // RFC 9110 section 10.2.2
	return next, nil
}

// holds remembers, for each viewer, where playlists were found by redirect.
type holds struct {
	mu sync.Mutex
	at map[holdKey]hold
}

type holdKey [sha256.Size]byte

type hold struct {
	url   *url.URL
	until time.Time
}

const (
	maxHolds = 16 << 10 // targets that are remembered at a time
	maxHeld  = 4 << 10  // bytes of a target; a longer one is not remembered
	swept    = 64       // targets that put checks when there is no room
)

// get returns where a redirect led recently, or nil.
func (h *holds) get(key holdKey) *url.URL {
	h.mu.Lock()
	defer h.mu.Unlock()
	if it, ok := h.at[key]; ok && time.Now().Before(it.until) {
		u := *it.url
		return &u
	}
	return nil
}

// put remembers where a redirect led. Nil: forget it.
func (h *holds) put(key holdKey, u *url.URL, d time.Duration) {
	if u != nil {
		text, err := u.String(), error(nil)
		if u, err = url.Parse(text); err != nil || len(text) > maxHeld { // parts of u may lie in the text of a longer URL
			return
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if u == nil {
		delete(h.at, key)
		return
	}
	now := time.Now()
	if len(h.at) >= maxHolds {
		left := swept // a map begins anywhere
		for k, it := range h.at {
			if now.After(it.until) {
				delete(h.at, k)
			}
			if left--; left == 0 {
				break
			}
		}
		if len(h.at) >= maxHolds {
			return // viewers with a session keep it
		}
	}
	if h.at == nil {
		h.at = map[holdKey]hold{}
	}
	h.at[key] = hold{u, now.Add(d)}
}

// find follows redirects from u, or goes where they led this viewer recently.
func (f *fetch) find(u *url.URL) (*http.Response, error) {
	p := f.proxy
	if p.HoldRedirects <= 0 || !isPlaylistPath(u) {
		return f.follow(u)
	}
	key, err := f.holdKeyOf(u)
	if err != nil {
		return nil, err
	}
	if to := p.holds.get(key); to != nil {
		to.RawQuery = withDirectives(to.RawQuery, u.RawQuery)
		resp, err := f.followFrom(to, wire.SameOrigin(to, u))
		if err != nil || !endsHold(resp.StatusCode) {
			return resp, err
		}
		p.holds.put(key, nil, 0)
		drop(resp)
	}
	resp, err := f.follow(u)
	if err == nil && resp.StatusCode == http.StatusOK && f.sent.Response != nil && !f.session {
		// Where a session has a cookie, a direct request would go without it.
		to := *f.sent.URL
		to.RawQuery = withDirectives(to.RawQuery, "")
		p.holds.put(key, &to, p.HoldRedirects)
	}
	return resp, err
}

// holdKeyOf is the digest of a playlist's URL and everything by which upstream can tell viewers apart. It omits directives,
// conditions and the state of the player, which change from reload to reload.
func (f *fetch) holdKeyOf(u *url.URL) (holdKey, error) {
	name, err := nameOf(f.viewer, f.proxy.Client)
	plain := *u
	plain.RawQuery = withDirectives(u.RawQuery, "")
	h := f.header(u, f.proxy.allow, true)
	names := make([]string, 0, len(h))
	for name := range h {
		if name != "Range" && name != "If-Range" && !slices.Contains(conditional, name) && !strings.HasPrefix(name, "Cmcd-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return sha256.Sum256([]byte(name + "\x00" + plain.String() + "\x00" + maker.Digest(h, names))), err
}

func endsHold(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return true
	}
	return false
}
