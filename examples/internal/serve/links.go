package serve

import (
	"net/http"
	"net/url"
	"time"

	"github.com/hlsproxy/hlsproxy/sign"
)

// Links makes the links on a page. It signs them if there is a key.
type Links struct {
	Signer *sign.Signer // nil: links are not signed
	key    Key
	local  bool
}

// NewLinks takes the key, the time for which a signed link works, and whether only this machine can reach the server.
func NewLinks(key Key, ttl time.Duration, local bool) (*Links, error) {
	l := &Links{key: key, local: local}
	if key == "" {
		return l, nil
	}
	keys, err := key.Secret()
	if err != nil {
		return nil, err
	}
	l.Signer, err = sign.New(sign.Config{Keys: keys, TTL: ttl})
	return l, err
}

// To returns the link to a path of this server.
func (l *Links) To(path string) (string, error) {
	escaped := (&url.URL{Path: path}).EscapedPath()
	if l.Signer == nil {
		return escaped, nil
	}
	return l.Signer.URL(escaped)
}

// Handler admits requests with a valid link.
func (l *Links) Handler(next http.Handler) http.Handler {
	if l.Signer == nil {
		return next
	}
	return l.Signer.Handler(next)
}

// Gate admits clients that may get links: with a key, those that know it; without one, on loopback, the pages of this machine;
// otherwise everybody.
func (l *Links) Gate(next http.Handler) http.Handler {
	switch {
	case l.key != "":
		return l.key.Handler(next)
	case l.local:
		return OnLoopback(next)
	}
	return next
}

// Hint tells a person how to pass the gate.
func (l *Links) Hint() string {
	if l.key != "" {
		return " (any name, and the key as password)"
	}
	return ""
}
