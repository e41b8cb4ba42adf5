package sign_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsproxy/hlsproxy/internal/hls"
	"github.com/hlsproxy/hlsproxy/sign"
	"github.com/hlsproxy/hlsproxy/sign/internal/link"
	"github.com/stretchr/testify/require"
)

// FuzzVerify looks for a request that verifies but was not signed.
func FuzzVerify(f *testing.F) {
	exact, dir := signer(f, nil), signer(f, directory)
	g := sign.Grant{Expires: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	linkE, linkD := must(exact.URLUnder(g, "/live/a/1.ts?x=1")), must(dir.URLUnder(g, "/live/a/1.ts"))
	_, tokenE, _ := parse(linkE)
	_, tokenD, _ := parse(linkD)
	f.Add("/live/a/1.ts", "x=1&hpt="+tokenE)
	f.Add("/live/a/1.ts", "x=1&hpt="+tokenE+"&_HLS_msn=1&CMCD=x")
	f.Add("/live/a/1.ts", "hpt="+tokenD)
	f.Add("/live/a/%2e%2e/2.ts", "hpt="+tokenD)
	f.Add("/live/a//b.ts", "hpt="+tokenD+"&%68pt=x")
	f.Fuzz(func(t *testing.T, path, query string) {
		plain, err := url.PathUnescape(path)
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = plain, path, query
		if _, err := exact.Verify(r); err == nil && !strings.Contains(query, tokenD) {
			require.Equal(t, "/live/a/1.ts", r.URL.EscapedPath())
			require.Contains(t, "&"+query+"&", "&x=1&")
			require.Contains(t, "&"+query+"&", "&hpt="+tokenE+"&")
		}
		if _, err := dir.Verify(r); err == nil && !strings.Contains(query, tokenE) {
			require.True(t, strings.HasPrefix(r.URL.EscapedPath(), "/live/a/"))
			for range 5 {
				require.NotContains(t, plain, "/../")
				require.NotContains(t, plain, "//")
				require.NotContains(t, plain, "\\")
				require.NotContains(t, plain, "\x00")
				if plain, err = url.PathUnescape(plain); err != nil {
					break
				}
			}
		}
	})
}

// FuzzSign checks that a signed URL verifies when a client sends it, and that the handler gets the URL before signing.
func FuzzSign(f *testing.F) {
	for _, u := range append(publicURLs, "/0?_HLS_", "/0?_HLS_x=1&a=b&_HLS_msn=1", "/.?_HLS_") {
		f.Add(u)
	}
	exact, dir := signer(f, nil), signer(f, directory)
	f.Fuzz(func(t *testing.T, public string) {
		if !strings.HasPrefix(public, "/") || strings.HasPrefix(public, "//") || strings.ContainsAny(public, "# \t\r\n\v\f") {
			return
		}
		for _, s := range []*sign.Signer{exact, dir} {
			out, err := s.Sign(t.Context(), []byte(public))
			if err != nil {
				require.ErrorIs(t, err, sign.ErrURL)
				return
			}
			u, err := url.ParseRequestURI(string(out))
			if err != nil {
				return
			}
			path, _, _ := strings.Cut(public, "?")
			public := string(link.Escape(path)) + public[len(path):]
			// Parameters that no signature covers and no player adds are removed.
			want, query, _ := strings.Cut(public, "?")
			if query == "" {
				want = public
			} else if query = hls.WithoutUnknown(query); query != "" {
				want += "?" + query
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.URL, r.RequestURI = u, string(out)
			w, inner := serve(s, r)
			if inner == nil {
				// Some parsers read another spelling of the parameter's name as a second parameter.
				require.Equal(t, 403, w.Code)
				require.Contains(t, strings.ToLower(public), "%")
				return
			}
			if s == dir && inner.RequestURI == public {
				continue // a directory's token covers no query, but some paths get an exact one
			}
			require.Equal(t, want, inner.RequestURI)
		}
	})
}
