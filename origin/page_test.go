package origin_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// Each row of docs/origin-side.md about reaching an origin is tried with the field and without it.
func TestTheRowsOfTheOriginPage(t *testing.T) {
	loop := prefixes("127.0.0.0/8")
	plain := newCounted(t, "127.0.0.1:0", hello)
	secure := serveTLS(t, http.HandlerFunc(hello), true)
	roots := secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	old := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}
	old.Config.ErrorLog = quiet()
	old.StartTLS()
	t.Cleanup(old.Close)
	shy := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	shy.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	shy.Config.ErrorLog = quiet()
	shy.StartTLS()
	t.Cleanup(shy.Close)
	_, resolver := newNameServer(t, map[string][][]string{"origin.example": {{"127.0.0.1"}}})
	named := plain.url("origin.example")
	vpn := newOutbound(t, plain.Listener.Addr().String(), "")
	self := netip.MustParseAddrPort(plain.Listener.Addr().String())
	for name, row := range map[string]struct {
		url           string
		without, with origin.GuardConfig
		refused       bool // with the field
	}{
		"Hosts":            {plain.URL, origin.GuardConfig{Allow: loop}, origin.GuardConfig{Allow: loop, Hosts: []string{"origin.example"}}, true},
		"Allow":            {plain.URL, origin.GuardConfig{}, origin.GuardConfig{Allow: loop}, false},
		"Ports":            {plain.URL, origin.GuardConfig{Allow: loop, Ports: []string{"443"}}, origin.GuardConfig{Allow: loop, Ports: []string{"1024-65535"}}, false},
		"Self":             {plain.URL, origin.GuardConfig{Allow: loop}, origin.GuardConfig{Allow: loop, Self: []netip.AddrPort{self}}, true},
		"Via":              {"http://8.8.8.8/", origin.GuardConfig{Hosts: []string{"127.0.0.1"}}, origin.GuardConfig{Via: vpn.url(t, "socks5")}, false},
		"Resolver":         {named, origin.GuardConfig{Allow: loop, Resolver: &net.Resolver{PreferGo: true, Dial: noDNS}}, origin.GuardConfig{Allow: loop, Resolver: resolver}, false},
		"TLS.RootCAs":      {secure.URL, origin.GuardConfig{Allow: loop}, origin.GuardConfig{Allow: loop, TLS: &tls.Config{RootCAs: roots}}, false},
		"TLS.Certificates": {shy.URL, origin.GuardConfig{Allow: loop, TLS: &tls.Config{RootCAs: roots}}, origin.GuardConfig{Allow: loop, TLS: &tls.Config{RootCAs: roots, Certificates: secure.TLS.Certificates}}, false},
		"TLS.MinVersion":   {old.URL, origin.GuardConfig{Allow: loop, TLS: &tls.Config{RootCAs: roots}}, origin.GuardConfig{Allow: loop, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}}, false},
		"Insecure":         {secure.URL, origin.GuardConfig{Allow: loop}, origin.GuardConfig{Allow: loop, Insecure: []string{"127.0.0.1"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(c origin.GuardConfig) error {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, row.url, nil)
				require.NoError(t, err)
				resp, err := transportOf(t, c).RoundTrip(r)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				_, err = io.ReadAll(resp.Body)
				return err
			}
			without, with := ask(row.without), ask(row.with)
			require.Equal(t, row.refused, without == nil, "%v", without)
			require.Equal(t, row.refused, with != nil, "%v", with)
		})
	}
}

func noDNS(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("no name server")
}
