package origin

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
	"github.com/hlsproxy/hlsproxy/internal/ignored"
	"github.com/hlsproxy/hlsproxy/internal/waits"
)

// Proxy is an [http.Handler] that fetches what a viewer asks for from upstream and passes it on as it comes. It is not an HTTP
// proxy in the sense of RFC 9110 section 3.7 but a gateway: Upstream decides which URL a request means.
//
// It takes GET and HEAD and passes statuses on unchanged. It follows redirects itself, so that each goes through Transport like
// any other request and no Location reaches the viewer. It sends no cookies and no credentials. It passes on no header that
// would let an upstream server act in the name of the page's own domain. If a viewer leaves, the request upstream is cancelled.
// Informational answers and trailers are not passed on.
//
// If a request fails before the header, Proxy answers with a status of its own:
//
//   - 400: Upstream returned an error without a status, or an unusable URL.
//   - 403: the guard does not allow the target ([ForbiddenError]).
//   - 405: the method is neither GET nor HEAD.
//   - 500: a hook panicked, or set a status out of range.
//   - 502: no answer, a broken one, or a redirect that must not be followed (Redirects, Downgrade).
//   - 503: MaxRequests or MaxPerClient is reached.
//   - 504: no header in time (Wait).
//   - 508: the request has come through this Proxy before, or through ten of its kind.
//   - any other: an error of a hook or of Transport has a method HTTPStatus() int.
//
// If it fails after the header, Proxy breaks the connection (panic with [http.ErrAbortHandler]): the body never ends cleanly.
// Proxy adds itself to Via (RFC 9110 section 7.6.3), under a random name.
//
// Byte ranges: "bytes=0-", which many players always send, goes upstream as a plain GET, and so do lists of ranges. A playlist
// (a path that ends in .m3u8 or .m3u, or the Content-Type of one) is always fetched whole and answered with 200. Put a range
// handler around Proxy to cut whole answers.
//
// The fields must not change after first use, and a Proxy must not be copied after it. ServeHTTP may be called concurrently.
type Proxy struct {
	// Upstream returns the absolute http or https URL for a public URL. Required. An error with a method HTTPStatus() int
	// decides the status; any other is a 400. A fragment is not sent, but ModifyResponse sees it. Of the parameters that begin
	// with _HLS_, public has only those that the HLS draft defines, once each and with a valid value.
	Upstream func(public *url.URL) (string, error)
	// Transport sends the requests. Nil: the transport of a zero [Guard]. The Request of each Response must be the request that
	// Transport was given. Transport must not follow redirects, because Proxy does.
	Transport http.RoundTripper
	// ModifyResponse may change an answer before it is passed on. Nil: no change. Headers that are not passed on have already
	// been removed; headers it sets are passed on. resp.Request.URL is the URL after redirects, resp.Request.Response the last
	// redirect, if any, and resp.Request.Context() the viewer's. An error is answered like one of Transport. resp.Header may be
	// the map from which the viewer's header is sent: only its values may be used after ModifyResponse has returned.
	ModifyResponse func(*http.Response) error
	// ErrorHandler answers requests that failed before the header was sent. Nil: the status as plain text, with no-store. The
	// error may name hosts, so do not show it to the viewer; [Proxy.Status] returns the status.
	ErrorHandler func(http.ResponseWriter, *http.Request, error)
	// OnFailure is told why a request failed, before ErrorHandler is called, or why the body of an answer broke off. A viewer
	// who leaves is no failure. It is meant for logs: the error may name hosts, and the Detail of a [ForbiddenError] says which
	// field of the Guard would admit the target. It is called concurrently. Nil: refusals of the Guard and errors of 500 and
	// above, except those of a limit, go to package log.
	OnFailure func(*http.Request, error)
	// Header lists the request headers that are passed on. Nil: those that DefaultHeader returns: Accept, Range, If-Range,
	// If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since and User-Agent. Fields of the connection (RFC 9110
	// section 7.6.1) are never passed on. If a redirect leads to another host, that host gets only the listed names that
	// DefaultHeader has as well.
	Header []string
	// ResponseHeader lists response headers to pass on besides those about the content, its age and its caching. Nil: none.
	// Set-Cookie, Content-Security-Policy, CORS fields and fields of the connection are never passed on.
	ResponseHeader []string

	// Wait is how long the header of an answer may take, redirects included. 0: 10 s. Negative: no limit. A blocking playlist
	// reload (the directive _HLS_msn, draft-pantos-hls-rfc8216bis-22 section 6.2.5.2) may take at least 60 s. For slow origins
	// this is the only field to set: a cache.Transport below waits at least as long for a header, and a guarded transport up to
	// 10 minutes.
	Wait time.Duration
	// Idle is how long the upstream body may pause. 0: 10 s. Negative: no limit. Its total time has no limit. A cache.Transport
	// below waits at least as long between two reads of a shared body.
	Idle time.Duration
	// Stall is how long a viewer may read nothing. 0: 30 s. Negative: no limit. A viewer that has just read much may pause
	// three times as long. A viewer that reads 64 KiB within each Stall may go on for ever. Over HTTP/2 it ends one stream;
	// the server's HTTP2.WriteByteTimeout covers a client that no longer reads the whole connection.
	Stall time.Duration
	// MaxRequests is how many requests are answered at a time. More get a 503. 0: no limit.
	MaxRequests int64
	// MaxPerClient is how many requests of one client are answered at a time. More get a 503. 0: no limit.
	MaxPerClient int
	// Client names a client for MaxPerClient. Nil: the address of the connection, IPv6 by its /64.
	Client func(*http.Request) string

	// Rarely needed:

	// Forwarded tells the first host which client a request is for: it adds the address of the connection to Forwarded (RFC
	// 7239) and X-Forwarded-For, after their values in the request if Header lists them. It is useless below a cache that
	// shares answers.
	Forwarded bool
	// Sticky names the query parameter of public URLs in which [Stick] writes the origin of a [Pool]. It is removed before
	// Upstream sees the URL, and reaches no cache key and no origin. An unknown value is ignored. Empty: none is used, and all
	// parameters belong to upstream.
	Sticky string
	// Ignore lists query parameters, as they are spelled, that do not change any answer: those by which players get around
	// caches ("_", "cachebust"), and "CMCD" if the origin does not want it. They are removed from each URL before it is
	// requested, whether they come from a viewer, a playlist or a redirect. So a cache.Transport below sees one URL, and
	// viewers cannot use them to choose what others get. Do not list a parameter that an origin's own signature covers.
	// Directives (_HLS_) are never ignored. The Ignore of a sign.Config in front applies as well. Nil: none.
	Ignore []string
	// Downgrade also follows redirects from https to http. A URL with http in a playlist on https is fetched either way.
	Downgrade bool
	// HoldRedirects is how long Proxy remembers where a redirect of a playlist led, and asks there directly, for the same
	// viewer (as Client names it) with the same fields, except conditions and CMCD. An origin that opens a session with a
	// redirect then has one session for each viewer, not one for each reload. A 401, 403, 404 or 410 ends it at once. A
	// redirect that sets a cookie which the link carries on is followed each time. Zero: redirects are not remembered.
	HoldRedirects time.Duration
	// NoVia omits Via from upstream requests, for origins that refuse requests through a proxy. A request that goes in circles
	// is then recognised by the last Proxy with a Via on its way, if there is one.
	NoVia bool
	// Redirects is the maximum number of redirects followed. 0: 5. Negative: none. One more is a 502.
	Redirects int

	once   sync.Once
	shared http.RoundTripper
	mark   string
	ownVia string   // for requests that came through no other proxy
	allow  []string // the parsed Header
	abroad []string // those of allow that other hosts get as well
	expose []string // the parsed ResponseHeader
	limits limits

	headless recently // hosts that refuse HEAD
	holds    holds
}

