// Package corsmw lets players on other web pages read what a handler serves. It implements CORS by the Fetch standard (section
// 3.2, HTTP CORS protocol), with the request and response fields that HLS players need.
//
//	cors, err := corsmw.New(corsmw.Config{
//		Origins:     []string{"https://www.example.com", "https://*.example.com"},
//		Credentials: true, // cookies
//	})
//	if err != nil {
//		return err // all faults at once
//	}
//	mux.Handle("/live/", cors.Handler(chain)) // for all methods: no GET in the pattern
//
// A [Middleware] is the outermost handler of a chain. A preflight carries neither token nor cookie, so a handler that demands
// one must never see it. An error that a player may not read looks to it like a broken network, so the headers are on every
// status, whichever handler answered and whatever it set itself.
package corsmw

import (
	"net/http"
	"time"
)

// A Config sets which pages may read answers, and which fields they may send and read. [New] checks it and reports all its
// faults at once.
type Config struct {
	// Origins are the pages that may read. Required. Each is one of
	//
	//	*                          everyone; alone, and not with Credentials
	//	https://example.com        exactly this origin, spelled as browsers spell it: lower case, no default port, no path
	//	https://*.example.com      one label below example.com
	//	https://**.example.com     one label or more below example.com
	//	https://example.com:*      any port, the default one included; also with the two above
	//	capacitor://localhost      the pages of an app, exactly as its web view names them: also app://., ionic://localhost,
	//	                           tauri://localhost, chrome-extension://ID
	//	null                       sandboxed frames, and file:// local files: see DangerouslyAllowNull
	//
	// A pattern over the unencrypted network (http with * in its host, unless that host is this machine) and a pattern that
	// covers unrelated owners (https://*.com, https://*.co.uk) are faults, unless the fields below allow them.
	Origins []string

	// Credentials lets pages send cookies and read the answers. Origins must then not contain *, null or file://.
	Credentials bool

	// AllowHeaders are the request fields that a page may set. Nil: those that players send, which are Range, If-Range,
	// If-None-Match, If-Modified-Since, Authorization, Cache-Control, Pragma and the four of CMCD (CTA-5004), as
	// [DefaultAllowHeaders] lists them. Empty: only those that need no permission. "*" stands for all but Authorization, and is
	// not allowed with Credentials.
	AllowHeaders []string

	// ExposeHeaders are the response fields that a page may read besides those of Fetch's safelist. Nil: Content-Length,
	// Content-Range, Accept-Ranges, Date, Age, ETag, Last-Modified, Retry-After, Cache-Status and the two of CMSD (CTA-5006),
	// as [DefaultExposeHeaders] lists them. Empty: none. "*" stands for all, and is not allowed with Credentials.
	ExposeHeaders []string

	// MaxAge is how long a browser may remember the answer to a preflight, in whole seconds up to 24 hours. Zero: two
	// hours, the most that Chromium keeps. Negative: not at all.
	MaxAge time.Duration

	// ResourcePolicy is the value of Cross-Origin-Resource-Policy on every answer: cross-origin, same-site or same-origin.
	// Pages with Cross-Origin-Embedder-Policy need the first. Empty: inner handlers decide.
	ResourcePolicy string

	// Timing adds Timing-Allow-Origin for the same origins, so that a page can read the full timing of its requests.
	Timing bool

	// PrivateNetwork lets public pages reach this server when it has a private or loopback address.
	PrivateNetwork bool

	// DangerouslyAllowNull admits "null" and "file://" in Origins: any sandboxed frame and any local file of anyone. Together
	// with Credentials they are still a fault.
	DangerouslyAllowNull bool

	// DangerouslyAllowInsecure admits http where it is otherwise a fault: in patterns, and for any http origin with
	// Credentials. Anybody on the network can then impersonate such an origin.
	DangerouslyAllowInsecure bool

	// DangerouslyAllowPublicSuffixes admits patterns such as https://*.github.io, below which anyone can publish a page.
	DangerouslyAllowPublicSuffixes bool
}

// A Middleware adds CORS headers to the answers of a handler. It is made by [New] and does not change after that. Any number of
// goroutines may use it, for any number of handlers.
type Middleware struct {
	_ [0]func() // not comparable

	any     bool // a literal *
	origins origins

	fixed     []field // on every answer
	granted   []field // on answers to an origin that may read
	preflight []field // on answers to preflights of such an origin

	timing         bool
	privateNetwork bool
	vary           string // empty if no answer depends on the request's Origin
}

// field is a header field with one value.
type field struct{ name, value string }

// values makes the values of header fields. No two answers share one: an outer handler that changes a value in place changes no
// other answer.
type values []string

// values is how many an ordinary answer needs.
func (m *Middleware) values() int {
	const originTimingVary = 3
	return originTimingVary + len(m.fixed) + len(m.granted)
}

// one returns a value without spare capacity, so that append copies it. A full array is not copied to a longer one: that would
// read the values of other answers, which outer handlers may be changing.
func (v *values) one(s string) []string {
	if len(*v) == cap(*v) {
		*v = make(values, 0, max(cap(*v), 1))
	}
	*v = append(*v, s)
	n := len(*v)
	return (*v)[n-1 : n : n]
}

// put sets a field, unless it has this value already.
func (v *values) put(h http.Header, name, value string) {
	if !only(h[name], value) {
		h[name] = v.one(value)
	}
}

// Handler returns next with CORS headers on all its answers.
//
// A preflight (OPTIONS with Origin and Access-Control-Request-Method) never reaches next. It is answered with 204, without
// permission if the origin may not read. A plain OPTIONS is passed on like any request. In answers of next, Access-Control-*
// are replaced and Vary is completed when the header is sent, so that each occurs once, even if next or an origin behind it set
// its own.
//
// Mount it under a pattern without a method: under "GET /live/", [http.ServeMux] answers preflights itself, with a 405 that has
// no CORS headers.
//
// The ResponseWriter for next has Unwrap for [http.ResponseController] and can send a file without copying. It must not be used
// after next has returned.
func (m *Middleware) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := m.allowed(r)
		if isPreflight(r) {
			m.answerPreflight(w, r, origin)
			return
		}
		cw := take(w, m, origin, r.Method == http.MethodOptions)
		// After a panic cw is not reused: a goroutine of next may still hold it.
		next.ServeHTTP(cw, r)
		cw.release()
	})
}

// allowed returns the value of Access-Control-Allow-Origin for r: "*", or the request's own bytes, or "".
func (m *Middleware) allowed(r *http.Request) string {
	if m.any {
		return "*"
	}
	if v := r.Header["Origin"]; len(v) == 1 && m.origins.match(v[0]) {
		return v[0]
	}
	return ""
}
