package main

import (
	"errors"
	"net/url"
	"path"
	"strings"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
)

// links are the URLs that viewers see: /proxy/NAME?url=... or, sealed, /s/TOKEN/NAME. With a key both carry a token that
// expires, so that only links work that somebody with the key has made.
type links struct {
	plain  rewrite.Mapper
	sealed *sign.Sealer // nil: there is no key
	signer *sign.Signer // nil: there is no key
	key    serve.Key
}

var errKey = errors.New("that is not the key")

func newLinks(o options) (*links, error) {
	l := &links{plain: rewrite.Query("/proxy", "url"), key: o.key}
	if o.key == "" {
		return l, nil
	}
	keys, err := o.key.Secret()
	if err != nil {
		return nil, err
	}
	c := sign.Config{Keys: keys, TTL: o.ttl}
	if l.signer, err = sign.New(c); err != nil {
		return nil, err
	}
	l.sealed, err = sign.NewSealer(c, "/s/")
	return l, err
}

// isList recognises the URL of an IPTV list. Its entries name the header fields of their requests themselves.
func isList(stream string) bool {
	u, err := url.Parse(stream)
	return err == nil && (path.Ext(u.Path) == ".m3u" || strings.HasPrefix(u.Query().Get("type"), "m3u"))
}

// to makes the link to a stream for a person with the key, if there is one. A hidden link does not show where the stream is,
// and carries what the origin demands.
func (l *links) to(stream, key string, hidden bool, up sign.Upstream) (string, error) {
	if l.signer == nil {
		public, err := l.plain.AppendPublic(nil, []byte(stream))
		return string(public), err
	}
	if !l.key.Is(key) {
		return "", errKey
	}
	if hidden || isList(stream) || len(up.Header) > 0 || len(up.Inherit) > 0 || up.Cookies {
		public, err := l.sealed.URL(stream, up)
		if err != nil {
			return "", err
		}
		return l.signer.URL(public)
	}
	public, err := l.plain.AppendPublic(nil, []byte(stream))
	if err != nil {
		return "", err
	}
	return l.signer.URL(string(public))
}
