package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/hlsproxy/hlsproxy/examples/internal/serve"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign/cdn"
)

// edge is what viewers see of the bucket behind CloudFront: playlists come from this server, because their URLs must be signed
// at each request, and everything else from the distribution.
type edge struct {
	rewrite.Mapper
	bucket, domain string // URLs with a slash at their end
	here, there    rewrite.Signer
}

// newEdge returns the mapper, and the handler of the playlists: /cloudfront/KEY.m3u8.
func newEdge(o options, s *store, shared http.RoundTripper, links *serve.Links) (rewrite.Mapper, http.Handler, error) {
	domain, err := serve.ParseOrigin(o.edge.domain)
	if err != nil {
		return nil, nil, fmt.Errorf("-cloudfront-domain %q: %w", o.edge.domain, err)
	}
	key, err := serve.ReadPrivateKey(o.edge.keyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("-cloudfront-key-file: %w", err)
	}
	there, err := cdn.CloudFront(cdn.CloudFrontConfig{KeyPairID: o.edge.keyPairID, Key: key, TTL: o.ttl})
	if err != nil {
		return nil, nil, err
	}
	tree, err := rewrite.Prefix("/cloudfront/", s.base)
	if err != nil {
		return nil, nil, err
	}
	e := &edge{Mapper: tree, bucket: s.base, domain: domain.URL, here: links.Signer, there: there}
	playlists := &rewrite.Rewriter{Map: e, Sign: e, Public: o.public}
	proxy := &origin.Proxy{Upstream: e.Upstream, Transport: shared, ModifyResponse: playlists.ModifyResponse, OnFailure: serve.LogFailure}
	return e, links.Handler(onlyPlaylists(proxy)), nil
}

// AppendPublic is that of rewrite.Mapper.
func (e *edge) AppendPublic(dst, upstream []byte) ([]byte, error) {
	key, inside := bytes.CutPrefix(upstream, []byte(e.bucket))
	name, query, _ := strings.Cut(string(key), "?")
	if !inside || isPlaylist(name) {
		return e.Mapper.AppendPublic(dst, upstream)
	}
	dst = append(append(dst, e.domain...), strings.ReplaceAll(name, "+", "%2B")...) // "+" is a blank to S3
	if query != "" {
		dst = append(append(dst, '?'), query...)
	}
	return dst, nil
}

// Sign is that of rewrite.Signer.
func (e *edge) Sign(ctx context.Context, public []byte) ([]byte, error) {
	if bytes.HasPrefix(public, []byte(e.domain)) {
		return e.there.Sign(ctx, public)
	}
	return e.here.Sign(ctx, public)
}

func isPlaylist(name string) bool { return strings.EqualFold(path.Ext(name), ".m3u8") }

// onlyPlaylists refuses other files, which CloudFront serves.
func onlyPlaylists(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isPlaylist(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
