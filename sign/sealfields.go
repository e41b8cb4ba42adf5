package sign

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// fields are an Upstream in the form that is sealed.
type fields struct {
	header  []field // for every host
	hints   []hint  // from a list; see hint
	realms  []realm // the first realm that has a name decides
	origin  string  // inherit is for URLs of this origin
	inherit []string
	cookies []cookie
	takes   bool // cookies are taken
}

type field struct{ name, value string }

// hint is a field that is sent if there is no other with its name.
type hint struct {
	field
	origin string // it is sent to this origin only, or everywhere
}

// everywhere stands for all origins. It must be said: an empty origin is that of nothing.
const everywhere = "*"

// hintsFor returns the hints for u.
func (f *fields) hintsFor(u *url.URL) []field {
	var out []field
	for _, h := range f.hints {
		if own := (realm{origin: h.origin}); h.origin == everywhere || own.has(u) {
			out = append(out, h.field)
		}
	}
	return out
}

// realm says where credentials may go.
type realm struct {
	origin string
	hosts  []string
	fields []field
}

// Each entry of the encoded form is a letter and a fixed number of strings, each after its length.
const (
	ofHeader  = 'H' // name, value
	ofHint    = 'N' // name, value, origin
	ofRealm   = 'R' // origin; the entries that follow belong to it
	ofHost    = 'P' // pattern
	ofSecret  = 'A' // name, value
	ofOrigin  = 'O' // of the inherited parameters
	ofInherit = 'Q' // parameter
	ofCookie  = 'C' // name, value, domain, path, flags
	ofTakes   = 'T'
)

var lengths = map[byte]int{ofHeader: 2, ofHint: 3, ofRealm: 1, ofHost: 1, ofSecret: 2, ofOrigin: 1, ofInherit: 1, ofCookie: 5, ofTakes: 0}

// encode gives equal fields the same spelling. It returns nothing if there are no fields.
func (f *fields) encode() string {
	var b []byte
	put := func(kind byte, texts ...string) {
		b = append(b, kind)
		for _, t := range texts {
			b = append(appendLen(b, len(t)), t...)
		}
	}
	for _, h := range f.header {
		put(ofHeader, h.name, h.value)
	}
	for _, h := range f.hints {
		put(ofHint, h.name, h.value, h.origin)
	}
	for _, r := range f.realms {
		put(ofRealm, r.origin)
		for _, host := range r.hosts {
			put(ofHost, host)
		}
		for _, s := range r.fields {
			put(ofSecret, s.name, s.value)
		}
	}
	if len(f.inherit) > 0 {
		put(ofOrigin, f.origin)
		for _, p := range f.inherit {
			put(ofInherit, p)
		}
	}
	for _, c := range f.cookies {
		put(ofCookie, c.name, c.value, c.domain, c.path, c.flags())
	}
	if f.takes {
		put(ofTakes)
	}
	return string(b)
}

var errFields = errors.New("sign: malformed sealed fields")

func decodeFields(block string) (*fields, error) {
	f := &fields{}
	for rest := []byte(block); len(rest) > 0; {
		kind := rest[0]
		n, known := lengths[kind]
		rest = rest[1:]
		var t [5]string
		for i := range n {
			var ok bool
			if t[i], rest, ok = cutText(rest); !ok {
				return nil, errFields
			}
		}
		last := len(f.realms) - 1
		switch {
		case kind == ofHeader:
			f.header = append(f.header, field{t[0], t[1]})
		case kind == ofHint:
			f.hints = append(f.hints, hint{field{t[0], t[1]}, t[2]})
		case kind == ofRealm:
			f.realms = append(f.realms, realm{origin: t[0]})
		case kind == ofHost && last >= 0:
			f.realms[last].hosts = append(f.realms[last].hosts, t[0])
		case kind == ofSecret && last >= 0:
			f.realms[last].fields = append(f.realms[last].fields, field{t[0], t[1]})
		case kind == ofOrigin:
			f.origin = t[0]
		case kind == ofInherit:
			f.inherit = append(f.inherit, t[0])
		case kind == ofCookie:
			f.cookies = append(f.cookies, cookie{name: t[0], value: t[1], domain: t[2], path: t[3]}.withFlags(t[4]))
		case kind == ofTakes && known:
			f.takes = true
		default:
			return nil, errFields
		}
	}
	return f, nil
}

