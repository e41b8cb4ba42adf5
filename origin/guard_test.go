package origin_test

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/hlsproxy/hlsproxy/origin"
	"github.com/stretchr/testify/require"
)

// check does what a caller does: parse, then check.
func check(g *origin.Guard, raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	return g.Check(u)
}

func requireForbidden(t *testing.T, err error, note ...any) {
	t.Helper()
	require.ErrorIs(t, err, origin.ErrForbidden, note...)
	var status interface{ HTTPStatus() int }
	require.ErrorAs(t, err, &status)
	require.Equal(t, http.StatusForbidden, status.HTTPStatus())
}

func TestHostileURLs(t *testing.T) {
	text, err := os.ReadFile("testdata/urls.txt")
	require.NoError(t, err)
	rows := 0
	for line := range strings.Lines(string(text)) {
		verdict, raw, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || verdict == "#" {
			continue
		}
		rows++
		err := check(new(origin.Guard), raw)
		switch verdict {
		case "allow":
			require.NoError(t, err, raw)
		case "deny":
			require.Error(t, err, raw)
			if _, bad := url.Parse(raw); bad == nil {
				requireForbidden(t, err, raw)
				u, _ := url.Parse(raw)
				if host := u.Hostname(); len(host) > 3 {
					require.NotContains(t, err.Error(), host, "the error names the target")
				}
			}
		default:
			t.Fatalf("what is %q?", line)
		}
	}
	require.GreaterOrEqual(t, rows, 250)
}

