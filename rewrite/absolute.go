package rewrite

import "net/url"

// absolute stands for the Mapper of a Rewriter that has none: public is what is on the host of the playlist, as it is.
type absolute struct{}

func (absolute) AppendPublic(dst, upstream []byte) ([]byte, error) {
	if n := httpScheme(upstream); authorityEnd(upstream, n) <= n+2 {
		return dst, ErrUnmapped // no host
	}
	return append(dst, upstream...), nil
}

func (absolute) Upstream(public *url.URL) (string, error) { return public.String(), nil }
