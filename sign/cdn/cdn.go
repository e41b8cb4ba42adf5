package cdn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hlsproxy/hlsproxy/sign/internal/expiry"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
)

// A Signer makes links for one network.
type Signer interface {
	// Sign appends a signature to public, the URL of a file at the network, and returns the extended slice. The signature comes
	// before the fragment if there is one. The error is ErrURL for a URL that cannot be signed.
	Sign(ctx context.Context, public []byte) ([]byte, error)
	// URL is Sign for a link in a page. With CloudFront, the link opens only that file.
	URL(rawURL string) (string, error)
	// Cookies returns the cookies that open a prefix, an absolute URL whose path ends in a slash. The error is ErrNoCookies if
	// the network does not support cookies. The cookies are Secure, HttpOnly and SameSite=None, and their path is /. Set Domain
	// to the domain that the page and the network share.
	Cookies(prefix string) ([]*http.Cookie, error)
}

var (
	// ErrURL is returned for a URL that cannot be signed.
	ErrURL = link.ErrURL
	// ErrNoCookies is returned by Cookies if the network does not support them.
	ErrNoCookies = errors.New("cdn: the network knows no cookies")
)

const leastSecret = 16

// scheme is the common part of all vendors.
type scheme struct {
	vendor string
	ttl    time.Duration
	hosts  bool     // the signature covers the host
	params []string // parameters of the scheme itself
	fold   bool     // names of params in any case count
}

// read splits a URL. It is then spelled as all clients send it, without the scheme's own parameters.
func (s *scheme) read(public []byte) (p link.URL, err error) {
	p, ok := link.Split(public)
	if !ok || s.hosts && !p.IsAbsolute() {
		return p, fmt.Errorf("%w: %s wants one with a host", ErrURL, s.vendor)
	}
	p.Spell()
	if !link.Dotless(p.Path()) {
		return p, fmt.Errorf("%w: the path could mean another one", ErrURL)
	}
	p.DropParams(s.owns)
	return p, nil
}

func (s *scheme) owns(name string) bool {
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	for _, own := range s.params {
		if name == own || s.fold && strings.EqualFold(name, own) {
			return true
		}
	}
	return false
}

// url is URL for schemes that sign a link in a page as they sign one in a playlist.
func urlOf(s interface {
	Sign(context.Context, []byte) ([]byte, error)
}, rawURL string) (string, error) {
	out, err := s.Sign(context.Background(), []byte(rawURL))
	return string(out), err
}

// single is a scheme whose links open one file each.
type single struct {
	scheme
	sign func(ctx context.Context, p *link.URL) (params []byte, err error)
}

func (s *single) Sign(ctx context.Context, public []byte) ([]byte, error) {
	p, err := s.read(public)
	if err != nil {
		return public, err
	}
	params, err := s.sign(ctx, &p)
	if err != nil {
		return public, err
	}
	return p.Insert(params), nil
}

func (s *single) URL(rawURL string) (string, error) { return urlOf(s, rawURL) }

func (s *single) Cookies(string) ([]*http.Cookie, error) { return nil, ErrNoCookies }

func (s *single) expires(ctx context.Context) int64 { return expiry.Under(ctx, s.ttl) }

// cookiesFor sets the attributes that all cookies for a network share.
func cookiesFor(cookies ...*http.Cookie) []*http.Cookie {
	for _, c := range cookies {
		c.Path, c.Secure, c.HttpOnly, c.SameSite = "/", true, true, http.SameSiteNoneMode
	}
	return cookies
}

// checkTTL returns an error that names the vendor.
func checkTTL(vendor string, ttl time.Duration) (time.Duration, error) {
	ttl, err := expiry.CheckTTL(ttl)
	if err != nil {
		return 0, fmt.Errorf("cdn: %s %w", vendor, err)
	}
	return ttl, nil
}

// checkPrefix returns the path of a prefix for cookies.
func checkPrefix(prefix string) (p link.URL, err error) {
	p, ok := link.Split([]byte(prefix))
	if !ok || !p.IsAbsolute() || len(p.Tail()) > 0 || !bytes.HasSuffix(p.Path(), []byte("/")) {
		return p, fmt.Errorf("%w: not an absolute URL with a path that ends in a slash", ErrURL)
	}
	p.Spell()
	if !link.Dotless(p.Path()) {
		return p, fmt.Errorf("%w: the path could mean another one", ErrURL)
	}
	return p, nil
}