func TestCheckRefusesURLsThatNoParserReturns(t *testing.T) {
	g := new(origin.Guard)
	for name, u := range map[string]*url.URL{
		"nil": nil, "zero": {}, "upper-case scheme": {Scheme: "HTTP", Host: "example.com"},
		"opaque":              {Scheme: "http", Opaque: "//127.0.0.1/", Host: "example.com"},
		"line in the query":   {Scheme: "http", Host: "example.com", RawQuery: "a=b\r\nHost: x"},
		"space in the host":   {Scheme: "http", Host: "example.com 127.0.0.1"},
		"line in the host":    {Scheme: "http", Host: "example.com\r\nX: y"},
		"slash in the host":   {Scheme: "http", Host: "example.com/x"},
		"user in the host":    {Scheme: "http", Host: "a@example.com"},
		"open bracket":        {Scheme: "http", Host: "[::1"},
		"text after bracket":  {Scheme: "http", Host: "[2606:4700:4700::1111]x"},
		"no brackets":         {Scheme: "http", Host: "2606:4700:4700::1111"},
		"bracketed name":      {Scheme: "http", Host: "[example.com]"},
		"empty user":          {Scheme: "http", Host: "example.com", User: url.User("")},
		"port of two numbers": {Scheme: "http", Host: "example.com:80:443"},
	} {
		t.Run(name, func(t *testing.T) { requireForbidden(t, g.Check(u)) })
	}
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestGuardSettings(t *testing.T) {
	zero := new(origin.Guard)
	hosts := guardOf(t, origin.GuardConfig{Hosts: []string{"cdn.example.com", "*.media.example", "8.8.8.8", "[2606:4700:4700::1111]", "NAS.local.", "*.svc.internal", "redis", "localhost"}})
	loop := guardOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8")})
	wide := guardOf(t, origin.GuardConfig{Allow: prefixes("10.0.0.0/8", "fd00::/8")})
	ports := guardOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8"), Ports: []string{"8080"}})
	none := guardOf(t, origin.GuardConfig{Hosts: []string{}})
	some := guardOf(t, origin.GuardConfig{Ports: []string{"80", "1000-3000", "3306", "5000-5432", "65535"}})
	all := guardOf(t, origin.GuardConfig{Ports: []string{"all", "6379"}, Allow: prefixes("10.0.0.0/8")})
	for _, row := range []struct {
		name  string
		guard *origin.Guard
		url   string
		allow bool
	}{
		{"listed", hosts, "http://cdn.example.com/", true},
		{"listed, upper case and dot", hosts, "http://CDN.example.com./", true},
		{"not listed", hosts, "http://example.com/", false},
		{"below a listed name", hosts, "http://a.cdn.example.com/", false},
		{"listed as suffix", hosts, "http://cdn.example.com.evil.example/", false},
		{"below a wildcard", hosts, "http://a.media.example/", true},
		{"two below a wildcard", hosts, "http://b.a.media.example/", true},
		{"the wildcard's own name", hosts, "http://media.example/", false},
		{"text before a wildcard's name", hosts, "http://xmedia.example/", false},
		{"listed address", hosts, "http://8.8.8.8/", true},
		{"listed address, v6", hosts, "http://[2606:4700:4700::1111]/", true},
		{"other address", hosts, "http://8.8.4.4/", false},
		{"listed local name", hosts, "http://nas.local/", true},
		{"listed internal name", hosts, "http://a.svc.internal/", true},
		{"listed single label", hosts, "http://redis/", true},
		{"listed localhost", hosts, "http://localhost/", true},
		{"listed name on another port", hosts, "http://cdn.example.com:8080/", false},
		{"empty list", none, "http://example.com/", false},
		{"underscores", zero, "http://hls_live-1._cdn.example_1.com/", true},
		{"underscores below a wildcard", hosts, "http://hls_live.media.example/", true},
		{"first of a range", some, "http://example.com:1000/", true},
		{"last of a range", some, "http://8.8.8.8:3000/", true},
		{"outside of a range", some, "http://example.com:3001/", false},
		{"default port outside", some, "https://example.com/", false},
		{"decoy in a range", some, "http://example.com:1433/", false},
		{"decoy at the end of a range", some, "http://example.com:5432/", false},
		{"decoy by itself", some, "http://example.com:3306/", true},
		{"all", all, "http://example.com:8880/", true},
		{"all, address", all, "http://8.8.8.8:25461/", true},
		{"all, mail", all, "http://example.com:25/", false},
		{"all, a decoy named by itself", all, "http://example.com:6379/", true},
		{"all, database at an allowed address", all, "http://10.1.2.3:27017/", false},
		{"all, private address", all, "http://192.168.0.1:8080/", false},
		{"allowed address", loop, "http://127.0.0.1/", true},
		{"allowed address, any port", loop, "http://127.0.0.1:35123/", true},
		{"allowed address, octal", loop, "http://0177.0.0.1/", false},
		{"allowed address, mapped", loop, "http://[::ffff:127.0.0.1]/", false},
		{"other loopback", loop, "http://[::1]/", false},
		{"other private address", loop, "http://10.0.0.1/", false},
		{"public address beside Allow", loop, "http://8.8.8.8/", true},
		{"public address beside Allow, other port", loop, "http://8.8.8.8:8080/", false},
		{"name on another port, decided at the dial", loop, "http://example.com:8080/", true},
		{"localhost with loopback allowed", loop, "http://localhost:1234/", true},
		{"localhost with private allowed", wide, "http://localhost/", false},
		{"local with private allowed", wide, "http://a.local/", false},
		{"single label with private allowed", wide, "http://nas/", true},
		{"single label", zero, "http://nas/", false},
		{"allowed ULA", wide, "http://[fd12::1]:99/", true},
		{"allowed ULA with a zone", wide, "http://[fd12::1%25eth0]/", false},
		{"listed port", ports, "http://example.com:8080/", true},
		{"default port not listed", ports, "http://example.com/", false},
		{"allowed address, port listed", ports, "http://127.0.0.1:8080/", true},
		{"allowed address, port not listed", ports, "http://127.0.0.1:8081/", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := check(row.guard, row.url)
			if row.allow {
				require.NoError(t, err)
			} else {
				requireForbidden(t, err)
			}
		})
	}
}

