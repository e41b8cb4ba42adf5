package main

import (
	"bytes"
	"context"
	"errors"
	"path"
	"strings"

	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign/cdn"
)

// links are what players see of the tree at the origin: playlists on this server, at the same path, and everything else on the
// domain of CloudFront, signed. URLs outside of the tree stay as they are.
type links struct {
	rewrite.Mapper
	trees  []string // the trees that the domain serves
	domain string
	signer cdn.Signer
}

func newLinks(o options) (*links, error) {
	signer, err := cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: o.keyPairID, Key: o.key, TTL: o.ttl})
	if err != nil {
		return nil, err
	}
	l := &links{trees: []string{o.domain, o.origin.URL}, domain: o.domain, signer: signer}
	l.Mapper, err = rewrite.Prefix("/", o.origin.URL, o.domain)
	return l, err
}

func (l *links) AppendPublic(dst, upstream []byte) ([]byte, error) {
	for _, tree := range l.trees {
		if rest, ok := bytes.CutPrefix(upstream, []byte(tree)); ok && !isPlaylist(pathOf(rest)) {
			return append(append(dst, l.domain...), rest...), nil
		}
	}
	return l.Mapper.AppendPublic(dst, upstream)
}

// sign leaves a URL that cannot be signed as it is: one line that does not play is better than no playlist.
func (l *links) sign(ctx context.Context, public []byte) ([]byte, error) {
	if !bytes.HasPrefix(public, []byte(l.domain)) {
		return public, nil
	}
	signed, err := l.signer.Sign(ctx, public)
	if errors.Is(err, cdn.ErrURL) {
		return public, nil
	}
	return signed, err
}

func isPlaylist(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return ext == ".m3u8" || ext == ".m3u"
}

func pathOf(u []byte) string {
	name, _, _ := strings.Cut(string(u), "#")
	name, _, _ = strings.Cut(name, "?")
	return name
}
