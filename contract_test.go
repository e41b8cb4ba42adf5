package hlsproxy_test

import (
	"net"
	"net/http"
	"net/http/httputil"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/corsmw"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/hlsproxy/hlsproxy/sign/cdn"
)

// What the documentation says fits together compiles together.

var (
	_ http.RoundTripper  = (*cache.Transport)(nil)
	_ http.RoundTripper  = (*origin.Pool)(nil)
	_ http.Handler       = (*origin.Proxy)(nil)
	_ http.Handler       = (*rangeserve.Files)(nil)
	_ rewrite.KindMapper = (*sign.Sealer)(nil)
	_ rewrite.HintMapper = (*sign.Sealer)(nil)
	_ rewrite.KindMapper = rewrite.Query("", "").(rewrite.KindMapper)
	_ cache.Store        = (*cache.Memory)(nil)
	_ cache.Store        = (*cache.Dir)(nil)
	_ cache.Purger       = (*cache.Memory)(nil)
	_ cache.Purger       = (*cache.Dir)(nil)

	_ = net.Dialer{Control: new(origin.Guard).Control}
	_ = httputil.ReverseProxy{ModifyResponse: new(rewrite.Rewriter).ModifyResponse}
	_ = origin.Proxy{ModifyResponse: new(rewrite.Rewriter).ModifyResponse, Client: sign.ClientPrefix(32, 64)}
)

var _ = []func(http.Handler) http.Handler{
	(*corsmw.Middleware)(nil).Handler, (*sign.Signer)(nil).Handler, (*sign.Sealer)(nil).Handler, (*sign.Ask)(nil).Handler,
	rangeserve.Handler, (*rewrite.Rewriter)(nil).Handler,
}

var _ = []rewrite.Rewriter{
	{Sign: (*sign.Signer)(nil)},
	{Sign: (*sign.Ask)(nil)},
	{Sign: cdn.Signer(nil)},
	{Sign: (*sign.Sealer)(nil)}, {Sign: rewrite.SignFunc(origin.Stick)},
}