func TestControl(t *testing.T) {
	zero := new(origin.Guard)
	loop := guardOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8", "::1/128"), Deny: prefixes("127.0.0.9/32", "8.8.4.0/24")})
	self := guardOf(t, origin.GuardConfig{Allow: prefixes("127.0.0.0/8", "::1/128"), Self: []netip.AddrPort{
		netip.MustParseAddrPort("127.0.0.1:8080"), netip.MustParseAddrPort("0.0.0.0:9000"), netip.MustParseAddrPort("8.8.8.8:443"),
	}})
	for _, row := range []struct {
		name, network, address string
		guard                  *origin.Guard
		allow                  bool
	}{
		{"public", "tcp4", "8.8.8.8:443", zero, true},
		{"public v6", "tcp6", "[2606:4700:4700::1111]:80", zero, true},
		{"public, other port", "tcp4", "8.8.8.8:22", zero, false},
		{"public, mapped", "tcp6", "[::ffff:8.8.8.8]:80", zero, true},
		{"private", "tcp4", "10.0.0.1:80", zero, false},
		{"private, mapped", "tcp6", "[::ffff:10.0.0.1]:80", zero, false},
		{"zone", "tcp6", "[fe80::1%lo]:80", zero, false},
		{"zone on a public address", "tcp6", "[2606:4700:4700::1111%lo]:80", zero, false},
		{"port 0", "tcp4", "127.0.0.1:0", loop, false},
		{"udp", "udp4", "8.8.8.8:443", zero, false},
		{"unix", "unix", "/run/x.sock", zero, false},
		{"a name", "tcp", "example.com:80", zero, false},
		{"empty", "tcp", "", zero, false},
		{"allowed", "tcp4", "127.0.0.1:1", loop, true},
		{"allowed, mapped", "tcp6", "[::ffff:127.0.0.1]:1", loop, true},
		{"allowed v6", "tcp6", "[::1]:1", loop, true},
		{"denied though allowed", "tcp4", "127.0.0.9:80", loop, false},
		{"denied though public", "tcp4", "8.8.4.4:80", loop, false},
		{"own listener", "tcp4", "127.0.0.1:8080", self, false},
		{"own listener, mapped", "tcp6", "[::ffff:127.0.0.1]:8080", self, false},
		{"other port of this machine", "tcp4", "127.0.0.1:8081", self, true},
		{"other loopback address", "tcp4", "127.0.0.2:8080", self, true},
		{"listener on all addresses", "tcp4", "127.0.0.77:9000", self, false},
		{"listener on all addresses, v6", "tcp6", "[::1]:9000", self, false},
		{"own public address", "tcp4", "8.8.8.8:443", self, false},
		{"own public address, other port", "tcp4", "8.8.8.8:80", self, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.guard.Control(row.network, row.address, nil)
			if row.allow {
				require.NoError(t, err)
			} else {
				requireForbidden(t, err)
			}
		})
	}
}

// Both ends of every block of the IANA special-purpose registries, and the public addresses around them.
func TestSpecialPurposeRegistries(t *testing.T) {
	deny := []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.0.0/29",
		"192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32", "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24",
		"192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "168.63.129.16/32",
		"::1/128", "::/128", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32",
		"2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28",
		"2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10",
		"ff00::/8", "4000::/2", "8000::/2", "c000::/3", "e000::/4", "200::/7",
	}
	allow := []string{
		"1.0.0.0/32", "9.255.255.255/32", "11.0.0.0/32", "100.63.255.255/32", "100.128.0.0/32", "126.255.255.255/32", "128.0.0.0/32",
		"168.63.129.15/32", "168.63.129.17/32", "192.0.1.0/24", "192.0.3.0/24", "223.255.255.255/32", "2000::/128", "2001:200::/23",
		"2001:db7:ffff::/48", "2001:db9::/32", "2003::/16", "2620:4f:7fff::/48", "3ffe:ffff::/32", "3fff:1000::/20",
	}
	g := new(origin.Guard)
	for verdict, list := range map[bool][]string{true: allow, false: deny} {
		for _, p := range prefixes(list...) {
			for _, a := range []netip.Addr{p.Addr(), last(p)} {
				err := g.Control("tcp", netip.AddrPortFrom(a, 443).String(), nil)
				require.Equal(t, verdict, err == nil, "%s of %s: %v", a, p, err)
				var why *origin.ForbiddenError
				require.Equal(t, !verdict, errors.As(err, &why))
			}
		}
	}
}

func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
