package sign

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/internal/hop"
	"github.com/hlsproxy/hlsproxy/internal/maker"
	"github.com/hlsproxy/hlsproxy/internal/tchar"
	"github.com/hlsproxy/hlsproxy/internal/wire"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// Upstream says how the origin is asked for a link. It is sealed into the link, and from there into all links of the playlists
// below it, so that no server keeps state.
type Upstream struct {
	// Header holds fields that each request has. Any name is allowed but those of fields that concern the connection or the
	// body. They go to every host that a playlist names or a redirect leads to. Credentials do not: Authorization, Cookie and
	// what Credentials names go only to the scheme, host and port of the link, and to Hosts.
	Header http.Header

	// Inherit names query parameters of the link's own URL. Requests to the link's host get them too, unless their URL has a
	// parameter with that name. It is for origins that give a token to their playlists only.
	Inherit []string

	// Cookies seals the cookies that the origin sets on a playlist, or on the way to it, into the links in that playlist. A later
	// value replaces an earlier one. They go where RFC 6265 lets them go. Over http, none is set, replaced or deleted that is for
	// https alone. Cookies for a domain of one label, or for one such as co.uk, are not taken; other public suffixes are not
	// known. At most 16 cookies, of 2 KiB together, are kept.
	Cookies bool

	// Hosts may get the credentials too: "cdn.example" (on any port), "cdn.example:8443", "*.cdn.example" (any name below). The
	// credentials of an https link go to https URLs only.
	Hosts []string

	// Credentials names further fields of Header that are credentials, besides Authorization and Cookie.
	Credentials []string
}

// URL returns the public path of an upstream URL, an absolute http or https URL, with u sealed inside. The viewer can neither
// see nor change it. User information in the URL becomes an Authorization field. Handler hands all of this to the blocks that
// ask the origin (origin.Proxy and cache.Transport know it). Sign hands it to the links in playlists; the rewriter must call it
// before the Sign of a Signer. A cache shares answers among all viewers of the link, and with no link that has other
// credentials.
func (s *Sealer) URL(upstream string, u Upstream) (string, error) {
	clean, auth, ok := cutUserInfo([]byte(upstream))
	if !ok {
		return "", ErrURL
	}
	f, err := u.fields(clean)
	if err != nil {
		return "", err
	}
	if auth != "" && f.credential("Authorization") {
		return "", errors.New("sign: an upstream URL with user information and an Authorization field")
	}
	f.authorize(clean, auth)
	out, err := s.seal(nil, clean, f.encode(), "")
	return string(out), err
}

// fields checks u. Its error joins all faults.
func (u *Upstream) fields(upstream []byte) (*fields, error) {
	f := &fields{takes: u.Cookies}
	own := realm{origin: originOf(upstream)}
	var errs []error
	for _, host := range u.Hosts {
		name := strings.TrimPrefix(host, "*.")
		if p, err := url.Parse("http://" + name + "/"); err != nil || p.Host != name || name == "" || strings.ContainsAny(name, "*/@?# ") {
			errs = append(errs, fmt.Errorf("sign: %q in Upstream.Hosts is not a host, *.suffix or host:port", host))
		}
		own.hosts = append(own.hosts, strings.ToLower(host))
	}
	credentials := map[string]bool{"Authorization": true, "Cookie": true}
	for _, name := range u.Credentials {
		credentials[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(u.Header)) {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if !isSealable(canonical) {
			errs = append(errs, fmt.Errorf("sign: header field %q cannot be sealed", name))
		}
		for _, value := range u.Header[name] {
			if !isFieldValue(value) {
				errs = append(errs, fmt.Errorf("sign: value of header field %q has a control character", name))
			}
			if credentials[canonical] {
				own.fields = append(own.fields, field{canonical, value})
			} else {
				f.header = append(f.header, field{canonical, value})
			}
		}
	}
	if len(own.fields) > 0 || len(own.hosts) > 0 {
		f.realms = append(f.realms, own)
	}
	if len(u.Inherit) > 0 {
		f.origin = own.origin
		p, _ := link.Split(upstream)
		query, _ := p.Query()
		for param := range bytes.SplitSeq(query, []byte{'&'}) {
			name, _, _ := strings.Cut(string(param), "=")
			if plain, err := url.QueryUnescape(name); err == nil && slices.Contains(u.Inherit, plain) {
				f.inherit = append(f.inherit, string(param))
			}
		}
	}
	return f, errors.Join(errs...)
}

// isSealable reports whether a name is that of an end-to-end request field that a proxy does not set itself.
func isSealable(name string) bool {
	switch name {
	case "Host", "Content-Length", "Accept-Encoding", "Via", "Expect",
		"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Cache-Control", "Pragma":
		return false
	}
	return !hop.Is(name) && tchar.IsToken(name)
}

// visit is a request for a sealed URL. It is the maker.Fields of all requests that follow from it.
type visit struct {
	fields *fields
	block  string // the fields as they were sealed
	jar    jar
}

type visitKey struct{ sealer *Sealer }

// Handler makes sure that the origin is asked for sealed URLs as the makers of the links have said. The viewer's own
// Authorization, Cookie, Origin and Referer are removed. A link with fields that this release cannot read is answered with 403.
func (s *Sealer) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if o, err := s.open(r.URL.EscapedPath()); err == nil && o.header != "" {
			v := &visit{block: o.header}
			if v.fields, err = decodeFields(o.header); err != nil { // of another release: without them, it would be another request
				writeRefusal(w, statusOf(ErrBadToken), "")
				return
			}
			v.jar.cookies, v.jar.takes = v.fields.cookies, v.fields.takes
			ctx = maker.NewContext(context.WithValue(ctx, visitKey{s}, v), v)
		}
		out := r.WithContext(ctx)
		out.Header = r.Header.Clone()
		for _, name := range [...]string{"Authorization", "Cookie", "Origin", "Referer"} {
			out.Header.Del(name)
		}
		next.ServeHTTP(w, out)
	})
}