// cutText cuts a text with its length off.
func cutText(b []byte) (text string, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	return string(b[size : size+int(n)]), b[size+int(n):], true
}

// credential reports whether there is a credential with that name.
func (f *fields) credential(name string) bool {
	return slices.ContainsFunc(f.realms, func(r realm) bool {
		return slices.ContainsFunc(r.fields, func(s field) bool { return s.name == name })
	})
}

// authorize adds the Authorization for user information in the URL. It is for the URL's origin alone.
func (f *fields) authorize(upstream []byte, auth string) {
	if auth != "" {
		f.realms = append([]realm{{origin: originOf(upstream), fields: []field{{"Authorization", auth}}}}, f.realms...)
	}
}

// with returns f with what a URL itself adds. That comes first.
func (f *fields) with(own *fields) *fields {
	out := *f
	out.realms = slices.Clone(own.realms)
	for _, r := range f.realms {
		if !slices.ContainsFunc(out.realms, func(o realm) bool { return o.equal(&r) }) {
			out.realms = append(out.realms, r)
		}
	}
	out.hints = slices.Clone(own.hints)
	for _, h := range f.hints {
		if len(out.hints) < mostHints && !slices.ContainsFunc(out.hints, func(o hint) bool { return o.name == h.name }) {
			out.hints = append(out.hints, h)
		}
	}
	if len(out.realms) > mostRealms {
		out.realms = out.realms[:mostRealms]
	}
	return &out
}

// mostRealms bounds what playlists can add with user information in their URLs.
const mostRealms = 8

func (r *realm) equal(o *realm) bool {
	return r.origin == o.origin && slices.Equal(r.hosts, o.hosts) && slices.Equal(r.fields, o.fields)
}

// credentialsFor returns those that may go to u. If several realms have a name, the first decides.
func (f *fields) credentialsFor(u *url.URL) []field {
	var out []field
	for i := range f.realms {
		r := &f.realms[i]
		if !r.has(u) {
			continue
		}
		before := len(out)
		for _, s := range r.fields {
			if !slices.ContainsFunc(out[:before], func(o field) bool { return o.name == s.name }) {
				out = append(out, s)
			}
		}
	}
	return out
}

// has reports whether the credentials of r may go to u: never from https to http.
func (r *realm) has(u *url.URL) bool {
	origin := originOfURL(u)
	if isOrigin(r.origin, origin) {
		return true
	}
	if r.origin == "" || strings.HasPrefix(r.origin, "https:") && !strings.HasPrefix(origin, "https:") {
		return false
	}
	host := strings.ToLower(u.Hostname())
	if r.origin == "http://"+host+":80" && origin == "https://"+host+":443" {
		return true
	}
	return slices.ContainsFunc(r.hosts, func(pattern string) bool {
		name := host
		if p, err := url.Parse("http://" + strings.TrimPrefix(pattern, "*.")); err == nil && p.Port() != "" {
			name = origin[strings.Index(origin, "//")+2:]
		}
		if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
			return len(name) > len(suffix) && strings.HasSuffix(name, suffix)
		}
		return name == strings.NewReplacer("[", "", "]", "").Replace(pattern)
	})
}

// inherited returns an upstream URL with the parameters that it inherits.
func (f *fields) inherited(upstream []byte) []byte {
	if len(f.inherit) == 0 || !isOrigin(f.origin, originOf(upstream)) {
		return upstream
	}
	p, ok := link.Split(upstream)
	if !ok {
		return upstream
	}
	query, _ := p.Query()
	for _, param := range f.inherit {
		name, _, _ := strings.Cut(param, "=")
		has := slices.ContainsFunc(bytes.Split(query, []byte{'&'}), func(own []byte) bool {
			ownName, _, _ := strings.Cut(string(own), "=")
			return unescapedParam(ownName) == unescapedParam(name)
		})
		if !has {
			p, _ = link.Split(p.Insert([]byte(param)))
		}
	}
	return p.Text
}

func unescapedParam(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}
