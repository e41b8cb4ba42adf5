package origin

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/httpstatus"
	"github.com/hlsproxy/hlsproxy/internal/ignored"
	"github.com/hlsproxy/hlsproxy/internal/waits"
)

// Proxy is an [http.Handler] that fetches what a viewer asks for from upstream and passes it on as it comes. It is not
// an HTTP proxy in the sense of RFC 9110 section 3.7 but a gateway: which URL a request means is up to Upstream.
//
// It takes GET and HEAD, passes statuses on as they are, and follows redirects itself, so that each goes through Transport
// like any other request and no Location reaches the viewer. It sends no cookies and no credentials, and passes no header
// on that would let an upstream server act in the name of the page's own domain. A viewer who leaves cancels the request
// upstream. Informational answers and trailers are not passed on.
//
// What goes wrong before the header is an answer of Proxy's own:
//
//   - 400: Upstream gave an error without a status, or a URL that cannot be asked for.
//   - 403: the guard does not allow the target ([ForbiddenError]).
//   - 405: the method is neither GET nor HEAD.
//   - 500: a hook panicked, or set a status out of range.
//   - 502: no answer, one that is broken, or a redirect that may not be followed (Redirects, Downgrade).
//   - 503: MaxRequests or MaxPerClient is reached.
//   - 504: no header in time (Wait).
//   - 508: the request has come through this Proxy already, or through ten of its kind.
//   - any other: the error of a hook or of Transport says so by a method HTTPStatus() int.
//
// What goes wrong after the header breaks the connection (panic with [http.ErrAbortHandler]): the body never ends cleanly.
// Proxy names itself in Via (RFC 9110 section 7.6.3), by a random mark.
//
// Byte ranges: "bytes=0-" is sent upstream as a plain GET, since many players put it on everything, and so are lists of
// ranges. A playlist (a path that ends in .m3u8 or .m3u, or the Content-Type of one) is always fetched whole and
// answered with 200. Put a range handler around Proxy that cuts what comes whole.
//
// The fields must not change after first use, and a Proxy must not be copied then. ServeHTTP may be called concurrently.
type Proxy struct {
	// Upstream gives the absolute http or https URL that a public URL stands for. Required. An error with a method
	// HTTPStatus() int decides the status, any other is a 400. A fragment is not sent, but ModifyResponse sees it. Of the
	// parameters that begin with _HLS_, the URL has those that the HLS draft defines, once each and with a value of their form.
	Upstream func(public *url.URL) (string, error)
	// Transport sends the requests. Nil: that of a zero [Guard]. What it returns must have the request that it was given
	// as Response.Request. Proxy follows redirects, so it must not.
	Transport http.RoundTripper
	// ModifyResponse may change an answer before it is passed on. Nil: none. Headers that are not passed on are gone by
	// then, and what it sets is passed on. resp.Request.URL is the URL after redirects, resp.Request.Response the last of
	// these, if any, and resp.Request.Context() the viewer's. An error is answered as one of Transport would be.
	ModifyResponse func(*http.Response) error
	// ErrorHandler answers what failed before the header was sent. Nil: the status as plain text, with no-store. The
	// error may name hosts, so do not show it to the viewer; [Proxy.Status] gives the status.
	ErrorHandler func(http.ResponseWriter, *http.Request, error)
	// OnFailure is told why a request got an error for an answer, before ErrorHandler is called, or why the body of its
	// answer broke off. A viewer who leaves is no failure. It is for logs: the error may name hosts, and the Detail of a
	// [ForbiddenError] says which field of the Guard would admit the target. Called concurrently. Nil: refusals of the Guard
	// and errors of 500 and above, other than that of a limit, go to package log.
	OnFailure func(*http.Request, error)
	// Header lists the request headers that are passed on. Nil: Accept, Range, If-Range, If-Match, If-None-Match,
	// If-Modified-Since, If-Unmodified-Since and User-Agent, which is what DefaultHeader returns. Fields of the
	// connection (RFC 9110 section 7.6.1) never are. Of these names, only those that are on the nil list as well go to
	// another host than the first when a redirect leads there.
	Header []string
	// ResponseHeader lists response headers that are passed on besides those that tell of the content, its age and its
	// caching. Nil: none. Set-Cookie, Content-Security-Policy, CORS fields and those of the connection never are.
	ResponseHeader []string

	// Wait is how long the header of an answer may take, redirects included. 0: 10 s. Negative: no limit. A blocking
	// playlist reload (the directive _HLS_msn, draft-pantos-hls-rfc8216bis-22 section 6.2.5.2) may take at least 60 s. It is
	// the one field to set for origins that take their time: a cache.Transport below waits no less for a header, and a
	// guarded transport up to 10 minutes.
	Wait time.Duration
	// Idle is how long the upstream body may pause. 0: 10 s. Negative: no limit. There is no limit to its total time. A
	// cache.Transport below waits no less for what it shares.
	Idle time.Duration
	// Stall is how long a viewer may take nothing of what is written to it. 0: 30 s. Negative: no limit. Over HTTP/2 it
	// ends a stream; a client that no longer reads the whole connection is up to the server's HTTP2.WriteByteTimeout.
	Stall time.Duration
	// MaxRequests are answered at a time; more get a 503. 0: no limit.
	MaxRequests int64
	// MaxPerClient are answered at a time for the same client; more get a 503. 0: no limit.
	MaxPerClient int
	// Client names a client for MaxPerClient. Nil: the address of the connection, IPv6 by its /64.
	Client func(*http.Request) string

	// Rarely needed:

	// Forwarded tells the first host which client a request is for: the address of the connection in Forwarded (RFC 7239) and
	// X-Forwarded-For, after what the request itself says there if Header lists these. Of no use below a cache that
	// shares answers.
	Forwarded bool
	// Sticky names a query parameter of public URLs in which [Stick] writes the origin of a [Pool] that a playlist came from.
	// It is taken off before Upstream sees the URL, reaches no cache key and no origin, and one that is unknown is as good
	// as none. Empty: there is none, and a parameter of any name belongs to upstream.
	Sticky string
	// Ignore lists query parameters, as they are spelled, that no answer depends on, such as those by which players get around
	// caches ("_", "cachebust"), and "CMCD" if the origin does not want it. They are taken off each URL before it is asked for,
	// whether a viewer, a playlist or a redirect has put them there, so that a cache.Transport below knows one URL, and nobody
	// chooses by them what others get. An origin whose own signature covers one of them must be sent it. Directives (_HLS_) are
	// never ignored. Those of a sign.Config in front are ignored as well. Nil: none.
	Ignore []string
	// Downgrade follows redirects from https to http as well. What a playlist on https names by http is fetched either way.
	Downgrade bool
	// HoldRedirects is for how long a playlist that was found by redirect is asked for where it was found, for the same viewer
	// (as Client names it) with the same fields, but for conditions and CMCD: origins that open a session with a redirect then
	// have one for each viewer, not one for each reload. A 401, 403, 404 or 410 there ends it at once. A redirect that sets a
	// cookie which the link carries on is followed each time. Zero: not at all.
	HoldRedirects time.Duration
	// NoVia leaves Via out of what is sent upstream, for origins that refuse what comes through a proxy. A request that goes
	// in circles is then told by what it brings to the last Proxy with a Via on its way, if there is one.
	NoVia bool
	// Redirects is how many redirects are followed. 0: 5. Negative: none. One more is a 502.
	Redirects int

	once   sync.Once
	shared http.RoundTripper
	mark   string
	ownVia string   // for requests that came through no other proxy
	allow  []string // Header, as it is used
	abroad []string // those of allow that another host than the first gets
	expose []string // ResponseHeader, likewise
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
	f := &fetch{proxy: p, viewer: r}
	defer f.end()
	err := f.open(w)
	if err == nil {
		err = f.pass(w)
	}
	if err != nil {
		p.fail(w, r, err)
	}
}

// open finds an answer. It is not on the stack any more when that is passed on: with net/http's part, the chain would
// not fit into 8 KiB, and each viewer's goroutine had 16.
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
	f.clock.alike = len(p.abroad) == len(p.allow) && !p.Forwarded
	resp, err := f.answer(target)
	if cause := f.clock.cause(); cause != nil {
		if err == nil {
			resp.Body.Close()
		}
		return cause // what ended the wait, not the "context canceled" that came of it
	}
	f.resp = resp
	return err
}

// end lets go of all that open has taken, however far it came.
func (f *fetch) end() {
	if f.resp != nil {
		f.resp.Body.Close()
	}
	f.clock.end()
	if f.entered {
		f.proxy.limits.leave(f.client)
	}
}

// Status is the status that an error stands for: its own if it has a method HTTPStatus() int, 504 for a timeout,
// otherwise 502.
func (p *Proxy) Status(err error) int {
	var bad *upstreamError
	if errors.As(err, &bad) {
		return httpstatus.Or(bad.err, http.StatusBadRequest)
	}
	return httpstatus.Or(err, http.StatusBadGateway)
}

// waitOf is a Wait as others compare it.
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