// Sign seals the fields of the request that ctx belongs to into public, a URL that this Sealer has made. It is for the Sign
// field of a playlist rewriter. If the request has none, public stays as it is.
func (s *Sealer) Sign(ctx context.Context, public []byte) ([]byte, error) {
	v, _ := ctx.Value(visitKey{s}).(*visit)
	if v == nil {
		return public, nil
	}
	p, ok := link.Split(public)
	if !ok {
		return public, ErrURL
	}
	o, err := s.open(string(p.Path()))
	if err != nil {
		return public, err
	}
	f := v.carried()
	if o.header != "" { // user information, or what was sealed before
		mine, err := decodeFields(o.header)
		if err != nil {
			return public, ErrBadToken
		}
		f = f.with(mine)
	}
	tail := bytes.Clone(p.Tail())
	out, err := s.seal(p.Root(), f.inherited(o.upstream), f.encode(), o.ext)
	return append(out, tail...), err
}

// carried is what the children get. It has the cookies that the origin has set meanwhile.
func (v *visit) carried() *fields {
	f := *v.fields
	f.cookies = v.jar.all()
	return &f
}

// Apply implements maker.Fields.
func (v *visit) Apply(h http.Header, u *url.URL) {
	set := map[string]bool{}
	add := func(f field) {
		if !set[f.name] {
			set[f.name] = true
			h[f.name] = nil
		}
		h[f.name] = append(h[f.name], f.value)
	}
	for _, f := range v.fields.header {
		add(f)
	}
	for _, f := range v.fields.credentialsFor(u) {
		add(f)
	}
	for _, f := range v.fields.hintsFor(u) {
		if !set[f.name] {
			add(f)
		}
	}
	if cookies := v.jar.line(h["Cookie"], u); cookies != "" {
		h["Cookie"] = []string{cookies}
	}
}

// Inherited implements maker.Fields.
func (v *visit) Inherited(u *url.URL) *url.URL {
	if len(v.fields.inherit) == 0 {
		return u
	}
	full, err := url.Parse(string(v.fields.inherited([]byte(u.String()))))
	if err != nil {
		return u
	}
	return full
}

// Credentials implements maker.Fields.
func (v *visit) Credentials(u *url.URL) []string {
	var names []string
	for _, f := range v.fields.credentialsFor(u) {
		names = append(names, f.name)
	}
	for _, f := range v.fields.hintsFor(u) {
		names = append(names, f.name) // an answer to what a list asks for is not shared with others
	}
	if v.jar.line(nil, u) != "" {
		names = append(names, "Cookie")
	}
	if v.jar.takes && !isMedia([]byte(u.Path)) {
		names = append(names, maker.SetCookie)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Received implements maker.Fields.
func (v *visit) Received(u *url.URL, h http.Header) { v.jar.take(u, h["Set-Cookie"]) }

// cutUserInfo removes the user information from an upstream URL and returns the Authorization that it stands for (RFC 7617).
func cutUserInfo(upstream []byte) (clean []byte, auth string, ok bool) {
	p, ok := link.Split(upstream)
	if !ok || !p.IsAbsolute() {
		return upstream, "", false
	}
	at := bytes.LastIndexByte(p.Root(), '@')
	if at < 0 {
		return upstream, "", true
	}
	begin := bytes.Index(p.Root(), []byte("//")) + 2
	user, password, _ := strings.Cut(string(upstream[begin:at]), ":")
	clean = append(bytes.Clone(upstream[:begin]), upstream[at+1:]...)
	if user+password == "" {
		return clean, "", true
	}
	text := unescaped(user) + ":" + unescaped(password)
	return clean, "Basic " + base64.StdEncoding.EncodeToString([]byte(text)), true
}

func unescaped(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// originOf returns the scheme, host and port of a URL, in the one spelling by which they can be compared (RFC 3986, section
// 6.2.3): the port is always there. What stands behind them need not be valid. If upstream has no host that can be read, it
// returns an empty string, which is the origin of nothing. Links hold this spelling, so it must not change.
func originOf(upstream []byte) string {
	p, ok := link.Split(upstream)
	if !ok {
		return ""
	}
	u, err := url.Parse(string(p.Root()))
	if err != nil {
		return ""
	}
	return originOfURL(u)
}

func originOfURL(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = wire.DefaultPort(strings.ToLower(u.Scheme))
	}
	return strings.ToLower(u.Scheme) + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// isOrigin reports whether sealed fields of an origin are for another one: only if it is the same. No origin is that of
// nothing.
func isOrigin(sealed, other string) bool { return sealed != "" && sealed == other }
