package caller_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/hlsproxy/hlsproxy/internal/caller"
	"github.com/stretchr/testify/require"
)

func TestTheAddressOfAClient(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"connection":                     {"192.0.2.1:1", nil, "192.0.2.1"},
		"field of a stranger":            {"192.0.2.1:1", []string{"9.9.9.9"}, "192.0.2.1"},
		"behind a proxy":                 {"10.0.0.1:1", []string{"9.9.9.9, 192.0.2.1"}, "192.0.2.1"},
		"behind two proxies":             {"10.0.0.1:1", []string{"9.9.9.9, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		"in two lines":                   {"10.0.0.1:1", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		"with a port":                    {"10.0.0.1:1", []string{"192.0.2.1:55"}, "192.0.2.1"},
		"IPv6 in brackets":               {"[fd00::1%eth0]:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv6 with a port":               {"10.0.0.1:1", []string{"[2001:db8::1]:55"}, "2001:db8::1"},
		"mapped proxy":                   {"[::ffff:10.0.0.1]:1", []string{"192.0.2.1"}, "192.0.2.1"},
		"proxies alone":                  {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"no field":                       {"10.0.0.1:1", nil, "10.0.0.1"},
		"empty field":                    {"10.0.0.1:1", []string{""}, "10.0.0.1"},
		"empty before a proxy":           {"10.0.0.1:1", []string{" , 10.0.0.2"}, "10.0.0.2"},
		"no address":                     {"10.0.0.1:1", []string{"9.9.9.9, unknown"}, "invalid IP"},
		"empty after what a client says": {"10.0.0.1:1", []string{"9.9.9.9, "}, "invalid IP"},
		"no address of the connection":   {"@", []string{"9.9.9.9"}, "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": c.forwarded}}
			require.Equal(t, c.want, caller.Addr(r, trusted).String())
		})
	}
}

func TestNetworks(t *testing.T) {
	for in, want := range map[string]string{"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::", "::ffff:192.0.2.1": "192.0.2.1", "x": "invalid IP"} {
		require.Equal(t, want, caller.Network(caller.Parse(in)).String())
	}
}

func TestNames(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1": "192.0.2.1", "[::ffff:192.0.2.1]:2": "192.0.2.1", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::", "192.0.2.1": "192.0.2.1",
		"vm(3):1024": "vm(3)", "pipe": "pipe", "@": "@", "": "",
	} {
		require.Equal(t, want, caller.Name(&http.Request{RemoteAddr: remote}), remote)
	}
}
