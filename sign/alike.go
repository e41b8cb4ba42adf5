package sign

import (
	"bytes"
	"context"
	"strings"
)

// SignAlike is the hook beside Sign by which a playlist rewriter learns that it need not call Sign for each URL. It tells
// whether what Sign appends to public it appends to each URL that differs from it in nothing but digits: of its file name
// before the extension, or of its query. So it is for most URLs that get the token of a directory, once Sign has been called
// for one there.
func (s *Signer) SignAlike(ctx context.Context, public []byte) bool {
	if s.config.Scope != Directory || s.numbered || bytes.IndexByte(public, '%') >= 0 { // with other digits, it could be another escape
		return false
	}
	h, ok := sessionOf(ctx, s)
	if !ok {
		h = s.anyone.Load()
	}
	if h == nil {
		return false
	}
	for i := range h.recent {
		if c := h.recent[i].Load(); c != nil && c.signer == s {
			if _, ok := c.extendPlainly(public); ok {
				return true
			}
		}
	}
	return false
}

// hasDigits reports whether digits decide which token a URL gets, or whether it gets one.
func (c *Config) hasDigits() bool {
	return strings.ContainsAny(c.Param+strings.Join(c.Alone, ""), digits)
}

const digits = "0123456789"

// SignAlike is the hook beside Sign that spares most calls of it: see [Signer.SignAlike].
func (c *CloudFrontSigner) SignAlike(_ context.Context, public []byte) bool {
	return hasOneName(public)
}

// SignAlike is the hook beside Sign that spares most calls of it: see [Signer.SignAlike].
func (a *AkamaiSigner) SignAlike(_ context.Context, public []byte) bool {
	return hasOneName(public) && !strings.ContainsAny(a.name, digits)
}

// SignAlike is the hook beside Sign that spares most calls of it: see [Signer.SignAlike].
func (m *MediaCDNSigner) SignAlike(_ context.Context, public []byte) bool { return hasOneName(public) }

// SignAlike is the hook beside Sign that spares most calls of it: see [Signer.SignAlike].
func (b *BunnySigner) SignAlike(_ context.Context, public []byte) bool { return hasOneName(public) }

// SignAlike is the hook beside Sign that spares most calls of it: see [Signer.SignAlike].
func (a *Ask) SignAlike(context.Context, []byte) bool { return !strings.ContainsAny(a.param(), digits) }

// hasOneName reports whether no digit of a path is one of an escape, so that with others its segments stay what they are.
func hasOneName(public []byte) bool {
	p, ok := split(public)
	return ok && bytes.IndexByte(p.url[p.path:p.query], '%') < 0
}

// SignsVariables tells a playlist rewriter that Handler lets no URL pass whose variables of a multivariant playlist are not
// those that were signed.
func (s *Signer) SignsVariables() bool { return true }