const (
	defaultRedirects = 5
	defaultWait      = 10 * time.Second
	defaultIdle      = 10 * time.Second
)

func (p *Proxy) init() {
	p.shared = p.Transport
	if p.shared == nil {
		p.shared = new(Guard).Transport()
	}
	p.mark = newMark()
	p.ownVia = "1.1 " + p.mark
	p.allow = defaultHeader
	if p.Header != nil {
		p.allow = passable(p.Header)
	}
	p.abroad = slices.DeleteFunc(slices.Clone(p.allow), func(name string) bool { return !slices.Contains(defaultHeader, name) })
	p.expose = exposable(p.ResponseHeader)
	p.limits.init(p.MaxRequests, p.MaxPerClient)
}

// ServeHTTP answers r.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.once.Do(p.init)
	f := &fetch{proxy: p, viewer: r, out: viewers.Get().(*viewer)}
	f.out.ResponseWriter = w
	defer f.end()
	err := f.open(w)
	if err == nil {
		err = f.pass(w)
	}
	if err != nil {
		f.out.lent.takeBack()
		p.fail(w, r, err)
	}
}

// open finds an answer. It is a function of its own so that its frame is gone while the body is passed on: otherwise the chain
// and net/http's part would not fit into 8 KiB, and each viewer's goroutine would take 16.
func (f *fetch) open(w http.ResponseWriter) (err error) {
	p, r := f.proxy, f.viewer
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return &statusError{status: http.StatusMethodNotAllowed, text: "method not allowed"}
	}
	if f.client, err = p.limits.enter(r, p.Client); err != nil {
		return err
	}
	f.entered = true
	if f.via, err = p.via(r.Header); err != nil {
		return err
	}
	if p.Sticky != "" {
		f.viewer = unstick(r, p.Sticky)
	}
	target, err := f.target()
	if err != nil {
		return err
	}
	f.ignore(target)
	ctx := f.viewer.Context()
	ctx = ignored.With(ctx, p.Ignore)
	if p.Wait != 0 {
		ctx = waits.With(ctx, waitOf(p.Wait))
	}
	if p.Idle != 0 {
		ctx = waits.WithIdle(ctx, waitOf(p.Idle))
	}
	f.clock.begin(ctx, or(p.Idle, defaultIdle))
	f.clock.lender = f
	f.clock.alike = len(p.abroad) == len(p.allow) && !p.Forwarded
	resp, err := f.answer(target)
	if cause := f.clock.cause(); cause != nil {
		if err == nil {
			resp.Body.Close()
		}
		return cause // what ended the wait, not the "context canceled" that follows from it
	}
	f.resp = resp
	return err
}

