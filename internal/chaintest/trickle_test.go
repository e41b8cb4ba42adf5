package chaintest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/cache"
	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/hlsproxy/hlsproxy/rewrite"
	"github.com/stretchr/testify/require"
)

// Bytes of an origin that sends a few at a time do not wait for more, whether the chain inspects the first bytes or not.
func TestWhatTricklesIsNotHeldBack(t *testing.T) {
	for name, row := range map[string]struct{ path, label string }{
		"radio by a bare name":   {"/radio", "audio/mpeg"},
		"radio by its name":      {"/radio.mp3", "audio/mpeg"},
		"a stream without label": {"/live", "application/octet-stream"},
		"a stream as a playlist": {"/live.ts", "application/vnd.apple.mpegurl"},
		"captions":               {"/live.vtt", "text/vtt"},
	} {
		for _, cached := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				heard := make(chan struct{})
				o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", row.label)
					for range 3 {
						_, _ = io.WriteString(w, "\xff\xfb\x90some\x00")
						_ = http.NewResponseController(w).Flush()
						select {
						case <-heard:
						case <-r.Context().Done():
							return
						}
					}
				}))
				defer o.Close()
				mapper := must(rewrite.Prefix("/", o.URL+"/"))
				guard := must(origin.NewGuard(origin.GuardConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}))
				p := &origin.Proxy{Upstream: mapper.Upstream, Transport: guard.Transport(), ModifyResponse: (&rewrite.Rewriter{Map: mapper}).ModifyResponse}
				if cached {
					p.Transport = &cache.Transport{Base: p.Transport}
				}
				front := httptest.NewServer(rangeserve.Handler(p))
				defer front.Close()
				resp, err := (&http.Client{Timeout: time.Minute}).Get(front.URL + row.path)
				require.NoError(t, err)
				defer resp.Body.Close()
				for range 3 {
					_, err := io.ReadFull(resp.Body, make([]byte, 8))
					require.NoError(t, err)
					heard <- struct{}{}
				}
			})
		}
	}
}