// end releases everything that open has taken, however far it came, and even if the Close of a body panics.
func (f *fetch) end() {
	defer f.out.release()
	defer f.leave()
	defer f.clock.end()
	if f.resp != nil {
		f.resp.Body.Close()
	}
}

// leave gives back the place that limits have given.
func (f *fetch) leave() {
	if f.entered {
		f.proxy.limits.leave(f.client)
	}
}

// Status is the status of an error: its own if it has a method HTTPStatus() int, 504 for a timeout, otherwise 502.
func (p *Proxy) Status(err error) int {
	var bad *upstreamError
	if errors.As(err, &bad) {
		return httpstatus.Or(bad.err, http.StatusBadRequest)
	}
	return httpstatus.Or(err, http.StatusBadGateway)
}

func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		panic(http.ErrAbortHandler) // nobody is listening
	}
	p.report(r, err)
	if p.ErrorHandler != nil {
		p.ErrorHandler(w, r, err)
		return
	}
	status := p.Status(err)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	if after := retryAfter(err); after > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	} else if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintln(w, http.StatusText(status))
	}
}

func (p *Proxy) report(r *http.Request, err error) {
	switch {
	case errors.Is(r.Context().Err(), context.Canceled):
	case p.OnFailure != nil:
		p.OnFailure(r, err)
	case p.Status(err) >= http.StatusInternalServerError && !errors.Is(err, errBusy), errors.Is(err, ErrForbidden):
		log.Printf("origin: %s %q: %s", r.Method, shown(r.URL.Path), explain(err))
	}
}

func (p *Proxy) modify(resp *http.Response) (err error) {
	defer caught(&err)
	return p.ModifyResponse(resp)
}

func (p *Proxy) upstream(public *url.URL) (raw string, err error) {
	defer caught(&err)
	return p.Upstream(public)
}

// via is the Via header to send: the marks of proxies of this kind that the request came through, and our own. A request that
// came through this proxy before, or through too many, goes in circles.
func (p *Proxy) via(h http.Header) (string, error) {
	if len(h["Via"]) == 0 {
		return p.ownVia, nil
	}
	var marks []string
	for _, line := range h["Via"] {
		for hop := range strings.SplitSeq(line, ",") {
			_, by, _ := strings.Cut(strings.TrimSpace(hop), " ")
			by, _, _ = strings.Cut(strings.TrimSpace(by), " ")
			if !isMark(by) {
				continue // marks of others are of no concern to upstream
			}
			if by == p.mark || len(marks) == maxHops-1 {
				return "", &statusError{status: http.StatusLoopDetected, text: "request goes in circles"}
			}
			marks = append(marks, "1.1 "+by)
		}
	}
	return strings.Join(append(marks, p.ownVia), ", "), nil
}

// waitOf is a Wait in a form that can be compared: no limit is the largest.
func waitOf(d time.Duration) time.Duration {
	if d < 0 {
		return math.MaxInt64
	}
	return d
}

func or(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
